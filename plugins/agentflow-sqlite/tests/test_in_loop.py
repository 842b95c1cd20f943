"""A run that is alone with a fast disk commits without its thread; nobody else is held up, and nothing else changes."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import pytest

from agentflow_kernel.errors import AppendConflict, StorageUnavailable
from agentflow_kernel.group_commit import pace as _pace
from agentflow_kernel.group_commit import writer as _writer
from agentflow_kernel.group_commit.pace import Pace
from agentflow_sqlite.journal import SqliteJournal

if TYPE_CHECKING:
    from agentflow_sqlite._transactions import Transactions

pytestmark = pytest.mark.anyio


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every disk is fast."""
    monkeypatch.setattr(_pace, "FAST_S", 60.0)
    monkeypatch.setattr(_pace, "STALL_S", 60.0)


@pytest.fixture
async def lonely(fast: None, journal: SqliteJournal, author) -> SqliteJournal:
    """A journal with the run ``first``, whose next append may be made in the event loop."""
    await journal.append("first", 0, 1, author("first").write())
    return journal


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch, lonely: SqliteJournal) -> list[str]:
    """The names of the threads in which transactions were made, from now on."""
    found: list[str] = []
    transactions = lonely._database.transactions
    perform = type(transactions)._perform

    def spy(self: Transactions, *args, **options) -> None:
        found.append(threading.current_thread().name)
        perform(self, *args, **options)

    monkeypatch.setattr(type(transactions), "_perform", spy)
    return found


HERE, THERE = threading.current_thread().name, "agentflow-commit"


async def test_a_run_that_is_alone_commits_where_it_stands(lonely: SqliteJournal, threads, author) -> None:
    """What it writes is read back by another connection at once."""
    run = author("r")
    for _ in range(5):
        await lonely.append("r", run.next_seq, 1, run.write())
    assert threads == [HERE] * 5
    assert len(await lonely.read("r")) == 5


async def test_a_refusal_comes_through(lonely: SqliteJournal, threads, author) -> None:
    """It is the caller's, and the next append goes on."""
    with pytest.raises(AppendConflict):
        await lonely.append("first", 5, 1, _at(author, "first", 5))
    await lonely.append("r", 0, 1, author("r").write())
    assert threads == [HERE, HERE]


async def test_those_that_come_together_still_share_transactions(lonely: SqliteJournal, threads, author) -> None:
    """A few are made alone until the others have had their turn; then there are groups."""
    async with anyio.create_task_group() as group:
        for number in range(300):
            group.start_soon(lonely.append, f"r{number}", 0, 1, author(f"r{number}").write())
    assert THERE in threads
    assert len(threads) < 60
    before = len(threads)
    async with anyio.create_task_group() as group:
        for number in range(300):
            group.start_soon(lonely.append, f"s{number}", 0, 1, author(f"s{number}").write())
    assert threads[before:] == [THERE] * (len(threads) - before)
    assert len(threads) - before <= 3


async def test_the_other_tasks_have_their_turn(lonely: SqliteJournal, threads, author, monkeypatch) -> None:
    """A run that only commits does not keep the event loop for itself."""
    monkeypatch.setattr(_writer, "TURN_S", 0.0)  # however fast the disk is
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await anyio.lowlevel.checkpoint()

    run = author("r")
    async with anyio.create_task_group() as group:
        group.start_soon(count)
        for _ in range(90):
            await lonely.append("r", run.next_seq, 1, run.write())
        group.cancel_scope.cancel()
    assert threads.count(HERE) == 90
    assert turns > 3


async def test_a_task_that_is_cancelled_in_the_turn_of_the_others_has_its_append(
    lonely: SqliteJournal, threads, author, monkeypatch
) -> None:
    """It hears of the cancellation at its next wait, and the lane is free again."""
    monkeypatch.setattr(_writer, "TURN_S", 0.0)
    went_on: list[str] = []
    scope = anyio.CancelScope()

    async def step() -> None:
        with scope:
            await lonely.append("r", 0, 1, author("r").write())
            went_on.append("appended")
            await anyio.lowlevel.checkpoint()
            went_on.append("not cancelled")

    async with anyio.create_task_group() as group:
        group.start_soon(step)
        while not threads:
            await anyio.lowlevel.checkpoint()
        scope.cancel()
    assert threads == [HERE]
    assert went_on == ["appended"]
    assert scope.cancelled_caught
    await lonely.append("s", 0, 1, author("s").write())
    assert threads == [HERE, HERE]


async def test_large_batches_and_blobs_go_to_the_thread(lonely: SqliteJournal, threads, author) -> None:
    """They take longer, and their checkpoint too."""
    await lonely.append("r", 0, 1, author("r").write(payload={"name": "x" * 20_000}))
    await lonely.put_blob(b"x" * 20_000)
    assert threads == [THERE, THERE]


async def test_now_and_then_the_thread_makes_a_checkpoint(lonely: SqliteJournal, threads, author, path: str) -> None:
    """So that no commit in the event loop has to copy the whole log into the file."""
    run = author("r")
    for _ in range(_pace.TURNS + 1):
        await lonely.append("r", run.next_seq, 1, run.write())
    assert threads == [HERE] * _pace.TURNS + [THERE]
    alone = path + "-alone.db"
    shutil.copy(path, alone)  # without the log
    copy = SqliteJournal(alone)
    assert len(await copy.read("r")) == _pace.TURNS + 1
    await copy.aclose()
    await lonely.append("r", run.next_seq, 1, run.write())
    assert threads[-1] == HERE


async def test_a_file_that_another_process_has_locked_is_waited_for_in_the_thread(
    lonely: SqliteJournal, threads, author, child, path: str
) -> None:
    """The event loop stays free meanwhile."""
    holder = child("hold.py", path)
    assert holder.line() == "held"
    async with anyio.create_task_group() as group:
        group.start_soon(lonely.append, "s", 0, 1, author("s").write())
        while THERE not in threads:
            await anyio.lowlevel.checkpoint()
        holder.tell("")
    assert threads == [HERE, THERE]
    assert len(await lonely.read("s")) == 1


async def test_a_fault_of_the_disk_is_typed_and_the_file_is_verified(
    lonely: SqliteJournal, author, monkeypatch
) -> None:
    """As in the thread: nothing of the batch is kept."""

    def fault(*_: object) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_IOERR, "SQLITE_IOERR"
        raise error

    transactions = lonely._database.transactions
    with monkeypatch.context() as patched:
        patched.setattr(type(transactions.mirror), "append", fault)
        with pytest.raises(StorageUnavailable):
            await lonely.append("r", 0, 1, author("r").write())
    assert transactions._connection is None
    await lonely.append("r", 0, 1, author("r").write())
    assert len(await lonely.read("r")) == 1


@pytest.mark.parametrize(
    ("times", "allowed"),
    [
        ([], False),
        ([0.0001], True),
        ([0.0001] * 20 + [0.001], True),
        ([0.0001] * 20 + [0.001] * 2, False),
        ([0.001] * 50 + [0.0001] * 100, False),
        ([0.001] * 50 + [0.0001] * 101, True),
    ],
)
def test_a_disk_has_to_be_fast_for_a_while(times: list[float], allowed: bool) -> None:
    """One slow commit costs ten fast ones, and no number of them more than a hundred."""
    pace = Pace()
    for took_s in times:
        pace.note(0.0, took_s)
    assert pace.allows_loop() is allowed


def test_a_stall_is_followed_by_a_rest_of_twenty_times_its_length(monkeypatch: pytest.MonkeyPatch) -> None:
    """So a disk that stalls all the time takes a twentieth of an event loop's time; a thread's stall counts, too."""
    now = 100.0
    monkeypatch.setattr(_pace, "time", SimpleNamespace(perf_counter=lambda: now))
    pace = Pace()
    for _ in range(20):
        pace.note(now, now + 0.0001)
    pace.note(now - 0.01, now)
    for passed, allowed in ((0.0, False), (0.199, False), (0.201, True)):
        now = 100.0 + passed
        assert pace.allows_loop() is allowed
    pace.note(now - 0.01, now)
    pace.note(now - 0.006, now)
    for _ in range(40):
        pace.note(now, now + 0.0001)
    now += 0.199
    assert not pace.allows_loop(), "the longer rest counts"
    now += 0.002
    assert pace.allows_loop()


async def test_it_can_be_switched_off(fast: None, path: str, author) -> None:
    """For those who would rather wait than hold up the loop."""
    journal = SqliteJournal(path, commit_in_loop=False)
    run = author("r")
    for _ in range(3):
        await journal.append("r", run.next_seq, 1, run.write())
        assert not journal._database.transactions.pace.allows_loop()
    await journal.aclose()


def _at(author, run_id: str, seq: int):
    """A batch that claims another place."""
    run = author(run_id)
    run.next_seq = seq
    return run.write()
