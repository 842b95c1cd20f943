"""The in-process journal keeps the contract: all or nothing, compare and set, epochs, heads, blobs, bounded memory."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import anyio
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agentflow_kernel.contracts.journal import Record
from agentflow_kernel.errors import AppendConflict, CorruptRecord, Fenced, StorageUnavailable, UnknownRun
from agentflow_kernel.inprocess.journal import InProcessJournal

pytestmark = pytest.mark.anyio


def record(seq: int, kind: Any = "step.completed", payload: Any = None, **fields: Any) -> Record:
    """A record of the run ``r``."""
    run_id = fields.pop("run_id", "r")
    return Record(run_id, seq, kind, fields.pop("path", ""), payload, fields.pop("epoch", 1), **fields)


def started(run_id: str = "r", ts: float = 1.0, **fields: Any) -> Record:
    return record(0, "run.started", {"name": "flow/f", "owner": "me"}, run_id=run_id, ts=ts, **fields)


@pytest.fixture
def journal() -> InProcessJournal:
    return InProcessJournal()


async def test_what_is_appended_is_read_back(journal: InProcessJournal) -> None:
    """Whole or from any place on; each reader gets records of its own."""
    batch = [started(), record(1, payload={"result": [1, {"é": None}]}, path="a[0]", input_hash="x", prev_hash="y")]
    await journal.append("r", 0, 1, batch)
    assert await journal.read("r") == batch
    assert await journal.read("r", 1) == batch[1:]
    assert await journal.read("r", 2) == []
    (await journal.read("r"))[1].payload["result"].append(2)  # type: ignore[call-overload,index,union-attr]  # a reader
    assert await journal.read("r") == batch


async def test_later_changes_of_an_appended_record_do_not_reach_the_journal(journal: InProcessJournal) -> None:
    """It keeps bytes."""
    batch = [record(0, payload={"result": []})]
    await journal.append("r", 0, 1, batch)
    batch[0].payload["result"].append(1)  # type: ignore[call-overload,index,union-attr]  # a careless caller
    assert (await journal.read("r"))[0].payload == {"result": []}


@pytest.mark.parametrize("expected", [0, 1, 3])
async def test_an_append_at_another_place_is_a_conflict_and_changes_nothing(
    journal: InProcessJournal, expected: int
) -> None:
    """The error says where the next one goes."""
    await journal.append("r", 0, 1, [started(), record(1)])
    with pytest.raises(AppendConflict, match=f"append at {expected} refused, the next sequence number is 2") as caught:
        await journal.append("r", expected, 1, [record(expected)])
    assert (caught.value.expected_seq, caught.value.next_seq) == (expected, 2)
    assert len(await journal.read("r")) == 2


async def test_a_lower_epoch_is_fenced_even_at_the_right_place(journal: InProcessJournal) -> None:
    """The older owner learns which epoch the run has."""
    await journal.append("r", 0, 1, [started()])
    await journal.append("r", 1, 2, [record(1, "lease", {"owner": "other"}, epoch=2)])
    with pytest.raises(Fenced, match="epoch 1 is over, the run now belongs to epoch 2") as caught:
        await journal.append("r", 2, 1, [record(2)])
    assert (caught.value.epoch, caught.value.current) == (1, 2)
    assert len(await journal.read("r")) == 2


async def test_a_batch_with_something_that_is_no_json_is_refused_whole(journal: InProcessJournal) -> None:
    """Nothing of it is kept."""
    await journal.append("r", 0, 1, [started()])
    with pytest.raises(TypeError):
        await journal.append("r", 1, 1, [record(1), record(2, payload={1, 2})])
    with pytest.raises(KeyError):
        await journal.append("r", 1, 1, [record(1), record(2, "run.ended", {"output": 1})])
    head = await journal.head("r")
    assert (head.next_seq, head.status) == (1, "running")
    await journal.append("r", 1, 1, [record(1)])


async def test_an_empty_batch_is_nothing(journal: InProcessJournal) -> None:
    """It does not make a run."""
    await journal.append("r", 0, 1, [])
    with pytest.raises(UnknownRun, match="No run 'r'"):
        await journal.head("r")
    assert await journal.runs() == []


async def test_heads_follow_the_records(journal: InProcessJournal) -> None:
    """Name, owner, status, cause, times and the next place."""
    steps: list[tuple[Record, tuple[Any, ...]]] = [
        (started(ts=10), ("running", 1, "me", 10, 10, "", "")),
        (record(1, ts=11), ("running", 1, "me", 10, 11, "", "")),
        (
            record(2, "run.suspended", {"status": "suspended", "cause": "asked", "error": "text"}, ts=12),
            ("suspended", 1, "me", 10, 12, "", "asked"),
        ),
        (record(3, "lease", {"owner": "other"}, epoch=2, ts=13), ("running", 2, "other", 10, 13, "", "")),
        (
            record(4, "run.suspended", {"status": "stuck", "cause": "AF-X"}, epoch=2, ts=14),
            ("stuck", 2, "other", 10, 14, "", "AF-X"),
        ),
        (
            record(5, "run.ended", {"status": "failed", "code": "AF-Y", "error": "text"}, epoch=2, ts=15),
            ("failed", 2, "other", 10, 15, "AF-Y", "text"),
        ),
    ]
    for appended, expected in steps:
        await journal.append("r", appended.seq, appended.epoch, [appended])
        head = await journal.head("r")
        found = (head.status, head.epoch, head.owner, head.started_at, head.updated_at, head.code, head.cause)
        assert (found, head.next_seq, head.name) == (expected, appended.seq + 1, "flow/f")


async def test_heads_are_copies(journal: InProcessJournal) -> None:
    """A caller may relabel what it was given."""
    await journal.append("r", 0, 1, [started()])
    (await journal.head("r")).status = "stuck"
    (await journal.runs())[0].status = "stuck"
    assert (await journal.head("r")).status == "running"


async def test_runs_are_listed_newest_first_by_status_and_bounded(journal: InProcessJournal) -> None:
    """Of equal times the larger id is the newer run."""
    for run_id, ts in (("a", 1), ("b", 3), ("c", 2), ("d", 3)):
        await journal.append(run_id, 0, 1, [started(run_id, ts)])
    await journal.append("b", 1, 1, [record(1, "run.ended", {"status": "completed"}, run_id="b")])
    assert [head.run_id for head in await journal.runs()] == ["d", "b", "c", "a"]
    assert [head.run_id for head in await journal.runs(limit=2)] == ["d", "b"]
    assert [head.run_id for head in await journal.runs(status="running", limit=2)] == ["d", "c"]
    assert [head.run_id for head in await journal.runs(status="completed")] == ["b"]


async def test_an_unknown_run_has_no_records_and_no_head(journal: InProcessJournal) -> None:
    """Reading is empty, asking for the head is an error."""
    assert await journal.read("nope") == []
    with pytest.raises(UnknownRun, match="No run 'nope' in this journal"):
        await journal.head("nope")


async def test_blobs_are_found_by_their_hash(journal: InProcessJournal) -> None:
    """Storing the same bytes twice is one blob; a missing one is damage."""
    ref = await journal.put_blob(b"data")
    assert ref == sha256(b"data").hexdigest() == await journal.put_blob(b"data")
    assert await journal.get_blob(ref) == b"data"
    with pytest.raises(CorruptRecord, match="the payload 0000 is missing"):
        await journal.get_blob("0000")


async def test_only_the_latest_ended_runs_are_kept() -> None:
    """Memory stays bounded; runs that have not ended are never forgotten."""
    journal = InProcessJournal(keep_ended=2)
    await journal.append("open", 0, 1, [started("open")])
    for number in range(5):
        run_id = f"r{number}"
        end = record(1, "run.ended", {"status": "completed"}, run_id=run_id)
        await journal.append(run_id, 0, 1, [started(run_id, number), end])
    assert {head.run_id for head in await journal.runs()} == {"open", "r3", "r4"}
    assert await journal.read("r0") == []


async def test_blobs_go_with_the_last_run_that_names_them() -> None:
    """A blob that another run names stays."""
    journal = InProcessJournal(keep_ended=1)
    shared, own = await journal.put_blob(b"shared"), await journal.put_blob(b"own")
    for run_id, refs in (("one", [shared, own, own]), ("two", [shared]), ("three", [])):
        steps = [record(seq, run_id=run_id, ref=ref) for seq, ref in enumerate(refs, 1)]
        end = record(len(steps) + 1, "run.ended", {"status": "completed"}, run_id=run_id)
        await journal.append(run_id, 0, 1, [started(run_id), *steps, end])
        if run_id == "two":
            assert await journal.get_blob(shared) == b"shared"
            with pytest.raises(CorruptRecord, match="is missing"):
                await journal.get_blob(own)
    with pytest.raises(CorruptRecord, match="is missing"):
        await journal.get_blob(shared)


async def test_a_closed_journal_refuses_every_call(journal: InProcessJournal) -> None:
    """Closing twice does no harm."""
    await journal.aclose()
    await journal.aclose()
    calls = (
        journal.append("r", 0, 1, [started()]), journal.read("r"), journal.head("r"), journal.runs(),
        journal.put_blob(b""), journal.get_blob("x"),
    )  # fmt: skip
    for call in calls:
        with pytest.raises(StorageUnavailable, match="The in-process journal is closed"):
            await call


def test_it_can_be_appended_to_without_a_loop(journal: InProcessJournal) -> None:
    """The ability ``inline``."""
    journal.append_inline("r", 0, 1, [started()])
    with pytest.raises(AppendConflict, match="append at 0"):
        journal.append_inline("r", 0, 1, [started()])
    assert len(anyio.run(journal.read, "r")) == 1


RUNS = st.sampled_from(["a", "b", "c"])


class JournalAgainstModel(RuleBasedStateMachine):
    """Any appends in any order, against lists with the rules written out."""

    @initialize()
    def begin(self) -> None:
        self.journal = InProcessJournal(keep_ended=100)
        self.model: dict[str, list[Record]] = {}
        self.clock = 0.0

    def call(self, method: str, *args: Any, **options: Any) -> Any:
        return anyio.run(lambda: getattr(self.journal, method)(*args, **options))

    @rule(
        run_id=RUNS,
        off=st.sampled_from([0, 0, 0, -1, 1]),
        step=st.sampled_from([0, 0, 1, -1]),
        kinds=st.lists(st.sampled_from(["step.completed", "decision", "lease", "run.suspended"]), max_size=3),
    )
    def append(self, run_id: str, off: int, step: int, kinds: list[Any]) -> None:
        records = self.model.get(run_id, [])
        current = records[-1].epoch if records else 0
        seq, epoch = len(records) + off, max(current + step, 1)
        self.clock += 1
        batch = [
            Record(run_id, seq + number, kind, "p", {"owner": "o", "n": number}, epoch, ts=self.clock)
            for number, kind in enumerate(kinds)
        ]
        if epoch < current:
            with pytest.raises(Fenced, match=f"epoch {epoch} is over"):
                self.call("append", run_id, seq, epoch, batch)
        elif off:
            with pytest.raises(AppendConflict, match=f"append at {seq} refused"):
                self.call("append", run_id, seq, epoch, batch)
        else:
            self.call("append", run_id, seq, epoch, batch)
            if batch:
                self.model[run_id] = [*records, *batch]

    @rule(run_id=RUNS, start=st.integers(0, 5))
    def read(self, run_id: str, start: int) -> None:
        assert self.call("read", run_id, start) == self.model.get(run_id, [])[start:]

    @precondition(lambda self: hasattr(self, "model"))
    @invariant()
    def heads_follow(self) -> None:
        heads = {head.run_id: head for head in self.call("runs")}
        assert set(heads) == set(self.model)
        for run_id, records in self.model.items():
            head = heads[run_id]
            assert (head.next_seq, head.epoch, head.updated_at) == (len(records), records[-1].epoch, records[-1].ts)
            states = [record.type for record in records if record.type in {"lease", "run.suspended"}]
            expected = {"lease": "running", "run.suspended": "suspended"}[states[-1]] if states else "queued"
            assert head.status == expected


JournalAgainstModel.TestCase.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)
TestJournalAgainstModel = JournalAgainstModel.TestCase
