"""Compacting of a run: in parts, beside other work, and what a store that is counted anew makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentflow_kernel.errors import CorruptRecord
from agentflow_kernel.group_commit.ticket import Job
from agentflow_leveldb import _compacting
from agentflow_leveldb import journal as journal_module
from agentflow_leveldb._driver import load_driver
from agentflow_leveldb._layout import BASES, LAST, encode_number, record_key
from agentflow_leveldb.journal import LevelJournal

pytestmark = pytest.mark.anyio


async def fold(journal: LevelJournal, run, before: int, after: int = 3):
    """Append so many records with a snapshot among them; what stays of them."""
    records = [*run.write(count=before), *run.write("snapshot", {"v": 1}), *run.write(count=after)]
    await journal.append(run.run_id, 0, 1, records)
    return [records[0], *records[before:]]


def count_anew(folder: str) -> None:
    """Spoil a number about the store, so that every record is read when it is opened."""
    db = load_driver().DB(str(Path(folder, "db")))
    db.put(LAST, b"spoiled", sync=True)
    db.close()


async def test_parts_are_seen_by_nobody(folder: str, author, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the first write the history is short, also for a store that is opened or counted again in between."""
    monkeypatch.setattr(_compacting, "MOST_RECORDS", 10)
    monkeypatch.setattr(journal_module, "MOST_RECORDS", 10)
    run, other = author("r"), author("other")
    journal = LevelJournal(folder)
    await other.append(journal, count=4)
    expected = await fold(journal, run, 35)
    writer = journal._start()
    assert await writer.write(Job(lambda transaction: _compacting.compact_run(transaction, "r", 35, 1)), None) == 10
    assert list(await journal.read("r")) == expected
    await journal.aclose()
    count_anew(folder)
    journal = LevelJournal(folder)
    assert list(await journal.read("r")) == expected
    for start in (1, 12, 35):
        assert list(await journal.read("r", start)) == expected[1:]
    head = await journal.head("r")
    assert (head.status, head.next_seq, head.name) == ("running", 39, "r")
    expected += await run.append(journal, count=2)
    assert await journal.compact("r", 35, 1) == 24
    assert list(await journal.read("r")) == expected
    assert len(await journal.read("other")) == 4
    await journal.aclose()
    db = load_driver().DB(str(Path(folder, "db")))
    assert [db.get(record_key("r", seq)) is None for seq in range(41)] == [False] + [True] * 34 + [False] * 6
    db.close()


async def test_a_store_that_is_counted_anew_has_lost_nothing(folder: str, author) -> None:
    """What was deleted counts as accounted for; what is missing beyond it quarantines its run."""
    runs = [author(f"r{number}") for number in range(4)]
    journal = LevelJournal(folder)
    expected = {run.run_id: await fold(journal, run, 10 + run_number) for run_number, run in enumerate(runs)}
    for number, run_id in enumerate(expected):
        await journal.compact(run_id, 10 + number, 1)
    await journal.aclose()
    db = load_driver().DB(str(Path(folder, "db")))
    db.delete(record_key("r0", 10), sync=True)  # the snapshot
    db.put(BASES + b"r1", b"spoiled", sync=True)
    db.put(BASES + b"r2", encode_number(11), sync=True)
    db.close()
    count_anew(folder)
    for _ in range(2):
        journal = LevelJournal(folder)
        for run_id in ("r0", "r1", "r2"):
            with pytest.raises(CorruptRecord):
                await journal.read(run_id)
        assert list(await journal.read("r3")) == expected["r3"]
        assert {info.run_id for info in await journal.runs(status="quarantined")} == {"r0", "r1", "r2"}
        await journal.aclose()


async def test_two_compactions_in_one_write_leave_the_later_one(folder: str, author) -> None:
    """A hand and the owner at the same moment: the earlier place never takes the later one back."""
    run = author("r")
    journal = LevelJournal(folder)
    await fold(journal, run, 5, 0)
    await journal.append("r", 6, 1, [*run.write(count=4), *run.write("snapshot", {"v": 1})])

    def both(transaction: object) -> tuple[int, int]:
        late = _compacting.compact_run(transaction, "r", 10, 1)  # type: ignore[arg-type]  # a transaction
        return late, _compacting.compact_run(transaction, "r", 5, 1)  # type: ignore[arg-type]  # a transaction

    await journal._start().write(Job(both), None)
    assert [record.seq for record in await journal.read("r")] == [0, 10]
    await journal.aclose()
