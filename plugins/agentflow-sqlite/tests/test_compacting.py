"""Compacting of a run: a kill in the middle, a very long run, files of before, damage."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import partial

import pytest

from agentflow_kernel.errors import CorruptRecord
from agentflow_sqlite import _compacting
from agentflow_sqlite import journal as journal_module
from agentflow_sqlite._log import BASE_STEP, FIRST_STEP, JOURNAL, PARENT_STEP, PUTS_STEP
from agentflow_sqlite.journal import SqliteJournal

pytestmark = pytest.mark.anyio


async def fold(journal: SqliteJournal, run, before: int, after: int = 3):
    """Append so many records with a snapshot among them; what stays of them."""
    records = [*run.write(count=before), *run.write("snapshot", {"v": 1}), *run.write(count=after)]
    await journal.append(run.run_id, 0, 1, records)
    return [records[0], *records[before:]]


def rows(path: str, run_id: str) -> list[int]:
    """The numbers of the records that are in the file."""
    query = "SELECT seq FROM log WHERE run = (SELECT id FROM runs WHERE run_id = ?) ORDER BY seq"
    with closing(sqlite3.connect(path)) as connection:
        return [seq for (seq,) in connection.execute(query, (run_id,))]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_kill_in_the_middle_leaves_whole_histories(path: str, journal: SqliteJournal, author, child) -> None:
    """Each run reads as it was or short, never in between; the next compaction takes what was left."""
    runs = {f"run-{number}": author(f"run-{number}") for number in range(60)}
    short = {run_id: await fold(journal, run, 50) for run_id, run in runs.items()}
    process = child("compact.py", path, 60)
    for _ in range(5):
        assert process.line()
    process.kill()
    lengths = set()
    for run_id, expected in short.items():
        found = list(await journal.read(run_id))
        assert found == expected or [record.seq for record in found] == list(range(54))
        lengths.add(len(found))
    assert lengths == {5, 54}
    for run_id, expected in short.items():
        await journal.compact(run_id, 50, 1)
        assert list(await journal.read(run_id)) == expected
        assert rows(path, run_id) == [0, *range(50, 54)]


async def test_a_very_long_run_goes_in_parts_that_nobody_sees(
    path: str, journal: SqliteJournal, author, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the first transaction the history is short, and goes on; later ones delete the rest."""
    monkeypatch.setattr(_compacting, "MOST_RECORDS", 10)
    monkeypatch.setattr(journal_module, "MOST_RECORDS", 10)
    run = author("r")
    expected = await fold(journal, run, 35)
    part = partial(_compacting.compact_run, heads=journal._heads, run_id="r", seq=35, epoch=1)
    assert await journal._database.write(part) == 10
    assert list(await journal.read("r")) == expected
    assert rows(path, "r") == [0, *range(11, 39)]
    for start in (1, 12, 35):
        assert list(await journal.read("r", start)) == expected[1:]
    later = run.write(count=2)
    await journal.append("r", 39, 1, later)
    assert await journal.compact("r", 35, 1) == 24
    assert rows(path, "r") == [0, *range(35, 41)]
    assert list(await journal.read("r")) == expected + later


@pytest.mark.parametrize(
    "steps", [(FIRST_STEP, PARENT_STEP, PUTS_STEP), (FIRST_STEP, PARENT_STEP, PUTS_STEP, BASE_STEP)]
)
async def test_a_file_of_before_is_compacted(path: str, author, steps: tuple[object, ...]) -> None:
    """Before there was a base, and before there were places, when an index found the records."""
    old = SqliteJournal(path)
    run = author("r")
    expected = await fold(old, run, 6)
    await old.aclose()
    with closing(sqlite3.connect(path)) as connection, connection:
        if BASE_STEP not in steps:
            connection.execute("ALTER TABLE runs DROP COLUMN base")
        for statement in ("DROP TABLE places", FIRST_STEP[1], PARENT_STEP[-1]):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(steps)}")
    journal = SqliteJournal(path)
    assert len(await journal.read("r")) == 10
    assert await journal.compact("r", 6, 1) == 5
    assert list(await journal.read("r")) == expected
    await journal.aclose()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (JOURNAL.version,)


@pytest.mark.parametrize("base", [0, 3, 5, 7, 99, "x", -4, 1 << 60])
async def test_a_damaged_place_is_found(path: str, author, base: object) -> None:
    """What is not where the run says that it goes on is missing."""
    journal = SqliteJournal(path)
    await fold(journal, author("r"), 6)
    await journal.compact("r", 6, 1)
    await journal.aclose()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE runs SET base = ?", (base,))
    journal = SqliteJournal(path)
    with pytest.raises(CorruptRecord):
        await journal.read("r")
    await journal.aclose()
