"""The harness of the journal: what the conformance kit needs to test it, each time in a folder of its own."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, ClassVar

import anyio
from anyio.to_thread import run_sync

from agentflow_leveldb._driver import load_driver
from agentflow_leveldb._layout import BLOBS, record_key
from agentflow_leveldb.journal import LevelJournal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from agentflow_kernel.contracts.journal import Journal


class LevelJournalHarness:
    """Opens journals in temporary folders; a journal's place is the path of its folder."""

    kind: ClassVar[str] = "journal"
    declared: ClassVar[Mapping[str, bool]] = {
        "durable": True,
        "inline": True,
        "shared": False,
        "shared-runs": False,
        "prunes": False,
        "compacts": True,
        "tally": False,
        "damage": True,
    }
    known_deviations: ClassVar[Mapping[str, str]] = {}

    def __init__(self) -> None:
        self._places: dict[Journal, str] = {}

    @asynccontextmanager
    async def open(self) -> AsyncIterator[LevelJournal]:
        """A journal whose folder is yet to be made."""
        folder = await run_sync(tempfile.mkdtemp)
        path = os.path.join(folder, "journal")
        try:
            async with self.attach(path) as journal:
                self._places[journal] = path
                yield journal
                del self._places[journal]
        finally:
            with anyio.CancelScope(shield=True):
                await run_sync(shutil.rmtree, folder)

    def place(self, journal: Journal) -> str:
        """The path of its folder."""
        return self._places[journal]

    @asynccontextmanager
    async def attach(self, place: str) -> AsyncIterator[LevelJournal]:
        """Another journal in the same folder."""
        journal = LevelJournal(place, least_free=0.0)
        try:
            yield journal
        finally:
            await journal.aclose()

    def damage_record(self, place: str, run_id: str, seq: int) -> None:
        """Change a byte of the record's text."""
        _spoil(place, record_key(run_id, seq), 20)

    def damage_blob(self, place: str, ref: str) -> None:
        """Change the first byte."""
        _spoil(place, BLOBS + ref.encode(), 0)


def _spoil(place: str, key: bytes, position: int) -> None:
    """Change one byte of a value, as LevelDB itself would not notice."""
    db: Any = load_driver().DB(os.path.join(place, "db"))
    value = bytearray(db.get(key))
    value[position] ^= 1
    db.put(key, bytes(value), sync=True)
    db.close()
