"""A journal in an SQLite file: shared by the processes of one machine, read by others while a worker writes."""

from __future__ import annotations

from functools import partial
from hashlib import sha256

from agentflow_kernel.contracts.journal import GRACE_S, TERMINAL
from agentflow_kernel.errors import CorruptRecord, UnknownRun
from agentflow_sqlite._compacting import MOST_RECORDS, compact_run
from agentflow_sqlite._database import Database
from agentflow_sqlite._log import JOURNAL, Batch, Heads, are_indexes_sound, list_heads, look_up, read_records, tally
from agentflow_sqlite._pruning import MOST_BLOBS, delete_blobs, delete_runs, find_names, find_old, note_put
from agentflow_sqlite._store import Store, place_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Awaitable, Collection, Sequence

    from agentflow_kernel.contracts.journal import Record, RunInfo
    from agentflow_kernel.contracts.plugin import PluginContext
    from agentflow_sqlite.settings import JournalSettings

PUT_BLOB = (
    "INSERT INTO blobs (sha256, data) VALUES (?, ?)"
    " ON CONFLICT (sha256) DO UPDATE SET data = excluded.data WHERE data IS NOT excluded.data"
)


def create_journal(settings: JournalSettings, context: PluginContext) -> SqliteJournal:
    """The journal of a resource; raises :class:`UsageError` when there is no place for its file."""
    path = place_file(settings.path, context, "journal.db")
    return SqliteJournal(path, busy_timeout_s=settings.busy_timeout_s, commit_in_loop=settings.commit_in_loop)


class SqliteJournal:
    """The journal in the file at ``path``. The file and its folder are created by the first append or blob.

    Appends of one event loop that come together share one transaction. Another process that writes is waited for at
    most ``busy_timeout_s`` seconds; then :class:`StorageUnavailable` is raised. With ``commit_in_loop`` an append that
    is alone holds up the event loop for its transaction while these take less than 0.5 ms; others go through a thread.
    """

    __slots__ = ("_heads", "_database", "_sound")

    def __init__(self, path: str, *, busy_timeout_s: float = 5.0, commit_in_loop: bool = True) -> None:
        self._heads = Heads()
        self._sound: bool | None = None
        """Whether the indexes of the runs may be trusted; ``None`` before the first list."""
        self._database = Database(Store(path, JOURNAL, busy_timeout_s), self._heads)
        self._database.transactions.pace.in_loop = commit_in_loop

    async def append(self, run_id: str, expected_seq: int, epoch: int, records: Sequence[Record]) -> None:
        """Append one batch; one that is still waiting for its transaction when it is cancelled is not written."""
        batch = Batch(self._heads, run_id, expected_seq, epoch, records)
        await self._database.writer.write(batch, batch.size)

    def append_shielded(self, run_id: str, expected_seq: int, epoch: int, records: Sequence[Record]) -> Awaitable[None]:
        """Append one batch; cancellation waits until it is decided."""
        batch = Batch(self._heads, run_id, expected_seq, epoch, records)
        return self._database.writer.write_through(batch, batch.size)

    def append_inline(self, run_id: str, expected_seq: int, epoch: int, records: Sequence[Record]) -> None:
        """Append one batch on the calling thread."""
        batch = Batch(self._heads, run_id, expected_seq, epoch, records)
        self._database.write_inline(batch)

    async def read(self, run_id: str, from_seq: int = 0) -> Sequence[Record]:
        """The checked records of a run; also their chain is checked, where they name it."""
        found: list[Record] = []
        return await self._database.read(lambda connection: read_records(connection, run_id, from_seq), found)

    async def head(self, run_id: str) -> RunInfo:
        """The head, up to the last record."""
        head = await self._database.read(lambda connection: look_up(connection, run_id), None)
        if head is None:
            raise UnknownRun(run_id)
        return head.info

    async def runs(self, *, status: str | None = None, limit: int = 100) -> Sequence[RunInfo]:
        """The heads; a run whose last record is damaged is listed as ``quarantined``."""
        found: list[RunInfo] = []

        def query(connection: sqlite3.Connection) -> list[RunInfo]:
            return list_heads(connection, status, limit, indexed=self._is_sound(connection))

        return await self._database.read(query, found)

    async def tally(self) -> Collection[tuple[str, str, int]]:
        """What the rows of the runs say, without a look at the records."""
        found: list[tuple[str, str, int]] = []
        return await self._database.read(
            lambda connection: tally(connection, indexed=self._is_sound(connection)), found
        )

    def _is_sound(self, connection: sqlite3.Connection) -> bool:
        if self._sound is None:
            self._sound = are_indexes_sound(connection)
        return self._sound

    async def put_blob(self, data: bytes) -> str:
        """Store bytes; bytes that were damaged on the disk are put right."""
        return await self._database.write(lambda connection: _put_blob(connection, data), len(data))

    async def get_blob(self, ref: str) -> bytes:
        """The checked bytes."""
        data = await self._database.read(lambda connection: _get_blob(connection, ref), None)
        if data is None:
            raise CorruptRecord("", -1, f"the payload {ref} is missing")
        return data

    async def prune(self, before: float, statuses: Collection[str] = TERMINAL, *, limit: int = 100) -> Sequence[str]:
        """Delete ended runs; that with the newest record of the file stays until there is a newer one."""
        if not TERMINAL.intersection(statuses) or not await self._has_file():
            return []
        job = partial(delete_runs, heads=self._heads, before=before, statuses=statuses, limit=limit)
        return await self._database.write(job)

    async def collect(self, *, grace_s: float = GRACE_S) -> int:
        """Delete blobs without a name: one reading of the log in parts, then a few blobs in each transaction."""
        before, old = await self._database.read(lambda connection: find_old(connection, grace_s), (0.0, set[str]()))
        nothing: tuple[set[str], int | None] = (set(), None)
        place: int | None = 0
        while old and place is not None:
            names, place = await self._database.read(partial(find_names, after=place), nothing)
            old -= names
        count = 0
        orphans = sorted(old)
        for start in range(0, len(orphans), MOST_BLOBS):
            some = orphans[start : start + MOST_BLOBS]
            count += await self._database.write(partial(delete_blobs, refs=some, before=before))
        return count

    async def compact(self, run_id: str, seq: int, epoch: int) -> int:
        """Delete in parts; readers see none of them from the first transaction on."""
        if not await self._has_file():
            raise UnknownRun(run_id)
        job = partial(compact_run, heads=self._heads, run_id=run_id, seq=seq, epoch=epoch)
        count = gone = await self._database.write(job)
        while gone == MOST_RECORDS:
            gone = await self._database.write(job)
            count += gone
        return count

    async def aclose(self) -> None:
        """Finish the appends and readings under way, then close the file."""
        await self._database.aclose()

    async def _has_file(self) -> bool:
        return await self._database.read(lambda _: True, False)


def _put_blob(connection: sqlite3.Connection, data: bytes) -> str:
    ref = sha256(data).hexdigest()
    connection.execute(PUT_BLOB, (ref, data))
    note_put(connection, ref)
    return ref


def _get_blob(connection: sqlite3.Connection, ref: str) -> bytes | None:
    row = connection.execute("SELECT data FROM blobs WHERE sha256 = ?", (ref,)).fetchone()
    if row is None:
        return None
    (data,) = row
    if not isinstance(data, bytes) or sha256(data).hexdigest() != ref:
        raise CorruptRecord("", -1, f"the payload {ref} does not match its hash")
    return data
