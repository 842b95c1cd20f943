"""A tally: the runs that have not ended, counted by owner or cause, so that an idle worker looks at no list."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agentflow_kernel.errors import StorageUnavailable
from agentflow_specs.requirement import requirement
from agentflow_specs.suites.journal.abilities import tally_of
from agentflow_specs.suites.journal.author import Author

if TYPE_CHECKING:
    from agentflow_kernel.contracts.journal import Journal, RecordType
    from agentflow_kernel.contracts.values import JSON

pytestmark = pytest.mark.anyio


@requirement(
    "JOURNAL-84",
    "MUST",
    needs="tally",
    reason="A worker takes over only what the tally tells it of: a run that is not in it waits for ever.",
    advice="Count the heads: at work by owner, suspended by cause, the others not at all.",
)
async def test_the_tally_counts_the_runs_that_have_not_ended(journal: Journal) -> None:
    """Counts runs at work by owner, suspended ones by cause (`unknown` without one), no stuck one, none that ended."""
    tally = tally_of(journal)
    assert list(await tally.tally()) == []
    authors = [Author(f"r{number}") for number in range(7)]
    for author in authors:
        await author.append(journal)
    assert list(await tally.tally()) == [("author", "", 7)]
    for author in authors[:2]:
        author.epoch = 2
        await author.append(journal, {"owner": "another"}, kind="lease")
    await authors[2].append(journal, {"waiting": 1.0}, kind="timer.set")
    assert sorted(await tally.tally()) == [("another", "", 2), ("author", "", 5)]
    ends: tuple[tuple[Author, RecordType, JSON], ...] = (
        (authors[1], "run.suspended", {"cause": "handover"}),
        (authors[3], "run.suspended", {"cause": ""}),
        (authors[4], "run.suspended", {"status": "stuck", "cause": "AF-NON-DETERMINISM"}),
        (authors[5], "run.ended", {"status": "completed"}),
    )
    for author, kind, payload in ends:
        await author.append(journal, payload, kind=kind)
    expected = [("", "handover", 1), ("", "unknown", 1), ("another", "", 1), ("author", "", 2)]
    assert sorted(await tally.tally()) == expected
    authors[1].epoch = 3
    await authors[1].append(journal, {"owner": "another"}, kind="lease")
    assert sorted(await tally.tally()) == [("", "unknown", 1), ("another", "", 2), ("author", "", 2)]
    await journal.aclose()
    with pytest.raises(StorageUnavailable):
        await tally.tally()
