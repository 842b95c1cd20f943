"""A journal in a LevelDB folder: for one process that works on many runs."""

from __future__ import annotations

import os
from hashlib import sha256

from agentflow_kernel.contracts.journal import (
    RunInfo,
    check_batch,
    copy_info,
    encode_record,
    fold,
    follow_chain,
)
from agentflow_kernel.errors import AppendConflict, CorruptRecord, Fenced, UnknownRun, UsageError
from agentflow_kernel.group_commit.ticket import Job, Ticket
from agentflow_leveldb._commits import Commits
from agentflow_leveldb._compacting import MOST_RECORDS, compact_run
from agentflow_leveldb._driver import is_damage, load_driver
from agentflow_leveldb._layout import BLOBS, Head
from agentflow_leveldb._opened import no_space
from agentflow_leveldb._reading import list_heads, read_head, read_records

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from typing import TypeVar

    from agentflow_kernel.contracts.journal import Record
    from agentflow_kernel.contracts.plugin import PluginContext
    from agentflow_kernel.group_commit.writer import Writer
    from agentflow_leveldb._opened import Opened, Transaction
    from agentflow_leveldb.settings import JournalSettings

    T = TypeVar("T")


def create_journal(settings: JournalSettings, context: PluginContext) -> LevelJournal:
    """The journal of a resource.

    Raises :class:`UsageError` when there is no place for its folder, :class:`Unsupported` where plyvel is missing.
    """
    load_driver()
    if settings.path is not None:
        folder = os.path.join(context.folder, settings.path)
    elif context.state_folder is not None:
        folder = os.path.join(context.state_folder, "journal.leveldb")
    else:
        raise UsageError(
            f"Resource {context.name!r} has no place for its folder 'journal.leveldb': there is no state folder. "
            "Give one (--state, or AGENTFLOW_STATE), or give the resource the setting 'path'."
        )
    journal = LevelJournal(folder, least_free=settings.least_free, accept_loss=settings.accept_loss)
    journal.commit_in_loop(settings.commit_in_loop)
    return journal


class LevelJournal:
    """The journal in ``folder``, which one process at a time may use. It is created by the first append or blob.

    Appends of one event loop that come together share one synced write. No run begins while less than ``least_free``
    of the disk is free. A store that has lost records is opened only if ``accept_loss``, or if the loss is known to
    be that of certain runs, which are quarantined.
    """

    __slots__ = ("_commits", "_writer")

    def __init__(self, folder: str, *, least_free: float = 0.05, accept_loss: bool = False) -> None:
        self._commits = Commits(folder, least_free=least_free, accept_loss=accept_loss)
        self._writer: Writer | None = None

    def commit_in_loop(self, allowed: bool) -> None:  # noqa: FBT001 -- a switch
        """Whether an append that is alone may be committed without leaving the event loop; it may, unless told."""
        self._commits.pace.in_loop = allowed

    async def append(self, run_id: str, expected_seq: int, epoch: int, records: Sequence[Record]) -> None:
        """Append one batch; one that is still waiting for its write when it is cancelled is not written."""
        batch = _Batch(run_id, expected_seq, epoch, records)
        await self._start().write(batch, batch.size)

    def append_shielded(self, run_id: str, expected_seq: int, epoch: int, records: Sequence[Record]) -> Awaitable[None]:
        """Append one batch; cancellation waits until it is decided."""
        batch = _Batch(run_id, expected_seq, epoch, records)
        return (self._writer or self._start()).write_through(batch, batch.size)

    def append_inline(self, run_id: str, expected_seq: int, epoch: int, records: Sequence[Record]) -> None:
        """Append one batch on the calling thread."""
        batch = _Batch(run_id, expected_seq, epoch, records)
        self._commits.run([batch])
        batch.result()

    async def read(self, run_id: str, from_seq: int = 0) -> Sequence[Record]:
        """The checked records of a run; also their chain is checked, where they name it."""
        found: list[Record] = []
        return await self._read(lambda opened: read_records(opened, run_id, from_seq), found)

    async def head(self, run_id: str) -> RunInfo:
        """The head, up to the last record."""
        head = await self._read(lambda opened: read_head(opened, run_id), None)
        if head is None:
            raise UnknownRun(run_id)
        return copy_info(head.info)

    async def runs(self, *, status: str | None = None, limit: int = 100) -> Sequence[RunInfo]:
        """The heads; a damaged run is listed as ``quarantined``."""
        found: list[RunInfo] = []
        return await self._read(lambda opened: list_heads(opened, status, limit), found)

    async def put_blob(self, data: bytes) -> str:
        """Store bytes; bytes that were damaged on the disk are put right."""

        def put(transaction: Transaction) -> str:
            ref = sha256(data).hexdigest()
            if _find_blob(transaction.opened, ref) != data:
                transaction.put(BLOBS + ref.encode(), data)
            return ref

        return await self._start().write(Job(put), None)

    async def get_blob(self, ref: str) -> bytes:
        """The checked bytes."""
        data = await self._read(lambda opened: _find_blob(opened, ref), None)
        if data is None:
            raise CorruptRecord("", -1, f"the payload {ref} is missing")
        if sha256(data).hexdigest() != ref:
            raise CorruptRecord("", -1, f"the payload {ref} does not match its hash")
        return data

    async def compact(self, run_id: str, seq: int, epoch: int) -> int:
        """Delete in parts; readers see none of them from the first write on."""
        if await self._read(lambda _: False, True):  # there is no store, and none is made for this
            raise UnknownRun(run_id)
        writer = self._start()
        count = gone = await writer.write(Job(lambda transaction: compact_run(transaction, run_id, seq, epoch)), None)
        while gone == MOST_RECORDS:
            gone = await writer.write(Job(lambda transaction: compact_run(transaction, run_id, seq, epoch)), None)
            count += gone
        return count

    async def aclose(self) -> None:
        """Finish the appends and readings under way, then close the store."""
        await self._start().aclose(self._commits.close)

    async def _read(self, query: Callable[[Opened], T], absent: T) -> T:
        def look() -> T:
            with self._commits.reading() as opened:
                return absent if opened is None else query(opened)

        return await self._start().read(look)

    def _start(self) -> Writer:
        from agentflow_kernel.group_commit.writer import (
            Writer,
        )  # lazy: 25 ms for anyio, which appends inline go without

        self._writer = self._writer or Writer(self._commits)
        return self._writer


class _Batch(Ticket[None]):
    """Records to append at one place, as they are now; ``size`` counts their bytes, but for those that begin a run.

    Those that begin a run look at the disk, which an event loop must not: they have no size.
    """

    __slots__ = ("run_id", "expected_seq", "epoch", "records", "lines")

    def __init__(self, run_id: str, expected_seq: int, epoch: int, records: Sequence[Record]) -> None:
        check_batch(run_id, expected_seq, epoch, records)
        run_id.encode()  # half of a surrogate pair is no name
        super().__init__()
        self.run_id = run_id
        self.expected_seq = expected_seq
        self.epoch = epoch
        self.records = records
        self.lines: list[bytes] = []
        size = 0
        for record in records:
            line = record.encoded or encode_record(record)
            self.lines.append(line)
            size += len(line)
        self.size = size if expected_seq else None

    def do(self, transaction: Transaction) -> None:
        """Append them; raises before the first change when their place is not the end of the run."""
        run_id, records = self.run_id, self.records
        head = transaction.head(run_id)
        before = None if head is None else head.info
        current, next_seq = (before.epoch, before.next_seq) if before else (0, 0)
        if self.epoch < current:
            raise Fenced(run_id, self.epoch, current)
        if self.expected_seq != next_seq:
            raise AppendConflict(run_id, self.expected_seq, next_seq)
        if not records:
            return
        if before is None and not transaction.allows_new_run:
            raise no_space(transaction.opened.path)
        tail = follow_chain(head.tail if head else "", records)
        info = RunInfo(run_id) if before is None else copy_info(before)
        for record in records:
            fold(info, record)
        transaction.append(before, Head(info, tail), self.lines)


def _find_blob(opened: Opened, ref: str) -> bytes | None:
    try:
        data: bytes | None = opened.db.get(BLOBS + ref.encode(), verify_checksums=True)
    except opened.errors as error:
        if is_damage(error):
            return b""
        raise
    return data
