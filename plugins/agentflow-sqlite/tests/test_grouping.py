"""Appends that come together share a transaction, and none of them pays for another's refusal or cancellation."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import pytest

from agentflow_kernel.contracts.journal import Record
from agentflow_kernel.errors import AppendConflict, StorageUnavailable
from agentflow_kernel.group_commit.lane import Group
from agentflow_sqlite.journal import SqliteJournal

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio


@pytest.fixture
async def journal(anyio_backend: str, path: str) -> AsyncIterator[SqliteJournal]:
    """One whose transactions all go through its thread."""
    journal = SqliteJournal(path, commit_in_loop=False)
    yield journal
    await journal.aclose()


async def test_a_hundred_runs_share_few_transactions(journal: SqliteJournal, author) -> None:
    """A hundred runs that append at the same time cost a few waits for the disk, not a hundred."""
    runs = [author(f"r{number}") for number in range(100)]

    async def step(run) -> None:
        await journal.append(run.run_id, run.next_seq, 1, run.write())

    for turn in range(3):
        before = journal._database.transactions.commits
        async with anyio.create_task_group() as group:
            for run in runs:
                group.start_soon(step, run)
        assert journal._database.transactions.commits - before <= 4
        assert {info.next_seq for info in await journal.runs()} == {turn + 1}


async def test_appends_that_wait_become_one_transaction(journal: SqliteJournal, gate, author) -> None:
    """Whatever comes while a transaction is under way is in the next one."""
    async with anyio.create_task_group() as group:
        await gate.hold(journal, group)
        before = journal._database.transactions.commits
        for number in range(100):
            group.start_soon(journal.append, f"r{number}", 0, 1, author(f"r{number}").write())
        await gate.until_waiting(100)
        gate.opened.set()
    assert journal._database.transactions.commits - before == 2


async def test_appends_of_one_run_keep_the_order_of_their_calls(journal: SqliteJournal, gate, author) -> None:
    """Batches of one run may be under way together: they are numbered and written in the order of the calls."""
    run = author("r")
    async with anyio.create_task_group() as group:
        await gate.hold(journal, group)
        for number in range(30):
            first, records = run.next_seq, run.write(count=1 + number % 3)
            group.start_soon(journal.append, "r", first, 1, records)
            await gate.until_waiting(number + 1)
        gate.opened.set()
    assert [record.seq for record in await journal.read("r")] == list(range(run.next_seq))


async def test_a_refusal_does_not_touch_the_others(journal: SqliteJournal, gate, author) -> None:
    """Of a group in which one append conflicts, all others are durable, the later ones too."""
    refused: list[int] = []

    async def step(number: int) -> None:
        try:
            await journal.append("r", 0, 1, [Record("r", 0, "decision", "", number, 1)])
        except AppendConflict:
            refused.append(number)

    async with anyio.create_task_group() as group:
        await gate.hold(journal, group)
        before = journal._database.transactions.commits
        for number in range(5):
            group.start_soon(step, number)
            group.start_soon(journal.append, f"s{number}", 0, 1, author(f"s{number}").write())
        await gate.until_waiting(10)
        gate.opened.set()
    assert journal._database.transactions.commits - before == 2
    assert len(refused) == 4
    assert len(await journal.read("r")) == 1
    assert len(await journal.runs()) == 6


async def test_one_that_cannot_be_written_is_found_and_left_out(journal: SqliteJournal, gate, author) -> None:
    """A job that breaks in the middle of its changes is undone alone; the others of its group are durable."""
    failed: list[Exception] = []

    def half(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO blobs (sha256, data) VALUES ('half', x'00')")
        connection.execute("INSERT INTO blobs (sha256, data) VALUES (NULL, x'00')")

    async def broken() -> None:
        try:
            await journal._database.write(half)
        except StorageUnavailable as error:
            failed.append(error)

    async with anyio.create_task_group() as group:
        await gate.hold(journal, group)
        group.start_soon(journal.append, "a", 0, 1, author("a").write())
        group.start_soon(broken)
        group.start_soon(journal.append, "b", 0, 1, author("b").write())
        await gate.until_waiting(3)
        gate.opened.set()
    assert len(failed) == 1
    assert sorted(info.run_id for info in await journal.runs()) == ["a", "b"]
    rows = await journal._database.read(lambda connection: connection.execute("SELECT * FROM blobs").fetchall(), [])
    assert rows == []


async def test_a_cancelled_append_that_waits_is_not_written(journal: SqliteJournal, gate, author) -> None:
    """A task that is cancelled before its transaction has begun leaves nothing, and the others go on."""
    scope = anyio.CancelScope()

    async def step() -> None:
        with scope:
            await journal.append("gone", 0, 1, author("gone").write())

    async with anyio.create_task_group() as group:
        await gate.hold(journal, group)
        group.start_soon(step)
        group.start_soon(journal.append, "kept", 0, 1, author("kept").write())
        await gate.until_waiting(2)
        scope.cancel()
        await gate.until_waiting(1)
        gate.opened.set()
    assert [info.run_id for info in await journal.runs()] == ["kept"]


async def test_a_cancelled_append_under_way_is_finished(journal: SqliteJournal, gate, author) -> None:
    """Cancelling the task that leads a transaction stops neither the transaction nor those that wait for the next."""
    async with anyio.create_task_group() as group:
        scope = await gate.hold(journal, group)
        group.start_soon(journal.append, "r", 0, 1, author("r").write())
        await gate.until_waiting(1)
        scope.cancel()
        gate.opened.set()
    assert journal._database.transactions.commits == 2
    assert len(await journal.read("r")) == 1


async def test_a_cancelled_append_that_shares_a_transaction_is_carried_out(
    journal: SqliteJournal, gate, author
) -> None:
    """A task that does not lead may go at once; its batch is in the transaction all the same."""
    second = type(gate)()
    scope, gone = anyio.CancelScope(), anyio.Event()

    async def step() -> None:
        with scope:
            await journal.append("left", 0, 1, author("left").write())
        gone.set()

    async with anyio.create_task_group() as group:
        await gate.hold(journal, group)
        group.start_soon(journal._database.write, second.wait)
        await gate.until_waiting(1)
        group.start_soon(step)
        await gate.until_waiting(2)
        gate.opened.set()
        await second.until_entered()
        scope.cancel()
        await gone.wait()
        second.opened.set()
    assert scope.cancelled_caught
    assert len(await journal.read("left")) == 1


async def test_an_append_in_a_cancelled_scope_is_not_begun(journal: SqliteJournal, author) -> None:
    """Who is cancelled already writes nothing."""
    with anyio.CancelScope() as scope:
        scope.cancel()
        await journal.append("r", 0, 1, author("r").write())
    assert scope.cancelled_caught
    assert await journal.read("r") == []


async def test_a_leader_that_is_cancelled_at_once_is_replaced(journal: SqliteJournal, author) -> None:
    """Whoever comes after a leader whose transaction has not begun is served, and the leader's own job is not done."""
    scope = anyio.CancelScope()

    async def step() -> None:
        with scope:
            await journal.append("gone", 0, 1, author("gone").write())

    await journal.append("before", 0, 1, author("before").write())
    async with anyio.create_task_group() as group:
        group.start_soon(step)
        lane = journal._database._writer._lane()
        while not lane.led:
            await anyio.lowlevel.checkpoint()
        group.start_soon(journal.append, "kept", 0, 1, author("kept").write())
        scope.cancel()
    assert len(await journal.read("kept")) == 1
    assert len(await journal.read("gone")) in {0, 1}


async def test_the_first_of_the_next_group_may_be_cancelled_as_it_begins(
    journal: SqliteJournal, gate, author, monkeypatch
) -> None:
    """Those that wait with it are committed all the same."""
    scope = anyio.CancelScope()
    begin = Group.begin

    def cancelling(group: Group) -> None:
        scope.cancel()
        begin(group)

    async def step() -> None:
        with scope:
            await journal.append("gone", 0, 1, author("gone").write())

    async with anyio.create_task_group() as group:
        await gate.hold(journal, group)
        group.start_soon(step)
        await gate.until_waiting(1)
        group.start_soon(journal.append, "kept", 0, 1, author("kept").write())
        await gate.until_waiting(2)
        monkeypatch.setattr(Group, "begin", cancelling)
        gate.opened.set()
    assert scope.cancel_called
    assert len(await journal.read("kept")) == 1
    assert len(await journal.read("gone")) in {0, 1}


async def test_a_shielded_append_is_decided_before_its_cancellation_comes_through(
    journal: SqliteJournal, gate, author
) -> None:
    """Whether it waits for its group or is under way; then the task is cancelled at its next wait."""
    went_on: list[str] = []
    scope = anyio.CancelScope()

    async def step(name: str) -> None:
        await journal.append_shielded(name, 0, 1, author(name).write())
        went_on.append(name)
        await anyio.lowlevel.checkpoint()
        went_on.append("and on")

    async def steps() -> None:
        with scope:
            async with anyio.create_task_group() as inner:
                for number in range(3):
                    inner.start_soon(step, f"r{number}")

    async with anyio.create_task_group() as group:
        await gate.hold(journal, group)
        group.start_soon(steps)
        await gate.until_waiting(3)
        scope.cancel()
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
        await gate.until_waiting(3)
        gate.opened.set()
    assert scope.cancelled_caught
    assert sorted(went_on) == ["r0", "r1", "r2"]
    assert {info.run_id for info in await journal.runs()} == {"r0", "r1", "r2"}


async def test_a_shielded_append_in_a_cancelled_scope_is_made(journal: SqliteJournal, author) -> None:
    """As one within a shield is: the end of a run that was cancelled goes on record."""
    with anyio.CancelScope() as scope:
        scope.cancel()
        run = author("r")
        for _ in range(3):
            await journal.append_shielded("r", run.next_seq, 1, run.write())
        await anyio.lowlevel.checkpoint()
    assert scope.cancelled_caught
    assert len(await journal.read("r")) == 3


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_shielded_append_torn_out_by_asyncio_harms_nobody(journal: SqliteJournal, gate, author) -> None:
    """`Task.cancel` takes out one that waits, and the others are committed."""
    first = asyncio.create_task(journal._database.write(gate.wait))
    gate.database = journal._database
    await gate.until_entered()
    torn, kept = [
        asyncio.ensure_future(journal.append_shielded(name, 0, 1, author(name).write())) for name in ("torn", "kept")
    ]
    await gate.until_waiting(2)
    torn.cancel()
    await asyncio.wait([torn])
    assert torn.cancelled()
    gate.opened.set()
    await asyncio.gather(first, kept)
    assert [info.run_id for info in await journal.runs()] == ["kept"]


async def test_where_no_thread_can_be_started_every_append_hears_of_it(
    journal: SqliteJournal, author, monkeypatch
) -> None:
    """None waits for ever, and the next one tries again."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    heard: list[str] = []

    async def step(name: str) -> None:
        with pytest.raises(StorageUnavailable, match="new thread"):
            await journal.append(name, 0, 1, author(name).write())
        heard.append(name)

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        async with anyio.create_task_group() as group:
            for number in range(3):
                group.start_soon(step, f"r{number}")
    assert sorted(heard) == ["r0", "r1", "r2"]
    await journal.append("r", 0, 1, author("r").write())


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("begun", [True, False], ids=["begun", "not begun"])
async def test_a_leader_torn_out_by_asyncio_harms_nobody(journal: SqliteJournal, gate, author, begun: bool) -> None:
    """`Task.cancel` pierces every shield: the thread finishes what it has begun and the others are served."""
    leader = asyncio.create_task(journal._database.write(gate.wait))
    gate.database = journal._database
    if begun:
        await gate.until_entered()
    else:
        await asyncio.sleep(0)
    others = [asyncio.create_task(journal.append(f"r{n}", 0, 1, author(f"r{n}").write())) for n in range(3)]
    await asyncio.sleep(0)
    leader.cancel()
    await asyncio.wait([leader])
    assert leader.cancelled()
    gate.opened.set()
    await asyncio.gather(*others)
    assert len(await journal.runs()) == 3
    await journal.append("after", 0, 1, author("after").write())


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_leader_torn_out_just_after_the_commit_wakes_the_others(
    journal: SqliteJournal, gate, author, monkeypatch
) -> None:
    """The thread is done and the leader has not heard of it yet when `Task.cancel` strikes."""
    done = threading.Event()
    commit = Group.commit

    def observed(group: Group) -> None:
        commit(group)
        done.set()

    monkeypatch.setattr(Group, "commit", observed)
    gate.database = journal._database
    leader = asyncio.create_task(journal._database.write(gate.wait))
    await gate.until_entered()
    other = asyncio.create_task(journal.append("r", 0, 1, author("r").write()))
    await gate.until_waiting(1)
    gate.opened.set()
    assert done.wait(10)  # on purpose without letting the event loop run
    leader.cancel()
    await asyncio.wait([leader, other], timeout=10)
    assert leader.cancelled()
    assert other.done()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_tearing_out_at_every_moment_leaves_a_usable_journal(journal: SqliteJournal, author) -> None:
    """Wherever `Task.cancel` strikes, an append has happened or not, and the next one goes through."""
    for moment in range(40):
        run_id = f"r{moment}"
        tasks = [
            asyncio.create_task(journal.append(name, 0, 1, author(name).write())) for name in (run_id, f"s{moment}")
        ]
        for _ in range(moment):
            await asyncio.sleep(0)
        tasks[0].cancel()
        await asyncio.wait(tasks)
        assert not tasks[1].cancelled()
        tasks[1].result()
        assert len(await journal.read(run_id)) in {0, 1}
        assert len(await journal.read(f"s{moment}")) == 1


def test_a_loop_that_ends_under_a_transaction_harms_nobody(path: str, gate, author) -> None:
    """A transaction whose event loop is gone is finished all the same, and the next loop begins afresh."""
    journal = SqliteJournal(path)

    async def begin() -> None:
        task = asyncio.create_task(journal._database.write(gate.wait))
        await gate.until_entered()
        task.cancel()

    asyncio.run(begin())
    gate.opened.set()
    anyio.run(journal.append, "r", 0, 1, author("r").write())
    assert journal._database.transactions.commits == 2
    anyio.run(journal.aclose)


def test_threads_and_loops_share_one_journal(path: str, author) -> None:
    """Appends from several threads, with and without event loops, all arrive."""
    journal = SqliteJournal(path)

    def inline(name: str) -> None:
        run = author(name)
        for _ in range(10):
            journal.append_inline(name, run.next_seq, 1, run.write())

    async def looped(name: str) -> None:
        async with anyio.create_task_group() as group:
            for number in range(10):
                group.start_soon(journal.append, f"{name}.{number}", 0, 1, author(f"{name}.{number}").write())

    threads = [threading.Thread(target=inline, args=(f"i{n}",)) for n in range(3)]
    threads += [threading.Thread(target=anyio.run, args=(looped, f"a{n}")) for n in range(2)]
    threads += [threading.Thread(target=anyio.run, args=(looped, "t"), kwargs={"backend": "trio"})]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    async def total() -> int:
        return sum(info.next_seq for info in await journal.runs())

    assert anyio.run(total) == 60
    anyio.run(journal.aclose)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_user_threads_cannot_hold_up_the_journal(journal: SqliteJournal, author) -> None:
    """When user code has filled all threads of the event loop, appends and readings still go through."""
    opened = threading.Event()
    limiter = anyio.to_thread.current_default_thread_limiter()
    async with anyio.create_task_group() as group:
        for _ in range(int(limiter.total_tokens)):
            group.start_soon(anyio.to_thread.run_sync, opened.wait, 50)
        while limiter.available_tokens:
            await anyio.lowlevel.checkpoint()
        try:
            with anyio.fail_after(30):
                await journal.append("r", 0, 1, author("r").write())
                assert len(await journal.read("r")) == 1
        finally:
            opened.set()


def test_no_thread_is_left(path: str, author) -> None:
    """A journal owns no thread: when the event loop is gone, none has stayed."""
    before = set(threading.enumerate())
    journal = SqliteJournal(path)

    async def use() -> None:
        async with anyio.create_task_group() as group:
            for number in range(10):
                group.start_soon(journal.append, f"r{number}", 0, 1, author(f"r{number}").write())
        await journal.aclose()

    anyio.run(use)
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
    assert set(threading.enumerate()) <= before
