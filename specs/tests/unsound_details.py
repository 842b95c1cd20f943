"""More journals that are unsound in one way each: batches, places, blobs, sizes, concurrency and pruning."""

from __future__ import annotations

import threading
from contextlib import asynccontextmanager

import anyio
from anyio.lowlevel import checkpoint
from faulty import mutants_in

from agentflow_kernel.contracts.journal import FIELDS, Record, RunInfo, encode_record
from agentflow_kernel.errors import AppendConflict, Fenced, StorageUnavailable
from agentflow_kernel.testing import InProcessJournal, InProcessJournalHarness


class UnsoundHarness(InProcessJournalHarness):
    """Opens a journal of another class."""

    @asynccontextmanager
    async def open(self):
        journal = self.made_of()
        yield journal
        await journal.aclose()


mutant = mutants_in(globals(), UnsoundHarness)


class InParts(InProcessJournal):
    """One that appends record by record, and lets others run in between."""

    async def append(self, run_id, expected_seq, epoch, records):
        for record in records:
            self.append_inline(run_id, record.seq, epoch, [record])
            await checkpoint()


@mutant("JOURNAL-05")
class KeepingFirst(InProcessJournal):
    def append_inline(self, run_id, expected_seq, epoch, records):
        try:
            super().append_inline(run_id, expected_seq, epoch, records)
        except (TypeError, ValueError, KeyError):
            self._records.setdefault(run_id, []).extend(encode_record(record) for record in records)
            raise


@mutant("JOURNAL-06")
class Lenient(InProcessJournal):
    def append_inline(self, run_id, expected_seq, epoch, records):
        try:
            super().append_inline(run_id, expected_seq, epoch, records)
        except ValueError:
            return


@mutant("JOURNAL-07")
class FromNothing(InProcessJournal):
    def append_inline(self, run_id, expected_seq, epoch, records):
        super().append_inline(run_id, expected_seq, epoch, records)
        self._heads.setdefault(run_id, RunInfo(run_id))


@mutant("JOURNAL-11")
class Anywhere(InProcessJournal):
    def append_inline(self, run_id, expected_seq, epoch, records):
        if run_id not in self._heads and expected_seq > 0:
            self._heads[run_id] = RunInfo(run_id, next_seq=expected_seq)
        super().append_inline(run_id, expected_seq, epoch, records)


@mutant("JOURNAL-13")
class FirstEpoch(InProcessJournal):
    def append_inline(self, run_id, expected_seq, epoch, records):
        kept = self._heads.get(run_id)
        super().append_inline(run_id, expected_seq, epoch, records)
        if kept is not None:
            self._heads[run_id].epoch = kept.epoch


@mutant("JOURNAL-15")
class OneEpoch(InProcessJournal):
    latest = 0

    def append_inline(self, run_id, expected_seq, epoch, records):
        if epoch < self.latest:
            raise Fenced(run_id, epoch, self.latest)
        super().append_inline(run_id, expected_seq, epoch, records)
        self.latest = epoch


@mutant("JOURNAL-16")
class Narrow(InProcessJournal):
    def append_inline(self, run_id, expected_seq, epoch, records):
        if -(2**31) <= epoch < 2**31:
            super().append_inline(run_id, expected_seq, epoch, records)


@mutant("JOURNAL-23")
class Fifty(InProcessJournal):
    async def runs(self, *, status=None, limit=50):
        return await super().runs(status=status, limit=limit)


@mutant("JOURNAL-30")
class Texts(InProcessJournal):
    async def put_blob(self, data):
        ref = await super().put_blob(data)
        self._blobs[ref] = data.decode(errors="replace").encode()
        return ref


@mutant("JOURNAL-31")
class Counting(InProcessJournal):
    async def put_blob(self, data):
        ref = await super().put_blob(data)
        self.times = getattr(self, "times", 0) + 1
        self._blobs[f"{ref}-{self.times}"] = data
        return ref if self.times == 1 else f"{ref}-{self.times}"


@mutant("JOURNAL-32")
class Small(InProcessJournal):
    async def put_blob(self, data):
        if len(data) > 1_000_000:
            raise StorageUnavailable("The blob is too large.")
        return await super().put_blob(data)


@mutant("JOURNAL-40")
class Trimming(InProcessJournal):
    def append_inline(self, run_id, expected_seq, epoch, records):
        fields = [{name: getattr(record, name) for name in FIELDS} for record in records]
        for each in fields:
            each["path"] = each["path"].replace("\x00", "")
        super().append_inline(run_id, expected_seq, epoch, [Record(**each) for each in fields])


@mutant("JOURNAL-42")
class CStrings(InProcessJournal):
    def append_inline(self, run_id, expected_seq, epoch, records):
        cut = run_id.partition("\x00")[0]
        if cut in self._heads and cut != run_id:
            return
        super().append_inline(run_id, expected_seq, epoch, records)


@mutant("JOURNAL-43")
class Pages(InProcessJournal):
    def append_inline(self, run_id, expected_seq, epoch, records):
        if sum(len(encode_record(record)) for record in records) > 100_000:
            raise StorageUnavailable("The batch is too large.")
        super().append_inline(run_id, expected_seq, epoch, records)


@mutant("JOURNAL-44")
class FiveHundred(InProcessJournal):
    def append_inline(self, run_id, expected_seq, epoch, records):
        super().append_inline(run_id, expected_seq, epoch, records[:500])


@mutant("JOURNAL-50")
class Mixing(InProcessJournal):
    async def append(self, *arguments):
        self.latest = arguments
        await checkpoint()
        self.append_inline(*self.latest)


@mutant("JOURNAL-52")
class LateLooking(InProcessJournal):
    async def append(self, run_id, expected_seq, epoch, records):
        before = self._heads[run_id].next_seq if run_id in self._heads else 0
        await checkpoint()
        if before == expected_seq and run_id in self._heads and self._heads[run_id].next_seq != before:
            return
        self.append_inline(run_id, expected_seq, epoch, records)


@mutant("JOURNAL-53")
class ReadInParts(InParts):
    pass


@mutant("JOURNAL-54")
class RollingBack(InProcessJournal):
    async def append(self, *arguments):
        await checkpoint()
        try:
            self.append_inline(*arguments)
        except AppendConflict:
            if self._heads:
                run_id, _ = self._heads.popitem()
                self._records.pop(run_id, None)
            raise


@mutant("JOURNAL-61")
class Leading(InProcessJournal):
    group = None

    async def append(self, *arguments):
        if self.group is not None:
            done, others = self.group
            others.append(arguments)
            await done.wait()
            return
        self.group = done, others = anyio.Event(), [arguments]
        try:
            await checkpoint()
            self.group = None
            for each in others:
                self.append_inline(*each)
        finally:
            self.group = None
            done.set()


@mutant("JOURNAL-62")
class BegunInParts(InParts):
    pass


@mutant("JOURNAL-63")
class FewReaders(InProcessJournal):
    def __init__(self):
        super().__init__()
        self.readers = anyio.Semaphore(4)

    async def read(self, run_id, from_seq=0):
        await self.readers.acquire()
        await checkpoint()
        found = await super().read(run_id, from_seq)
        self.readers.release()
        return found


@mutant("JOURNAL-71")
class NeverUsed(InProcessJournal):
    async def aclose(self):
        if not self._heads and not self._blobs and not self._closed:
            raise StorageUnavailable("The store was never opened.")
        await super().aclose()


@mutant("JOURNAL-73")
class Pulled(InProcessJournal):
    async def append(self, *arguments):
        await checkpoint()
        if self._closed:
            raise OSError("Bad file descriptor")
        self.append_inline(*arguments)


@mutant("JOURNAL-75")
class OneThread(InProcessJournal):
    def __init__(self):
        super().__init__()
        self.thread = threading.get_ident()

    def append_inline(self, *arguments):
        if threading.get_ident() != self.thread:
            raise RuntimeError("made in another thread")
        super().append_inline(*arguments)


@mutant("JOURNAL-94")
class PruningAll(InProcessJournal):
    async def prune(self, before, statuses=(), *, limit=100):
        return await super().prune(before, limit=limit)


@mutant("JOURNAL-95")
class Revenant(InProcessJournal):
    def append_inline(self, run_id, expected_seq, epoch, records):
        if run_id not in self._heads and run_id in getattr(self, "gone", ()):
            self._heads[run_id] = RunInfo(run_id, next_seq=expected_seq)
        super().append_inline(run_id, expected_seq, epoch, records)

    async def prune(self, *arguments, **options):
        self.gone = list(await super().prune(*arguments, **options))
        return self.gone


@mutant("JOURNAL-96")
class CollectingAll(InProcessJournal):
    async def collect(self, *, grace_s=0.0):
        unnamed = [ref for ref in self._blobs if ref not in self._named]
        for ref in unnamed:
            self._drop_blob(ref)
        return len(unnamed)


@mutant("JOURNAL-99")
class Obliging(InProcessJournal):
    async def read(self, run_id, from_seq=0):
        return await super().read(run_id, from_seq) or (await super().read(run_id))[-1:]
