"""The kernel: what one process needs to run flows and agents, from the first event to the last record."""

from __future__ import annotations

import os

from agentflow_kernel.contracts.clock import SystemClock
from agentflow_kernel.errors import UnknownName, UsageError
from agentflow_kernel.run.flow import Flow
from agentflow_kernel.run.runtime import GRACE_S, Services

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from random import Random
    from types import TracebackType
    from typing import Self

    from agentflow_kernel.agent import Agent
    from agentflow_kernel.contracts.bus import Handler
    from agentflow_kernel.contracts.clock import Clock
    from agentflow_kernel.contracts.journal import Journal, Record, RunInfo
    from agentflow_kernel.contracts.memory import Memory
    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.event import Event
    from agentflow_kernel.inprocess.bus import InProcessBus
    from agentflow_kernel.kernel.composition import Composition, Environment
    from agentflow_kernel.kernel.runs import Runs
    from agentflow_kernel.loading import Plugins
    from agentflow_kernel.manifest import Manifest
    from agentflow_kernel.run.handle import RunHandle
    from agentflow_kernel.run.progress import Listener, Progress
    from agentflow_kernel.settings import Settings


class Kernel:
    """Runs flows and agents, alone or from a manifest: ``async with Kernel() as kernel: await kernel.run(flow, x)``.

    ``state`` is the state folder, ``None`` to keep nothing on disk. ``journal`` is a journal, or the name of a
    journal plugin to use where the manifest names none; without either, runs are not durable. Leaving the ``async
    with`` suspends what still runs. One kernel belongs to one event loop.
    """

    def __init__(
        self,
        *,
        settings: Settings | None = None,
        state: str | None = None,
        journal: Journal | str | None = None,
        clock: Clock | None = None,
        random: Random | None = None,
        memories: Mapping[str, Memory] | None = None,
    ) -> None:
        self.clock: Clock = clock if clock is not None else SystemClock()
        self.state = None if state is None else os.path.abspath(state)
        self.grace_s = GRACE_S
        """How long a cancelled run waits for functions in threads."""
        self.manifest: Manifest | None = None
        self.bus: InProcessBus | None = None
        """The bus, while the kernel is open."""
        self._settings = settings
        self._journal = journal
        self._random = random
        self._memories = dict(memories or {})
        self._targets: dict[str, Flow] = {}
        self._listeners: list[Listener] = []
        self._subscribers: list[tuple[str, Handler]] = []
        self._composition: Composition | None = None
        self._made_environment: Environment | None = None
        self._plugins: Plugins | None = None
        self._origin: dict[str, JSON] = {}
        self._runs: Runs | None = None

    @classmethod
    def from_manifest(
        cls,
        path: str,
        *,
        settings: Settings | None = None,
        state: str | None = None,
        journal: Journal | str | None = None,
        trust_code: bool = False,  # noqa: FBT001,FBT002 -- keyword-only, the name of the command line's option
        model: str | None = None,
    ) -> Self:
        """A kernel for the manifests at ``path``, a file or a folder; nothing is built before it is needed.

        ``model`` (a Model's name or ``<provider>/<model>``) takes the place of every agent's model. ``trust_code``
        lets the manifest's own code run although ``agentflow.toml`` does not list it.
        Raises :class:`ManifestErrors` with all findings.
        """
        from agentflow_kernel.kernel.code import CodeLoader  # only kernels with a manifest pay
        from agentflow_kernel.kernel.composition import Composition
        from agentflow_kernel.manifest import read

        kernel = cls(settings=settings, state=state, journal=journal)
        environment = kernel.environment
        kernel.manifest = read(path, catalogue=environment.plugins.catalogue)
        environment.code = CodeLoader(kernel.manifest.folder, kernel.settings, trusted=trust_code)
        kernel._composition = Composition(kernel.manifest, environment, model=model)
        kernel._origin = {"manifest": os.path.abspath(path), "model": model, "trust_code": trust_code}
        return kernel

    @property
    def settings(self) -> Settings:
        """The settings of ``agentflow.toml``, looked for when they are first needed."""
        if self._settings is None:
            from agentflow_kernel.settings import Settings  # only kernels that ask pay

            self._settings = Settings.find()
        return self._settings

    @property
    def plugins(self) -> Plugins:
        """The installed plugins; nothing is imported before it is named."""
        if self._plugins is None:
            from agentflow_kernel.loading import Catalogue, Plugins  # only kernels that ask pay

            self._plugins = Plugins(Catalogue(self.settings))
        return self._plugins

    @property
    def composition(self) -> Composition:
        """The objects of the manifest; raises :class:`UsageError` for a kernel without one."""
        if self._composition is None:
            raise UsageError("This kernel has no manifest; make it with Kernel.from_manifest(path).")
        return self._composition

    @property
    def environment(self) -> Environment:
        """What the objects of this kernel are made with."""
        if self._made_environment is None:
            from random import Random  # lazy: 8 ms, only kernels with plugins pay

            from agentflow_kernel.kernel.composition import Environment

            self._made_environment = Environment(
                self.plugins,
                None,
                clock=self.clock,
                random=self._random if self._random is not None else Random(),  # noqa: S311 -- jitter, no secret
                state_folder=self.state,
                emit=self._tell_all,
            )
        return self._made_environment

    @property
    def keeps_runs(self) -> bool:
        """Whether a journal was asked for, here or in the manifest."""
        return self._journal is not None or (self.manifest is not None and bool(self.manifest.of("Journal")))

    def add(self, target: Flow | Agent) -> None:
        """Make a flow or agent known as ``flow/<name>`` or ``agent/<name>``, so that runs can be started and resumed."""
        name = qualified_name(target)
        if name in self._targets:
            raise UsageError(f"This kernel already has {name!r}; names are unique per kind.")
        self._targets[name] = as_flow(target)

    def find(self, target: Flow | Agent | str) -> tuple[str, Flow]:
        """The qualified name and the flow behind an object or a name (``flow/x``; ``x`` where it is unambiguous)."""
        if not isinstance(target, str):
            name = qualified_name(target)
            if isinstance(target, Flow):
                self._targets[name] = target
            elif name not in self._targets:
                self._targets[name] = as_flow(target)
            return name, self._targets[name]
        for name in (target, f"flow/{target}", f"agent/{target}"):
            if name in self._targets:
                return name, self._targets[name]
        if self._composition is None:
            raise UnknownName("flow or agent", target, self._targets)
        resource = self._composition.manifest.resolve(target)
        if resource.kind not in ("Flow", "Agent"):
            raise UsageError(f"{target!r} is a {resource.kind}; only a Flow or an Agent can be run.")
        make = self._composition.flow if resource.kind == "Flow" else self._composition.agent
        name = f"{resource.kind.lower()}/{resource.name}"
        flow = self._targets[name] = as_flow(make(resource.name))
        return name, flow

    def memory(self, name: str) -> tuple[Memory, float | None]:
        """The memory resource of that name and its default time to live in seconds."""
        if name in self._memories:
            return self._memories[name], None
        if self._composition is None:
            raise UnknownName("memory", name, self._memories)
        return self._composition.memory(name)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` with each progress event of runs started from now on; returns how to stop it.

        It is called on the event loop and must be quick; an error in it ends the run that told it.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    def on(self, pattern: str) -> Callable[[Handler], Handler]:
        """Handle events of the bus: ``@kernel.on("order.created")``, before the kernel is opened or while it is."""

        def register(handler: Handler) -> Handler:
            if self.bus is not None:
                self.bus.add(pattern, handler)
            else:
                self._subscribers.append((pattern, handler))
            return handler

        return register

    def _tell(self, progress: Progress) -> None:
        for listener in list(self._listeners):
            listener(progress)

    def _tell_all(self, name: str, fields: dict[str, object]) -> None:
        """Progress of an object that is shared by runs, such as a policy."""
        if self._listeners:
            from agentflow_kernel.run.progress import Progress  # only when somebody listens

            run_id, path = str(fields.get("run_id", "")), str(fields.get("path", ""))
            self._tell(Progress(name, run_id, -1, path, self.clock.now(), fields))

    def services(self) -> Services:
        """What a run of this kernel may use."""
        return Services(
            self.clock,
            memory=self.memory,
            publish=self._publish_quietly,
            folder=None if self.state is None else os.path.join(self.state, "artifacts"),
            grace_s=self.grace_s,
        )

    async def _publish_quietly(self, event: Event) -> None:
        if self.bus is not None:
            await self.bus.publish(event)

    def listener(self) -> Listener | None:
        """The listener of a run: decided once, when it starts."""
        return self._tell if self._listeners else None

    @property
    def _open(self) -> Runs:
        if self._runs is None:
            raise UsageError("The kernel is not open. Use `async with kernel:` round this call.")
        return self._runs

    async def __aenter__(self) -> Self:
        from agentflow_kernel.kernel.runs import Runs  # here, because it brings the event loop

        if self._runs is not None:
            raise UsageError("The kernel is open already.")
        runs = Runs(self)
        await runs.open(self._journal, self._subscribers)
        self._runs = runs
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        runs, self._runs = self._runs, None
        if runs is not None:
            await runs.close()

    async def start(self, target: Flow | Agent | str, value: object = None, *, key: str | None = None) -> RunHandle:
        """Start a run; it is durable when this returns. A second start with the same ``key`` is the same run."""
        return await self._open.start(target, value, key=key, origin=self._origin)

    async def run(self, target: Flow | Agent | str, value: object = None, *, key: str | None = None) -> object:
        """Start a run and return its output. Cancelling this suspends the run.

        Raises :class:`RunFailed`, :class:`RunCancelled`, :class:`RunSuspended`.
        """
        return await self._open.finish(await self.start(target, value, key=key))

    def run_sync(self, target: Flow | Agent | str, value: object = None) -> object:
        """Run to the end without an event loop of the caller's; plain functions run on the calling thread.

        A flow of plain functions needs no event loop and is not journalled unless the kernel has a journal that can
        append on the calling thread; all other flows get an event loop of their own.
        """
        from agentflow_kernel.kernel.sync import run_sync  # only callers without a loop pay

        return run_sync(self, target, value)

    async def resume(self, run_id: str) -> RunHandle:
        """Take over a run that has stopped without an end, and go on after its last completed step.

        Raises :class:`UnknownRun`, and :class:`UsageError` when the run has ended or is being worked on.
        """
        return await self._open.resume(run_id)

    async def publish(self, event: Event) -> None:
        """Return when the bus has accepted the event."""
        bus = self.bus
        if bus is None:
            raise UsageError("The kernel is not open. Use `async with kernel:` round this call.")
        await bus.publish(event)

    async def fire(self, trigger: str, *, overrides: Mapping[str, object] | None = None) -> Sequence[RunHandle]:
        """Read a trigger's source to its end and start one run per event; ``overrides`` replaces source settings.

        Returns the handles when the source has ended; the runs may still work. An event goes over the bus and is
        acknowledged when its run has started. Raises what the source raises.
        """
        from agentflow_kernel.kernel.triggers import fire  # only kernels with triggers pay

        return await fire(self, trigger, overrides)

    async def runs(self, *, status: str | None = None, limit: int = 100) -> Sequence[RunInfo]:
        """Heads of runs, newest first; a run whose owner is gone shows as ``suspended`` with the cause ``crash``."""
        return await self._open.infos(status=status, limit=limit)

    async def history(self, run_id: str) -> Sequence[Record]:
        """All records of a run; raises :class:`UnknownRun`."""
        return await self._open.records(run_id)

    async def origin(self, run_id: str) -> dict[str, JSON]:
        """Where a run came from: ``manifest`` (path), ``model``, ``trust_code``; empty for runs without a manifest."""
        return await self._open.origin(run_id)

    def spawn(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run ``work`` in the kernel's task group."""
        self._open.spawn(work)


def qualified_name(target: Flow | Agent) -> str:
    """The name by which a run finds its flow or agent again."""
    return f"{'flow' if isinstance(target, Flow) else 'agent'}/{target.name}"


def as_flow(target: Flow | Agent) -> Flow:
    """The flow itself, or a flow of one step for an agent."""
    return target if isinstance(target, Flow) else Flow(target.name).step(target, name=target.name)
