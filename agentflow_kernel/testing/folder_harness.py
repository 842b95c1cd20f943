"""A folder harness: the part of a journal's harness that keeps each store in a temporary folder of its own."""

from __future__ import annotations

import os
import shutil
import tempfile
from abc import ABC, abstractmethod
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

import anyio
from anyio.to_thread import run_sync

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from agentflow_kernel.contracts.journal import Journal

J = TypeVar("J", bound="Journal")


class FolderJournalHarness(ABC, Generic[J]):
    """Opens journals in temporary folders; a journal's place is a path. Subclasses say how a journal is made there."""

    kind: ClassVar[str] = "journal"
    entry: ClassVar[str]
    """The name of what a journal has in its folder."""

    def __init__(self) -> None:
        self._places: dict[Journal, str] = {}

    @abstractmethod
    def make(self, path: str) -> J:
        """A journal at this path; nothing is there the first time."""

    @asynccontextmanager
    async def open(self) -> AsyncIterator[J]:
        """A journal whose files are yet to be made."""
        folder = await run_sync(tempfile.mkdtemp)
        path = os.path.join(folder, self.entry)
        try:
            async with self.attach(path) as journal:
                self._places[journal] = path
                yield journal
                del self._places[journal]
        finally:
            with anyio.CancelScope(shield=True):
                await run_sync(shutil.rmtree, folder)

    def place(self, journal: Journal) -> str:
        """The path that a journal was made at."""
        return self._places[journal]

    @asynccontextmanager
    async def attach(self, place: str) -> AsyncIterator[J]:
        """Another journal at the same path."""
        journal = self.make(place)
        try:
            yield journal
        finally:
            await journal.aclose()
