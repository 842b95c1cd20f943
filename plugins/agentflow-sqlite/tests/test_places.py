"""Places of records: noted in bulk, found whether they are noted or not, and not believed where they are damaged."""

from __future__ import annotations

import json
import shutil
import sqlite3
import zlib
from contextlib import closing
from typing import TYPE_CHECKING

import anyio
import pytest

from agentflow_kernel.errors import CorruptRecord, NewerSchema
from agentflow_sqlite import _log, _transactions
from agentflow_sqlite.journal import SqliteJournal

if TYPE_CHECKING:
    from agentflow_kernel.contracts.journal import Record

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]
MANY = 10
BEHIND = """
SELECT sum(length(data)) FROM log WHERE id > coalesce((SELECT id FROM places WHERE run = 0 AND seq = 0), 0)"""


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Places are noted more often."""
    monkeypatch.setattr(_log, "MANY", MANY)


@pytest.fixture
async def left(anyio_backend: str, path: str, author) -> list[Record]:
    """The records of run r, of which the last seven have no place: what a process has left that was killed."""
    journal = SqliteJournal(path)
    run = author("r")
    records = []
    await journal.append("other", 0, 1, author("other").write(count=2))
    for _ in range(15):
        records += run.write()
        await journal.append("r", run.next_seq - 1, 1, records[-1:])
    await journal.aclose()
    unnote(path)
    return records


def unnote(path: str) -> None:
    """Take back what closing a journal has noted last."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM places WHERE run > 0 AND id > ?", (MANY,))
        connection.execute("INSERT OR REPLACE INTO places VALUES (0, 0, ?), (0, 1, ?)", (MANY, -1 - MANY))


def change(path: str, statement: str, *arguments: object) -> None:
    """Change the file behind the back of the journal."""
    with closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute(statement, arguments).rowcount > 0


def noted(path: str) -> list[int]:
    """The ids of the records whose places are noted."""
    with closing(sqlite3.connect(path)) as connection:
        return [place for (place,) in connection.execute("SELECT id FROM places WHERE run > 0 ORDER BY id")]


async def read(path: str, run_id: str = "r", from_seq: int = 0) -> list[Record]:
    journal = SqliteJournal(path)
    try:
        return list(await journal.read(run_id, from_seq))
    finally:
        await journal.aclose()


async def test_places_are_noted_when_there_are_many(path: str, author) -> None:
    """Until then no transaction writes a page of them; the end of a journal notes the rest."""
    journal = SqliteJournal(path, commit_in_loop=False)
    run = author("r")
    counts = []
    for _ in range(25):
        await journal.append("r", run.next_seq, 1, run.write())
        counts.append(len(noted(path)))
    assert counts == [0] * 9 + [10] * 10 + [20] * 6
    await journal.aclose()
    assert noted(path) == list(range(1, 26))


@pytest.mark.parametrize("together", [1, 7])
async def test_what_is_copied_into_the_file_has_its_places(
    path: str, author, monkeypatch: pytest.MonkeyPatch, together: int
) -> None:
    """So that damage of the file cannot hide a record; the others are in SQLite's log, which has check sums."""
    monkeypatch.setattr(_log, "MANY", 1000)
    monkeypatch.setattr(_transactions, "CHECKPOINT_PAGES", 40)
    journal = SqliteJournal(path, commit_in_loop=False)
    authors = [author(f"run-{number}") for number in range(together)]
    lengths = set()
    for _ in range(50):
        async with anyio.create_task_group() as group:
            for run in authors:
                group.start_soon(journal.append, run.run_id, run.next_seq, 1, run.write())
        alone = path + "-alone.db"
        shutil.copy(path, alone)  # without the log
        with closing(sqlite3.connect(alone)) as connection:
            if connection.execute("PRAGMA user_version").fetchone() != (0,):
                (count,) = connection.execute("SELECT count(*) FROM log").fetchone()
                assert len(noted(alone)) == count
                lengths.add(count)
    assert len(lengths) > 1
    await journal.aclose()


@pytest.mark.parametrize("from_seq", [0, 5, 9, 14])
async def test_records_are_found_with_and_without_a_place(path: str, left: list[Record], from_seq: int) -> None:
    assert noted(path) == list(range(1, MANY + 1))
    assert await read(path, "r", from_seq) == left[from_seq:]
    assert len(await read(path, "other")) == 2


async def test_another_process_goes_on_and_notes_the_places(path: str, left: list[Record], author) -> None:
    """By what the records say of themselves; a run column that is damaged misleads nobody."""
    change(path, "UPDATE log SET run = 1 WHERE id = 12")
    journal = SqliteJournal(path)
    run = author("r")
    run.write(count=15)
    assert (await journal.head("r")).next_seq == 15
    await journal.append("r", 15, 1, run.write(count=5))
    assert noted(path) == list(range(1, 23))
    assert [record.seq for record in await journal.read("r")] == list(range(20))
    assert len(await journal.read("other")) == 2
    await journal.aclose()


@pytest.mark.parametrize("mark", [1 << 40, 11, 0, -5, "x"])
async def test_a_damaged_mark_costs_time_and_loses_nothing(path: str, left: list[Record], mark: object) -> None:
    """It does not fit its complement, so that all is looked through, and noted anew by the next writer."""
    change(path, "UPDATE places SET id = ? WHERE run = 0 AND seq = 0", mark)
    assert await read(path) == left
    journal = SqliteJournal(path)
    await journal.append("other", 2, 1, [])
    await journal.aclose()
    assert noted(path) == list(range(1, 18))
    assert await read(path) == left


@pytest.mark.parametrize("place", [(1, 14), (99, 14), (2, 3), (2, 99)])
async def test_the_last_record_is_found_where_its_columns_are_damaged(
    path: str, left: list[Record], place: tuple[int, int]
) -> None:
    """What it says of itself under its check sum counts."""
    change(path, "UPDATE log SET run = ?, seq = ? WHERE id = 17", *place)
    assert await read(path) == left
    journal = SqliteJournal(path)
    assert (await journal.head("r")).next_seq == 15
    assert {info.run_id: info.next_seq for info in await journal.runs()}["other"] == 2
    await journal.aclose()


async def test_a_last_record_that_does_not_name_its_run_is_missed(path: str, left: list[Record]) -> None:
    """Its column does: the run is refused, not shortened."""
    change(path, "UPDATE log SET data = CAST(replace(data, '[1,\"r\",', '[1,\"s\",') AS BLOB) WHERE id = 17")
    with pytest.raises(CorruptRecord, match="check sum"):
        await read(path)


@pytest.mark.parametrize(
    "statement",
    ["DELETE FROM log WHERE id = 14", "DELETE FROM log WHERE id = 11", "UPDATE log SET id = 5000 WHERE id = 17"],
)
async def test_a_record_that_is_missing_at_the_end_of_the_log_may_be_that_of_any_run(
    path: str, left: list[Record], statement: str
) -> None:
    """Those that have not ended are refused, not shortened."""
    change(path, statement)
    journal = SqliteJournal(path)
    for run_id in ("r", "other"):
        with pytest.raises(CorruptRecord, match="end of the log"):
            await journal.read(run_id)
        with pytest.raises(CorruptRecord, match="end of the log"):
            await journal.head(run_id)
    assert {info.status for info in await journal.runs()} == {"quarantined"}
    await journal.aclose()


async def test_a_run_that_has_ended_needs_nothing_of_the_end_of_the_log(path: str, author) -> None:
    journal = SqliteJournal(path)
    ended, run = author("ended"), author("r")
    records = [*ended.write(count=8), *ended.write("run.ended", {"status": "completed"})]
    await journal.append("ended", 0, 1, records)
    await journal.append("r", 0, 1, run.write(count=8))
    await journal.aclose()
    unnote(path)
    change(path, "DELETE FROM log WHERE id = 12")
    assert await read(path, "ended") == records


async def test_a_record_of_a_newer_version_holds_up_nobody_else(path: str, left: list[Record], author) -> None:
    """Its own run is told of the version; others go on, and the places are noted."""
    body = json.dumps([99, "r", 14]).encode()
    change(path, "UPDATE log SET data = ? WHERE id = 17", b"%08x " % zlib.crc32(body) + body)
    with pytest.raises(NewerSchema):
        await read(path)
    journal = SqliteJournal(path)
    run = author("new")
    for _ in range(12):
        await journal.append("new", run.next_seq, 1, run.write())
    assert len(noted(path)) >= 20
    await journal.aclose()


async def test_the_newest_record_stays_whatever_its_column_says(path: str, author) -> None:
    """A pruning believes no damaged column: after the newest record the next one is numbered."""
    journal = SqliteJournal(path)
    ended, run = author("ended"), author("keep")
    await journal.append("ended", 0, 1, [*ended.write(), *ended.write("run.ended", {"status": "completed"})])
    await journal.append("keep", 0, 1, run.write(count=2))
    await journal.aclose()
    change(path, "UPDATE places SET id = 4 WHERE run = 1 AND seq = 1")
    change(path, "UPDATE log SET run = 1 WHERE id = 4")
    journal = SqliteJournal(path)
    await journal.prune(1e9)
    await journal.append("keep", 2, 1, run.write(count=2))
    assert [record.seq for record in await journal.read("keep")] == [0, 1, 2, 3]
    await journal.aclose()


async def test_large_records_are_noted_sooner(path: str, author, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a reader looks through is bounded in bytes as well, whoever has written it."""
    monkeypatch.setattr(_log, "MANY", 1000)
    journals = [SqliteJournal(path), SqliteJournal(path)]
    run = author("r")
    for number in range(20):
        await journals[number % 2].append("r", run.next_seq, 1, run.write("step.completed", "x" * 10_000))
        with closing(sqlite3.connect(path)) as connection:
            (behind,) = connection.execute(BEHIND).fetchone()
        assert (behind or 0) < 64 * 1024
    assert len(await journals[0].read("r")) == 20
    for journal in journals:
        await journal.aclose()


async def test_a_place_that_leads_elsewhere_is_not_believed(path: str, left: list[Record]) -> None:
    change(path, "UPDATE places SET id = 3 WHERE run = 2 AND seq = 5")
    with pytest.raises(CorruptRecord, match="record 5: it holds record 0"):
        await read(path)
