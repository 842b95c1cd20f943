"""The cursors: where a reading goes on, and what is given again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agentflow_kernel.errors import InputInvalid, Unsupported
from agentflow_specs.requirement import requirement
from agentflow_specs.suites.source.abilities import continuing, sources_of
from agentflow_specs.suites.source.reading import take, told

if TYPE_CHECKING:
    from agentflow_kernel.contracts.source import Source, SourceItem
    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.testing import Harness

pytestmark = pytest.mark.anyio

FOREIGN: tuple[JSON, ...] = (
    "", "x" * 1_000_000, 0, -1, 1.5, True, [], [1, 2], {}, {"no such field": 1}, {"": None}, "\x00", {"offset": "é"},
    {"offset": -1, "told": -1, "scheduled": -1}, {"offset": [], "told": [], "scheduled": []},
)  # fmt: skip


@requirement(
    "SOURCE-10",
    "MUST",
    needs="resumes",
    reason="After a crash the reading goes on; an event that is left out is lost, one that is repeated is done twice.",
    advice="Put into the cursor what names the place after the event, not the place where reading has got to.",
)
async def test_a_reading_goes_on_after_each_cursor(source: Source, harness: Harness) -> None:
    """Gives after the cursor of each event exactly those that come behind it, in the same order."""
    sources = sources_of(harness)
    first = await take(source, sources.items)
    assert len(first) == sources.items
    known = [item.cursor for item in first]
    for number, item in enumerate(first):
        rest = first[number + 1 :]
        async with sources.again(source) as other:
            found = await take(other, len(rest) + harness.declared["finite"], place_of(item))
        assert list(map(told, found[: len(rest)])) == list(map(told, rest))
        assert [one.cursor for one in found[: len(rest)]] == [one.cursor for one in rest]
        assert [one.cursor for one in found[len(rest) :] if one.cursor in known] == [], "what was received came again"


def place_of(item: SourceItem) -> JSON:
    """The cursor of an item; `None`, which is the beginning, is none."""
    if item.cursor is None:
        raise Unsupported("The cursor of an item", "it is None, which is the beginning.")
    return item.cursor


@requirement(
    "SOURCE-11",
    "MUST",
    needs="resumes",
    reason="A cursor is read from a file that people restore and copy; a foreign one must not begin anywhere.",
    advice="Look at type and fields of the cursor first, and raise InputInvalid, naming the source.",
)
async def test_a_foreign_cursor_is_refused(source: Source, harness: Harness) -> None:
    """Raises `InputInvalid` for a cursor that it cannot have given, and works as before afterwards."""
    for cursor in FOREIGN:
        with pytest.raises(InputInvalid, match=r"\S"):
            await take(source, 1, cursor)
    assert len(await take(source, sources_of(harness).items)) == sources_of(harness).items


@requirement(
    "SOURCE-12",
    "MUST",
    needs="continues",
    reason="An event whose run was started just before a crash is given again; only its id finds that run.",
    advice="Make the id from the content and its place, or keep it on disk before the event is given.",
)
async def test_an_event_that_is_given_again_keeps_its_name(source: Source, harness: Harness) -> None:
    """Gives an event that nobody has acknowledged again, under the same source and id, and with the same cursor."""
    sources = sources_of(continuing_harness(harness, source))
    first = await take(source, sources.items)
    async with sources.again(source) as other:
        again = await take(other, sources.items)
    assert [(item.event.source, item.event.id, item.cursor) for item in again] == [
        (item.event.source, item.event.id, item.cursor) for item in first
    ]


def continuing_harness(harness: Harness, source: Source) -> Harness:
    """The harness, whose source says that it continues."""
    continuing(source)
    return harness
