"""Journals that are unsound in one way each, and harnesses that say what is not so."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager

import anyio
import unsound_details
from anyio.lowlevel import checkpoint

from agentflow_kernel.contracts.journal import RunInfo
from agentflow_kernel.testing import InProcessJournal, InProcessJournalHarness


def harness(journal, **fields):
    class Harness(InProcessJournalHarness):
        @asynccontextmanager
        async def open(self):
            yield journal()

    for name, value in fields.items():
        setattr(Harness, name, value)
    return Harness


class Changes(InProcessJournal):
    async def read(self, run_id, from_seq=0):
        found = await super().read(run_id, from_seq)
        for record in found:
            record.ts = 0.0
        return found


class Disordered(InProcessJournal):
    async def read(self, run_id, from_seq=0):
        return sorted(await super().read(run_id, from_seq), key=lambda record: str(record.seq))


class Inventive(InProcessJournal):
    async def head(self, run_id):
        return await super().head(run_id) if run_id in self._heads else RunInfo(run_id)


class Piecemeal(InProcessJournal):
    def append_inline(self, run_id, expected_seq, epoch, records):
        for record in records:
            super().append_inline(run_id, record.seq, epoch, [record])


class Unfolded(InProcessJournal):
    def append_inline(self, run_id, expected_seq, epoch, records):
        kept = self._heads.get(run_id)
        super().append_inline(run_id, expected_seq, epoch, records)
        if kept and len(records) == 1 and records[0].type == "timer.set":
            self._heads[run_id].status = kept.status


class Unfenced(InProcessJournal):
    def append_inline(self, run_id, expected_seq, epoch, records):
        if run_id in self._heads and self._heads[run_id].epoch > epoch:
            self._heads[run_id].epoch = epoch
        super().append_inline(run_id, expected_seq, epoch, records)


class Overwriting(InProcessJournal):
    def append_inline(self, run_id, expected_seq, epoch, records):
        if run_id in self._heads and expected_seq < self._heads[run_id].next_seq:
            self._heads[run_id].next_seq = expected_seq
            del self._records[run_id][expected_seq:]
        super().append_inline(run_id, expected_seq, epoch, records)


class Hasty(InProcessJournal):
    def append_inline(self, run_id, expected_seq, epoch, records):
        if run_id in self._heads:
            self._heads[run_id].epoch = max(epoch, self._heads[run_id].epoch)
        super().append_inline(run_id, expected_seq, epoch, records)


class OldestFirst(InProcessJournal):
    async def runs(self, *, status=None, limit=100):
        return list(reversed(await super().runs(status=status, limit=limit)))


class LimitFirst(InProcessJournal):
    async def runs(self, *, status=None, limit=100):
        return [head for head in await super().runs(limit=limit) if status is None or head.status == status]


class Forgetful(InProcessJournal):
    async def get_blob(self, ref):
        return self._blobs.get(ref, b"")


class CaseFolding(InProcessJournal):
    def append_inline(self, run_id, expected_seq, epoch, records):
        if run_id.lower() in self._heads and run_id != run_id.lower():
            return
        super().append_inline(run_id, expected_seq, epoch, records)


class Torn(InProcessJournal):
    async def append(self, run_id, expected_seq, epoch, records):
        for record in records:
            self.append_inline(run_id, record.seq, epoch, [record])
            await checkpoint()


class Racing(InProcessJournal):
    async def append(self, run_id, expected_seq, epoch, records):
        end = self._heads[run_id].next_seq if run_id in self._heads else 0
        await checkpoint()
        if end == expected_seq and end != (self._heads[run_id].next_seq if run_id in self._heads else 0):
            return
        self.append_inline(run_id, expected_seq, epoch, records)


class Stuck(InProcessJournal):
    def __init__(self):
        super().__init__()
        self.lock = anyio.Semaphore(1)

    async def append(self, *arguments):
        await self.lock.acquire()
        await checkpoint()
        self.append_inline(*arguments)
        self.lock.release()


class Immortal(InProcessJournal):
    async def aclose(self):
        pass


class ClosedOnce(InProcessJournal):
    async def aclose(self):
        self._open()
        await super().aclose()


class Leaking(InProcessJournal):
    def append_inline(self, *arguments):
        os.dup(0)
        super().append_inline(*arguments)


class Sharing(InProcessJournal):
    async def head(self, run_id):
        await super().head(run_id)
        return self._heads[run_id]


class CompactsAll(InProcessJournal):
    async def compact(self, run_id, seq, epoch):
        gone = await super().compact(run_id, seq, epoch)
        del self._records[run_id][0]
        self._gaps[run_id] += 1
        return gone


class CompactsHead(InProcessJournal):
    async def compact(self, run_id, seq, epoch):
        gone = await super().compact(run_id, seq, epoch)
        self._heads[run_id].started_at = self._heads[run_id].updated_at
        return gone


class CompactsUnfenced(InProcessJournal):
    async def compact(self, run_id, seq, epoch):
        return await super().compact(run_id, seq, max(epoch, 2))


class CompactsAnything(InProcessJournal):
    async def compact(self, run_id, seq, epoch):
        records = await self.read(run_id)
        if records and seq in range(2, records[-1].seq):
            seq = next((record.seq for record in records if record.type == "snapshot"), seq)
        return await super().compact(run_id, seq, epoch)


class CompactsBitByBit(InProcessJournal):
    async def compact(self, run_id, seq, epoch):
        while seq - self._gaps.get(run_id, 0) > 2:
            del self._records[run_id][1]
            self._gaps[run_id] = self._gaps.get(run_id, 0) + 1
            await checkpoint()
        return seq - 1


class TalliesStuck(InProcessJournal):
    async def tally(self):
        stuck = sum(head.status == "stuck" for head in self._heads.values())
        return [*await super().tally(), *([("", "stuck", stuck)] if stuck else [])]


class TalliesNoWaiting(InProcessJournal):
    async def tally(self):
        waiting = {head.owner for head in self._heads.values() if head.status == "waiting"}
        return [each for each in await super().tally() if each[0] not in waiting]


class NoInline(InProcessJournal):
    append_inline = property()

    async def append(self, *arguments):
        InProcessJournal.append_inline(self, *arguments)


def other(**changes):
    return {**InProcessJournalHarness.declared, **changes}


for _journal in list(InProcessJournal.__subclasses__()):
    globals()[f"{_journal.__name__}Harness"] = harness(_journal)

Denies = harness(InProcessJournal, declared=other(inline=False))
Boasts = harness(InProcessJournal, declared=other(durable=True))
Silent = harness(InProcessJournal, declared={"inline": True})
Inventor = harness(InProcessJournal, declared=other(magic=True))
Honest = harness(Forgetful, known_deviations={"JOURNAL-33": "a missing blob is empty"})
Stale = harness(InProcessJournal, known_deviations={"JOURNAL-33": "a missing blob was empty"})
Stranger = harness(InProcessJournal, known_deviations={"JOURNAL-00": "no such thing"})


class LeasesAndInbox:
    """Leases and inbox of journals with one store, in memory: sound, except for what `flaw` names."""

    def __init__(self, store, flaw):
        self.store, self.flaw = store, flaw
        self.mine = ""
        self.seen = 0

    async def acquire(self):
        self.store["count"] += 1
        self.mine = f"1-{self.store['count']}"
        self.store["alive"].add(self.mine)
        return self.mine

    async def release(self):
        if self.flaw != "undying":
            self.store["alive"].discard(self.mine)

    async def alive(self, owners):
        return self.store["alive"] & set(owners)

    async def leave(self, run_id, request):
        self.store["count"] += 1
        request.place = str(self.store["count"])
        self.store["requests"].append((self.store["count"], run_id, request))

    async def find(self, run_id):
        return [request for _, run, request in self.store["requests"] if run == run_id or self.flaw == "confused"]

    async def remove(self, run_id, request):
        self.store["requests"] = [kept for kept in self.store["requests"] if kept[2].place != request.place]

    async def changed(self):
        found = {run for number, run, _ in self.store["requests"] if number > self.seen}
        self.seen = self.store["count"]
        return found

    def forget(self):
        if self.flaw != "deaf":
            self.seen = 0


def sharing(flaw):
    class Harness(InProcessJournalHarness):
        declared = other(**{"shared-runs": True})

        def place(self, journal):
            return "here"

        @asynccontextmanager
        async def attach(self, place):
            journal = InProcessJournal()
            journal.leases = journal.inbox = LeasesAndInbox(self.store, flaw)
            yield journal

        @asynccontextmanager
        async def open(self):
            self.store = {"count": 0, "alive": set(), "requests": []}
            async with self.attach("here") as journal:
                yield journal

    return Harness


Shares = sharing("")
SharesUndying = sharing("undying")
SharesConfused = sharing("confused")
SharesDeaf = sharing("deaf")


class ForgetsWhereHarness(InProcessJournalHarness):
    """Opens its store again without what says that records were deleted."""

    declared = other(durable=True)

    def place(self, journal):
        return "here"

    @asynccontextmanager
    async def attach(self, place):
        journal = InProcessJournal()
        journal._records, journal._heads = self.store._records, self.store._heads
        yield journal

    @asynccontextmanager
    async def open(self):
        self.store = InProcessJournal()
        yield self.store


MUTANTS = {
    **{f"{name}Harness": asked for name, asked in {
        "Changes": "JOURNAL-01", "Disordered": "JOURNAL-02", "Inventive": "JOURNAL-03", "Piecemeal": "JOURNAL-04",
        "Sharing": "JOURNAL-08", "Overwriting": "JOURNAL-10", "Unfenced": "JOURNAL-12", "Hasty": "JOURNAL-14",
        "Unfolded": "JOURNAL-20", "OldestFirst": "JOURNAL-21", "LimitFirst": "JOURNAL-22", "Forgetful": "JOURNAL-33",
        "CaseFolding": "JOURNAL-41", "Racing": "JOURNAL-51", "Torn": "JOURNAL-60", "Stuck": "JOURNAL-60",
        "CompactsAll": "JOURNAL-88", "CompactsHead": "JOURNAL-88", "CompactsUnfenced": "JOURNAL-89",
        "CompactsAnything": "JOURNAL-89", "CompactsBitByBit": "JOURNAL-97", "ForgetsWhere": "JOURNAL-98",
        "TalliesStuck": "JOURNAL-84", "TalliesNoWaiting": "JOURNAL-84",
        "ClosedOnce": "JOURNAL-70", "Immortal": "JOURNAL-72", "Leaking": "JOURNAL-74", "NoInline": "JOURNAL-76",
    }.items()},
    "SharesUndying": "JOURNAL-85", "SharesConfused": "JOURNAL-86", "SharesDeaf": "JOURNAL-87",
}  # fmt: skip
"""Harnesses of unsound journals, each with the requirement that must see it."""
for _name, _asked in unsound_details.MUTANTS.items():
    globals()[_name], MUTANTS[_name] = getattr(unsound_details, _name), _asked
