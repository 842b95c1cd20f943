"""The wiring: what the runs of a kernel are made from, may use and are told to; the kernel's own side of the room."""

from __future__ import annotations

import os

from agentflow_kernel.errors import UnknownName, UsageError
from agentflow_kernel.run.flow import Flow
from agentflow_kernel.run.runtime import GRACE_S, Services
from agentflow_kernel.telemetry import current_meter, current_tracer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

    from agentflow_kernel.agent import Agent
    from agentflow_kernel.contracts.bus import Handler
    from agentflow_kernel.contracts.clock import Clock
    from agentflow_kernel.contracts.journal import Journal
    from agentflow_kernel.contracts.memory import Memory
    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.event import Event
    from agentflow_kernel.inprocess.bus import InProcessBus
    from agentflow_kernel.kernel.composition import Composition, Environment
    from agentflow_kernel.loading import Plugins
    from agentflow_kernel.manifest import Manifest
    from agentflow_kernel.run.handle import RunHandle
    from agentflow_kernel.run.history_limits import Limits
    from agentflow_kernel.run.observing import RunObserver
    from agentflow_kernel.run.progress import Listener, Progress
    from agentflow_kernel.settings import Settings

    MakeBus = Callable[..., InProcessBus]
    """Called with the kernel's task group and ``clock=``."""


RUNNABLE = ("Flow", "Agent", "Plan")
"""Kinds of resources that can be run."""


class Wiring:
    """Built with the kernel, before anything is open; what it holds is made when it is first asked for."""

    def __init__(
        self, clock: Clock, *, state: str | None, settings: Settings | None, journal: Journal | str | None
    ) -> None:
        self.clock = clock
        self.state = state
        self.artifacts = None if state is None else os.path.join(state, "artifacts")
        """Where runs have folders for their files."""
        self.journal = journal
        self.grace_s = GRACE_S
        self.limits: Limits | None = None
        self.adopt = False
        """Whether runs of workers that are gone are taken over."""
        self.random: Random | None = None
        self.bus: InProcessBus | None = None
        self.make_bus: MakeBus | None = None
        """What makes the bus in the place of the kernel's own; for simulations."""
        self.manifest: Manifest | None = None
        self.origin: dict[str, JSON] = {}
        self.memories: Mapping[str, Memory] = {}
        self.targets: dict[str, Flow] = {}
        self.listeners: list[Listener] = []
        self.handles: Mapping[str, RunHandle] = {}
        """Of the runs at work, by id."""
        self._settings = settings
        self._plugins: Plugins | None = None
        self._environment: Environment | None = None
        self._composition: Composition | None = None
        self._composed: set[str] = set()
        """Names of the targets that come from the manifest."""

    def compose(self, composition: Composition) -> None:
        """Take the manifest's objects from here."""
        self._composition = composition
        self.manifest = composition.manifest

    @property
    def settings(self) -> Settings:
        """The settings of ``agentflow.toml``, looked for when they are first needed."""
        if self._settings is None:
            from agentflow_kernel.settings import Settings  # only kernels that ask pay

            self._settings = Settings.find()
        return self._settings

    @property
    def history_limits(self) -> Limits | None:
        """The limits of histories: those that were given, else those of settings that are read already."""
        if self.limits is None and self._settings is not None:
            from agentflow_kernel.run.history_limits import Limits  # only kernels that keep runs pay

            self.limits = Limits.of(self._settings.runs)
        return self.limits

    @property
    def keep_s(self) -> int:
        """Seconds for which ended runs are kept: ``[runs] keep`` of settings that are read already; 0: for ever."""
        return 0 if self._settings is None else self._settings.runs.get("keep", 0)

    @property
    def plugins(self) -> Plugins:
        """The installed plugins; nothing is imported before it is named."""
        if self._plugins is None:
            from agentflow_kernel.loading import Catalogue, Plugins  # only kernels that ask pay

            self._plugins = Plugins(Catalogue(self.settings))
        return self._plugins

    @property
    def environment(self) -> Environment:
        """What the objects of this kernel are made with."""
        if self._environment is None:
            from random import Random  # lazy: 8 ms, only kernels with plugins pay

            from agentflow_kernel.kernel.composition import Environment

            self._environment = Environment(
                self.plugins,
                None,
                clock=self.clock,
                random=self.random if self.random is not None else Random(),  # noqa: S311 -- jitter, no secret
                state_folder=self.state,
                emit=self._tell_all,
            )
        return self._environment

    @property
    def composition(self) -> Composition:
        """The objects of the manifest; raises :class:`UsageError` for a kernel without one."""
        if self._composition is None:
            raise UsageError("This kernel has no manifest; make it with Kernel.from_manifest(path).")
        return self._composition

    def release(self) -> list[object]:
        """The manifest's objects, the latest first, for whoever closes them; they are made anew when needed again."""
        for name in self._composed:
            self.targets.pop(name, None)
        self._composed.clear()
        return self.composition.release()

    @property
    def keeps_runs(self) -> bool:
        """Whether a journal was asked for, by the caller or in the manifest."""
        return self.journal is not None or (self.manifest is not None and bool(self.manifest.of("Journal")))

    def find(self, target: Flow | Agent | str) -> tuple[str, Flow]:
        """The qualified name and the flow behind an object or a name (``flow/x``; ``x`` where it is unambiguous)."""
        if not isinstance(target, str):
            name = qualified_name(target)
            known = self.targets.get(name)
            if isinstance(target, Flow):
                self.targets[name] = target
            elif known is None or known.steps[target.name].target is not target:
                self.targets[name] = as_flow(target)
            return name, self.targets[name]
        if target in self.targets:
            return target, self.targets[target]
        names = [name for kind in RUNNABLE if (name := self._known(kind, target))]
        if len(names) > 1:
            raise UnknownName("name (several have it)", target, names)
        if names and names[0] in self.targets:
            return names[0], self.targets[names[0]]
        if self._composition is None:
            raise UnknownName("flow, agent or plan", target, self.targets)
        resource = self._composition.manifest.resolve(*names or (target,))
        if resource.kind not in RUNNABLE:
            raise UsageError(f"{target!r} is a {resource.kind}; only a Flow, an Agent or a Plan can be run.")
        composition = self._composition
        makers: dict[str, Callable[[str], Flow | Agent]] = {
            "Flow": composition.flow,
            "Agent": composition.agent,
            "Plan": composition.plan,
        }
        make = makers[resource.kind]
        name = f"{resource.kind.lower()}/{resource.name}"
        flow = self.targets[name] = as_flow(make(resource.name))
        self._composed.add(name)
        return name, flow

    def serves(self, name: str) -> bool:
        """Whether a run of this qualified name can go on here."""
        kind, _, bare = name.partition("/")
        return name in self.targets or (
            self.manifest is not None and self.manifest.find(kind.title(), bare) is not None
        )

    def _known(self, kind: str, name: str) -> str:
        """The qualified name of what can be run and has this bare name, or ``""``."""
        qualified = f"{kind.lower()}/{name}"
        in_manifest = self.manifest is not None and self.manifest.find(kind, name) is not None
        return qualified if in_manifest or qualified in self.targets else ""

    def memory(self, name: str) -> tuple[Memory, float | None]:
        """The memory resource of that name and its default time to live in seconds."""
        if name in self.memories:
            return self.memories[name], None
        if self._composition is None:
            raise UnknownName("memory", name, self.memories)
        return self._composition.memory(name)

    def services(self) -> Services:
        """What a run of this kernel may use."""
        return Services(
            self.clock,
            memory=self.memory,
            publish=self._publish,
            subscribe=self._subscribe,
            folder=self.artifacts,
            grace_s=self.grace_s,
            observe=_observe,
        )

    async def _publish(self, event: Event) -> None:
        if self.bus is not None:
            await self.bus.publish(event)

    def _subscribe(self, pattern: str, handler: Handler) -> Callable[[], None]:
        """Call the handler for each such event, until what this returns is called."""
        bus = self.bus
        if bus is None:
            raise UsageError("The kernel is closed: no event comes any more.")
        subscription = bus.add(pattern, handler)
        return lambda: bus.forget(subscription)

    def listener(self) -> Listener | None:
        """The listener of a run: decided once, when it starts."""
        return self._tell if self.listeners else None

    def _tell(self, progress: Progress) -> None:
        for listener in list(self.listeners):
            listener(progress)

    def tell_dead_letter(self, event: Event, reason: str) -> None:
        """Progress of an event that no handler could handle."""
        self._tell_all("event.dead_lettered", {"type": event.type, "id": event.id, "reason": reason})

    def _tell_all(self, name: str, fields: dict[str, object]) -> None:
        """Progress of an object that is shared by runs, such as a policy."""
        tracer, meter = current_tracer(), current_meter()
        if tracer is not None or meter is not None:
            from agentflow_kernel.run.observing import note  # only where somebody listens

            note(tracer, meter, name, fields)
        run_id, path = str(fields.get("run_id", "")), str(fields.get("path", ""))
        if run_id in self.handles:  # it is part of that run, and has its place among what is told of it
            self.handles[run_id].run.tell(name, path, fields)
        elif self.listeners:
            from agentflow_kernel.run.progress import Progress  # only when somebody listens

            self._tell(Progress(name, run_id, -1, path, self.clock.now(), fields))


def _observe(run_id: str, name: str) -> RunObserver | None:
    """The observer of a run: decided once, when it is made."""
    tracer, meter = current_tracer(), current_meter()
    if tracer is None and meter is None:
        return None
    from agentflow_kernel.run.observing import RunObserver  # only where somebody listens

    return RunObserver(run_id, name, tracer, meter)


def qualified_name(target: Flow | Agent) -> str:
    """The name by which a run finds its flow, agent or plan again; raises :class:`UsageError` for what is none."""
    if not isinstance(target, Flow) and not hasattr(target, "perform"):
        raise UsageError(f"{target!r} cannot be run: expected a flow, an agent or a plan.")
    return f"{'flow' if isinstance(target, Flow) else target.kind}/{target.name}"


def as_flow(target: Flow | Agent) -> Flow:
    """The flow itself, or a flow of one step for an agent or plan."""
    return target if isinstance(target, Flow) else Flow(target.name).step(target, name=target.name)
