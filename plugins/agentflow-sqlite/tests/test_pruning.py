"""Pruning of a file: a kill in the middle, other processes at work, its size, and files of before."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing

import pytest

from agentflow_kernel.contracts.journal import Record
from agentflow_sqlite._log import FIRST_STEP, JOURNAL, PARENT_STEP
from agentflow_sqlite.journal import SqliteJournal

pytestmark = pytest.mark.anyio


async def fill(journal: SqliteJournal, author, numbers: range, *, open_: range = range(0)) -> None:
    """Ended runs, each with a payload of its own that is stored apart; then open ones."""
    for number in numbers:
        ref = await journal.put_blob(b"%06d" % number * 1000)
        run = author(f"run-{number}")
        records = [*run.write(count=20), *run.write("run.ended", {"status": "completed"})]
        records[-1] = Record(run.run_id, 20, "run.ended", "", {"status": "completed"}, 1, ts=120.0, ref=ref)
        await journal.append(run.run_id, 0, 1, records)
    for number in open_:
        run = author(f"open-{number}")
        await journal.append(run.run_id, 0, 1, run.write(count=20))


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_kill_in_the_middle_leaves_whole_runs(path: str, journal: SqliteJournal, author, child) -> None:
    """Each run is there with all its records and its payload, or gone; the open ones are all there."""
    await fill(journal, author, range(200), open_=range(5))
    process = child("prune.py", path, 50)
    for _ in range(3):
        assert process.line()
    process.kill()
    infos = await journal.runs(limit=1000)
    ended = [info.run_id for info in infos if info.status == "completed"]
    assert 0 < len(ended) <= 194
    assert sum(info.run_id.startswith("open-") for info in infos) == 5
    for info in infos:
        records = await journal.read(info.run_id)
        assert len(records) == info.next_seq
        if records[-1].ref:
            await journal.get_blob(records[-1].ref)
    while await journal.prune(1000.0):
        pass
    assert {info.status for info in await journal.runs(limit=1000)} == {"running"}
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("SELECT count(*) FROM log").fetchone() == (100,)


async def test_the_file_does_not_grow_over_cycles(path: str, journal: SqliteJournal, author) -> None:
    """The room of what was deleted is used again."""
    sizes = []
    for cycle in range(10):
        await fill(journal, author, range(cycle * 30, cycle * 30 + 30))
        while await journal.prune(1000.0):
            pass
        await journal.collect(grace_s=-1.0)
        with closing(sqlite3.connect(path)) as connection:
            sizes.append(connection.execute("PRAGMA page_count").fetchone()[0])
        assert len(await journal.runs()) == 1, "the run with the newest record stays"
    assert max(sizes[2:]) <= sizes[1] * 1.1, sizes


async def test_a_writer_goes_on_while_another_process_prunes(path: str, journal: SqliteJournal, author) -> None:
    """What it remembers of the file is not fooled by runs that are gone."""
    other = SqliteJournal(path)
    await fill(journal, author, range(5))
    run = author("open")
    await journal.append("open", 0, 1, run.write(count=2))
    assert len(await other.prune(1000.0)) == 5
    await journal.append("open", 2, 1, run.write(count=2))
    assert len(await other.read("open")) == 4
    await other.aclose()


async def test_payloads_of_a_file_of_before_count_from_its_migration(path: str, author) -> None:
    """Nobody knows when they were put: so they stay for the grace."""
    os.makedirs(os.path.dirname(path))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in (*FIRST_STEP, *PARENT_STEP):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {JOURNAL.application_id}")
        connection.execute("PRAGMA user_version = 2")
        connection.execute("INSERT INTO blobs (sha256, data) VALUES (?, x'00')", ("a" * 64,))
    journal = SqliteJournal(path)
    assert await journal.collect() == 0
    assert await journal.collect(grace_s=-2.0) == 1
    await journal.aclose()


async def test_pruning_makes_no_file(path: str, journal: SqliteJournal) -> None:
    assert list(await journal.prune(1000.0)) == []
    assert await journal.collect() == 0
    assert not os.path.exists(os.path.dirname(path))  # noqa: ASYNC240 -- at once
