"""A simulated disk: what outlives a simulated process, and the journal that a process keeps on it."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from agentflow_kernel.contracts.journal import decode_record, encode_record
from agentflow_kernel.errors import CorruptRecord, Fenced, StorageUnavailable
from agentflow_kernel.inprocess.journal import InProcessJournal
from agentflow_kernel.inprocess.memory import InProcessMemory
from agentflow_kernel.run.loopless import drive_to_end

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from agentflow_kernel.contracts.journal import Record, RunInfo
    from agentflow_kernel.testing.world import World

    Batch = tuple[str, int, int, list[bytes]]
    """Run, sequence number, epoch and encoded records; without records, the snapshot before which they were deleted."""

_EVERYTHING = 1 << 60
SYNC_S = 0.001
"""A usual sync takes up to twice as long, in virtual seconds."""
SLOW_SYNC_S = 8.0
FULL_S = 5.0
"""For how long a full disk stays full."""


class SimulatedDisk:
    """Batches in the order in which they were written; those behind ``synced`` may be lost with the process."""

    def __init__(self) -> None:
        self.cache = InProcessJournal(keep_ended=_EVERYTHING)
        """What a reader sees: synced or not."""
        self.blobs: dict[str, bytes] = {}
        self.full_until = 0.0
        self.torn = 0
        """Batches that were found on disk in part and dropped."""
        self.lost = 0
        """Batches that were written, not acknowledged, and gone after a crash."""
        self._batches: list[Batch] = []
        self._synced = 0

    def write(self, run_id: str, expected_seq: int, epoch: int, records: Sequence[Record]) -> int:
        """Write one batch and return where it ends; it is not synced. Raises as :meth:`Journal.append`."""
        self.cache.append_inline(run_id, expected_seq, epoch, records)
        if records:
            self._batches.append((run_id, expected_seq, epoch, [encode_record(record) for record in records]))
        return len(self._batches)

    def compact(self, run_id: str, seq: int, epoch: int) -> tuple[int, int]:
        """Delete what lies before a snapshot: where it ends, not synced, and how many records went."""
        gone = drive_to_end(self.cache.compact(run_id, seq, epoch), "The journal")
        self._batches.append((run_id, seq, epoch, []))
        return len(self._batches), gone

    def keep(self, data: bytes) -> str:
        """Keep bytes apart; they are durable at once."""
        ref = sha256(data).hexdigest()
        self.blobs[ref] = data
        drive_to_end(self.cache.put_blob(data), "The journal")
        return ref

    def sync(self, end: int) -> None:
        """Make everything before ``end`` durable."""
        self._synced = max(self._synced, end)

    def settle(self, fault: str, dice: Random) -> None:
        """Decide what a crash or a failed sync has left of the batches that were not synced, and open the rest."""
        open_batches = len(self._batches) - self._synced
        if not open_batches:
            return
        kept = 0 if fault == "lost-batch" else dice.randint(0, open_batches)
        if fault == "torn-tail":
            kept = min(kept, open_batches - 1)
            self._tear(self._batches[self._synced + kept], dice)
        self.lost += open_batches - kept
        self._synced += kept
        if kept < open_batches:
            del self._batches[self._synced :]
            self._reopen()

    def _tear(self, batch: Batch, dice: Random) -> None:
        """Cut a batch off in its middle; what is left fails its check, so that it is dropped whole."""
        whole = b"".join(batch[3])
        if not whole:
            self.torn += 1
            return
        cut = whole[: dice.randrange(len(whole))]
        try:
            decode_record(cut)
        except (CorruptRecord, ValueError):
            self.torn += 1
            return
        self.torn += len(batch[3]) > 1  # its first record is whole, the batch is not

    def _reopen(self) -> None:
        """Read everything anew."""
        self.cache = InProcessJournal(keep_ended=_EVERYTHING)
        for data in self.blobs.values():
            drive_to_end(self.cache.put_blob(data), "The journal")
        for run_id, expected_seq, epoch, encoded in self._batches:
            if encoded:
                self.cache.append_inline(run_id, expected_seq, epoch, [decode_record(data) for data in encoded])
            else:
                drive_to_end(self.cache.compact(run_id, expected_seq, epoch), "The journal")


class SimulatedMemory(InProcessMemory):
    """A memory that outlives the processes which use it."""

    async def aclose(self) -> None:
        """It stays open for the next process."""


class SimulatedJournal:
    """One process's journal on a disk of the world: everything that may go wrong with a journal goes wrong here."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._disk = world.disk
        self._process = world.process
        self._broken = self._closed = False

    def check(self) -> None:
        """Raise :class:`StorageUnavailable` after a sync that failed: nothing is written before it is opened anew."""
        self._open(writes=True)

    async def append(self, run_id: str, expected_seq: int, epoch: int, records: Sequence[Record]) -> None:
        """Append one batch, unless something goes wrong."""
        self._open(writes=True)
        world, disk = self._world, self._disk
        place = f"append {'+'.join(record.type for record in records)}"
        ending = world.next_operation(place)
        if ending is not None and ending[1] == "before":
            if ending[0] == "torn-tail":
                disk.write(run_id, expected_seq, epoch, records)
            await world.end_process(ending[0])
        if world.strikes("disk-full", place):
            disk.full_until = world.clock.monotonic() + FULL_S * world.faults.dice.random()
        if world.clock.monotonic() < disk.full_until:
            raise StorageUnavailable("The disk is full.", executed="no")
        if world.strikes("eio", place):
            raise StorageUnavailable("Input/output error.", executed="no")
        try:
            end = disk.write(run_id, expected_seq, epoch, records)
        except Fenced:
            world.trace.note("write.refused", run=run_id, place=place)
            raise
        slow = world.strikes("slow-disk", place)
        await world.clock.sleep((SLOW_SYNC_S if slow else SYNC_S) * 2 * world.dice.random())
        self._open(writes=True)
        if world.strikes("fsync", place):
            self._broken = True
            disk.settle("fsync", world.faults.dice)
            self._open(writes=True)
        disk.sync(end)
        if ending is not None:
            await world.end_process(ending[0])

    async def compact(self, run_id: str, seq: int, epoch: int) -> int:
        """Delete records, unless something goes wrong."""
        self._open(writes=True)
        world, disk = self._world, self._disk
        ending = world.next_operation("compact")
        if ending is not None and ending[1] == "before":
            if ending[0] == "torn-tail":
                disk.compact(run_id, seq, epoch)
            await world.end_process(ending[0])
        if world.strikes("eio", "compact") or world.clock.monotonic() < disk.full_until:
            raise StorageUnavailable("Input/output error.", executed="no")
        end, gone = disk.compact(run_id, seq, epoch)
        await world.clock.sleep(SYNC_S * 2 * world.dice.random())
        self._open(writes=True)
        disk.sync(end)
        if ending is not None:
            await world.end_process(ending[0])
        return gone

    async def put_blob(self, data: bytes) -> str:
        """Keep bytes, unless something goes wrong."""
        self._open(writes=True)
        ending = self._world.next_operation("put_blob")
        if ending is not None and ending[1] == "before":
            await self._world.end_process(ending[0])
        ref = self._disk.keep(bytes(data))
        if ending is not None:
            await self._world.end_process(ending[0])
        return ref

    async def get_blob(self, ref: str) -> bytes:
        """The bytes."""
        self._open()
        if ref not in self._disk.blobs:
            raise CorruptRecord("", -1, f"the payload {ref} is missing")
        return self._disk.blobs[ref]

    async def read(self, run_id: str, from_seq: int = 0) -> Sequence[Record]:
        """The records."""
        self._open()
        return await self._disk.cache.read(run_id, from_seq)

    async def head(self, run_id: str) -> RunInfo:
        """The head."""
        self._open()
        return await self._disk.cache.head(run_id)

    async def runs(self, *, status: str | None = None, limit: int = 100) -> Sequence[RunInfo]:
        """The heads."""
        self._open()
        return await self._disk.cache.runs(status=status, limit=limit)

    async def aclose(self) -> None:
        """The disk stays."""
        self._closed = True

    def _open(self, *, writes: bool = False) -> None:
        if self._closed:
            raise StorageUnavailable("The simulated journal is closed.", executed="no")
        self._world.check_process(self._process)
        if self._broken and writes:
            raise StorageUnavailable("A sync has failed; the journal has to be opened again.", executed="maybe")
