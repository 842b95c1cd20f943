"""What the tests of the engine share: journals that die or count, a ledger of effects, a check of whole histories."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel

from agentflow_kernel.contracts.journal import chain_hash, compacted_to, encode_record
from agentflow_kernel.errors import StorageUnavailable
from agentflow_kernel.testing import InProcessJournal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from agentflow_kernel.contracts.journal import Record, RunInfo


class ProcessDied(Exception):
    """The process that used the journal is gone; nothing it does from here on counts."""


class DurableJournal:
    """A journal that outlives the kernels that use it, and takes its time as a disk would.

    From its ``dies_at``-th durable operation on it refuses everything: the process is as good as dead. That operation
    itself is kept only with ``applied``. The disk is full at the ``full_at``-th operation, and at no other.
    """

    def __init__(
        self,
        survivor: InProcessJournal | None = None,
        *,
        dies_at: int = 0,
        applied: bool = False,
        full_at: int = 0,
    ) -> None:
        self.survivor = survivor if survivor is not None else InProcessJournal()
        self.operations = 0
        self.dead = False
        self.appended: list[tuple[str, ...]] = []
        """The types of the records of each append, in order."""
        self._dies_at = dies_at
        self._applied = applied
        self._full_at = full_at
        self._turn = anyio.Lock()

    async def append(self, run_id: str, expected_seq: int, epoch: int, records: Sequence[Record]) -> None:
        async def keep() -> None:
            await self.survivor.append(run_id, expected_seq, epoch, records)
            self.appended.append(tuple(record.type for record in records))

        await self._durably(keep)

    async def put_blob(self, data: bytes) -> str:
        return await self._durably(lambda: self.survivor.put_blob(data))

    async def compact(self, run_id: str, seq: int, epoch: int) -> int:
        return await self._durably(lambda: self.survivor.compact(run_id, seq, epoch))

    async def _durably(self, operation: Callable[[], Awaitable[Any]]) -> Any:
        async with self._turn:
            await anyio.lowlevel.checkpoint()
            if self.dead:
                raise ProcessDied
            self.operations += 1
            if self.operations == self._dies_at:
                self.dead = True
                if self._applied:
                    await operation()
                raise ProcessDied
            if self.operations == self._full_at:
                raise StorageUnavailable("The disk is full.", executed="no")
            return await operation()

    async def read(self, run_id: str, from_seq: int = 0) -> Sequence[Record]:
        return await self.survivor.read(run_id, from_seq)

    async def head(self, run_id: str) -> RunInfo:
        await anyio.lowlevel.checkpoint()
        return await self.survivor.head(run_id)

    async def runs(self, *, status: str | None = None, limit: int = 100) -> Sequence[RunInfo]:
        return await self.survivor.runs(status=status, limit=limit)

    async def get_blob(self, ref: str) -> bytes:
        return await self.survivor.get_blob(ref)

    async def aclose(self) -> None:
        """The survivor stays open for the next kernel."""


class Effects:
    """The ledger of effects: every call that reached a node or a tool while its process was alive."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.journal: DurableJournal | None = None

    def note(self, path: str) -> None:
        """Write one effect down; those of a dead process cannot have happened."""
        if self.journal is None or not self.journal.dead:
            self.paths.append(path)


def check_history(records: Sequence[Record]) -> None:
    """What holds for every history: contiguous, chained, epochs never down, at most one end, and nothing after it.

    Only what lay between the first record and a snapshot may have been deleted.
    """
    gone = compacted_to(records)
    assert [record.seq for record in records[1:]] == list(range(gone or 1, (gone or 1) + len(records) - 1))
    assert not gone or records[1].type == "snapshot"
    previous = ""
    epoch = 0
    for place, record in enumerate(records):
        assert record.prev_hash == previous or (gone and place == 1)
        previous = chain_hash(encode_record(record))
        assert record.epoch >= epoch
        epoch = record.epoch
    ends = [record.seq for record in records if record.type == "run.ended"]
    assert len(ends) <= 1
    assert all(seq == records[-1].seq for seq in ends)


def completed(records: Sequence[Record]) -> list[str]:
    """The paths of the steps that are on record, in order."""
    return [record.path for record in records if record.type == "step.completed"]


def own(records: Sequence[Record]) -> list[Record]:
    """What the run itself wrote: without the records of new owners, of which there may be any number."""
    return [record for record in records if record.type != "lease"]


async def payload_of(journal: Any, record: Record) -> Any:
    """The whole payload, wherever it is stored."""
    return json.loads(await journal.get_blob(record.ref)) if record.ref else record.payload
