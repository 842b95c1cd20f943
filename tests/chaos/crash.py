"""A crash: a process that plays a case and is gone at one of its durable operations; and what must hold after it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
from flows import World
from idle_clock import IdleClock

from agentflow_kernel import Event, Kernel
from agentflow_kernel.contracts.journal import TERMINAL
from agentflow_kernel.errors import AgentFlowError, RunError
from agentflow_kernel.run.inbox import leave_cancel
from agentflow_kernel.testing import Auditor, Effect

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from flows import Case, Send

    from agentflow_kernel import Progress, RunHandle
    from agentflow_kernel.contracts.journal import Journal, Record, RunInfo
    from agentflow_kernel.contracts.memory import Memory

KEY = "one"
"""The run has the same id in every process, so that whoever comes next finds it."""

MOST_S = 15
"""Of real time, for one process: after that its run hangs."""


class ProcessDied(Exception):
    """The process is gone; nothing it does from here on counts."""


class Doom:
    """Counts durable operations. At the ``at``-th the process is gone; it is carried out only with ``applied``."""

    def __init__(self, at: int = 0, *, applied: bool = False) -> None:
        self.at = at
        self.applied = applied
        self.operations = 0
        self.dead = False
        self._begun = self._at_work = 0
        self._turn = anyio.Lock()

    async def durably(self, operation: Callable[[], Awaitable[Any]]) -> Any:
        """Carry out one operation, as a disk would: one after another."""
        async with self._turn:
            await anyio.lowlevel.checkpoint()
            self.check()
            self.operations += 1
            if self.operations != self.at:
                return await self.during(operation)
            if self.applied:
                await self.during(operation)
            self.dead = True
            raise ProcessDied

    async def during(self, operation: Callable[[], Awaitable[Any]]) -> Any:
        """Carry out what the clock has to wait for."""
        self._begun += 1
        self._at_work += 1
        try:
            return await operation()
        finally:
            self._at_work -= 1

    def progress(self) -> int | None:
        """Operations so far, those that only read included; ``None`` in the middle of one."""
        return None if self._at_work else self._begun

    def check(self) -> None:
        """Refuse whatever a dead process still tries."""
        if self.dead:
            raise ProcessDied


class MortalJournal:
    """A journal as a process that may die uses it; what it holds outlives the process."""

    def __init__(self, store: Journal, doom: Doom) -> None:
        self.store = store
        self.doom = doom

    async def append(self, run_id: str, expected_seq: int, epoch: int, records: Sequence[Record]) -> None:
        await self.doom.durably(lambda: self.store.append(run_id, expected_seq, epoch, records))

    async def put_blob(self, data: bytes) -> str:
        ref: str = await self.doom.durably(lambda: self.store.put_blob(data))
        return ref

    async def read(self, run_id: str, from_seq: int = 0) -> Sequence[Record]:
        return await self._looking(lambda: self.store.read(run_id, from_seq))

    async def head(self, run_id: str) -> RunInfo:
        await anyio.lowlevel.checkpoint()
        return await self._looking(lambda: self.store.head(run_id))

    async def runs(self, *, status: str | None = None, limit: int = 100) -> Sequence[RunInfo]:
        return await self._looking(lambda: self.store.runs(status=status, limit=limit))

    async def get_blob(self, ref: str) -> bytes:
        return await self._looking(lambda: self.store.get_blob(ref))

    async def _looking(self, operation: Callable[[], Awaitable[Any]]) -> Any:
        self.doom.check()
        return await self.doom.during(operation)

    async def aclose(self) -> None:
        """The store stays open for the next process."""


class MortalMemory:
    """A memory as a process that may die uses it."""

    def __init__(self, store: Memory, doom: Doom) -> None:
        self.store = store
        self.doom = doom

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.store, name)

        async def call(*arguments: Any, **options: Any) -> Any:
            if name in ("put", "delete"):
                return await self.doom.durably(lambda: method(*arguments, **options))
            return await self.doom.during(lambda: method(*arguments, **options))

        return call


@dataclass
class Estate:
    """What outlives the processes of one case: journal, memory, auditor and ledger, peers, the state folder."""

    journal: Journal
    memory: Memory
    state: str | None = None
    auditor: Auditor = field(default_factory=Auditor)
    answers: dict[str, int] = field(default_factory=dict)

    async def histories(self) -> dict[str, list[Record]]:
        """The records of every run."""
        infos = await self.journal.runs(limit=1000)
        return {info.run_id: list(await self.journal.read(info.run_id)) for info in infos}

    @property
    def paths(self) -> set[str]:
        """The paths of all effects so far."""
        return {effect.path for effect in self.auditor.ledger.effects}


class Life:
    """One process: a kernel over the estate, until its runs have ended or it dies."""

    def __init__(self, case: Case, estate: Estate, number: int, doom: Doom | None = None) -> None:
        self.case = case
        self.estate = estate
        self.number = number
        self.doom = doom or Doom()
        self.refused: list[str] = []
        """Codes of the errors that senders got."""
        self._told: Counter[str] = Counter()
        self._news = anyio.Event()
        self._resumed = 0

    async def live(self) -> tuple[str, Any] | None:
        """Start the run or go on with it; how it ended (status, output or code), ``None`` when the process died."""
        world = World(self._note, self.estate.answers)
        target = self.case.build(world)
        others = self.case.others(world) if self.case.others else ()
        memories = {"notes": MortalMemory(self.estate.memory, self.doom)}
        try:
            async with Kernel(
                journal=MortalJournal(self.estate.journal, self.doom),
                clock=IdleClock(self.doom.progress),
                memories=memories,  # type: ignore[arg-type]  # it passes everything on
                state=self.estate.state,
            ) as kernel:
                kernel.listen(self._hear)
                kernel.add(target)
                for other in others:
                    kernel.add(other)
                    kernel.on(other.name)(self._starter(kernel, other))
                with anyio.fail_after(MOST_S):  # a time limit of the test runner is lost where the loop never rests
                    ended = await self._play(kernel, target)
                await kernel.recover()  # runs of others that a process before has left
                await kernel.idle()
        except BaseException as error:
            if not self.doom.dead or not _is_death(error):
                raise
        if not self.doom.dead:
            return ended
        await self.estate.auditor.crashed(self.estate.journal, self.number)
        return None

    def _starter(self, kernel: Kernel, target: Any) -> Any:
        async def start(event: Event) -> None:
            await kernel.start(target, event.data, key=f"{event.source}/{event.id}")

        return start

    async def _play(self, kernel: Kernel, target: Any) -> tuple[str, Any]:
        if self.case.event:
            kernel.on(self.case.event)(self._starter(kernel, target))
            await kernel.publish(Event(self.case.event, self.case.input, source="shop", id=KEY))
            await kernel.idle()
            return await self._ended(await kernel.start(target, self.case.input, key=f"shop/{KEY}"))
        handle = await kernel.start(target, self.case.input, key=KEY)
        self.estate.auditor.accept(handle.run_id)
        while True:
            ended = await self._accompany(kernel, handle)
            if ended[0] != "suspended" or self._resumed >= self.case.resumes or self.doom.dead:
                return ended
            self._resumed += 1
            await self.estate.auditor.crashed(self.estate.journal, self.number, run_id=handle.run_id)
            handle = await kernel.resume(handle.run_id)

    async def _accompany(self, kernel: Kernel, handle: RunHandle) -> tuple[str, Any]:
        """Wait for the end of a run while others send to it what the case says."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._send, kernel, handle)
            ended = await self._ended(handle)
            group.cancel_scope.cancel()
        for send in self.case.sends:
            if send.when == "ended":
                await self._do(kernel, handle, send)
        return ended

    async def _ended(self, handle: RunHandle) -> tuple[str, Any]:
        try:
            return "completed", await handle.result()
        except RunError as error:
            if handle.status == "stuck":
                return "stuck", "AF-NON-DETERMINISM"
            return handle.status, error.code

    async def _send(self, kernel: Kernel, handle: RunHandle) -> None:
        """Send at once what is for at once, then each group as soon as its event was told.

        A process that comes later may never be told of some of them: what they wait for is over.
        """
        groups: dict[str, list[Send]] = {}
        for send in self.case.sends:
            if send.when != "ended" and not (send.kind == "suspend" and self._resumed):
                groups.setdefault(send.when, []).append(send)
        for send in groups.pop("", ()):
            await self._do(kernel, handle, send)
        async with anyio.create_task_group() as group:
            for when, sends in groups.items():
                group.start_soon(self._send_when, when, sends, kernel, handle)

    async def _send_when(self, when: str, sends: Sequence[Send], kernel: Kernel, handle: RunHandle) -> None:
        while not self._told[when]:
            await self._news.wait()
        for send in sends:
            await self._do(kernel, handle, send)
            if send.kind == "suspend":
                return

    async def _do(self, kernel: Kernel, handle: RunHandle, send: Send) -> None:
        try:
            if send.kind == "signal":
                await handle.signal(send.name, send.value, signal_id=send.id)
            elif send.kind == "answer":
                shown = {str(asked["wait"]): str(asked["hash"]) for asked in handle.questions}
                content_hash = send.hash or shown.get(send.name, "")
                await handle.answer(send.name, send.value, by=send.by, content_hash=content_hash, answer_id=send.id)
            elif send.kind == "event":
                await kernel.publish(Event(send.name, send.value, source="shop", id=send.id))
            elif send.kind == "inbox_cancel":
                assert self.estate.state is not None
                await anyio.to_thread.run_sync(leave_cancel, self.estate.state, handle.run_id)
            else:
                handle.stop_soon(send.kind)
        except (AgentFlowError, ProcessDied) as error:
            if isinstance(error, AgentFlowError) and not self.doom.dead:
                self.refused.append(error.code)

    def _hear(self, progress: Progress) -> None:
        name = progress.fields.get("name") if progress.name == "wait.opened" else None
        self._told[f"{progress.name}:{name}" if name else progress.name] += 1
        self._news.set()
        self._news = anyio.Event()

    def _note(self, run_id: str, path: str, key: str) -> None:
        if self.doom.dead:  # what a dead process does did not happen
            return
        ledger = self.estate.auditor.ledger
        again = sum(each.key == key and each.process == self.number for each in ledger.effects)
        attempt = 1 + again if path in self.case.retried else 1
        ledger.add(Effect(key, run_id, path, self.number, attempt))


def _is_death(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(map(_is_death, error.exceptions))
    return isinstance(error, ProcessDied | RunError)


def key_of(run_id: str, path: str) -> str:
    """The idempotency key of an action, as the promise has it; what the engine gives must be the same."""
    return sha256(f"{run_id}\n{path}".encode()).hexdigest()[:32]


def open_intents(records: Sequence[Record]) -> set[str]:
    """The effects that were begun and left no word of how they ended."""
    begun: set[str] = set()
    for record in records:
        if record.type == "step.intent":
            begun.add(record.path)
        elif record.type in ("step.completed", "step.failed"):
            begun.discard(record.path)
    return begun


async def problems_of(case: Case, estate: Estate) -> list[str]:
    """What the auditor finds wrong at the end, and what is not as the case says."""
    infos = await estate.journal.runs(limit=1000)
    for info in infos:
        estate.auditor.accept(info.run_id)
    audit = await estate.auditor.audit(estate.journal)
    allowed = TERMINAL | ({"stuck"} if case.otherwise else set())
    found = [*audit.violations, *[f"a run is {status} at rest" for status in audit.statuses if status not in allowed]]
    misses = case.misses(estate.paths, crashed=bool(estate.auditor.crashes))
    whole = all(info.status == case.status for info in infos)
    return found + [each for each in misses if whole or not each.startswith("lost")]
