"""Compare and set: an append happens at the end of its run and by its owner, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agentflow_kernel.contracts.journal import Record
from agentflow_kernel.errors import AppendConflict, Fenced
from agentflow_specs.requirement import requirement
from agentflow_specs.suites.journal.author import Author

if TYPE_CHECKING:
    from agentflow_kernel.contracts.journal import Journal

pytestmark = pytest.mark.anyio


def at(seq: int, epoch: int, run_id: str = "r") -> list[Record]:
    """A batch of one record for that place."""
    return [Record(run_id, seq, "lease", "", {"owner": f"epoch {epoch}"}, epoch)]


@requirement(
    "JOURNAL-10",
    "MUST",
    reason="Two tasks of one owner must not write the same place twice, nor leave a gap.",
    advice="Compare expected_seq with the end of the run in the same transaction that appends.",
)
@pytest.mark.parametrize("seq", [0, 1, 3, 100])
async def test_another_place_is_a_conflict(journal: Journal, seq: int) -> None:
    """Refuses an append at any place but the end with `AppendConflict`, which says where the end is."""
    author = Author("r")
    expected = await author.append(journal, 1, 2)
    with pytest.raises(AppendConflict) as refused:
        await journal.append("r", seq, 1, at(seq, 1))
    assert (refused.value.run_id, refused.value.expected_seq, refused.value.next_seq) == ("r", seq, 2)
    assert refused.value.executed == "no"
    assert list(await journal.read("r")) == expected
    await author.append(journal)


@requirement(
    "JOURNAL-11",
    "MUST",
    reason="A run begins at 0; a caller that expects a later place holds a run of another journal.",
    advice="A run that is not there has the end 0.",
)
async def test_a_new_run_begins_at_zero(journal: Journal) -> None:
    """Refuses the first append of a run anywhere but at 0, and the run is then not there."""
    with pytest.raises(AppendConflict) as refused:
        await journal.append("r", 1, 1, at(1, 1))
    assert refused.value.next_seq == 0
    assert list(await journal.runs()) == []


@requirement(
    "JOURNAL-12",
    "MUST",
    reason="An owner that was thought dead must do nothing more once another has taken its run.",
    advice="Compare the epoch before the place: a fenced owner must not be told to reload and try again.",
)
@pytest.mark.parametrize("seq", [0, 1, 2, 9])
async def test_an_older_epoch_is_fenced(journal: Journal, seq: int) -> None:
    """Refuses every append of a lower epoch with `Fenced`, at the right place and at any other."""
    await Author("r").append(journal)
    await journal.append("r", 1, 4, at(1, 4))
    with pytest.raises(Fenced) as refused:
        await journal.append("r", seq, 3, at(seq, 3))
    assert (refused.value.run_id, refused.value.epoch, refused.value.current) == ("r", 3, 4)
    assert refused.value.executed == "no"
    assert [record.epoch for record in await journal.read("r")] == [1, 4]
    assert (await journal.head("r")).owner == "epoch 4"


@requirement(
    "JOURNAL-13",
    "MUST",
    reason="A run is taken over by an append with a higher epoch; nothing else says so.",
    advice="The epoch of a run is that of its last record.",
)
async def test_a_higher_epoch_takes_the_run(journal: Journal) -> None:
    """Takes an append with a higher epoch at the end, which is the run's epoch from then on."""
    author = Author("r")
    await author.append(journal)
    author.epoch = 9
    await author.append(journal)
    assert (await journal.head("r")).epoch == 9
    await author.append(journal)
    with pytest.raises(Fenced):
        await journal.append("r", 3, 8, at(3, 8))


@requirement(
    "JOURNAL-14",
    "MUST",
    reason="Who has not read to the end does not know what it takes over.",
    advice="Raise the epoch with the append, not before it.",
)
async def test_a_higher_epoch_at_another_place_changes_nothing(journal: Journal) -> None:
    """Refuses a higher epoch at another place with `AppendConflict`, and the old owner goes on."""
    author = Author("r")
    await author.append(journal, 1, 2)
    for seq in (0, 1, 3):
        with pytest.raises(AppendConflict):
            await journal.append("r", seq, 9, at(seq, 9))
    assert (await journal.head("r")).epoch == 1
    await author.append(journal)


@requirement(
    "JOURNAL-15",
    "MUST",
    reason="Runs have owners of their own.",
    advice="Keep the epoch with the run.",
)
async def test_epochs_and_places_are_of_one_run(journal: Journal) -> None:
    """Compares each run with itself: epochs and places of others do not count."""
    await Author("a", epoch=5).append(journal, 1, 2, 3)
    await Author("b", epoch=1).append(journal)
    assert [(await journal.head(run)).epoch for run in "ab"] == [5, 1]
    assert [(await journal.head(run)).next_seq for run in "ab"] == [3, 1]


@requirement(
    "JOURNAL-16",
    "MUST",
    reason="Epochs come from clocks and counters of many machines.",
    advice="Store 63 bits; refuse what cannot be stored as a wrong argument.",
)
async def test_every_epoch_that_can_be_stored_is_kept(journal: Journal) -> None:
    """Takes epochs from 0 to 2**63 - 1; anything else is a `ValueError`, not a number that wraps round."""
    for number, epoch in enumerate([0, 1, 2**31, 2**53 + 1, 2**63 - 1]):
        await journal.append("r", number, epoch, at(number, epoch))
        assert (await journal.head("r")).epoch == epoch
    for epoch in (-1, 2**63):
        with pytest.raises(ValueError, match="epoch"):
            await journal.append("s", 0, epoch, at(0, epoch, "s"))
    assert [info.run_id for info in await journal.runs()] == ["r"]
