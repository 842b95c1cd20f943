"""Damage is found, told with its place, and touches no run but its own."""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
from hashlib import sha256
from pathlib import Path

import pytest

from agentflow_kernel.contracts.journal import Record, encode_record
from agentflow_kernel.errors import (
    AgentFlowError,
    CorruptRecord,
    NewerSchema,
    ProtocolViolation,
    StorageUnavailable,
    UsageError,
)
from agentflow_sqlite._database import Database
from agentflow_sqlite._log import JOURNAL
from agentflow_sqlite._schema import Schema
from agentflow_sqlite._store import Store
from agentflow_sqlite._transactions import Mirror
from agentflow_sqlite.journal import SqliteJournal
from agentflow_sqlite.memory import SqliteMemory

SAMPLES = int(os.environ.get("AGENTFLOW_FLIPS", "150"))
SEED = int(os.environ.get("AGENTFLOW_SEED", "11"))
pytestmark = pytest.mark.anyio


def change(path: str, statement: str, *arguments: object) -> None:
    """Change the file behind the back of the store; `@b` stands for "of run b"."""
    statement = statement.replace("@b", "run = (SELECT id FROM runs WHERE run_id = 'b')")
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute(statement, arguments).rowcount > 0
        connection.commit()


@pytest.fixture
async def filled(anyio_backend: str, path: str, author) -> str:
    """A closed journal with the runs a, b and c, ten records each, appended in turn."""
    journal = SqliteJournal(path)
    runs = [author(run_id) for run_id in "abc"]
    for seq in range(10):
        for run in runs:
            await journal.append(run.run_id, seq, 1, run.write())
    await journal.aclose()
    return path


async def read(path: str, run_id: str, from_seq: int = 0) -> list[Record]:
    journal = SqliteJournal(path)
    try:
        return list(await journal.read(run_id, from_seq))
    finally:
        await journal.aclose()


LINE = "SELECT data FROM log JOIN runs ON runs.id = log.run WHERE run_id = 'b' AND seq = 4"
SET_LINE = "UPDATE log SET data = ? WHERE seq = 4 AND @b"


async def test_every_flipped_bit_of_a_record_is_found(filled: str) -> None:
    """Of each record, each single bit: the run is refused with the place, the others are whole."""
    with contextlib.closing(sqlite3.connect(filled)) as connection:
        (line,) = connection.execute(LINE).fetchone()
    bits = random.Random(7).sample(range(len(line) * 8), 40)
    for bit in [0, len(line) * 8 - 1, *bits]:
        damaged = bytearray(line)
        damaged[bit // 8] ^= 1 << bit % 8
        change(filled, SET_LINE, bytes(damaged))
        with pytest.raises(CorruptRecord) as found:
            await read(filled, "b")
        assert (found.value.run_id, found.value.seq) == ("b", 4)
        assert len(await read(filled, "a")) == len(await read(filled, "c")) == 10


@pytest.mark.parametrize("length", [0, 5, 9, -1])
async def test_a_torn_record_is_found(filled: str, length: int) -> None:
    """A record of which only the beginning was written."""
    change(filled, "UPDATE log SET data = substr(data, 1, ?) WHERE seq = 4 AND @b", length if length >= 0 else 60)
    with pytest.raises(CorruptRecord, match="record 4: the check sum"):
        await read(filled, "b")


async def test_a_record_of_another_place_is_found(filled: str) -> None:
    """A sound record that stands where it does not belong."""
    change(filled, "UPDATE log SET data = (SELECT data FROM log WHERE seq = 5 AND @b) WHERE seq = 4 AND @b")
    with pytest.raises(CorruptRecord, match="record 4: it holds record 5 of run b"):
        await read(filled, "b")
    change(filled, "UPDATE log SET data = (SELECT data FROM log WHERE seq = 4 AND NOT @b) WHERE seq = 4 AND @b")
    with pytest.raises(CorruptRecord, match="record 4: it holds record 4 of run a"):
        await read(filled, "b")


async def test_a_gap_is_found(filled: str) -> None:
    """A missing record is told by its number, whether it is asked for or stands just before what is."""
    change(filled, "DELETE FROM log WHERE seq = 4 AND @b")
    for from_seq in (0, 4, 5):
        with pytest.raises(CorruptRecord, match="record 4: it is missing"):
            await read(filled, "b", from_seq)
    assert len(await read(filled, "b", 6)) == 4


async def test_a_missing_end_is_found(filled: str) -> None:
    """When the store was closed in order, the last records of a run cannot go unnoticed."""
    change(filled, "DELETE FROM log WHERE seq >= 8 AND @b")
    for from_seq in (0, 8):
        with pytest.raises(CorruptRecord, match="record 8: it is missing"):
            await read(filled, "b", from_seq)


async def test_a_broken_chain_is_found(filled: str) -> None:
    """A record that was replaced by another sound one does not carry the hash of the one before it."""
    other = Record("b", 4, "step.completed", "step/4", "forged", 1, ts=104.0)
    change(filled, SET_LINE, encode_record(other))
    with pytest.raises(CorruptRecord, match="record 5: it does not follow"):
        await read(filled, "b")
    with pytest.raises(CorruptRecord, match="record 5"):
        await read(filled, "b", 5)


async def test_a_damaged_run_is_listed_as_quarantined_and_takes_no_append(filled: str, author) -> None:
    """Lists show it beside the others; its head is refused, and nothing is appended to it."""
    change(filled, "UPDATE log SET data = x'00' WHERE seq = 9 AND @b")
    journal = SqliteJournal(filled)

    async def listed(status: str | None = None) -> dict[str, str]:
        return {info.run_id: info.status for info in await journal.runs(status=status)}

    assert await listed() == {"a": "running", "b": "quarantined", "c": "running"}
    assert await listed("running") == {"a": "running", "c": "running"}
    assert await listed("quarantined") == {"b": "quarantined"}
    (info,) = [info for info in await journal.runs() if info.run_id == "b"]
    assert info.code == CorruptRecord.code
    with pytest.raises(CorruptRecord):
        await journal.head("b")
    with pytest.raises(CorruptRecord):
        await journal.append("b", 10, 1, [Record("b", 10, "decision", "", None, 1)])
    await journal.append("a", 10, 1, [Record("a", 10, "decision", "", None, 1)])
    await journal.aclose()


@pytest.mark.parametrize(
    "statement", ["UPDATE runs SET owner = 'x'", "UPDATE runs SET next_seq = 2", "UPDATE runs SET name = x'ff'"]
)
async def test_a_damaged_head_is_found(filled: str, statement: str) -> None:
    """What a list shows of a run is covered by a check sum too."""
    change(filled, f"{statement} WHERE run_id = 'b'")
    with pytest.raises(CorruptRecord, match="head"):
        await read(filled, "b")
    assert len(await read(filled, "a")) == 10


async def test_a_damaged_blob_is_found_and_put_right(path: str) -> None:
    """Bytes that are not those of their hash are refused; storing the right ones again heals them."""
    journal = SqliteJournal(path)
    ref = await journal.put_blob(b"hello" * 100)
    change(path, "UPDATE blobs SET data = x'00'")
    with pytest.raises(CorruptRecord, match=ref):
        await journal.get_blob(ref)
    assert await journal.put_blob(b"hello" * 100) == ref
    assert sha256(await journal.get_blob(ref)).hexdigest() == ref
    await journal.aclose()


async def test_a_damaged_memory_entry_is_told(path: str, clock) -> None:
    """The entry is refused by name, the others are there, and it may be deleted."""
    memory = SqliteMemory(path, clock=clock)
    for key in "ab":
        await memory.put("n", key, {"v": key})
    change(path, "UPDATE entries SET value = x'7b' WHERE key = 'a'")
    with pytest.raises(ProtocolViolation, match="'a' is damaged"):
        await memory.get("n", "a")
    assert (await memory.get("n", "b")).value == {"v": "b"}
    assert await memory.delete("n", "a")
    await memory.aclose()


def flip(path: str, copy: str, dice: random.Random) -> None:
    """A copy of a closed file with one bit flipped."""
    for suffix in ("-wal", "-shm"):
        Path(copy + suffix).unlink(missing_ok=True)
    content = bytearray(Path(path).read_bytes())
    content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
    Path(copy).write_bytes(content)


def content_of(path: str) -> bytes:
    return Path(path).read_bytes()


def fill(path: str, content: bytes) -> None:
    Path(path).parent.mkdir(parents=True)
    Path(path).write_bytes(content)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("left", ["closed", "open", "half"])
async def test_no_flipped_bit_of_the_file_changes_what_is_read(filled: str, tmp_path: Path, left: str) -> None:
    """At any place of the file: a run is read as it was written, or it is refused; never changed, never shortened.

    Also of a file whose process did not close it, so that no place is noted, or not each.
    """
    whole = {run_id: await read(filled, run_id) for run_id in "abc"}
    if left != "closed":
        mark = 0 if left == "open" else 13
        change(filled, "DELETE FROM places WHERE run > 0 AND id > ?", mark)
        change(filled, "UPDATE places SET id = CASE seq WHEN 0 THEN ? ELSE ? END WHERE run = 0", mark, -1 - mark)
        assert {run_id: await read(filled, run_id) for run_id in "abc"} == whole
    copy = str(tmp_path / "copy.db")
    dice = random.Random(SEED)
    refused = 0
    for _ in range(SAMPLES // 2):
        flip(filled, copy, dice)
        for run_id, records in whole.items():
            try:
                assert await read(copy, run_id) == records
            except AgentFlowError:
                refused += 1
    assert refused


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_run_whose_name_is_damaged_is_not_taken_for_an_unknown_one(path: str, tmp_path: Path, author) -> None:
    """Wherever the name of a run stands in the file, in its row, its index or its records: the run is not lost."""
    name = "needle-in-a-haystack"
    journal = SqliteJournal(path)
    records = author(name).write(count=3)
    await journal.append(name, 0, 1, records)
    await journal.aclose()
    content, copy = content_of(path), str(tmp_path / "copy" / "store.db")
    places = [place for place in range(len(content)) if content.startswith(name.encode(), place)]
    problems = set()
    for number, place in enumerate(places):
        damaged = bytearray(content)
        damaged[place] ^= 1
        fill(f"{copy}-{number}/store.db", bytes(damaged))
        try:
            assert await read(f"{copy}-{number}/store.db", name) == records
        except CorruptRecord as error:
            problems.add(error.problem)
    assert len(places) > 4
    assert "the index of the runs has lost it" in problems


@pytest.mark.parametrize("use", ["read", "write"])
@pytest.mark.parametrize("content", [b"hello", b"hello world" * 1000, b"SQLite format 3\x00" + b"\xff" * 4080])
async def test_a_file_that_is_no_database_is_refused(path: str, use: str, content: bytes, author) -> None:
    """The error names the file and what to do, and the file is left as it was."""
    fill(path, content)
    journal = SqliteJournal(path)
    with pytest.raises(UsageError, match=r"store\.db.*'path'"):
        await (journal.read("r") if use == "read" else journal.append("r", 0, 1, author("r").write()))
    assert content_of(path) == content
    await journal.aclose()


@pytest.mark.parametrize("use", ["read", "write"])
async def test_a_database_of_something_else_is_refused(path: str, use: str, clock) -> None:
    """A foreign SQLite file is left alone, and so is a journal given to a memory."""
    journal = SqliteJournal(path)
    await journal.put_blob(b"x")
    await journal.aclose()
    foreign = path + "-foreign.db"
    with contextlib.closing(sqlite3.connect(foreign)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    for file in (path, foreign):
        before = content_of(file)
        memory = SqliteMemory(file, clock=clock)
        with pytest.raises(UsageError, match="something else"):
            await (memory.get("n", "k") if use == "read" else memory.put("n", "k", 1))
        await memory.aclose()
        assert content_of(file) == before


async def test_a_newer_schema_is_refused_by_name(filled: str, author) -> None:
    """A file of a newer version is neither read nor written, and the error names it."""
    with contextlib.closing(sqlite3.connect(filled)) as connection:
        connection.execute("PRAGMA user_version = 99")
    journal = SqliteJournal(filled)
    for call in (journal.read("a"), journal.append("z", 0, 1, author("z").write()), journal.runs()):
        with pytest.raises(NewerSchema, match=r"journal file .*store\.db.* has schema version 99") as refused:
            await call
        assert (refused.value.found, refused.value.supported) == (99, JOURNAL.version)
    await journal.aclose()


FIRST = ("CREATE TABLE t (x)",)
SECOND = ("ALTER TABLE t ADD COLUMN y DEFAULT 7", "CREATE INDEX t_y ON t (y)")


def database(path: str, *steps: tuple[str, ...]) -> Database:
    return Database(Store(path, Schema("trial", 77, steps), 1.0), Mirror())


def rows(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
    return connection.execute("SELECT * FROM t").fetchall()


@pytest.mark.parametrize("use", ["read", "write"])
async def test_an_older_schema_is_migrated_at_first_use(path: str, use: str) -> None:
    """Whoever comes first, a reader or a writer, brings the file up to date; what was in it stays."""
    old = database(path, FIRST)
    await old.write(lambda connection: connection.execute("INSERT INTO t VALUES (1)"))
    await old.aclose()
    new = database(path, FIRST, SECOND)
    assert await (new.read(rows, []) if use == "read" else new.write(rows)) == [(1, 7)]
    await new.aclose()
    late = database(path, FIRST)
    with pytest.raises(NewerSchema, match="trial"):
        await late.read(rows, [])
    await late.aclose()


async def test_a_migration_that_fails_leaves_the_old_file(path: str) -> None:
    """All steps are one transaction: the older version goes on as before."""
    old = database(path, FIRST)
    await old.write(lambda connection: connection.execute("INSERT INTO t VALUES (1)"))
    await old.aclose()
    broken = database(path, FIRST, SECOND, ("CREATE TABLE t (x)",))
    with pytest.raises(StorageUnavailable, match="already exists"):
        await broken.write(rows)
    await broken.aclose()
    again = database(path, FIRST)
    assert await again.read(rows, []) == [(1,)]
    await again.aclose()


async def test_an_empty_file_is_a_new_store(path: str, author) -> None:
    """A file that was touched, or is being created by another process, holds nothing yet."""
    fill(path, b"")
    journal = SqliteJournal(path)
    assert await journal.runs() == []
    await journal.append("r", 0, 1, author("r").write())
    assert len(await journal.read("r")) == 1
    await journal.aclose()


async def test_a_run_that_an_index_has_lost_is_listed_all_the_same(filled: str) -> None:
    """The index by time lacks its entries, as after damage of its page: a list looks at every row then."""
    with contextlib.closing(sqlite3.connect(filled)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'runs_started'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(content_of(filled))
    start = (page - 1) * size
    assert content[start] == 10, "a leaf of an index"
    content[start + 3 : start + 5] = (1).to_bytes(2, "big")  # how many entries it has
    fill(filled + "-copy/store.db", bytes(content))
    journal = SqliteJournal(filled + "-copy/store.db")
    assert {info.run_id for info in await journal.runs()} == set("abc")
    await journal.aclose()
