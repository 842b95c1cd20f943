"""The kernel: what one process needs to run flows and agents, from the first event to the last record."""

from __future__ import annotations

import os

from agentflow_kernel.contracts.clock import SystemClock
from agentflow_kernel.errors import UsageError
from agentflow_kernel.kernel.operations import RunOperations
from agentflow_kernel.kernel.wiring import Wiring, as_flow, qualified_name
from agentflow_kernel.run.bind import is_coroutine_function, needs_loop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
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
    from agentflow_kernel.kernel.composition import Wrap
    from agentflow_kernel.kernel.runs import Runs
    from agentflow_kernel.kernel.verdict import Verdict
    from agentflow_kernel.kernel.wiring import MakeBus
    from agentflow_kernel.manifest import Manifest
    from agentflow_kernel.run.flow import Flow
    from agentflow_kernel.run.handle import RunHandle
    from agentflow_kernel.run.history_limits import Limits
    from agentflow_kernel.run.progress import Listener
    from agentflow_kernel.settings import Settings


class Kernel(RunOperations):
    """Runs flows and agents, alone or from a manifest: ``async with Kernel() as kernel: await kernel.run(flow, x)``.

    ``state`` is the state folder, ``None`` to keep nothing on disk. ``journal`` is a journal, or the name of a
    journal plugin to use where the manifest names none; without either, runs are not durable. ``memories`` are found
    by ``context.memory(name)``. ``limits`` are those of a run's history; by default what ``[runs]`` of
    ``agentflow.toml`` says, where its settings were given or read. Leaving the ``async with`` suspends what still
    runs. One kernel belongs to one event loop. With ``adopt`` an open kernel is a worker: it looks every five seconds
    for runs whose owner is gone, and goes on with those whose flow it has; its own are handed over when it closes.
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
        adopt: bool = False,
        limits: Limits | None = None,
    ) -> None:
        self.state = state if state is None or os.path.isabs(state) else os.path.abspath(state)
        self._wiring = Wiring(clock or SystemClock(), state=self.state, settings=settings, journal=journal)
        self._wiring.random = random
        self._wiring.limits = limits
        self.adopt = adopt
        """Whether this kernel takes over runs from owners that are gone; read when the kernel is opened."""
        self._wiring.memories = dict(memories or {})
        self._subscribers: list[tuple[str, Handler]] = []
        self._runs: Runs | None = None

    @classmethod
    def from_manifest(
        cls,
        path: str,
        *,
        settings: Settings | None = None,
        state: str | None = None,
        journal: Journal | str | None = None,
        trust_code: bool = False,
        model: str | None = None,
    ) -> Self:
        """A kernel for the manifests at ``path``, a file or a folder; nothing is built before it is needed.

        ``applied:flow/triage`` stands for a resource that is applied in the state folder, with all that it needs.
        ``model`` (a Model's name or ``<provider>/<model>``) takes the place of every agent's model. ``trust_code``
        lets the manifest's own code run although ``agentflow.toml`` does not list it.
        Raises :class:`ManifestErrors` with all findings.
        """
        from agentflow_kernel.kernel.code import CodeLoader  # only kernels with a manifest pay
        from agentflow_kernel.kernel.composition import Composition
        from agentflow_kernel.kernel.pins import RecordedEnvironment
        from agentflow_kernel.manifest import read

        kernel = cls(settings=settings, state=state, journal=journal)
        wiring, environ = kernel._wiring, RecordedEnvironment()
        environment = wiring.environment
        versions: dict[str, JSON] = {}
        if path.startswith("applied:"):
            from agentflow_kernel.kernel.applied import read_applied  # only kernels with applied resources pay

            manifest, versions = read_applied(
                path, kernel.state, environ=environ, catalogue=environment.plugins.catalogue
            )
        else:
            manifest = read(path, environ=environ, catalogue=environment.plugins.catalogue)
        environment.code = CodeLoader(manifest.folder, wiring.settings, trusted=trust_code)
        composition = Composition(manifest, environment, model=model)
        composition.read_documents()
        wiring.compose(composition)
        wiring.origin = {
            "manifest": path if versions else os.path.abspath(path),
            "model": model,
            "trust_code": trust_code,
            "environment": environ.pins(),
            **({"versions": versions} if versions else {}),
        }
        return kernel

    @property
    def manifest(self) -> Manifest | None:
        """The manifest this kernel was made from."""
        return self._wiring.manifest

    def add(self, target: Flow | Agent) -> None:
        """Make it known as ``flow/``, ``agent/`` or ``plan/<name>``: its runs can be started and resumed."""
        name = qualified_name(target)
        if name in self._wiring.targets:
            raise UsageError(f"This kernel already has {name!r}; names are unique per kind.")
        self._wiring.targets[name] = as_flow(target)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` with each progress event of runs started from now on; returns how to stop it.

        It is called on the event loop and must be quick; an error in it ends the run that told it.
        """
        listeners = self._wiring.listeners
        listeners.append(listener)
        return lambda: listeners.remove(listener) if listener in listeners else None

    def on(self, pattern: str) -> Callable[[Handler], Handler]:
        """Handle events of the bus: ``@kernel.on("order.created")``, before the kernel is opened or while it is."""

        def register(handler: Handler) -> Handler:
            if not is_coroutine_function(handler):
                name = getattr(handler, "__qualname__", repr(handler))
                raise UsageError(f"The handler {name} of {pattern!r} must be an `async def` function of one event.")
            if self._wiring.bus is not None:
                self._wiring.bus.add(pattern, handler)
            else:
                self._subscribers.append((pattern, handler))
            return handler

        return register

    async def __aenter__(self) -> Self:
        from agentflow_kernel.kernel.runs import Runs  # here, because it brings the event loop

        if self._runs is not None:
            raise UsageError("The kernel is open already.")
        self._wiring.adopt = self.adopt
        runs = Runs(self._wiring)
        await runs.open(self._subscribers)
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
        return await self._open.start(target, value, key=key)

    async def run(self, target: Flow | Agent | str, value: object = None, *, key: str | None = None) -> object:
        """Start a run and return its output. Cancelling this suspends the run.

        Raises :class:`RunFailed`, :class:`RunCancelled`, :class:`RunSuspended`.
        """
        runs = self._open
        return await runs.finish(await runs.start(target, value, key=key))

    def run_sync(self, target: Flow | Agent | str, value: object = None) -> object:
        """Run to the end without an event loop of the caller's; plain functions run on the calling thread.

        A flow of plain functions in a kernel without a journal or handlers needs no event loop; all others get one of
        their own, in which the events that the run emits are handled before this returns.
        On the calling thread errors are raised as the nodes raise them, from a loop they are :class:`RunFailed`.
        """
        from agentflow_kernel.kernel.sync import run_here  # only callers without a loop pay

        name, flow = self._wiring.find(target)
        if not self._wiring.keeps_runs and not self._subscribers and not needs_loop(flow):
            return run_here(self._wiring, name, flow, value)
        import anyio  # lazy: 25 ms, plain flows need no loop

        async def main() -> object:
            async with self:
                output = await self.run(name, value)
                await self.idle()  # what the run has emitted is handled before the bus is closed
                return output

        return anyio.run(main)

    async def resume(
        self, run_id: str, *, accept_environment: bool = False, verdict: Verdict | None = None
    ) -> RunHandle:
        """Take over a run that has stopped without an end, and go on after its last completed step.

        ``verdict`` is what a person has decided about a run that is stuck; it goes on record with the take-over.
        Raises :class:`UnknownRun`, :class:`RunBusy` when another process works on it, :class:`UsageError` when it has
        ended, and :class:`EnvironmentChanged` when the environment variables that its manifest names have changed,
        unless ``accept_environment`` is given.
        """
        runs = self._open
        if verdict is None:
            return await runs.resume(run_id, accept_environment=accept_environment)
        return await runs.resume(run_id, accept_environment=accept_environment, verdict=verdict)

    async def publish(self, event: Event) -> None:
        """Return when the bus has accepted the event."""
        await self._open.publish(event)

    async def fire(self, trigger: str, *, overrides: Mapping[str, object] | None = None) -> Sequence[RunHandle]:
        """Read a trigger's source to its end and start one run per event; ``overrides`` replaces source settings.

        Returns the handles when the source has ended (of one that follows: the latest 1,000); the runs may still work.
        An event goes over the bus and is acknowledged when its run has started; the next one is read when fewer than
        the trigger's ``max_runs`` (16) are at work. A source that follows goes on where its last firing with this
        state folder ended. Cancelling ends the reading; runs that were started go on.
        Raises what the source raises, and :class:`UsageError` when another firing already follows for this trigger.
        """
        from agentflow_kernel.kernel.triggers import fire  # only kernels with triggers pay

        return await fire(self._wiring, self._open, trigger, overrides)

    async def idle(self, *, resting: bool = False) -> None:
        """Return when the bus is empty and every run has stopped: those that events have started included.

        With ``resting`` a run that waits for a time, a signal or a person need not have stopped.
        """
        await self._open.idle(resting=resting)

    async def runs(self, *, status: str | None = None, limit: int = 100) -> Sequence[RunInfo]:
        """Heads of runs, newest first; a run whose owner is gone shows as ``suspended`` with the cause ``crash``."""
        return await self._open.infos(status=status, limit=limit)

    async def history(self, run_id: str, *, from_seq: int = 0, whole: bool = False) -> Sequence[Record]:
        """The records of a run from a number on, by default all; raises :class:`UnknownRun` for a run without any.

        With ``whole`` payloads that are stored apart are fetched, too.
        """
        if from_seq:
            records = await self._open.journal.read(run_id, from_seq)
        else:
            records = await self._open.records(run_id)
        if not whole:
            return records
        from agentflow_kernel.kernel.payloads import fetch_payloads  # only readers of whole histories pay

        return await fetch_payloads(self._open.journal, records)

    async def origin(self, run_id: str) -> dict[str, JSON]:
        """Where a run came from: ``manifest`` (path), ``model``, ``trust_code``; empty for runs without a manifest."""
        return await self._open.origin(run_id)


def intercept(kernel: Kernel, wrap: Wrap) -> None:
    """Let ``wrap`` decide what stands for each object that the kernel makes from its manifest from now on; for tests.

    It is called with the kind (``provider``, ``tool``, ``memory`` …), the name and the maker of the object.
    Raises :class:`UsageError` for a kernel without a manifest.
    """
    if kernel.manifest is None:
        raise UsageError("This kernel has no manifest: give its agents the wrapped provider and toolsets themselves.")
    kernel._wiring.composition.wrap = wrap  # noqa: SLF001 -- beside the class, for tests alone


def code_digest(kernel: Kernel) -> str:
    """What :meth:`CodeLoader.digest` says of the code that the manifest of this kernel has loaded; for simulations."""
    code = kernel._wiring.environment.code  # noqa: SLF001 -- beside the class, for tests alone
    return code.digest() if code is not None else ""


def renew(kernel: Kernel) -> Kernel:
    """A new kernel over the manifest of this one as it was read; its code runs anew, but is compiled once.

    For simulations. Raises :class:`UsageError` for a kernel without a manifest.
    """
    wiring = kernel._wiring  # noqa: SLF001 -- beside the class, for tests alone
    code = wiring.environment.code
    if code is None:
        raise UsageError("This kernel has no manifest: give a function that builds it anew for each process.")
    renewed = Kernel(settings=wiring.settings, state=kernel.state)
    fresh = renewed._wiring  # noqa: SLF001 -- as above
    fresh.environment.code = code.renewed()
    fresh.compose(wiring.composition.renewed(fresh.environment))
    fresh.origin = wiring.origin
    return renewed


def rewire(kernel: Kernel, *, journal: Journal, clock: Clock, random: Random, bus: MakeBus, artifacts: str) -> None:
    """Let a kernel that is not open yet live on this journal, clock, random source and bus; for simulations.

    ``artifacts`` is the folder that has the folders of runs.
    A journal that the manifest names goes first; :func:`intercept` puts another in its place.
    """
    wiring = kernel._wiring  # noqa: SLF001 -- beside the class, for tests alone
    wiring.clock, wiring.random, wiring.journal, wiring.make_bus = clock, random, journal, bus
    wiring.artifacts = artifacts
    if wiring.manifest is not None:
        wiring.environment.clock, wiring.environment.random = clock, random
