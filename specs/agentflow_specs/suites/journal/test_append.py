"""Appending and reading: what comes back is what was appended, whole and in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from agentflow_kernel.contracts.journal import Record, RunInfo
from agentflow_kernel.errors import AppendConflict, Fenced, UnknownRun
from agentflow_specs.requirement import requirement
from agentflow_specs.suites.journal.author import Author

if TYPE_CHECKING:
    from agentflow_kernel.contracts.journal import Journal

pytestmark = pytest.mark.anyio


@requirement(
    "JOURNAL-01",
    "MUST",
    reason="A resumed run continues from what it reads; a changed value is a changed result.",
    advice="Store the bytes of encode_record and give back decode_record of them.",
)
async def test_a_record_comes_back_as_it_was(journal: Journal) -> None:
    """Gives back every field of a record, and every kind of JSON value, as they were appended."""
    payload: Any = {"text": "č\n🐎", "list": [1, -2.5, True, False, None, {}, []], "big": 2**70, "tiny": 5e-324, "": ""}
    record = Record("r", 0, "step.completed", "a/b[1]!c", payload, 7, 3, 12.5, "ab" * 32, "ih", "", "tenant")
    await journal.append("r", 0, 7, [record])
    assert list(await journal.read("r")) == [record]


@requirement(
    "JOURNAL-02",
    "MUST",
    reason="Replay walks through the records once, in the order in which they happened.",
    advice="Order by the number seq, not by its text; ten records are more than nine.",
)
async def test_records_come_in_order_from_where_asked(journal: Journal) -> None:
    """Reads the records of a run in the order of `seq`, from `from_seq` on; beyond the end there are none."""
    author = Author("r")
    expected = [record for size in (1, 3, 20) for record in await author.append(journal, *range(size))]
    assert list(await journal.read("r")) == expected
    for start in (1, 9, 10, 23):
        assert list(await journal.read("r", start)) == expected[start:]
    assert list(await journal.read("r", 24)) == []
    assert list(await journal.read("r", 1000)) == []


@requirement(
    "JOURNAL-03",
    "MUST",
    reason="A run that is about to begin is looked for before it is there.",
    advice="Reading creates nothing and raises nothing.",
)
async def test_an_unknown_run_has_no_records(journal: Journal) -> None:
    """Reads nothing of an unknown run, before and after others have begun; its head raises `UnknownRun`."""
    for name in ("before", "after"):
        assert list(await journal.read("nobody")) == []
        assert list(await journal.read("nobody", 5)) == []
        with pytest.raises(UnknownRun):
            await journal.head("nobody")
        await Author(name).append(journal)


@pytest.mark.parametrize("odd", [float("nan"), object(), "\ud800"], ids=["nan", "object", "surrogate"])
@requirement(
    "JOURNAL-04",
    "MUST",
    reason="The records of one step belong together: half a step is a step that never was.",
    advice="Encode and fold the whole batch before the first change, or roll back.",
)
async def test_a_batch_is_all_or_nothing(journal: Journal, odd: Any) -> None:
    """Keeps nothing of a batch of which one record cannot be stored, and the run goes on where it was."""
    author = Author("r")
    first = await author.append(journal)
    good, bad = Record("r", 1, "decision", "", 1, 1), Record("r", 2, "decision", "", odd, 1)
    with pytest.raises((TypeError, ValueError)):
        await journal.append("r", 1, 1, [good, bad])
    assert list(await journal.read("r")) == first
    assert (await journal.head("r")).next_seq == 1
    second = await author.append(journal, "goes on")
    assert list(await journal.read("r")) == first + second


@requirement(
    "JOURNAL-05",
    "MUST",
    reason="A run whose end says nothing of how it ended has no head; it must not be half ended for that.",
    advice="Fold into a copy of the head and put it in place when the batch is stored.",
)
async def test_a_record_that_makes_no_head_leaves_the_old_one(journal: Journal) -> None:
    """Keeps nothing of a batch of which no head can be made, and the run goes on where it was."""
    author = Author("r")
    first = await author.append(journal)
    before = await journal.head("r")
    batch = [Record("r", 1, "lease", "", {"owner": "other"}, 1), Record("r", 2, "run.ended", "", {}, 1)]
    with pytest.raises(KeyError):
        await journal.append("r", 1, 1, batch)
    assert await journal.head("r") == before
    assert list(await journal.read("r")) == first
    await author.append(journal)
    assert (await journal.head("r")).next_seq == 2


@requirement(
    "JOURNAL-06",
    "MUST",
    reason="A gap or a foreign record makes a run unreadable for ever.",
    advice="Call check_batch of agentflow_kernel.contracts.journal first.",
)
@pytest.mark.parametrize(
    "places",
    [
        [("r", 0, 1), ("r", 2, 1)],
        [("r", 1, 1), ("r", 2, 1)],
        [("r", 0, 1), ("r", 0, 1)],
        [("s", 0, 1)],
        [("r", 0, 1), ("r", 1, 2)],
    ],
    ids=["gap", "late", "twice", "run", "epoch"],
)
async def test_what_is_no_batch_is_a_wrong_argument(journal: Journal, places: list[tuple[str, int, int]]) -> None:
    """Refuses with `ValueError` what is not one batch of one run and one epoch, numbered without a gap."""
    with pytest.raises(ValueError, match="batch"):
        await journal.append("r", 0, 1, [Record(run, seq, "decision", "", None, epoch) for run, seq, epoch in places])
    assert list(await journal.read("r")) == list(await journal.read("s")) == []
    assert list(await journal.runs()) == []


@requirement(
    "JOURNAL-07",
    "MUST",
    reason="An owner asks this way whether it still is one, without leaving a trace.",
    advice="Compare first, then look whether there is anything to store.",
)
async def test_an_empty_batch_only_looks_at_its_place(journal: Journal) -> None:
    """Refuses an empty batch as any other, and else does nothing: no run comes of it."""
    await journal.append("r", 0, 1, [])
    with pytest.raises(UnknownRun):
        await journal.head("r")
    await Author("r", epoch=2).append(journal)
    with pytest.raises(AppendConflict):
        await journal.append("r", 0, 2, [])
    with pytest.raises(Fenced):
        await journal.append("r", 1, 1, [])
    await journal.append("r", 1, 3, [])
    assert (await journal.head("r")).epoch == 2


@requirement(
    "JOURNAL-08",
    "MUST",
    reason="Callers change what they hold; the history must not change with it.",
    advice="Keep bytes, and make new objects for each reader.",
)
async def test_nobody_shares_objects_with_the_journal(journal: Journal) -> None:
    """Is not touched by later changes of what was appended, nor by changes of what was read."""
    record = Author("r").write()[0]
    await journal.append("r", 0, 1, [record])
    record.payload["name"] = "changed"  # type: ignore[index]  # a careless caller
    found = (await journal.read("r"))[0]
    found.payload["name"] = "changed"  # type: ignore[index]  # a careless reader
    head, listed = await journal.head("r"), (await journal.runs())[0]
    head.status = listed.status = "failed"
    head.next_seq = 7
    assert (await journal.read("r"))[0].payload == {"name": "flow/r", "owner": "author"}
    expected = RunInfo("r", "flow/r", "running", 1, 1, "author", 100.0, 100.0)
    assert await journal.head("r") == (await journal.runs())[0] == expected
