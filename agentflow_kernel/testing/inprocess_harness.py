"""The harness of the in-process journal: it keeps the contract of all journals, and is no promise of durability."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, ClassVar

from agentflow_kernel.inprocess.journal import InProcessJournal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping


class InProcessJournalHarness:
    """Opens an empty journal in memory."""

    kind: ClassVar[str] = "journal"
    declared: ClassVar[Mapping[str, bool]] = {
        "durable": False,
        "inline": True,
        "shared": False,
        "shared-runs": False,
        "damage": False,
    }
    known_deviations: ClassVar[Mapping[str, str]] = {}

    @asynccontextmanager
    async def open(self) -> AsyncIterator[InProcessJournal]:
        """An empty journal."""
        journal = InProcessJournal()
        yield journal
        await journal.aclose()
