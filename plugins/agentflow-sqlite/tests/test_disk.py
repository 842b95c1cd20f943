"""A disk that is full or broken: nothing half-written, nothing acknowledged lost, and writing goes on afterwards."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from agentflow_kernel.errors import StorageUnavailable, Unsupported
from agentflow_sqlite._store import Store
from agentflow_sqlite.journal import SqliteJournal
from agentflow_sqlite.memory import SqliteMemory

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.anyio


@contextlib.contextmanager
def no_file_grows_beyond(size_bytes: int) -> Iterator[None]:
    """Let the system refuse every write beyond this place of a file, as a full disk does."""
    resource = pytest.importorskip("resource", reason="this system has no limit for the size of files")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def log_size(path: str) -> int:
    """How far the write-ahead log has grown, in bytes."""
    return Path(path + "-wal").stat().st_size


async def test_a_write_that_the_system_refuses_is_not_kept(path: str, author) -> None:
    """The batch fails whole, all that was acknowledged is there, and the same batch goes through later."""
    journal = SqliteJournal(path)
    run = author("r")
    await journal.append("r", 0, 1, run.write(count=20))
    batch = run.write("step.completed", "x" * 2_000, count=30)
    with no_file_grows_beyond(log_size(path) + 8_192):
        for _ in range(2):
            with pytest.raises(StorageUnavailable, match=r"store\.db.*SQLITE_(IOERR|FULL)"):
                await journal.append("r", 20, 1, batch)
            assert len(await journal.read("r")) == 20
    await journal.append("r", 20, 1, batch)
    assert len(await journal.read("r")) == 50
    await journal.aclose()


async def test_a_full_disk_fails_the_whole_group_and_loses_nothing(path: str, gate, author) -> None:
    """Each of the appends that share a transaction is told, and none of them is there."""
    journal = SqliteJournal(path)
    await journal.append("before", 0, 1, author("before").write())
    failed: list[str] = []

    async def step(run_id: str) -> None:
        try:
            await journal.append(run_id, 0, 1, author(run_id).write("run.started", {"name": "x" * 3_000}))
        except StorageUnavailable as error:
            failed.append(str(error))

    async with anyio.create_task_group() as group:
        await gate.hold(journal, group)
        for number in range(20):
            group.start_soon(step, f"r{number}")
        await gate.until_waiting(20)
        with no_file_grows_beyond(log_size(path) + 8_192):
            gate.opened.set()
            while len(failed) < 20:
                await anyio.lowlevel.checkpoint()
    assert [info.run_id for info in await journal.runs()] == ["before"]
    await step("r0")
    assert len(await journal.runs()) == 2
    await journal.aclose()


async def test_a_store_that_may_not_grow_says_that_the_disk_is_full(path: str, author) -> None:
    """SQLite's own word for a full disk leads to the same error, and to advice."""
    journal = SqliteJournal(path)
    run = author("r")
    await journal.append("r", 0, 1, run.write())

    def limit(connection: sqlite3.Connection, pages: int = 0) -> None:
        (used,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages or used}")

    await journal._database.write(limit)
    batch = run.write("step.completed", "x" * 9_000, count=3)
    with pytest.raises(StorageUnavailable, match=r"disk is full.*SQLITE_FULL") as refused:
        await journal.append("r", 1, 1, batch)
    assert refused.value.executed == "no"
    assert len(await journal.read("r")) == 1
    await journal._database.write(lambda connection: limit(connection, 1_000_000))
    await journal.append("r", 1, 1, batch)
    await journal.aclose()


async def test_memory_on_a_full_disk_keeps_the_old_entry(path: str, clock) -> None:
    """What cannot be written leaves what was there."""
    memory = SqliteMemory(path, clock=clock)
    await memory.put("n", "k", "old")
    with no_file_grows_beyond(log_size(path) + 4_096):
        with pytest.raises(StorageUnavailable):
            await memory.put("n", "k", "x" * 50_000, write_key="w")
        assert (await memory.get("n", "k")).value == "old"
    assert (await memory.put("n", "k", "new", write_key="w")).value == "old"
    await memory.aclose()


class Broken:
    """A connection whose next commits fail as on a broken disk."""

    failures = 0
    opened = 0

    def __init__(self, connection: sqlite3.Connection, log: list[str]) -> None:
        self._connection = connection
        self._log = log

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, statement: str, *arguments: Any) -> Any:
        self._log.append(statement)
        if statement == "COMMIT" and Broken.failures:
            Broken.failures -= 1
            self._connection.execute("ROLLBACK")
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
            error.sqlite_errorname = "SQLITE_IOERR_FSYNC"
            raise error
        return self._connection.execute(statement, *arguments)

    def close(self) -> None:
        self._log.append("close")
        self._connection.close()


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Everything that is said to the writing connections, in order."""
    log: list[str] = []
    real = Store.open_writer

    def open_writer(self: Store) -> Any:
        log.append("open")
        return Broken(real(self), log)

    monkeypatch.setattr(Store, "open_writer", open_writer)
    monkeypatch.setattr(Broken, "failures", 0)
    return log


async def test_a_commit_that_fails_is_never_tried_again_on_the_same_connection(path: str, disk, author) -> None:
    """It is closed; the next write opens the file anew and looks first whether all is there."""
    journal = SqliteJournal(path)
    run = author("r")
    await journal.append("r", 0, 1, run.write(count=3))
    Broken.failures = 1
    batch = run.write()
    with pytest.raises(StorageUnavailable, match="SQLITE_IOERR_FSYNC") as refused:
        await journal.append("r", 3, 1, batch)
    assert refused.value.executed == "maybe"
    assert disk[-1] == "close"
    del disk[:]
    await journal.append("r", 3, 1, batch)
    assert disk[:2] == ["open", "PRAGMA quick_check(1)"]
    assert [record.seq for record in await journal.read("r")] == [0, 1, 2, 3]
    del disk[:]
    await journal.append("r", 4, 1, run.write())
    assert "open" not in disk
    await journal.aclose()


async def test_a_store_that_lost_records_in_a_fault_takes_no_more(path: str, disk, author) -> None:
    """When the file that is opened again lacks acknowledged records, every append is refused and says so."""
    journal = SqliteJournal(path)
    run = author("r")
    await journal.append("r", 0, 1, run.write(count=3))
    Broken.failures = 1
    batch = run.write()
    with pytest.raises(StorageUnavailable):
        await journal.append("r", 3, 1, batch)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM log WHERE seq = 2")
        connection.commit()
    for _ in range(2):
        with pytest.raises(StorageUnavailable, match="1 records that were acknowledged are missing"):
            await journal.append("r", 3, 1, batch)
    await journal.aclose()


async def test_what_failed_is_not_counted_as_acknowledged(path: str, disk, author) -> None:
    """A failed append is not looked for after the next fault, whatever was written in between."""
    journal = SqliteJournal(path)
    run = author("r")
    await journal.append("r", 0, 1, run.write(count=3))
    batch = run.write()
    for call in (lambda: journal.append("r", 3, 1, batch), lambda: journal.put_blob(b"second")):
        Broken.failures = 1
        with pytest.raises(StorageUnavailable):
            await call()
        await journal.put_blob(b"first")
    await journal.append("r", 3, 1, batch)
    await journal.aclose()


async def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path, author) -> None:
    """A file stands where the folder should be."""
    (tmp_path / "file").touch()
    for place in ("file/store.db", "file/deep/store.db"):
        journal = SqliteJournal(str(tmp_path / place))
        with pytest.raises(StorageUnavailable, match=r"store\.db") as refused:
            await journal.append("r", 0, 1, author("r").write())
        assert refused.value.executed == "no"
        await journal.aclose()


async def test_a_place_without_shared_memory_is_refused(path: str, author, monkeypatch) -> None:
    """Where SQLite cannot switch to a write-ahead log, as on a network share, the error says so."""
    monkeypatch.setattr(Store, "_connect", lambda *_, **__: sqlite3.connect(":memory:", isolation_level=None))
    journal = SqliteJournal(path)
    with pytest.raises(Unsupported, match="local disk"):
        await anyio.to_thread.run_sync(journal.append_inline, "r", 0, 1, author("r").write())
    await journal.aclose()


async def test_a_file_that_cannot_be_looked_at_is_no_empty_store(tmp_path: Path) -> None:
    """Only a file that is not there holds nothing; any other trouble is told to the reader too."""
    for place in ("x" * 5_000, "."):
        journal = SqliteJournal(str(tmp_path / place))
        with pytest.raises(StorageUnavailable, match="not available"):
            await journal.runs()
        await journal.aclose()


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of 1 MiB."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("only root can mount a tmpfs")
    with tempfile.TemporaryDirectory() as folder:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=False)
        if mounted.returncode:
            pytest.skip("this container may not mount a tmpfs")
        yield Path(folder)
        subprocess.run(["umount", folder], check=True)


async def test_a_real_full_disk_heals_when_there_is_space_again(small_disk: Path, author) -> None:
    """Appends fail when it is full, all acknowledged records stay readable, and it heals by itself."""
    ballast = small_disk / "ballast"
    await anyio.Path(ballast).write_bytes(bytes(300_000))
    journal = SqliteJournal(str(small_disk / "store.db"))
    run = author("r")
    acknowledged = 0
    failed: StorageUnavailable | None = None
    while failed is None and acknowledged < 10_000:
        batch = run.write("step.completed", "x" * 3_000, count=3)
        try:
            await journal.append("r", batch[0].seq, 1, batch)
        except StorageUnavailable as error:
            failed = error
        else:
            acknowledged += len(batch)
    assert failed is not None
    assert acknowledged > 0
    assert len(await journal.read("r")) == acknowledged
    await anyio.Path(ballast).unlink()
    await journal.append("r", batch[0].seq, 1, batch)
    assert len(await journal.read("r")) == acknowledged + 3
    await journal.aclose()
