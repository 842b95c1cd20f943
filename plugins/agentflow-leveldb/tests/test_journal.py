"""What the suite of journals does not ask for: one process, few writes, the mark, and nothing made by reading."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import anyio
import pytest
from anyio.to_thread import run_sync

from agentflow_kernel.errors import CorruptRecord, ProtocolViolation, StorageUnavailable
from agentflow_kernel.group_commit import pace
from agentflow_leveldb import _high_water
from agentflow_leveldb._high_water import read_mark
from agentflow_leveldb._opened import Transaction
from agentflow_leveldb.journal import LevelJournal

pytestmark = pytest.mark.anyio


async def test_a_second_journal_of_the_folder_is_refused(folder: str, journal: LevelJournal, author) -> None:
    """One journal works on a store; the other is told so, and works when the first has ended."""
    one = author("r")
    await one.append(journal)
    second = LevelJournal(folder)
    with pytest.raises(StorageUnavailable, match="one process works on a LevelDB store at a time") as refused:
        await second.read("r")
    assert refused.value.executed == "no"
    await one.append(journal)
    await journal.aclose()
    assert len(await second.read("r")) == 2
    await second.aclose()


async def test_reading_before_anything_was_written_creates_nothing(journal: LevelJournal, folder: str) -> None:
    assert list(await journal.runs()) == list(await journal.read("r")) == []
    with pytest.raises(CorruptRecord):
        await journal.get_blob("0" * 64)
    assert not await run_sync(os.path.exists, os.path.dirname(folder))


async def test_a_hundred_runs_share_few_writes(journal: LevelJournal, author) -> None:
    """Appends that come together are synced together."""
    async with anyio.create_task_group() as group:
        for number in range(100):
            group.start_soon(author(f"r{number}").append, journal)
    assert journal._commits.commits <= 5
    assert len(await journal.runs(limit=1000)) == 100


async def test_append_that_breaks_the_chain_is_refused(journal: LevelJournal, author) -> None:
    """A record that names another predecessor would make the run unreadable, so it is not taken."""
    one = author("r")
    await one.append(journal, count=2)
    one.prev_hash = "0123456789abcdef"
    with pytest.raises(ProtocolViolation, match="record 2"):
        await one.append(journal)
    assert len(await journal.read("r")) == 2


async def test_the_mark_follows_and_is_exact_at_the_end(folder: str, author, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is written while the journal is open, without anybody asking."""
    monkeypatch.setattr(_high_water, "PERIOD_S", 0.0)
    journal, path = LevelJournal(folder), os.path.join(folder, "high-water")
    await author("a").append(journal, count=3)
    while (await run_sync(read_mark, path) or (0, {}))[0] != 3:
        pass
    monkeypatch.setattr(_high_water, "PERIOD_S", 60.0)
    await author("b").append(journal, count=2)
    await journal.aclose()
    assert await run_sync(read_mark, path) == (5, {"a": 3, "b": 2})


async def test_a_mark_that_is_damaged_harms_nobody(folder: str, author) -> None:
    one = author("r")
    journal = LevelJournal(folder)
    await one.append(journal)
    await journal.aclose()
    await run_sync(Path(folder, "high-water").write_bytes, b"nonsense")
    journal = LevelJournal(folder)
    await one.append(journal)
    await journal.aclose()
    assert await run_sync(read_mark, os.path.join(folder, "high-water")) == (2, {"r": 2})


@pytest.mark.parametrize("allowed", [True, False])
async def test_a_lonely_run_commits_in_the_event_loop_if_it_may(
    journal: LevelJournal, author, monkeypatch: pytest.MonkeyPatch, allowed: bool
) -> None:
    monkeypatch.setattr(pace, "FAST_S", 60.0)
    monkeypatch.setattr(pace, "STALL_S", 60.0)
    journal.commit_in_loop(allowed)
    threads, commit = [], Transaction.commit

    def note(self: Transaction) -> bool:
        threads.append(threading.current_thread())
        return commit(self)

    monkeypatch.setattr(Transaction, "commit", note)
    one = author("r")
    for _ in range(30):
        await one.append(journal)
    assert (threading.current_thread() in threads) is allowed


async def test_a_lonely_run_leaves_the_look_at_the_disk_to_the_thread(
    journal: LevelJournal, author, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is due once a second, and nobody knows how long a file system takes to answer."""
    monkeypatch.setattr(pace, "FAST_S", 60.0)
    monkeypatch.setattr(pace, "STALL_S", 60.0)
    threads, look = [], os.statvfs

    def note(path: str) -> os.statvfs_result:
        threads.append(threading.current_thread())
        return look(path)

    monkeypatch.setattr(os, "statvfs", note)
    one = author("r")
    for _ in range(3):
        await one.append(journal)
        journal._commits._space.looked_at = float("-inf")
    assert len(threads) >= 3
    assert threading.current_thread() not in threads
