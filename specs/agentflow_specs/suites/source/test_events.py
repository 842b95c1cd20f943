"""The events: what a source gives, how often, and to many who read at the same time."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

import anyio
import pytest

from agentflow_kernel.event import Event
from agentflow_specs.requirement import requirement
from agentflow_specs.suites.source.abilities import sources_of
from agentflow_specs.suites.source.reading import PATIENCE_S, reading, take, told

if TYPE_CHECKING:
    from agentflow_kernel.contracts.source import Source, SourceItem
    from agentflow_kernel.testing import Harness

pytestmark = pytest.mark.anyio

READERS = 20


@requirement(
    "SOURCE-01",
    "MUST",
    reason="An event goes over the bus and, with the cursor, into files: both must survive it unchanged.",
    advice="Make an Event of JSON values, and a cursor of texts, numbers, lists and objects with texts as keys.",
)
async def test_items_are_events_with_cursors(source: Source, harness: Harness) -> None:
    """Gives as many events as its input holds, each with a cursor, and both survive their encoding."""
    expected = sources_of(harness).items
    assert expected >= 1
    assert len(await take(source, expected)) == expected


@requirement(
    "SOURCE-02",
    "MUST",
    reason="Two events of one source and id are one event: the second would start no run.",
    advice="Make the id from what the event tells, its place in the input included, or let Event make one.",
)
async def test_every_event_has_a_name_of_its_own(source: Source, harness: Harness) -> None:
    """Gives no two events the same source and id."""
    found = await take(source, sources_of(harness).items)
    names = [(item.event.source, item.event.id) for item in found]
    assert len(set(names)) == len(names) == sources_of(harness).items


@requirement(
    "SOURCE-03",
    "MUST",
    reason="A trigger whose source does not end never reports its runs; one that ends too early loses events.",
    advice="End the iterator after the last event; one that is endless ends it at aclose and not before.",
)
async def test_the_iterator_ends_when_it_is_said_to_end(source: Source, harness: Harness) -> None:
    """Ends by itself after its events where it is finite, and else only when it is closed."""
    expected, count = sources_of(harness).items, 0
    enough, ended = anyio.Event(), anyio.Event()

    async def read() -> None:
        nonlocal count
        async with reading(source) as items:
            async for _ in items:
                count += 1
                if count == expected:
                    enough.set()
        ended.set()

    with anyio.fail_after(PATIENCE_S):
        async with anyio.create_task_group() as group:
            group.start_soon(read)
            if harness.declared["finite"]:
                await ended.wait()
            else:
                with anyio.move_on_after(0.3):
                    await ended.wait()
                assert not ended.is_set(), "it is said to be endless"
                await enough.wait()
                await source.aclose()
    assert count == expected if harness.declared["finite"] else count >= expected


@requirement(
    "SOURCE-04",
    "MUST",
    reason="The kernel keeps the cursor and hands the event to others; what changes behind them is wrong for all.",
    advice="Make event and cursor anew for each item; copy what goes on to change.",
)
async def test_items_stay_as_they_were_given(source: Source, harness: Harness) -> None:
    """Changes no event and no cursor after it has given it, and is not led astray by a consumer that does."""
    kept: list[tuple[SourceItem, str]] = []
    async with reading(source) as items:
        for number in range(sources_of(harness).items):
            item = await anext(items)
            kept.append((item, spelled(item)))
            assert [spelled(one) for one, _ in kept] == [text for _, text in kept], f"after event {number + 1}"
    async with harness.open() as other:
        spoiled = []
        async with reading(cast("Source", other)) as items:
            for _ in range(sources_of(harness).items):
                item = await anext(items)
                spoiled.append(told(item))
                if isinstance(item.event.data, dict):
                    item.event.data.clear()
                if isinstance(item.cursor, dict):
                    item.cursor.clear()
    assert len(spoiled) == len(kept)


def spelled(item: SourceItem) -> str:
    """An item as text."""
    data = item.event.data
    return json.dumps([item.event.id, data.hex() if isinstance(data, bytes) else data, item.cursor], default=str)


@requirement(
    "SOURCE-05",
    "MUST",
    reason="A kernel fires many triggers at once, several of them with the same plugin.",
    advice="Keep what belongs to one source in that source, not in its module or class.",
)
async def test_many_sources_do_not_disturb_each_other(harness: Harness) -> None:
    """Gives each of 20 readers, with a source each, what it gives one reader alone."""
    expected = sources_of(harness).items
    found: list[list[str]] = []

    async def read() -> None:
        async with harness.open() as subject:
            items = await take(cast("Source", subject), expected)
            found.append([item.event.type for item in items])

    with anyio.fail_after(PATIENCE_S * 2):
        async with anyio.create_task_group() as group:
            for _ in range(READERS):
                group.start_soon(read)
    assert len(found) == READERS
    assert all(one == found[0] and len(one) == expected for one in found)


@requirement(
    "SOURCE-06",
    "MUST",
    reason="The time of an event and its id are what people search for; CloudEvents asks for a URI as source.",
    advice="Give Event a source, as in file:///var/log/app.log or urn:mine:<name>, not its default.",
)
async def test_events_say_where_they_come_from(source: Source, harness: Harness) -> None:
    """Says in each event of which type it is, where it comes from, and when it was made."""
    for item in await take(source, sources_of(harness).items):
        assert item.event.source != Event("x").source, "the default of Event says nothing"
        assert "." in item.event.type, "a type is a reversed domain name, so that it is nobody else's"
        assert item.event.time
