"""A journal in a PostgreSQL database: shared by workers on several machines, each of which owns its runs by a lease."""

from __future__ import annotations

import os
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING

from agentflow_kernel.contracts.journal import GRACE_S, TERMINAL, check_batch, check_snapshot, encode_record
from agentflow_kernel.errors import CorruptRecord, StorageUnavailable, UnknownRun, UsageError
from agentflow_postgres._compacting import MOST_RECORDS, compact_run, find_base
from agentflow_postgres._link import Link, describe, require_asyncio
from agentflow_postgres._log import Batch, find_head, list_heads, read_records, tally
from agentflow_postgres._pruning import MOST_BLOBS, delete_blobs, delete_runs, find_names, find_old
from agentflow_postgres._writer import Writer
from agentflow_postgres.sharing import PostgresInbox, PostgresLeases

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from agentflow_kernel.contracts.journal import Record, RunInfo
    from agentflow_kernel.contracts.plugin import PluginContext
    from agentflow_postgres._link import Connection
    from agentflow_postgres.settings import JournalSettings

DSN_VARIABLE = "AGENTFLOW_POSTGRES_DSN"
PUT_BLOB = """
INSERT INTO blobs (sha256, data) VALUES ($1, $2)
ON CONFLICT (sha256) DO UPDATE SET data = excluded.data WHERE blobs.data <> excluded.data"""


NOTE_PUT = """
INSERT INTO puts (sha256, at) VALUES ($1, now())
ON CONFLICT (sha256) DO UPDATE SET at = excluded.at WHERE puts.at < excluded.at - interval '10 minutes'"""


def create_journal(settings: JournalSettings, context: PluginContext) -> PostgresJournal:
    """The journal of a resource; raises :class:`UsageError` when nothing says where its database is."""
    dsn = os.environ.get(DSN_VARIABLE, "") if settings.dsn is None else settings.dsn.get_secret_value()
    if not dsn:
        raise UsageError(
            f"Resource {context.name!r} has no database: set {DSN_VARIABLE}, or give the resource the setting 'dsn', "
            'as in dsn: "${JOURNAL_DSN}".'
        )
    return PostgresJournal(
        dsn,
        schema=settings.db_schema,
        pool_size=settings.pool_size,
        lease_s=settings.lease_s,
        outage_s=settings.outage_s,
        statement_timeout_s=settings.statement_timeout_s,
    )


class PostgresJournal:
    """The journal in ``schema`` of the database at ``dsn``. Its tables are made by the first append or blob.

    Appends that come together share one transaction. A server that is away is waited for, ``outage_s`` seconds at
    most; then :class:`StorageUnavailable` is raised. A worker that has not been heard of for ``lease_s`` seconds has
    lost its runs to whoever takes them. One object belongs to one event loop of asyncio; under trio its methods raise
    :class:`Unsupported`.
    """

    def __init__(
        self,
        dsn: str,
        *,
        schema: str = "agentflow",
        pool_size: int = 4,
        lease_s: float = 15.0,
        outage_s: float = 30.0,
        statement_timeout_s: float = 30.0,
    ) -> None:
        limits = {"outage_s": outage_s, "statement_timeout_s": statement_timeout_s}
        self._reading = Link(dsn, schema, size=pool_size, **limits)
        self._writing = Link(dsn, schema, size=1, **limits)
        self._writer = Writer(self._writing)
        self._closed = False
        self.inbox = PostgresInbox(self._reading)
        self.leases = PostgresLeases(self._reading, self.inbox, lease_s)
        self.place = describe(dsn)

    async def append(self, run_id: str, expected_seq: int, epoch: int, records: Sequence[Record]) -> None:
        """Append one batch with whatever else is appended at the moment."""
        self._open()
        batch = _to_batch(run_id, expected_seq, epoch, records)
        await self._writer.append(batch)

    async def read(self, run_id: str, from_seq: int = 0) -> Sequence[Record]:
        """The checked records of a run."""
        self._open()
        return await self._reading.run(lambda connection: read_records(connection, run_id, from_seq)) or []

    async def head(self, run_id: str) -> RunInfo:
        """The head of a run."""
        self._open()
        head = await self._reading.run(lambda connection: find_head(connection, run_id))
        if head is None:
            raise UnknownRun(run_id)
        return head.info

    async def runs(self, *, status: str | None = None, limit: int = 100) -> Sequence[RunInfo]:
        """The heads; a damaged one is listed as ``quarantined``."""
        self._open()
        return await self._reading.run(lambda connection: list_heads(connection, status, limit)) or []

    async def tally(self) -> Collection[tuple[str, str, int]]:
        """What the index of open runs says."""
        self._open()
        return await self._reading.run(tally) or []

    async def put_blob(self, data: bytes) -> str:
        """Store bytes; bytes that were damaged are put right."""
        self._open()
        ref = sha256(data).hexdigest()

        async def job(connection: Connection) -> None:
            async with connection.transaction():
                await connection.execute(NOTE_PUT, ref)  # first, so that nobody deletes it from here on
                await connection.execute(PUT_BLOB, ref, data)

        await self._reading.run(job, make=True)
        return ref

    async def get_blob(self, ref: str) -> bytes:
        """The checked bytes."""
        self._open()

        async def job(connection: Connection) -> bytes | None:
            found = await connection.fetchval("SELECT data FROM blobs WHERE sha256 = $1", ref)
            return None if found is None else bytes(found)

        data = await self._reading.run(job)
        if data is None:
            raise CorruptRecord("", -1, f"the payload {ref} is missing")
        if sha256(data).hexdigest() != ref:
            raise CorruptRecord("", -1, f"the payload {ref} does not match its hash")
        return data

    async def prune(self, before: float, statuses: Collection[str] = TERMINAL, *, limit: int = 100) -> Sequence[str]:
        """Delete ended runs."""
        self._open()
        return await self._reading.run(lambda connection: delete_runs(connection, before, statuses, limit)) or []

    async def collect(self, *, grace_s: float = GRACE_S) -> int:
        """Delete blobs without a name: one reading of the records in parts, then a few blobs in each transaction."""
        self._open()
        found = await self._reading.run(lambda connection: find_old(connection, grace_s))
        if found is None:
            return 0
        before, old = found
        place: tuple[int, int] | None = (0, -1)
        while old and place is not None:
            names, place = await self._reading.run(partial(find_names, after=place)) or (set(), None)
            old -= names
        count = 0
        orphans = sorted(old)
        for start in range(0, len(orphans), MOST_BLOBS):
            some = orphans[start : start + MOST_BLOBS]
            count += await self._reading.run(partial(delete_blobs, refs=some, before=before)) or 0
        return count

    async def compact(self, run_id: str, seq: int, epoch: int) -> int:
        """Delete in parts; readers see none of them from the first transaction on."""
        self._open()
        base = await self._reading.run(partial(find_base, run_id=run_id))
        if base is None:
            raise UnknownRun(run_id)
        if seq > base or seq < 1:
            check_snapshot(run_id, seq, await self.read(run_id, seq))
        count = gone = await self._compact(run_id, seq, epoch)
        while gone == MOST_RECORDS:
            gone = await self._compact(run_id, seq, epoch)
            count += gone
        return count

    async def _compact(self, run_id: str, seq: int, epoch: int) -> int:
        return await self._reading.run(partial(compact_run, run_id=run_id, seq=seq, epoch=epoch)) or 0

    async def aclose(self) -> None:
        """Finish the appends under way, give the lease back, close all connections."""
        if self._closed:
            return
        self._closed = True
        await self._writer.aclose()
        await self.leases.release()
        await self._writing.aclose()
        await self._reading.aclose()

    def _open(self) -> None:
        if self._closed:
            raise StorageUnavailable(f"The journal in {self.place} is closed.", executed="no")
        require_asyncio()


def _to_batch(run_id: str, expected_seq: int, epoch: int, records: Sequence[Record]) -> Batch:
    """The records as bytes, as they are now; raises ``ValueError`` when they are not one batch of this place."""
    check_batch(run_id, expected_seq, epoch, records)
    return Batch(run_id, expected_seq, epoch, records, [encode_record(record) for record in records])
