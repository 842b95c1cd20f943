"""A world: what outlives the processes of one simulation: disk, clock, faults, ledger and trace, with their seed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextvars import Context as Variables
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

from agentflow_kernel.run.loopless import drive_to_end
from agentflow_kernel.testing.auditor import Auditor
from agentflow_kernel.testing.faults import Faults
from agentflow_kernel.testing.isolation import isolated
from agentflow_kernel.testing.simulated_calls import FaultyProvider, FaultyToolset, faulty_call
from agentflow_kernel.testing.simulated_disk import SimulatedDisk, SimulatedJournal, SimulatedMemory
from agentflow_kernel.testing.simulation_errors import Deadlock, ProcessEnded
from agentflow_kernel.testing.trace import Trace
from agentflow_kernel.testing.virtual_clock import VirtualClock
from agentflow_kernel.testing.virtual_loop import VirtualLoop, on_the_spot

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from agentflow_kernel.contracts.provider import Provider
    from agentflow_kernel.contracts.tool import Toolset
    from agentflow_kernel.inprocess.memory import InProcessMemory
    from agentflow_kernel.kernel import Kernel
    from agentflow_kernel.run.progress import Progress
    from agentflow_kernel.testing.effects import Ledger

DOWNTIME_S = 10.0
"""Up to how long nothing works after a crash, in virtual seconds."""
JUMP_S = 86_400.0
"""Up to how far the wall clock jumps."""
_BEGINS = {"node.started": 1, "node.completed": -1, "node.failed": -1}


class World:
    """One simulated world. Its processes follow one another; the seed decides everything that could go either way."""

    def __init__(self, seed: int = 0, faults: Faults | None = None) -> None:
        self.seed = seed
        self.faults = faults if faults is not None else Faults()
        self.dice = Random(f"{seed}/world")  # noqa: S311 -- no secret, and the same in every process
        self.disk = SimulatedDisk()
        self.clock = VirtualClock()
        self.auditor = Auditor()
        self.process = 0
        """The number of the process at work, from 1."""
        self.processes = 0
        """Processes so far."""
        self.successor: Callable[[], Coroutine[Any, Any, Any]] | None = None
        """What a second owner does that takes over while the process at work stands still."""
        self.taken_over: set[int] = set()
        """The processes whose runs a second owner has taken over."""
        self.operations = 0
        """Durable operations so far."""
        self.artifacts = ""
        """The folder that has the folders of runs; its files are real and last as long as the simulation."""
        self.trace = Trace(self)
        self._begun: dict[tuple[str, str], int] = {}
        self._loop: VirtualLoop | None = None
        self._fault = ""
        self._journal: SimulatedJournal | None = None
        self._memories: dict[str, SimulatedMemory] = {}
        self._at_peace = False

    @property
    def ledger(self) -> Ledger:
        """The ledger of effects; nodes note what they do: ``world.ledger.note(context)``."""
        return self.auditor.ledger

    def journal(self) -> SimulatedJournal:
        """A journal for the process at work."""
        self._journal = SimulatedJournal(self)
        return self._journal

    def memory(self, name: str) -> InProcessMemory:
        """The memory of that name, which outlives the processes."""
        if name not in self._memories:
            self._memories[name] = SimulatedMemory(clock=self.clock)
        return self._memories[name]

    def check_journal(self) -> None:
        """Raise :class:`StorageUnavailable` where the journal has to be opened by a new process."""
        if self._journal is not None:
            self._journal.check()

    def random(self, purpose: str) -> Random:
        """Numbers of the seed for one purpose of the process at work."""
        return Random(f"{self.seed}/{self.process}/{purpose}")  # noqa: S311 -- no secret, and the same in every process

    def live(self, main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """One process: what ``main`` returns. Raises :class:`ProcessEnded`, :class:`Deadlock` and what ``main`` raises.

        What a crash has left on disk is settled when this returns.
        """
        self.processes += 1
        self.process = self.processes
        self._begun = {}
        self._fault = ""
        self.ledger.process, self.ledger.stopped = self.process, False
        loop = self._loop = VirtualLoop(  # type: ignore[abstract]  # what is missing is refused
            self.random("schedule"), start=self.clock.monotonic()
        )
        self.clock.attach(loop)
        try:
            with isolated(loop, self.random("chance"), self.clock.now):
                result = Variables().run(lambda: loop.run(main()))
        except ProcessEnded:
            self.disk.settle(self._fault, self.dice)
            drive_to_end(self.auditor.crashed(self.disk.cache, self.process), "The auditor")
            self.trace.note("process.crashed", fault=self._fault)
            raise
        except Deadlock as deadlock:
            deadlock.steps = tuple(path for (_, path), open_ in self._begun.items() if open_ > 0)
            raise
        finally:
            self._loop = None
            self.clock.detach(DOWNTIME_S * self.dice.random())
            if loop.refused is not None:
                raise loop.refused
        return result

    def next_operation(self, place: str) -> tuple[str, str] | None:
        """Count a durable operation; whether the process ends at it: fault, and ``before`` or ``after``.

        Before it the process may stand still while a second owner takes its runs over.
        """
        self._maybe_take_over(place)
        self.operations += 1
        if self._at_peace:
            return None
        self._jump(place)
        return self.faults.end_of_process(self.operations, place, self.process, self.clock.monotonic())

    def strikes(self, fault: str, place: str) -> bool:
        """Whether this fault strikes here; none does while a second owner is at work."""
        struck = not self._at_peace and self.faults.strike(fault, place, self.process, self.clock.monotonic())
        if struck:
            self.trace.note("fault.struck", fault=fault, place=place)
        return struck

    def _jump(self, place: str) -> None:
        """Set the wall clock, if the seed says so."""
        if self.strikes("clock-jump", place):
            self.clock.jump(JUMP_S * (2 * self.faults.dice.random() - 1))

    def _maybe_take_over(self, place: str) -> None:
        """Let the process at work stand still here while a second owner takes its runs over, if the seed says so.

        Nothing goes wrong for the second owner. The first does not notice before it writes.
        """
        first, successor = self._loop, self.successor
        if first is None or successor is None or not self.strikes("second-owner", place):
            return
        drive_to_end(self.auditor.taken_over(self.disk.cache, self.process, self.processes + 1), "The auditor")
        self.trace.note("process.paused")
        self.taken_over.add(self.process)
        paused = self.process, self._begun, self._journal
        self._at_peace = True
        self.clock.detach(0.0)
        try:
            on_the_spot(_in_a_thread, partial(self.live, successor))
        finally:
            self._at_peace = False
            self.process, self._begun, self._journal = paused
            self.ledger.process = self.process
            first.advance(self.clock.monotonic() - first.time())
            self._loop = first
            self.clock.attach(first)
        self.trace.note("process.continued")

    async def maybe_crash(self, place: str) -> None:
        """End the process here, if the seed says so; for places that are no durable operation."""
        if self.strikes("crash", place):
            await self.end_process("crash")

    def provider(self, real: Provider, name: str = "model") -> FaultyProvider:
        """A provider whose calls go wrong as the seed says."""
        return FaultyProvider(self, real, name)

    def toolset(self, real: Toolset, name: str = "tools") -> FaultyToolset:
        """A toolset whose calls go wrong as the seed says."""
        return FaultyToolset(self, real, name)

    def call(self, place: str, function: Callable[[], Awaitable[Any]]) -> Awaitable[Any]:
        """A call of a node to a peer, which goes wrong as the seed says: ``await world.call("bank", ask)``."""
        return faulty_call(self, place, function)

    async def end_process(self, fault: str = "crash") -> None:
        """End the process at work; never returns."""
        self._fault = fault
        self.ledger.stopped = True
        if self._loop is not None:
            self._loop.end()
            await self._loop.nothing()

    def check_process(self, process: int) -> None:
        """Raise :class:`ProcessEnded` for what a process does after its end."""
        if self._loop is None or self._loop.ended or process != self.process:
            raise ProcessEnded

    def listen_to(self, kernel: Kernel) -> None:
        """Keep the progress events of a kernel in the trace."""

        def hear(progress: Progress) -> None:
            if self._loop is None or self._loop.ended:
                return
            if progress.name == "run.started":
                self.auditor.accept(progress.run_id)
            elif progress.name == "run.suspended":
                audit = self.auditor.crashed(self.disk.cache, self.process, run_id=progress.run_id)
                drive_to_end(audit, "The auditor")
            if progress.name in _BEGINS:
                key = (progress.run_id, progress.path)
                self._begun[key] = self._begun.get(key, 0) + _BEGINS[progress.name]
            self.trace.note(progress.name, run=progress.run_id, path=progress.path, **progress.fields)

        kernel.listen(hear)


def _in_a_thread(function: Callable[[], Any]) -> Any:
    """What a function returns in a thread of its own, which has an event loop of its own."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(function).result()
