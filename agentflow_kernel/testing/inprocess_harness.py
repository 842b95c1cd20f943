"""The harnesses of what the kernel keeps in memory: it keeps every contract, and is no promise of durability."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, ClassVar, cast

import anyio

from agentflow_kernel.inprocess.bus import InProcessBus
from agentflow_kernel.inprocess.journal import InProcessJournal
from agentflow_kernel.inprocess.memory import InProcessMemory
from agentflow_kernel.testing.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from agentflow_kernel.contracts.bus import Bus
    from agentflow_kernel.event import Event


class InProcessJournalHarness:
    """Opens an empty journal in memory."""

    kind: ClassVar[str] = "journal"
    declared: ClassVar[Mapping[str, bool]] = {
        "durable": False,
        "inline": True,
        "shared": False,
        "shared-runs": False,
        "prunes": True,
        "compacts": True,
        "tally": True,
        "damage": False,
    }
    known_deviations: ClassVar[Mapping[str, str]] = {}

    @asynccontextmanager
    async def open(self) -> AsyncIterator[InProcessJournal]:
        """An empty journal."""
        journal = InProcessJournal()
        yield journal
        await journal.aclose()


class InProcessMemoryHarness:
    """Opens an empty memory; ``clock`` is the clock of the latest one."""

    kind: ClassVar[str] = "memory"
    declared: ClassVar[Mapping[str, bool]] = {"clock": True, "durable": False}
    known_deviations: ClassVar[Mapping[str, str]] = {}
    made_of: ClassVar[type[InProcessMemory]] = InProcessMemory
    """What is opened, so that variants of it can be tested."""

    def __init__(self) -> None:
        self.clock = FakeClock()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[InProcessMemory]:
        """An empty memory."""
        self.clock = FakeClock()
        memory = self.made_of(clock=self.clock)
        yield memory
        await memory.aclose()


class InProcessBusHarness:
    """Opens a bus of a small capacity; ``clock`` is the clock of the latest one."""

    kind: ClassVar[str] = "bus"
    declared: ClassVar[Mapping[str, bool]] = {"clock": True, "bounded": True, "aside": True}
    known_deviations: ClassVar[Mapping[str, str]] = {}
    capacity: ClassVar[int] = 20
    made_of: ClassVar[type[InProcessBus]] = InProcessBus
    """What is opened, so that variants of it can be tested."""

    def __init__(self) -> None:
        self.clock = FakeClock()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[InProcessBus]:
        """A bus that nobody has subscribed to."""
        self.clock = FakeClock()
        async with anyio.create_task_group() as group:
            bus = self.made_of(group, clock=self.clock, capacity=self.capacity)
            yield bus
            await bus.aclose()

    async def dead_letters(self, bus: Bus) -> Sequence[tuple[Event, str]]:
        """As the bus remembers them."""
        return list(cast("InProcessBus", bus).dead_letters)
