"""The code of the orders: a source that goes on from its cursor, and steps that tell the world of their effects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio.lowlevel
from flows.triggered import world

from agentflow_kernel import Event
from agentflow_kernel.contracts.source import SourceItem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from agentflow_kernel import Context

COUNT = 4


class Orders:
    """Numbers from where the cursor says."""

    continues = True

    def __init__(self, settings: Any, context: Any) -> None:
        """Nothing is set."""

    async def events(self, cursor: Any = None) -> AsyncIterator[SourceItem]:
        """One event a number."""
        for number in range(0 if cursor is None else cursor["number"] + 1, COUNT):
            await anyio.lowlevel.checkpoint()
            event = Event("number", {"n": number}, source="orders", id=str(number))
            yield SourceItem(event, {"number": number})

    async def aclose(self) -> None:
        """There is nothing to give back."""


async def check(value: Any, context: Context) -> Any:
    """The first step."""
    world().effect(context)
    await anyio.lowlevel.checkpoint()
    return value["n"]


async def ship(value: int, context: Context) -> int:
    """The second one."""
    world().effect(context)
    await anyio.lowlevel.checkpoint()
    return value + 1
