"""Several processes share one file: writers, readers beside them, and writers that are killed."""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest

from agentflow_kernel.errors import StorageUnavailable
from agentflow_sqlite.journal import SqliteJournal

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from agentflow_sqlite.memory import SqliteMemory

pytestmark = pytest.mark.anyio
NOBODY = 65_534


@pytest.fixture
def public_path() -> Iterator[str]:
    """A file in a folder that every user may enter, which the folders of the tests are not."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield str(Path(folder, "journal.db"))


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_two_processes_append_to_their_own_runs(path: str, journal: SqliteJournal, child) -> None:
    """Both write as fast as they can, and everything either has acknowledged is there."""
    children = [child("append.py", path, 5, 60), child("append.py", path + "-other", 1, 1)]
    children.append(child("contend.py", path, "shared", 40, "c"))
    children[-1].line()
    children[-1].tell("go")
    for process in children:
        process.rest()
        assert process.process.returncode == 0
    assert sorted(info.run_id for info in await journal.runs()) == [
        "run-0",
        "run-1",
        "run-2",
        "run-3",
        "run-4",
        "shared",
    ]
    for number in range(5):
        assert len(await journal.read(f"run-{number}")) >= 60
    assert len(await journal.read("shared")) == 40


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_two_processes_race_for_one_run(path: str, journal: SqliteJournal, child) -> None:
    """Compare-and-set holds between processes: each record is appended once, in the order of each writer."""
    children = [child("contend.py", path, "r", 60, name) for name in ("a", "b")]
    for process in children:
        assert process.line() == "ready"
    for process in children:
        process.tell("go")
    for process in children:
        assert process.line().startswith("conflicts")
        process.rest()
    payloads = [record.payload for record in await journal.read("r")]
    assert len(payloads) == 120
    for name in ("a", "b"):
        assert [count for who, count in payloads if who == name] == list(range(60))


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_two_processes_share_a_counter(path: str, memory: SqliteMemory, child) -> None:
    """Compare-and-set of the memory loses no write between processes."""
    children = [child("count.py", path, 50) for _ in range(2)]
    for process in children:
        assert process.line() == "ready"
    for process in children:
        process.tell("go")
    for process in children:
        assert process.rest() == ["done"]
    entry = await memory.get("n", "count")
    assert (entry.value, entry.version) == (100, 100)


async def test_another_process_reads_while_one_writes(path: str, journal: SqliteJournal, author, child) -> None:
    """A reader sees each record once it is durable, without holding up the writer or being held up."""
    run = author("r")
    await journal.append("r", 0, 1, run.write())
    reader = child("list.py", path)
    assert reader.line() == "ready"
    for turn in range(1, 6):
        reader.tell("")
        assert json.loads(reader.line()) == {"r": [turn, turn]}
        await journal.append("r", turn, 1, run.write())


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become another user")
async def test_a_process_that_may_only_read_can_read(public_path: str, author, child) -> None:
    """Another user, without the right to write, lists the runs while their owner goes on."""
    journal = SqliteJournal(public_path)
    run = author("r")
    await journal.append("r", 0, 1, run.write(count=3))
    reader = child("list.py", public_path, NOBODY)
    assert reader.line() == "ready"
    for turn in range(3, 6):
        reader.tell("")
        assert json.loads(reader.line()) == {"r": [turn, turn]}
        await journal.append("r", turn, 1, run.write())
    await journal.aclose()


async def test_a_locked_file_is_waited_for_and_then_refused(path: str, author, child) -> None:
    """A process that keeps the lock too long makes the store unavailable, not broken; nothing is written."""
    journal = SqliteJournal(path, busy_timeout_s=0.05)
    run = author("r")
    await journal.append("r", 0, 1, run.write())
    holder = child("hold.py", path)
    assert holder.line() == "held"
    records = run.write()
    with pytest.raises(StorageUnavailable, match="busy_timeout_s") as refused:
        await journal.append("r", 1, 1, records)
    assert refused.value.executed == "no"
    assert len(await journal.read("r")) == 1
    holder.tell("")
    assert holder.line() == "released"
    await journal.append("r", 1, 1, records)
    await journal.aclose()


async def test_a_short_lock_is_only_waited_for(path: str, journal: SqliteJournal, gate, author, child) -> None:
    """An append goes through once the other process has finished."""
    await journal.append("r", 0, 1, author("r").write())
    holder = child("hold.py", path)
    assert holder.line() == "held"
    async with anyio.create_task_group() as group:
        group.start_soon(journal.append, "s", 0, 1, author("s").write())
        holder.tell("")
    assert len(await journal.read("s")) == 1


async def test_every_commit_waits_for_the_disk(journal: SqliteJournal, author) -> None:
    """What the tests cannot see without a power cut: the log is synced with each transaction, also on a Mac."""
    await journal.append("r", 0, 1, author("r").write())
    wanted = {"journal_mode": "wal", "synchronous": 2, "fullfsync": 1, "checkpoint_fullfsync": 1}

    def pragmas(connection: sqlite3.Connection) -> dict[str, object]:
        return {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in wanted}

    assert await journal._database.write(pragmas) == wanted


@pytest.mark.chaos
@pytest.mark.timeout(300)
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_no_acknowledged_record_is_lost_when_writers_are_killed(path: str, child) -> None:
    """Whenever a writer is killed, every record it had acknowledged is there, and each run is without a gap."""
    moments = random.Random(20_261_101)
    acknowledged: dict[str, int] = {}
    for _ in range(10):
        writer = child("append.py", path, 4, 0)
        lines = [writer.line() for _ in range(moments.randrange(1, 120))]
        lines += writer.kill()
        for run_id, seq in (line.split() for line in lines):
            assert int(seq) > acknowledged.get(run_id, -1)
            acknowledged[run_id] = int(seq)
        journal = SqliteJournal(path)
        for run_id, last in acknowledged.items():
            records = await journal.read(run_id)
            assert len(records) > last
            assert [record.payload["seq"] for record in records] == list(range(len(records)))
        await journal.aclose()
    assert len(acknowledged) == 4
