"""The journal: appends as compare-and-set, reading what was appended, heads, blobs and the end."""

from __future__ import annotations

import os

import anyio
import pytest

from agentflow_kernel.contracts.journal import Record, RunInfo, fold
from agentflow_kernel.errors import (
    AppendConflict,
    CorruptRecord,
    Fenced,
    ProtocolViolation,
    StorageUnavailable,
    UnknownRun,
)
from agentflow_kernel.group_commit.lane import READERS
from agentflow_sqlite._store import Store
from agentflow_sqlite.journal import SqliteJournal

pytestmark = pytest.mark.anyio


def exists(path: str) -> bool:
    """Whether the store, or even its folder, has been made."""
    return os.path.exists(os.path.dirname(path))


async def test_append_is_read_back_as_it_was(journal: SqliteJournal) -> None:
    """Every field of a record survives, and so does every kind of JSON value."""
    payload = {"text": "žluťoučký\u0000\n🐎", "list": [1, -2.5, True, None, {}], "big": 2**70, "tiny": 5e-324}
    record = Record("r", 0, "step.completed", "a/b[1]", payload, 7, 3, 12.5, "ab" * 32, "ih", "", "tenant")
    await journal.append("r", 0, 7, [record])
    assert await journal.read("r") == [record]


async def test_append_takes_the_records_as_they_are_at_the_call(journal: SqliteJournal, gate, author) -> None:
    """A payload that its owner changes while the append waits is stored unchanged."""
    value = {"n": 1}
    (record,) = author("r").write("step.completed", value)
    async with anyio.create_task_group() as group:
        await gate.hold(journal, group)
        group.start_soon(journal.append, "r", 0, 1, [record])
        await gate.until_waiting(1)
        value["n"] = 2
        gate.opened.set()
    (found,) = await journal.read("r")
    assert found.payload == {"n": 1}


async def test_append_at_another_place_conflicts_and_says_where_the_end_is(journal: SqliteJournal, author) -> None:
    """A sequence number that is taken, or that leaves a gap, is refused."""
    run = author("r")
    await journal.append("r", 0, 1, run.write(count=2))
    for seq in (0, 1, 3):
        record = Record("r", seq, "decision", "", None, 1)
        with pytest.raises(AppendConflict) as refused:
            await journal.append("r", seq, 1, [record])
        assert (refused.value.expected_seq, refused.value.next_seq) == (seq, 2)
    assert len(await journal.read("r")) == 2


async def test_append_of_an_older_epoch_is_fenced_even_at_the_right_place(journal: SqliteJournal, author) -> None:
    """Once a newer owner has appended, the older one can do nothing any more; fencing goes before conflicts."""
    old = author("r")
    await journal.append("r", 0, 1, old.write())
    new = author("r", epoch=3)
    new.next_seq, new.prev_hash = old.next_seq, old.prev_hash
    await journal.append("r", 1, 3, new.write("lease", {"owner": "b"}))
    for seq in (1, 2):
        with pytest.raises(Fenced) as refused:
            await journal.append("r", seq, 1, [Record("r", seq, "decision", "", None, 1)])
        assert (refused.value.epoch, refused.value.current) == (1, 3)
    assert [record.epoch for record in await journal.read("r")] == [1, 3]


@pytest.mark.parametrize("seqs", [(0, 2), (1, 2), (0, 0)])
async def test_append_of_no_batch_is_a_wrong_argument(journal: SqliteJournal, seqs: tuple[int, ...]) -> None:
    """Records that are not numbered from the expected one on without a gap are refused before anything is done."""
    with pytest.raises(ValueError, match="without a gap"):
        await journal.append("r", 0, 1, [Record("r", seq, "decision", "", None, 1) for seq in seqs])
    assert await journal.read("r") == []


async def test_append_of_another_run_or_epoch_is_a_wrong_argument(journal: SqliteJournal) -> None:
    """A batch is of one run and one epoch."""
    with pytest.raises(ValueError, match="epoch 2"):
        await journal.append("r", 0, 1, [Record("r", 0, "decision", "", None, 2)])
    with pytest.raises(ValueError, match="run s"):
        await journal.append("r", 0, 1, [Record("s", 0, "decision", "", None, 1)])
    with pytest.raises(ValueError, match="epoch"):
        await journal.append("r", 0, -1, [])


async def test_append_that_breaks_the_chain_is_refused(journal: SqliteJournal, author) -> None:
    """A record that names another predecessor would make the run unreadable, so it is not taken."""
    await journal.append("r", 0, 1, author("r").write(count=2))
    wrong = Record("r", 2, "decision", "", None, 1, prev_hash="0123456789abcdef")
    with pytest.raises(ProtocolViolation, match="record 2"):
        await journal.append("r", 2, 1, [wrong])
    assert len(await journal.read("r")) == 2
    await journal.append("r", 2, 1, [Record("r", 2, "decision", "", None, 1)])


async def test_append_that_is_no_json_is_refused_before_it_waits(journal: SqliteJournal, author) -> None:
    """What is not JSON is an error of the caller alone."""
    with pytest.raises(TypeError):
        await journal.append("r", 0, 1, author("r").write("decision", {"x": object()}))  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="float"):
        await journal.append("r", 0, 1, author("r").write("decision", float("nan")))
    assert await journal.read("r") == []


async def test_append_of_a_head_that_is_none_leaves_the_run_usable(journal: SqliteJournal, author) -> None:
    """A record that no head can be made of fails alone, and the run goes on where it was."""
    run = author("r")
    await journal.append("r", 0, 1, run.write())
    with pytest.raises(KeyError):
        await journal.append("r", 1, 1, [Record("r", 1, "run.ended", "", {}, 1)])
    await journal.append("r", 1, 1, run.write())
    assert (await journal.head("r")).next_seq == 2


async def test_append_of_nothing_only_checks_the_place(journal: SqliteJournal, author) -> None:
    """An empty batch is refused like any other, and leaves no run behind."""
    await journal.append("r", 0, 1, [])
    with pytest.raises(UnknownRun):
        await journal.head("r")
    await journal.append("r", 0, 2, author("r", epoch=2).write())
    with pytest.raises(AppendConflict):
        await journal.append("r", 0, 2, [])
    with pytest.raises(Fenced):
        await journal.append("r", 1, 1, [])


async def test_read_begins_where_it_is_asked_to(journal: SqliteJournal, author) -> None:
    """`from_seq` counts records; beyond the end there are none."""
    records = author("r").write(count=5)
    await journal.append("r", 0, 1, records)
    for start in (-1, 0, 1, 4, 5, 9):
        assert await journal.read("r", start) == records[max(start, 0) :]


async def test_reading_before_anything_was_written_creates_nothing(journal: SqliteJournal, path: str) -> None:
    """A listing of runs is no reason to make a file."""
    assert await journal.read("r") == []
    assert await journal.runs() == []
    with pytest.raises(UnknownRun, match="'r'"):
        await journal.head("r")
    with pytest.raises(CorruptRecord, match="missing"):
        await journal.get_blob("0" * 64)
    assert not exists(path)


async def test_head_follows_every_record(journal: SqliteJournal) -> None:
    """The head in the journal is the one that `fold` gives, also after records that do not change the status."""
    records = [
        Record("r", 0, "run.started", "", {"name": "flow/x", "owner": "p1"}, 1, ts=10.0),
        Record("r", 1, "step.completed", "a", 1, 1, ts=11.0),
        Record("r", 2, "run.suspended", "", {"status": "waiting", "code": "C", "cause": None}, 1, ts=12.0),
        Record("r", 3, "decision", "a", None, 2, ts=13.5),
        Record("r", 4, "lease", "", {"owner": "p2"}, 3, ts=14.0),
        Record("r", 5, "step.completed", "b", None, 3, ts=15.0),
        Record("r", 6, "run.ended", "", {"status": "failed", "code": "E", "error": "no"}, 3, ts=16.0),
    ]
    info = RunInfo("r")
    for record in records:
        await journal.append("r", record.seq, record.epoch, [record])
        fold(info, record)
        expected = RunInfo(*(getattr(info, name) for name in RunInfo.__slots__))
        assert await journal.head("r") == expected
        assert await journal.runs() == [expected]


async def test_runs_come_newest_first_and_by_status(journal: SqliteJournal) -> None:
    """A list is ordered by the start, limited, and filtered by the present status."""
    for number, start in enumerate((30.0, 10.0, 20.0, 40.0)):
        run_id = f"r{number}"
        await journal.append(run_id, 0, 1, [Record(run_id, 0, "run.started", "", {"name": "n"}, 1, ts=start)])
    await journal.append("r2", 1, 1, [Record("r2", 1, "run.ended", "", {"status": "completed"}, 1, ts=50.0)])
    await journal.append("r3", 1, 1, [Record("r3", 1, "run.suspended", "", {"status": "stuck"}, 1, ts=51.0)])

    async def ids(status: str | None = None, limit: int = 100) -> list[str]:
        return [info.run_id for info in await journal.runs(status=status, limit=limit)]

    assert await ids() == ["r3", "r0", "r2", "r1"]
    assert await ids(limit=2) == ["r3", "r0"]
    assert await ids(limit=0) == await ids(limit=-1) == []
    assert await ids("running") == ["r0", "r1"]
    assert await ids("completed") == ["r2"]
    assert await ids("stuck") == ["r3"]
    assert await ids("nonsense") == []


async def test_the_tally_counts_runs_that_have_not_ended_by_owner_or_cause(journal: SqliteJournal) -> None:
    """A suspended run has nobody, a stuck one waits for a person, an ended one is nobody's business."""
    assert sorted(await journal.tally()) == []
    ends = ("", "", "run.suspended", "run.suspended", "run.ended", "run.suspended")
    told = ({}, {}, {"cause": "handover"}, {"cause": ""}, {"status": "completed"}, {"status": "stuck"})
    for number, (end, payload) in enumerate(zip(ends, told, strict=True)):
        run_id, owner = f"r{number}", "one" if number else "two"
        await journal.append(run_id, 0, 1, [Record(run_id, 0, "run.started", "", {"name": "n", "owner": owner}, 1)])
        if end:
            await journal.append(run_id, 1, 1, [Record(run_id, 1, end, "", payload, 1)])
    await journal.append("r9", 0, 1, [Record("r9", 0, "run.started", "", {"name": "n", "owner": "one"}, 1)])
    expected = [("", "handover", 1), ("", "unknown", 1), ("one", "", 2), ("two", "", 1)]
    assert sorted(await journal.tally()) == expected


async def test_a_run_that_waits_is_listed_as_such_and_as_nothing_else(journal: SqliteJournal, author) -> None:
    """A wait does not touch the row of its run: its last record says it."""
    run = author("r")
    await journal.append("r", 0, 1, [*run.write(), *run.write("timer.set", {"deadline": 60.0, "waiting": True})])
    listed = {status: [info.run_id for info in await journal.runs(status=status)] for status in ("running", "waiting")}
    assert listed == {"running": [], "waiting": ["r"]}


async def test_blobs_are_kept_once_under_their_hash(journal: SqliteJournal) -> None:
    """The same bytes have one reference, whatever their size; the empty ones too."""
    for data in (b"", b"abc", bytes(300_000)):
        ref = await journal.put_blob(data)
        assert await journal.put_blob(data) == ref
        assert await journal.get_blob(ref) == data
    with pytest.raises(CorruptRecord, match="missing"):
        await journal.get_blob("f" * 64)


async def test_a_head_that_made_room_for_others_is_found_again(journal: SqliteJournal, author, monkeypatch) -> None:
    """Only so many heads are kept in mind; the others are read from the file when their run goes on."""
    monkeypatch.setattr("agentflow_sqlite._log.REMEMBERED", 2)
    runs = [author(f"r{number}") for number in range(5)]
    for _ in range(3):
        for run in runs:
            await journal.append(run.run_id, run.next_seq, 1, run.write())
    assert len(journal._heads._heads) == 2
    assert {info.next_seq for info in await journal.runs()} == {3}


async def test_two_journals_of_one_file_see_each_other(journal: SqliteJournal, path: str, author) -> None:
    """What one connection remembers of a run is dropped when another one has written."""
    other = SqliteJournal(path)
    run = author("r")
    for turn in range(6):
        await (journal, other)[turn % 2].append("r", turn, 1, run.write())
    with pytest.raises(AppendConflict):
        await journal.append("r", 5, 1, [Record("r", 5, "decision", "", None, 1)])
    assert len(await other.read("r")) == 6
    await other.aclose()


async def test_append_inline_needs_no_event_loop(journal: SqliteJournal, author) -> None:
    """Both ways of appending go on where the other one stopped; inline, the same refusals are raised."""
    run = author("r")
    await journal.append("r", 0, 1, run.write())
    await anyio.to_thread.run_sync(journal.append_inline, "r", 1, 1, run.write())
    await journal.append("r", 2, 1, run.write())
    with pytest.raises(AppendConflict):
        await anyio.to_thread.run_sync(journal.append_inline, "r", 0, 1, [])
    assert len(await journal.read("r")) == 3


async def test_aclose_may_be_called_twice_and_ends_everything(path: str, author, open_files) -> None:
    """After the end every call is refused and no file is open."""
    journal = SqliteJournal(path)
    await journal.append("r", 0, 1, author("r").write())
    await journal.read("r")
    async with anyio.create_task_group() as group:
        group.start_soon(journal.aclose)
        group.start_soon(journal.aclose)
    await journal.aclose()
    assert open_files(os.path.dirname(path)) == []
    calls = [
        journal.append("r", 1, 1, []), journal.read("r"), journal.head("r"), journal.runs(), journal.put_blob(b""),
        journal.get_blob(""),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(StorageUnavailable, match="closed") as refused:
            await call
        assert refused.value.executed == "no"
    with pytest.raises(StorageUnavailable, match="closed"):
        await anyio.to_thread.run_sync(journal.append_inline, "r", 1, 1, [])


async def test_aclose_without_any_use_opens_nothing(path: str) -> None:
    """A journal that was never used leaves nothing behind."""
    await SqliteJournal(path).aclose()
    assert not exists(path)


async def test_aclose_finishes_what_was_accepted(path: str, gate, author) -> None:
    """Appends that wait when the end is called for are carried out."""
    journal = SqliteJournal(path)
    async with anyio.create_task_group() as group:
        await gate.hold(journal, group)
        for number in range(20):
            group.start_soon(journal.append, f"r{number}", 0, 1, author(f"r{number}").write())
        await gate.until_waiting(20)
        group.start_soon(journal.aclose)
        await gate.until_waiting(21)
        gate.opened.set()
    again = SqliteJournal(path)
    assert len(await again.runs()) == 20
    await again.aclose()


async def test_aclose_waits_for_a_reading_under_way(path: str, gate, author, open_files) -> None:
    """Its connection is not pulled away, and no file is open when the end has come."""
    journal = SqliteJournal(path)
    await journal.append("r", 0, 1, author("r").write())
    async with anyio.create_task_group() as group:
        group.start_soon(journal._database.read, gate.wait, None)
        await gate.until_entered()
        group.start_soon(journal.aclose)
        while not journal._database._snapshots._closed:
            await anyio.lowlevel.checkpoint()
        for _ in range(5):
            await anyio.to_thread.run_sync(int)
        assert open_files(os.path.dirname(path))
        assert not journal._database.transactions._closed
        gate.opened.set()
    assert open_files(os.path.dirname(path)) == []


async def test_readings_share_few_connections(journal: SqliteJournal, author, monkeypatch) -> None:
    """One after the other they use the same one; at the same time there are only a few."""
    opened = []
    open_reader = Store.open_reader
    monkeypatch.setattr(Store, "open_reader", lambda store: opened.append(store) or open_reader(store))
    await journal.append("r", 0, 1, author("r").write())
    for _ in range(5):
        await journal.read("r")
    assert len(opened) == 1
    async with anyio.create_task_group() as group:
        for _ in range(50):
            group.start_soon(journal.read, "r")
    assert len(opened) <= READERS


def test_one_journal_serves_one_event_loop_after_the_other(path: str, author) -> None:
    """Nothing of an event loop that has ended stands in the way of the next."""
    journal = SqliteJournal(path)
    run = author("r")
    for backend in ("asyncio", "trio", "asyncio"):
        anyio.run(journal.append, "r", run.next_seq, 1, run.write(), backend=backend)
        assert len(anyio.run(journal.read, "r", backend=backend)) == run.next_seq
    anyio.run(journal.aclose)
