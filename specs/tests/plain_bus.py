"""A bus that lives by real time and shows nothing of itself."""

from __future__ import annotations

from contextlib import asynccontextmanager

import anyio

from agentflow_kernel.inprocess.bus import InProcessBus


class PlainHarness:
    kind = "bus"
    declared = {"clock": False, "bounded": False, "aside": False}  # noqa: RUF012 -- as a harness has it
    event_loops = ("asyncio",)
    known_deviations: dict = {}  # noqa: RUF012 -- as a harness has it

    @asynccontextmanager
    async def open(self):
        async with anyio.create_task_group() as group:
            bus = InProcessBus(group)
            yield bus
            await bus.aclose()
