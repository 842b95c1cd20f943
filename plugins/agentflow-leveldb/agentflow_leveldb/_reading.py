"""A reading: records, heads and lists of one moment, each checked."""

from __future__ import annotations

from contextlib import contextmanager

from agentflow_kernel.contracts.journal import TERMINAL, RunInfo, chain_hash, copy_info, decode_record
from agentflow_kernel.errors import CorruptRecord
from agentflow_leveldb._driver import is_damage
from agentflow_leveldb._layout import STARTS, record_key, records_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from agentflow_kernel.contracts.journal import Record
    from agentflow_leveldb._layout import Head
    from agentflow_leveldb._opened import Opened

AFTER = b"\xff"


def read_head(opened: Opened, run_id: str) -> Head | None:
    """The head of a run, whose last record has been looked at; raises :class:`CorruptRecord`."""
    with _snapshot(opened) as snapshot:
        return opened.find_head(run_id, snapshot)


def read_records(opened: Opened, run_id: str, from_seq: int) -> list[Record]:
    """The records of a run from ``from_seq`` on, each checked; raises :class:`CorruptRecord`."""
    with _snapshot(opened) as snapshot:
        head = None if run_id in opened.quarantined else opened.find_head(run_id, snapshot)
        if head is None and run_id not in opened.quarantined:
            return []
        base = 0 if head is None else opened.find_base(run_id, snapshot)
        first = max(from_seq - 1, 0)  # one earlier, so that the chain of the first one is checked too
        expected = max(first, base) if first else 0
        records: list[Record] = []
        tail = ""
        try:
            for key, line in _rows(snapshot, run_id, expected, base):
                if base and records and not records[-1].seq:
                    expected, tail = base, ""
                record = decode_record(line, run_id=run_id, seq=expected)
                if key != record_key(run_id, expected):
                    raise CorruptRecord(run_id, expected, "it is missing")
                if tail and record.prev_hash and record.prev_hash != tail:
                    raise CorruptRecord(run_id, expected, "it does not follow the record before it")
                tail = chain_hash(line)
                records.append(record)
                expected += 1
        except opened.errors as error:
            if is_damage(error):
                raise CorruptRecord(run_id, expected, "the block that holds it is damaged") from error
            raise
        opened.refuse_quarantined(run_id)
        if head is not None and expected < head.info.next_seq:
            raise CorruptRecord(run_id, expected, "it is missing")
    return [record for record in records if record.seq >= from_seq]


def _rows(snapshot: Any, run_id: str, first: int, base: int) -> Iterator[tuple[bytes, bytes]]:
    """Keys and records of a run from ``first`` on, without those that were deleted before the snapshot at ``base``."""
    if base and not first:
        data = snapshot.get(record_key(run_id, 0), verify_checksums=True)
        if data is not None:
            yield record_key(run_id, 0), data
    yield from snapshot.iterator(start=record_key(run_id, max(first, base)), stop=records_of(run_id) + AFTER * 9,
                                 verify_checksums=True, fill_cache=False)  # fmt: skip


def list_heads(opened: Opened, status: str | None, limit: int) -> list[RunInfo]:
    """Heads, newest start first; a damaged run shows as ``quarantined``."""
    if status == "quarantined" or (status is not None and status not in TERMINAL):
        heads = [head.info for head in opened.running.copy().values()]
        heads += [_quarantined(opened, run_id) for run_id in list(opened.quarantined)]
        heads = [info for info in heads if info.status == status]
        heads.sort(key=lambda info: (info.started_at, info.run_id), reverse=True)
        return [copy_info(info) for info in heads[: max(limit, 0)]]
    found: list[RunInfo] = []
    with _snapshot(opened) as snapshot:
        for key in snapshot.iterator(prefix=STARTS, include_value=False, verify_checksums=True):
            if len(found) >= limit:
                break
            run_id = key[9:].decode()
            try:
                head = opened.find_head(run_id, snapshot)
            except CorruptRecord as error:
                opened.quarantined.setdefault(run_id, (error.seq, error.problem))
                head = None
            info = _quarantined(opened, run_id) if head is None else head.info
            if status is None or info.status == status:
                found.append(copy_info(info))
    return found


def _quarantined(opened: Opened, run_id: str) -> RunInfo:
    _, problem = opened.quarantined.get(run_id, (-1, "it has no head"))
    return RunInfo(run_id, status="quarantined", code=CorruptRecord.code, cause=problem)


@contextmanager
def _snapshot(opened: Opened) -> Iterator[Any]:
    """What is there at this moment."""
    snapshot = opened.db.snapshot()
    try:
        yield snapshot
    finally:
        snapshot.close()
