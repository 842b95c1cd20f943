"""A crash: a process that plays a case and is gone at one of its durable operations; and what must hold after it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
from flows import World

from agentflow_kernel import Event, Kernel
from agentflow_kernel.contracts.journal import TERMINAL, chain_hash, encode_record
from agentflow_kernel.errors import AgentFlowError, RunError
from agentflow_kernel.run.inbox import leave_cancel
from agentflow_kernel.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from flows import Case, Send

    from agentflow_kernel import Progress, RunHandle
    from agentflow_kernel.contracts.journal import Journal, Record, RunInfo
    from agentflow_kernel.contracts.memory import Memory

KEY = "one"
"""The run has the same id in every process, so that whoever comes next finds it."""


class ProcessDied(Exception):
    """The process is gone; nothing it does from here on counts."""


class Doom:
    """Counts durable operations. At the ``at``-th the process is gone; it is carried out only with ``applied``."""

    def __init__(self, at: int = 0, *, applied: bool = False) -> None:
        self.at = at
        self.applied = applied
        self.operations = 0
        self.dead = False
        self._turn = anyio.Lock()

    async def durably(self, operation: Callable[[], Awaitable[Any]]) -> Any:
        """Carry out one operation, as a disk would: one after another."""
        async with self._turn:
            await anyio.lowlevel.checkpoint()
            self.check()
            self.operations += 1
            if self.operations != self.at:
                return await operation()
            if self.applied:
                await operation()
            self.dead = True
            raise ProcessDied

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
        self.doom.check()
        return await self.store.read(run_id, from_seq)

    async def head(self, run_id: str) -> RunInfo:
        self.doom.check()
        await anyio.lowlevel.checkpoint()
        return await self.store.head(run_id)

    async def runs(self, *, status: str | None = None, limit: int = 100) -> Sequence[RunInfo]:
        self.doom.check()
        return await self.store.runs(status=status, limit=limit)

    async def get_blob(self, ref: str) -> bytes:
        self.doom.check()
        return await self.store.get_blob(ref)

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
            return await method(*arguments, **options)

        return call


@dataclass
class Estate:
    """What outlives the processes of one case: journal, memory, the effect ledger, peers, the state folder."""

    journal: Journal
    memory: Memory
    state: str | None = None
    ledger: list[tuple[int, str, str]] = field(default_factory=list)
    """Every effect: number of the process, run id, path."""
    answers: dict[str, int] = field(default_factory=dict)

    async def histories(self) -> dict[str, list[Record]]:
        """The records of every run."""
        infos = await self.journal.runs(limit=1000)
        return {info.run_id: list(await self.journal.read(info.run_id)) for info in infos}


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
                clock=FakeClock(auto=True),
                memories=memories,  # type: ignore[arg-type]  # it passes everything on
                state=self.estate.state,
            ) as kernel:
                kernel.listen(self._hear)
                kernel.add(target)
                for other in others:
                    kernel.add(other)
                    kernel.on(other.name)(self._starter(kernel, other))
                ended = await self._play(kernel, target)
                await kernel.recover()  # runs of others that a process before has left
                await kernel.idle()
        except BaseException as error:
            if not self.doom.dead or not _is_death(error):
                raise
            return None
        return None if self.doom.dead else ended

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
        while True:
            ended = await self._accompany(handle)
            if ended[0] != "suspended" or self._resumed >= self.case.resumes or self.doom.dead:
                return ended
            self._resumed += 1
            handle = await kernel.resume(handle.run_id)

    async def _accompany(self, handle: RunHandle) -> tuple[str, Any]:
        """Wait for the end of a run while others send to it what the case says."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._send, handle)
            ended = await self._ended(handle)
            group.cancel_scope.cancel()
        for send in self.case.sends:
            if send.when == "ended":
                await self._do(handle, send)
        return ended

    async def _ended(self, handle: RunHandle) -> tuple[str, Any]:
        try:
            return "completed", await handle.result()
        except RunError as error:
            if handle.status == "stuck":
                return "stuck", "AF-NON-DETERMINISM"
            return handle.status, error.code

    async def _send(self, handle: RunHandle) -> None:
        for send in self.case.sends:
            if send.when == "ended" or (send.kind == "suspend" and self._resumed):
                continue
            while send.when and not self._told[send.when]:
                self._news = anyio.Event()
                await self._news.wait()
            await self._do(handle, send)
            if send.kind == "suspend":
                return

    async def _do(self, handle: RunHandle, send: Send) -> None:
        try:
            if send.kind == "signal":
                await handle.signal(send.name, send.value, signal_id=send.id)
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

    def _note(self, run_id: str, path: str) -> None:
        if not self.doom.dead:  # what a dead process does did not happen
            self.estate.ledger.append((self.number, run_id, path))


def _is_death(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(map(_is_death, error.exceptions))
    return isinstance(error, ProcessDied | RunError)


def key_of(run_id: str, path: str) -> str:
    """The idempotency key of an action."""
    return sha256(f"{run_id}\n{path}".encode()).hexdigest()[:32]


def problems_of_history(run_id: str, records: Sequence[Record]) -> list[str]:
    """Equation 4 and the order of one history: contiguous, chained, epochs never down, one end and nothing after it."""
    found = []
    previous, epoch = "", 0
    for place, record in enumerate(records):
        where = f"run {run_id}, record {place} ({record.type})"
        if record.seq != place:
            found.append(f"{where}: it has the number {record.seq}")
        if record.prev_hash != previous:
            found.append(f"{where}: it does not follow the one before it")
        if record.epoch < epoch:
            found.append(f"{where}: epoch {record.epoch} after {epoch}")
        previous, epoch = chain_hash(encode_record(record)), record.epoch
    ends = [record.seq for record in records if record.type == "run.ended"]
    if len(ends) > 1 or (ends and ends != [len(records) - 1]):
        found.append(f"run {run_id}: it has ends at {ends} of {len(records)} records")
    twice = [path for path, count in Counter(completed(records)).items() if count > 1]
    return found + [f"run {run_id}: step {path!r} was completed twice" for path in twice]


def completed(records: Sequence[Record]) -> list[str]:
    """The paths of the steps that are on record, in order."""
    return [record.path for record in records if record.type == "step.completed"]


def open_intents(records: Sequence[Record]) -> set[str]:
    """The effects that were begun and left no word of how they ended."""
    begun: set[str] = set()
    for record in records:
        if record.type == "step.intent":
            begun.add(record.path)
        elif record.type in ("step.completed", "step.failed"):
            begun.discard(record.path)
    return begun


async def audit(case: Case, estate: Estate, done: dict[int, set[str]]) -> list[str]:
    """What the equations of the auditor find wrong; ``done``: keys of the steps on record when each process began."""
    found = []
    histories = await estate.histories()
    for run_id, records in histories.items():
        found += problems_of_history(run_id, records)
    infos = await estate.journal.runs(limit=1000)
    allowed = TERMINAL | ({"stuck"} if case.otherwise else set())
    found += [f"run {info.run_id} is {info.status} at rest" for info in infos if info.status not in allowed]
    ledger = [(number, key_of(run_id, path), path) for number, run_id, path in estate.ledger]
    known = {path for _, _, path in ledger}
    whole = all(info.status == case.status for info in infos)
    expected = case.effects - case.held if done else case.effects
    found += [f"lost: the effect at {path!r}" for path in sorted(expected - known) if whole]
    found += [f"unforeseen: the effect at {path!r}" for path in sorted(known - case.effects - case.perhaps)]
    for number, key, path in ledger:
        if key in done.get(number, ()):
            found.append(f"doubled: {path!r} was on record before process {number}")
    each = Counter((number, path, key) for number, key, path in ledger if path not in case.retried)
    found += [f"doubled: {path!r} in process {number}" for (number, path, _), count in each.items() if count > 1]
    return found
