"""The harness of the journal: what the conformance kit needs to test it, each time in a schema of its own."""

from __future__ import annotations

import asyncio
import os
import secrets
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, ClassVar

import asyncpg

from agentflow_kernel.errors import UsageError
from agentflow_postgres.journal import PostgresJournal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from agentflow_kernel.contracts.journal import Journal

DSN_VARIABLE = "AGENTFLOW_TEST_POSTGRES"
SPOIL_RECORD = """
UPDATE records SET data = set_byte(data, 20, get_byte(data, 20) # 1)
WHERE seq = $1 AND run = (SELECT number FROM runs WHERE run_id = $2)"""
SPOIL_BLOB = "UPDATE blobs SET data = set_byte(data, 0, get_byte(data, 0) # 1) WHERE sha256 = $1"


class PostgresJournalHarness:
    """Opens journals in the database that ``AGENTFLOW_TEST_POSTGRES`` names; a journal's place is its schema."""

    kind: ClassVar[str] = "journal"
    declared: ClassVar[Mapping[str, bool]] = {
        "durable": True,
        "inline": False,
        "shared": True,
        "shared-runs": True,
        "prunes": True,
        "compacts": True,
        "tally": True,
        "damage": True,
    }
    event_loops: ClassVar[tuple[str, ...]] = ("asyncio",)
    """Under trio every call raises ``Unsupported``: the driver knows asyncio only."""
    known_deviations: ClassVar[Mapping[str, str]] = {}

    def __init__(self) -> None:
        self._places: dict[Journal, str] = {}
        self._dsn = os.environ.get(DSN_VARIABLE, "")
        if not self._dsn:
            raise UsageError(f"{DSN_VARIABLE} is not set: name a database that tests may write to.")

    @asynccontextmanager
    async def open(self) -> AsyncIterator[PostgresJournal]:
        """A journal whose tables are yet to be made."""
        schema = f"test_{secrets.token_hex(8)}"
        try:
            async with self.attach(schema) as journal:
                self._places[journal] = schema
                yield journal
                del self._places[journal]
        finally:
            await self._execute(f'DROP SCHEMA IF EXISTS "{schema}" CASCADE')

    def place(self, journal: Journal) -> str:
        """The name of its schema."""
        return self._places[journal]

    @asynccontextmanager
    async def attach(self, place: str) -> AsyncIterator[PostgresJournal]:
        """Another journal on the same tables."""
        journal = PostgresJournal(self._dsn, schema=place)
        try:
            yield journal
        finally:
            await journal.aclose()

    def damage_record(self, place: str, run_id: str, seq: int) -> None:
        """Change a byte of the record's text."""
        self._spoil(place, SPOIL_RECORD, seq, run_id)

    def damage_blob(self, place: str, ref: str) -> None:
        """Change the first byte."""
        self._spoil(place, SPOIL_BLOB, ref)

    def _spoil(self, place: str, statement: str, *arguments: object) -> None:
        """Do it in a thread with a loop of its own: the caller may be in one."""
        done = threading.Thread(target=lambda: asyncio.run(self._execute(statement, *arguments, place=place)))
        done.start()
        done.join()

    async def _execute(self, statement: str, *arguments: Any, place: str = "public") -> None:
        connection = await asyncpg.connect(self._dsn, server_settings={"search_path": place})
        try:
            await connection.execute(statement, *arguments)
        finally:
            await connection.close()
