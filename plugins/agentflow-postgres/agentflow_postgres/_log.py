"""A log: the records of all runs and a head for each, appended to by one statement that compares and sets."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, NamedTuple

from agentflow_kernel.contracts.journal import RunInfo, chain_hash, decode_record, fold
from agentflow_kernel.errors import CorruptRecord, ProtocolViolation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow_kernel.contracts.journal import Record
    from agentflow_postgres._link import Connection

APPEND = """
WITH batch AS (
    SELECT * FROM unnest($1::text[], $2::int8[], $3::int8[], $4::int8[], $5::text[], $6::float8[], $7::text[],
        $8::bytea[], $9::text[]) AS b (run_id, expected, epoch, next_seq, status, started_at, tail, head, held)
), moved AS (
    UPDATE runs SET epoch = batch.epoch, next_seq = batch.next_seq, status = batch.status,
        started_at = batch.started_at, tail = batch.tail, head = batch.head, held = batch.held
    FROM batch
    WHERE runs.run_id = batch.run_id AND batch.expected > 0
        AND runs.next_seq = batch.expected AND runs.epoch <= batch.epoch
    RETURNING runs.run_id, runs.number
), begun AS (
    INSERT INTO runs (run_id, epoch, next_seq, status, started_at, tail, head, held)
    SELECT run_id, epoch, next_seq, status, started_at, tail, head, held FROM batch WHERE expected = 0
    ON CONFLICT DO NOTHING RETURNING run_id, number
), done AS (SELECT * FROM moved UNION ALL SELECT * FROM begun
), kept AS (
    INSERT INTO records (run, seq, data)
    SELECT done.number, line.seq, line.data
    FROM unnest($10::text[], $11::int8[], $12::bytea[]) AS line (run_id, seq, data) JOIN done USING (run_id)
)
SELECT run_id FROM done"""
"""Appends to each run whose place is as expected, and names these runs; the others are left as they are."""
APPEND_ONE = """
WITH moved AS (
    UPDATE runs SET epoch = $3, next_seq = $4, status = $5, started_at = $6, tail = $7, head = $8, held = $9
    WHERE run_id = $1 AND next_seq = $2 AND epoch <= $3 RETURNING number
)
INSERT INTO records (run, seq, data)
SELECT number, line.seq, line.data FROM moved, unnest($10::int8[], $11::bytea[]) AS line (seq, data) RETURNING run"""
"""The same for a single run that has begun, in three quarters of the server's time: what a run that is alone sends."""

HEADS = """
SELECT run_id, epoch, next_seq, tail, head, number,
    (SELECT data FROM records WHERE run = number AND seq = next_seq - 1) AS last FROM runs """
FIND_HEADS = HEADS + "WHERE run_id = ANY($1::text[])"
LIST = HEADS + "{} ORDER BY started_at DESC, number DESC LIMIT $1"
LIST_ALL, LIST_STATUS = LIST.format(""), LIST.format("WHERE status = $2")
TALLY = "SELECT held, count(*) FROM runs WHERE held <> '' GROUP BY held"
HELD = 200
"""Letters of an owner or a cause that are counted by; no name of an owner is longer."""
READ = """
SELECT base, seq, data FROM runs JOIN records ON run = number
WHERE number = $1 AND seq >= $2 AND (seq = 0 OR seq >= base) ORDER BY seq"""
"""One statement, so that base and records are of one moment; the others are deleted already, or about to be."""
READ_ONE = "SELECT data FROM records JOIN runs ON run = number WHERE run_id = $1 AND seq = $2"


class Head(NamedTuple):
    """Where a run stands: what a list shows, the hash of its last record, its number in the tables."""

    info: RunInfo
    tail: str
    number: int = 0


class Batch:
    """Records to append at one place of one run, with their bytes. Others that go on where it ends may join it."""

    __slots__ = ("run_id", "expected_seq", "epoch", "records", "lines", "after")

    def __init__(
        self, run_id: str, expected_seq: int, epoch: int, records: Sequence[Record], lines: Sequence[bytes]
    ) -> None:
        self.run_id = run_id
        self.expected_seq = expected_seq
        self.epoch = epoch
        self.records = list(records)
        self.lines = list(lines)
        self.after: Head | None = None
        """The head with these records, once it is known what they follow."""

    @property
    def next_seq(self) -> int:
        """Where the next batch goes."""
        return self.expected_seq + len(self.records)

    def takes(self, other: Batch) -> bool:
        """Whether the other one goes on where this one ends."""
        return other.epoch == self.epoch and other.expected_seq == self.next_seq

    def follow(self, head: Head) -> None:
        """Work out the head with these records; raises :class:`ProtocolViolation` when they do not follow it."""
        tail = head.tail
        info = RunInfo(*(getattr(head.info, name) for name in RunInfo.__slots__))
        for record, line in zip(self.records, self.lines, strict=True):
            if record.prev_hash and tail and record.prev_hash != tail:
                raise ProtocolViolation(
                    f"Run {self.run_id}: record {record.seq} names {record.prev_hash!r} as the hash of the one before "
                    f"it, which is {tail!r}. Nothing was appended.",
                    executed="no",
                )
            fold(info, record)
            tail = chain_hash(line)
        self.after = Head(info, tail, head.number)


async def append(connection: Connection, batches: Sequence[Batch]) -> set[str]:
    """Append all batches, each of another run, in one transaction; returns the runs whose place was as expected."""
    heads = [_row(batch) for batch in batches]
    batch = batches[0]
    if len(batches) == 1 and batch.expected_seq:
        seqs = list(range(batch.expected_seq, batch.next_seq))
        return {batch.run_id} if await connection.fetch(APPEND_ONE, *heads[0], seqs, batch.lines) else set()
    lines = [(batch.run_id, seq, line) for batch in batches for seq, line in enumerate(batch.lines, batch.expected_seq)]
    columns = [*map(list, zip(*heads, strict=True)), *map(list, zip(*lines, strict=True))]
    return {row["run_id"] for row in await connection.fetch(APPEND, *columns)}


def _row(batch: Batch) -> tuple[object, ...]:
    after = batch.after
    assert after is not None, "a batch is appended once it is known what it follows"  # noqa: S101
    info = after.info
    place = batch.run_id, batch.expected_seq, batch.epoch, batch.next_seq
    return (*place, str(info.status), float(info.started_at), after.tail, _pack(info), _held(info))


def _held(info: RunInfo) -> str:
    """See :data:`~agentflow_postgres._schema.SECOND_STEP`; an owner that no column can hold counts as none."""
    text = ""
    if info.status == "suspended":
        text = f"c{info.cause}"
    elif info.status in ("queued", "running", "waiting"):
        text = f"o{info.owner}"
    return text[:HELD] if text.isascii() and "\0" not in text else text[0]


async def find_heads(connection: Connection, run_ids: Sequence[str]) -> dict[str, Head | CorruptRecord]:
    """The heads of those runs that there are; in the place of a damaged one, what is wrong with it."""
    found: dict[str, Head | CorruptRecord] = {}
    for row in await connection.fetch(FIND_HEADS, run_ids):
        try:
            found[row["run_id"]] = to_head(row)
        except CorruptRecord as error:
            found[row["run_id"]] = error
    return found


async def find_head(connection: Connection, run_id: str) -> Head | None:
    """The head of a run, or ``None``; raises :class:`CorruptRecord`."""
    found = (await find_heads(connection, [run_id])).get(run_id)
    if isinstance(found, CorruptRecord):
        raise found
    return found


async def holds(connection: Connection, batch: Batch) -> bool:
    """Whether the last record of a batch is on record, so that all of it is."""
    found = await connection.fetchval(READ_ONE, batch.run_id, batch.next_seq - 1)
    return found is not None and bytes(found) == batch.lines[-1]


async def list_heads(connection: Connection, status: str | None, limit: int) -> list[RunInfo]:
    """Heads, newest start first; a damaged one shows as ``quarantined``."""
    if status is None:
        rows = await connection.fetch(LIST_ALL, limit)
    elif status == "quarantined":  # damaged ones, whatever their column says
        infos = await list_heads(connection, None, 1 << 40)
        return [info for info in infos if info.status == "quarantined"][:limit]
    else:
        rows = await connection.fetch(LIST_STATUS, limit, status)
    infos = []
    for row in rows:
        try:
            infos.append(to_head(row).info)
        except CorruptRecord as error:
            if status is None:
                infos.append(RunInfo(row["run_id"], status="quarantined", code=error.code, cause=error.problem))
    return infos


async def tally(connection: Connection) -> list[tuple[str, str, int]]:
    """Owner, cause and number of the runs that have not ended."""
    rows = await connection.fetch(TALLY)
    return [(held[1:], "", count) if held[0] == "o" else ("", held[1:] or "unknown", count) for held, count in rows]


async def read_records(connection: Connection, run_id: str, from_seq: int) -> list[Record]:
    """The records of a run from ``from_seq`` on, each checked, also their chain; raises :class:`CorruptRecord`."""
    head = await find_head(connection, run_id)
    if head is None:
        return []
    first = expected = max(from_seq - 1, 0)  # one earlier, so that the chain of the first one is checked too
    records: list[Record] = []
    tail = ""
    for base, seq, data in await connection.fetch(READ, head.number, first):
        if base and expected and (not records or not records[-1].seq):  # the snapshot follows the first record
            expected, tail = max(expected, base), ""
        if seq != expected:
            raise CorruptRecord(run_id, expected, f"it is missing, the next one is {seq}")
        line = bytes(data)
        record = decode_record(line, run_id=run_id, seq=expected)
        if seq == base and base and record.type != "snapshot":
            raise CorruptRecord(run_id, seq, "the run cannot go on from it: it is no snapshot")
        if tail and record.prev_hash and record.prev_hash != tail:
            raise CorruptRecord(run_id, expected, "it does not follow the record before it")
        tail = chain_hash(line)
        records.append(record)
        expected += 1
        if expected == head.info.next_seq and tail != head.tail:
            raise CorruptRecord(run_id, seq, "it is not the one that the head of the run names as its last")
    if expected < head.info.next_seq:
        raise CorruptRecord(run_id, expected, "it is missing")
    return [record for record in records if record.seq >= from_seq]


def _pack(info: RunInfo) -> bytes:
    """The head as bytes: a text column of PostgreSQL holds neither NUL nor half of a surrogate pair."""
    body = json.dumps([getattr(info, name) for name in RunInfo.__slots__], separators=(",", ":")).encode()
    return b"%08x " % zlib.crc32(body) + body


def to_head(row: Sequence[object]) -> Head:
    """The head in a row of :data:`HEADS`; raises :class:`CorruptRecord`."""
    run_id, epoch, next_seq, tail, head, number, last = row
    data = bytes(head)  # type: ignore[call-overload]  # a bytea column
    if data[:9] != b"%08x " % zlib.crc32(data[9:]):
        raise CorruptRecord(str(run_id), -1, "the check sum of its head does not match")
    info = RunInfo(*json.loads(data[9:]))
    if (info.run_id, info.epoch, info.next_seq) != (run_id, epoch, next_seq):
        raise CorruptRecord(str(run_id), -1, "its head belongs to another place")
    if last is None or chain_hash(bytes(last)) != tail:  # type: ignore[call-overload]  # a bytea column
        raise CorruptRecord(str(run_id), info.next_seq - 1, "it is not the one that the head of the run names")
    return Head(info, str(tail), number)  # type: ignore[arg-type]  # a bigint column
