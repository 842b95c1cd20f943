"""The in-process journal: run histories in memory; it ends with the process and is no promise of durability."""

from __future__ import annotations

import time
from hashlib import sha256

from agentflow_kernel.contracts.journal import (
    AT_WORK,
    GRACE_S,
    TERMINAL,
    Record,
    RunInfo,
    check_batch,
    check_snapshot,
    copy_info,
    decode_record,
    encode_record,
    fold,
)
from agentflow_kernel.errors import AppendConflict, CorruptRecord, Fenced, StorageUnavailable, UnknownRun

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

KEEP_ENDED = 1000
"""Ended runs that stay readable; older ones are forgotten so that memory stays bounded."""


class InProcessJournal:
    """Keeps encoded records, so that what is read back has been through the same format as on disk."""

    def __init__(self, *, keep_ended: int = KEEP_ENDED) -> None:
        self._records: dict[str, list[bytes]] = {}
        self._gaps: dict[str, int] = {}
        """How many records are gone after the first one of a run."""
        self._loose: dict[str, list[str]] = {}
        """Blobs that those have named and nobody else; they go with the run."""
        self._heads: dict[str, RunInfo] = {}
        self._ended: dict[str, None] = {}
        self._blobs: dict[str, bytes] = {}
        self._put_at: dict[str, float] = {}
        self._named: dict[str, int] = {}
        """How many records name each blob."""
        self._keep_ended = keep_ended
        self._closed = False

    def append_inline(self, run_id: str, expected_seq: int, epoch: int, records: Sequence[Record]) -> None:
        """As :meth:`append`, without a loop."""
        self._open()
        check_batch(run_id, expected_seq, epoch, records)
        head = self._heads.get(run_id) or RunInfo(run_id)
        if head.epoch > epoch:
            raise Fenced(run_id, epoch, head.epoch)
        if head.next_seq != expected_seq:
            raise AppendConflict(run_id, expected_seq, head.next_seq)
        if not records:
            return
        encoded = [encode_record(record) for record in records]
        head = copy_info(head)  # a payload that does not suit a head must not leave half of it behind
        for record in records:
            fold(head, record)
        self._heads[run_id] = head
        self._records.setdefault(run_id, []).extend(encoded)
        for record in records:
            if record.ref:
                self._named[record.ref] = self._named.get(record.ref, 0) + 1
        if head.status in TERMINAL:
            self._ended[run_id] = None
            while len(self._ended) > self._keep_ended:
                for ref in self._forget(next(iter(self._ended))):
                    self._drop_blob(ref)

    async def append(self, run_id: str, expected_seq: int, epoch: int, records: Sequence[Record]) -> None:
        """Append one batch, at once."""
        self.append_inline(run_id, expected_seq, epoch, records)

    async def read(self, run_id: str, from_seq: int = 0) -> Sequence[Record]:
        """The records, decoded anew for each reader."""
        self._open()
        gap = self._gaps.get(run_id, 0)
        start = max(from_seq - gap, 1) if gap and from_seq else from_seq
        places = enumerate(self._records.get(run_id, [])[start:], start)
        return [decode_record(data, run_id=run_id, seq=at + gap if at else 0) for at, data in places]

    async def head(self, run_id: str) -> RunInfo:
        """The head, a copy."""
        self._open()
        if run_id not in self._heads:
            raise UnknownRun(run_id)
        return copy_info(self._heads[run_id])

    async def runs(self, *, status: str | None = None, limit: int = 100) -> Sequence[RunInfo]:
        """The heads, copies."""
        self._open()
        heads = sorted(self._heads.values(), key=lambda head: (head.started_at, head.run_id), reverse=True)
        return [copy_info(head) for head in heads if status is None or head.status == status][:limit]

    async def tally(self) -> Collection[tuple[str, str, int]]:
        """The runs that have not ended, counted."""
        self._open()
        counted: dict[tuple[str, str], int] = {}
        for head in self._heads.values():
            if head.status in AT_WORK or head.status == "suspended":
                pair = (head.owner, "") if head.status in AT_WORK else ("", head.cause or "unknown")
                counted[pair] = counted.get(pair, 0) + 1
        return [(*pair, number) for pair, number in counted.items()]

    async def put_blob(self, data: bytes) -> str:
        """Keep the bytes as long as a run that names them."""
        self._open()
        ref = sha256(data).hexdigest()
        self._blobs[ref] = bytes(data)
        self._put_at[ref] = time.time()
        return ref

    async def get_blob(self, ref: str) -> bytes:
        """The bytes."""
        self._open()
        data = self._blobs.get(ref)
        if data is None:
            raise CorruptRecord("", -1, f"the payload {ref} is missing")
        return data

    async def prune(self, before: float, statuses: Collection[str] = TERMINAL, *, limit: int = 100) -> Sequence[str]:
        """Forget runs, those that ended first before the others."""
        self._open()
        gone = [
            run_id
            for run_id in self._ended
            if self._heads[run_id].status in statuses and self._heads[run_id].updated_at < before
        ][: max(limit, 0)]
        for run_id in gone:
            self._forget(run_id)
        return gone

    async def collect(self, *, grace_s: float = GRACE_S) -> int:
        """Drop the bytes that no record names."""
        self._open()
        begun = [head.started_at for head in self._heads.values() if head.status in AT_WORK]
        before = min([time.time(), *begun]) - grace_s
        gone = [ref for ref, at in self._put_at.items() if at < before and ref not in self._named]
        for ref in gone:
            self._drop_blob(ref)
        return len(gone)

    async def compact(self, run_id: str, seq: int, epoch: int) -> int:
        """Forget the records between, at once."""
        self._open()
        head = self._heads.get(run_id)
        if head is None:
            raise UnknownRun(run_id)
        if head.epoch > epoch:
            raise Fenced(run_id, epoch, head.epoch)
        gap = self._gaps.get(run_id, 0)
        if 0 < seq <= gap + 1:
            return 0
        check_snapshot(run_id, seq, await self.read(run_id, seq))
        gone = self._records[run_id][1 : seq - gap]
        del self._records[run_id][1 : seq - gap]
        self._gaps[run_id] = seq - 1
        self._loose.setdefault(run_id, []).extend(self._let_go(gone))
        return len(gone)

    async def aclose(self) -> None:
        """Refuse further calls; nothing is given back before the journal itself is."""
        self._closed = True

    def _forget(self, run_id: str) -> list[str]:
        """Drop a run; the blobs that no other run names."""
        del self._ended[run_id], self._heads[run_id]
        self._gaps.pop(run_id, None)
        orphans = self._let_go(self._records.pop(run_id))
        return orphans + [ref for ref in self._loose.pop(run_id, ()) if ref not in self._named]

    def _let_go(self, records: Sequence[bytes]) -> list[str]:
        """Count what these records name no more; the blobs that nobody names now."""
        orphans = []
        for data in records:
            ref = decode_record(data).ref
            if ref:
                self._named[ref] -= 1
                if not self._named[ref]:
                    del self._named[ref]
                    orphans.append(ref)
        return orphans

    def _drop_blob(self, ref: str) -> None:
        self._blobs.pop(ref, None)
        self._put_at.pop(ref, None)

    def _open(self) -> None:
        if self._closed:
            raise StorageUnavailable("The in-process journal is closed.", executed="no")
