"""The harnesses: what the conformance kit needs to test journal and memory, each time in a folder of its own."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING, ClassVar

import anyio
from anyio.to_thread import run_sync

from agentflow_kernel.testing import FakeClock, FolderJournalHarness
from agentflow_sqlite.journal import SqliteJournal
from agentflow_sqlite.memory import SqliteMemory

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from agentflow_kernel.contracts.memory import Memory

SPOIL_RECORD = """
UPDATE log SET data = CAST(substr(data, 1, 20) || x'7e' || substr(data, 22) AS BLOB)
WHERE seq = ? AND run = (SELECT id FROM runs WHERE run_id = ?)"""
SPOIL_BLOB = "UPDATE blobs SET data = CAST(x'7e' || substr(data, 2) AS BLOB) WHERE sha256 = ?"


class SqliteJournalHarness(FolderJournalHarness[SqliteJournal]):
    """Opens journals in temporary folders; a journal's place is the path of its file."""

    entry = "journal.db"
    declared: ClassVar[Mapping[str, bool]] = {
        "durable": True,
        "inline": True,
        "shared": True,
        "shared-runs": False,
        "prunes": True,
        "compacts": True,
        "tally": True,
        "damage": True,
    }
    known_deviations: ClassVar[Mapping[str, str]] = {}

    def make(self, path: str) -> SqliteJournal:
        """A journal in the file at this path."""
        return SqliteJournal(path)

    def damage_record(self, place: str, run_id: str, seq: int) -> None:
        """Change a byte of the record's text."""
        self._spoil(place, SPOIL_RECORD, seq, run_id)

    def damage_blob(self, place: str, ref: str) -> None:
        """Change the first byte."""
        self._spoil(place, SPOIL_BLOB, ref)

    def _spoil(self, place: str, statement: str, *arguments: object) -> None:
        with closing(sqlite3.connect(place)) as connection, connection:
            connection.execute(statement, arguments)


class SqliteMemoryHarness:
    """Opens memories in temporary folders; ``clock`` is the clock of the latest one."""

    kind: ClassVar[str] = "memory"
    declared: ClassVar[Mapping[str, bool]] = {"clock": True, "durable": True}
    known_deviations: ClassVar[Mapping[str, str]] = {}

    def __init__(self) -> None:
        self.clock = FakeClock()
        self._places: dict[Memory, str] = {}

    @asynccontextmanager
    async def open(self) -> AsyncIterator[SqliteMemory]:
        """A memory whose file is yet to be made."""
        self.clock = FakeClock()
        folder = await run_sync(tempfile.mkdtemp)
        memory = SqliteMemory(os.path.join(folder, "memory.db"), clock=self.clock)
        self._places[memory] = os.path.join(folder, "memory.db")
        try:
            yield memory
        finally:
            with anyio.CancelScope(shield=True):
                del self._places[memory]
                await memory.aclose()
                await run_sync(shutil.rmtree, folder)

    @asynccontextmanager
    async def attach(self, memory: Memory) -> AsyncIterator[SqliteMemory]:
        """Another memory on the same file."""
        other = SqliteMemory(self._places[memory], clock=self.clock)
        try:
            yield other
        finally:
            await other.aclose()
