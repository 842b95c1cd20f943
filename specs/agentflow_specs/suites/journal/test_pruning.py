"""Pruning: runs that have ended are deleted whole, and payloads that no record names; nothing that is open."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from agentflow_kernel.contracts.journal import Record
from agentflow_kernel.errors import CorruptRecord, UnknownRun
from agentflow_specs.requirement import requirement
from agentflow_specs.suites.journal.abilities import pruning_of
from agentflow_specs.suites.journal.author import Author

if TYPE_CHECKING:
    from agentflow_kernel.contracts.journal import Journal, RecordType

pytestmark = pytest.mark.anyio


async def end(journal: Journal, run_id: str, status: str = "completed", *, at: float = 100.0) -> None:
    """A run of three records that ended two seconds after it began."""
    author = Author(run_id, started_at=at)
    await author.append(journal, None, {"output": run_id})
    await author.append(journal, {"status": status}, kind="run.ended")


async def name(journal: Journal, run_id: str, ref: str, seq: int = 0, *, ended: bool = False) -> None:
    """Append a record that names a blob, and the run's end."""
    kind: RecordType = "step.completed" if seq else "run.started"
    records = [Record(run_id, seq, kind, "", None if seq else {"name": run_id}, 1, ts=100.0, ref=ref)]
    if ended:
        records.append(Record(run_id, seq + 1, "run.ended", "", {"status": "completed"}, 1, ts=101.0))
    await journal.append(run_id, seq, 1, records)


@requirement(
    "JOURNAL-94",
    "MUST",
    needs="prunes",
    reason="Retention must free what is over, and touch nothing that somebody still works on.",
    advice="Look at the status and the time of the last record inside the transaction that deletes.",
)
async def test_ended_runs_are_deleted_whole(journal: Journal) -> None:
    """Deletes runs that ended before the moment, of the statuses and as many as asked; open and later ones stay."""
    pruning = pruning_of(journal)
    assert list(await pruning.prune(time.time())) == []
    for number in range(3):
        await end(journal, f"old-{number}")
    await end(journal, "failed", "failed")
    await end(journal, "late", at=5000.0)
    await Author("open").append(journal, None, {"output": 1})
    suspended = Author("suspended")
    await suspended.append(journal)
    await suspended.append(journal, {"status": "suspended"}, kind="run.suspended")
    assert list(await pruning.prune(102.0)) == []
    assert list(await pruning.prune(1000.0, ())) == []
    gone = [*await pruning.prune(1000.0, ("completed",), limit=2)]
    assert len(gone) == 2
    gone += await pruning.prune(1000.0, ("completed",), limit=2)
    assert sorted(gone) == ["old-0", "old-1", "old-2"]
    assert sorted(info.run_id for info in await journal.runs()) == ["failed", "late", "open", "suspended"]
    assert list(await journal.read("old-0")) == []
    with pytest.raises(UnknownRun):
        await journal.head("old-0")
    assert list(await pruning.prune(1000.0)) == ["failed"]
    assert [len(await journal.read(run_id)) for run_id in ("late", "open", "suspended")] == [3, 2, 2]


@requirement(
    "JOURNAL-95",
    "MUST",
    needs="prunes",
    reason="A key may be used anew when its run is gone, and the run of a slow owner must not go on in the middle.",
    advice="Forget what is remembered of a run that is deleted.",
)
async def test_a_deleted_run_begins_anew(journal: Journal) -> None:
    """Takes the first records of a run that was deleted, and none that go on with it; other runs go on."""
    pruning = pruning_of(journal)
    await end(journal, "again")
    other = Author("other")
    await other.append(journal)
    assert list(await pruning.prune(1000.0)) == ["again"]
    await other.append(journal, {"output": 2})
    with pytest.raises(Exception, match="again"):
        await journal.append("again", 3, 1, [Record("again", 3, "step.completed", "", None, 1)])
    await end(journal, "again", "failed")
    assert (await journal.head("again")).status == "failed"
    assert [record.seq for record in await journal.read("again")] == [0, 1, 2]
    assert len(await journal.read("other")) == 2


@requirement(
    "JOURNAL-96",
    "MUST",
    needs="prunes",
    reason="A payload is stored before the record that names it: for a moment nobody names it.",
    advice="Note when a blob was last put; compare with the clock and with the start of the oldest run at work.",
)
async def test_payloads_go_when_nobody_names_them(journal: Journal) -> None:
    """Deletes payloads of deleted runs; not what another run names, what was put lately, or since a run began."""
    pruning = pruning_of(journal)
    own, shared, lately = [await journal.put_blob(text * 1000) for text in (b"own", b"shared", b"lately")]
    await name(journal, "gone", own)
    await name(journal, "gone", shared, 1, ended=True)
    await name(journal, "kept", shared, ended=True)
    await Author("newest").append(journal, {"status": "suspended"}, kind="run.suspended")
    newest = Author("suspended")
    await newest.append(journal)
    await newest.append(journal, {"status": "suspended"}, kind="run.suspended")
    await journal.append("newest", 1, 1, [Record("newest", 1, "run.ended", "", {"status": "failed"}, 1, ts=9000.0)])
    await journal.append("kept", 2, 2, [])
    assert await pruning.collect() == 0
    assert "gone" in await pruning.prune(101.5, limit=1)
    assert await pruning.collect() == 0
    await journal.get_blob(own)
    at_work = Author("at-work", started_at=100.0)
    await at_work.append(journal)
    assert await pruning.collect(grace_s=-1.0) == 0
    await journal.get_blob(own)
    await at_work.append(journal, {"status": "completed"}, kind="run.ended")
    assert await pruning.collect(grace_s=-1.0) == 2
    assert await journal.get_blob(shared) == b"shared" * 1000
    for ref in (own, lately):
        with pytest.raises(CorruptRecord):
            await journal.get_blob(ref)
    assert await journal.put_blob(b"own" * 1000) == own
    assert await journal.get_blob(own) == b"own" * 1000
