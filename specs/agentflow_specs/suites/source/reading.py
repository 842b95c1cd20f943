"""A reading: the events of a source taken one by one, each looked at, the iterator closed however it ends."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from agentflow_kernel.event import Event

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from agentflow_kernel.contracts.source import Source, SourceItem
    from agentflow_kernel.contracts.values import JSON

PATIENCE_S = 30.0
"""How long a reading may take."""


@asynccontextmanager
async def reading(source: Source, cursor: JSON = None) -> AsyncIterator[AsyncIterator[SourceItem]]:
    """An iterator over the events, closed at the end as the kernel closes it."""
    items = source.events(cursor)
    try:
        yield items
    finally:
        close = getattr(items, "aclose", None)
        if close is not None:
            with anyio.CancelScope(shield=True):
                await close()


async def take(source: Source, count: int, cursor: JSON = None) -> list[SourceItem]:
    """The first ``count`` events, or all where there are fewer; each one is checked."""
    found: list[SourceItem] = []
    with anyio.fail_after(PATIENCE_S):
        async with reading(source, cursor) as items:
            while len(found) < count:
                try:
                    item = await anext(items)
                except StopAsyncIteration:
                    break
                check(item)
                found.append(item)
    return found


async def count_all(source: Source) -> int:
    """How many events a source gives that ends; each one is checked, none is kept."""
    number = 0
    with anyio.fail_after(PATIENCE_S):
        async with reading(source) as items:
            async for item in items:
                check(item)
                number += 1
    return number


def check(item: SourceItem) -> None:
    """An item is an event that survives its encoding, and a cursor that survives JSON."""
    assert isinstance(item.event, Event)
    assert Event.from_json(item.event.to_json()) == item.event
    text = json.dumps(item.cursor, allow_nan=False, ensure_ascii=False)
    assert json.loads(text.encode()) == item.cursor


def told(item: SourceItem) -> tuple[object, ...]:
    """What an event tells, without the names and moments that are made anew for each."""
    return item.event.type, item.event.source, item.event.subject
