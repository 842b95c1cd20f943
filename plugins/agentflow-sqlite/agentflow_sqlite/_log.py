"""A log: the records of all runs in one table in the order of their appends, and a head for each run.

A record is found by its place, see :mod:`agentflow_sqlite._places`. The row of a run holds its head as of the last
record that changed its status; what later records change is folded in from the last one. So an ordinary append touches
only the end of the log, however many runs there are.
"""

from __future__ import annotations

import zlib
from typing import cast

from agentflow_kernel.contracts.journal import (
    TERMINAL,
    RunInfo,
    chain_hash,
    check_batch,
    copy_info,
    decode_record,
    encode_record,
    fold,
    follow_chain,
)
from agentflow_kernel.errors import AppendConflict, CorruptRecord, Fenced
from agentflow_kernel.group_commit.ticket import Ticket
from agentflow_sqlite._faults import SQLITE_ERRORS, is_damage
from agentflow_sqlite._places import (
    MANY,
    MUCH,
    PLACES_STEP,
    Rest,
    find_mark,
    find_records,
    note_places,
    size_of_rest,
)
from agentflow_sqlite._schema import Schema
from agentflow_sqlite._transactions import Mirror

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from agentflow_kernel.contracts.journal import Record

    Row = tuple[object, ...]

CREATE_LOG = """
CREATE TABLE log (id INTEGER PRIMARY KEY, run INTEGER NOT NULL, seq INTEGER NOT NULL, data BLOB NOT NULL)"""
CREATE_RUNS = """
CREATE TABLE runs (
    id INTEGER PRIMARY KEY, run_id TEXT NOT NULL UNIQUE, name TEXT, status TEXT, epoch INTEGER, next_seq INTEGER,
    owner TEXT, started_at REAL, updated_at REAL, code TEXT, cause TEXT, crc INTEGER)"""
CREATE_HEADS = """
CREATE VIEW heads AS SELECT
    run_id, id, (SELECT data FROM log WHERE log.run = runs.id ORDER BY seq DESC LIMIT 1) AS last,
    name, status, epoch, next_seq, owner, started_at, updated_at, code, cause, crc FROM runs"""
CREATE_OPEN_RUNS = """
CREATE INDEX runs_open ON runs (status, started_at) WHERE status NOT IN ('completed', 'failed', 'cancelled')"""
CREATE_BLOBS = """
CREATE TABLE blobs (id INTEGER PRIMARY KEY, sha256 TEXT NOT NULL UNIQUE, data BLOB NOT NULL)"""
FIRST_STEP = (
    CREATE_LOG,
    "CREATE UNIQUE INDEX log_place ON log (run, seq)",
    CREATE_RUNS,
    "CREATE INDEX runs_started ON runs (started_at)",
    CREATE_OPEN_RUNS,
    CREATE_HEADS,
    CREATE_BLOBS,
)
PARENT_STEP = (
    "ALTER TABLE runs ADD COLUMN parent TEXT",
    "DROP VIEW heads",
    """
CREATE VIEW heads AS SELECT
    run_id, id, (SELECT data FROM log WHERE log.run = runs.id ORDER BY seq DESC LIMIT 1) AS last,
    name, status, epoch, next_seq, owner, started_at, updated_at, code, cause, parent, crc FROM runs""",
)
PUTS_STEP = (
    "CREATE TABLE puts (sha256 TEXT PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID",
    "INSERT INTO puts SELECT sha256, CAST(strftime('%s', 'now') AS REAL) FROM blobs",
)
"""When each blob was last put; apart from the blobs, so that nothing large is written again for it."""
BASE_STEP = ("ALTER TABLE runs ADD COLUMN base INTEGER",)
"""The seq of the snapshot before which the records of a run were deleted, all but the first."""
JOURNAL = Schema("journal", 0x4146_6A6E, (FIRST_STEP, PARENT_STEP, PUTS_STEP, BASE_STEP, PLACES_STEP))
"""The tables of a journal; the mark of its files reads ``AFjn``."""

INSERT_RECORD = "INSERT INTO log (run, seq, data) VALUES (?, ?, ?)"
TOGETHER = 16
"""Records that one statement inserts, which takes half the time of one for each."""
INSERT_TOGETHER = INSERT_RECORD + ", (?, ?, ?)" * (TOGETHER - 1)
INSERT_HEAD = """
INSERT INTO runs (run_id, name, status, epoch, next_seq, owner, started_at, updated_at, code, cause, parent, crc)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
UPDATE_HEAD = """
UPDATE runs SET (name, status, epoch, next_seq, owner, started_at, updated_at, code, cause, parent, crc) =
(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) WHERE id = ?"""
_HEADS = """
SELECT run_id, id, (SELECT max(seq) FROM places WHERE run = runs.id) AS top, (
    SELECT data FROM places JOIN log ON log.id = places.id WHERE places.run = runs.id ORDER BY places.seq DESC LIMIT 1
), name, status, epoch, next_seq, owner, started_at, updated_at, code, cause, parent, crc FROM runs"""
FIND_HEAD = _HEADS + " WHERE run_id = ?"
LIST_ALL = _HEADS + " ORDER BY started_at DESC, id DESC"
LIST_ENDED = _HEADS + " WHERE status = ? ORDER BY started_at DESC, id DESC"
LIST_OPEN = f"""
{_HEADS} WHERE status IN (?, ?) AND status NOT IN ('completed', 'failed', 'cancelled')
ORDER BY started_at DESC, id DESC"""
"""Says it as the index of open runs does, so that SQLite uses it."""
_TWIN = {"running": "waiting", "waiting": "running"}
"""The row of a run may say one where its last record says the other."""
LIST_NOT_ENDED = f"""
{_HEADS} WHERE status NOT IN ('completed', 'failed', 'cancelled') ORDER BY started_at DESC, id DESC"""
"""Where the quarantined runs are: those that are set down as such, and those whose last record is damaged."""
TALLY = """
SELECT CASE status WHEN 'suspended' THEN '' ELSE owner END AS holder,
    CASE status WHEN 'suspended' THEN coalesce(nullif(cause, ''), 'unknown') ELSE '' END AS reason, count(*)
FROM runs
WHERE status IN ('queued', 'running', 'waiting', 'suspended') AND status NOT IN ('completed', 'failed', 'cancelled')
GROUP BY holder, reason"""
HIDDEN_RUN = "SELECT 1 FROM runs NOT INDEXED WHERE run_id = ?"
REMEMBERED = 10_000
"""Heads kept in mind; the oldest makes room."""


class Batch(Ticket[None]):
    """Records to append at one place, with their bytes, as they are now; ``size`` counts those.

    Raises ``ValueError`` when they are not one batch of this place.
    """

    __slots__ = ("heads", "run_id", "expected_seq", "epoch", "records", "lines")

    def __init__(self, heads: Heads, run_id: str, expected_seq: int, epoch: int, records: Sequence[Record]) -> None:
        check_batch(run_id, expected_seq, epoch, records)
        super().__init__()
        self.heads = heads
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
        self.size = size

    def do(self, transaction: sqlite3.Connection) -> None:
        """Append them."""
        self.heads.append(self, transaction)


class Head:
    """Where a run stands: its number in the file, what a list shows, the hash of its last record.

    ``ahead``: the row of the run does not say so yet.
    """

    __slots__ = ("number", "info", "tail", "ahead")

    def __init__(self, number: int, info: RunInfo, tail: str, *, ahead: bool = False) -> None:
        self.number = number
        self.info = info
        self.tail = tail
        self.ahead = ahead


class Heads(Mirror):
    """The heads of the runs to which this process appends, and the records that are to be inserted together."""

    gathers = Batch

    def __init__(self) -> None:
        self._heads: dict[str, Head] = {}
        self._values: list[int | bytes] = []
        """Run, seq and data of each record that is not inserted yet."""
        self._last_id = 0
        self._durable_id = 0
        self._mark = -1
        """Up to which record the places are noted, -1 where this process does not know."""
        self._own = 0
        """The first record behind the mark that this process has written, 0 where there is none."""
        self._behind = 0
        """The bytes of the records behind the mark."""

    def forget(self) -> None:
        self._heads.clear()
        self._values.clear()
        self._last_id = self._durable_id
        self._own = 0
        self._mark = -1

    def confirm(self) -> None:
        self._durable_id = self._last_id

    def verify(self, connection: sqlite3.Connection) -> str:
        (found,) = connection.execute("SELECT max(id) FROM log").fetchone()
        missing = self._durable_id - (found or 0)
        return f"{missing} records that were acknowledged are missing" if missing > 0 else ""

    def is_ahead(self) -> bool:
        return self._last_id > self._mark or any(head.ahead for head in self._heads.values())

    def flush(self, connection: sqlite3.Connection) -> None:
        self.note_places(connection)
        for run_id, head in self._heads.items():
            if head.ahead:
                _write_head(connection, run_id, head)

    def round_off(self, connection: sqlite3.Connection) -> None:
        self.note_places(connection)

    def append(self, batch: Batch, connection: sqlite3.Connection) -> None:
        """Append one batch; raises before the first change when its place is not the end of the run."""
        run_id = batch.run_id
        head = self._heads.get(run_id) or self._find(connection, run_id)
        if batch.epoch < head.info.epoch:
            raise Fenced(run_id, batch.epoch, head.info.epoch)
        if batch.expected_seq != head.info.next_seq:
            raise AppendConflict(run_id, batch.expected_seq, head.info.next_seq)
        if not batch.records:
            return
        tail = follow_chain(head.tail, batch.records)
        changes_status = False
        for record in batch.records:
            if record.type.startswith(("run.", "lease")):
                changes_status = True
        anew = changes_status or not head.number
        if anew:
            head = Head(head.number, copy_info(head.info), tail)
        try:
            for record in batch.records:
                fold(head.info, record)
        except BaseException:  # a payload that does not suit a head must not leave half of it behind
            self._heads.pop(run_id, None)
            raise
        if anew:
            _write_head(connection, run_id, head)
        else:
            head.tail, head.ahead = tail, True
        self._behind += batch.size or 0
        for seq, line in enumerate(batch.lines, batch.expected_seq):
            self._values += (head.number, seq, line)
        if self._heads.get(run_id) is not head:
            self._remember(run_id, head)

    def write_out(self, connection: sqlite3.Connection) -> None:
        values, self._values = self._values, []
        start = 0
        while start < len(values):
            many = len(values) - start >= 3 * TOGETHER
            end = start + 3 * (TOGETHER if many else 1)
            cursor = connection.execute(INSERT_TOGETHER if many else INSERT_RECORD, values[start:end])
            self._last_id = cursor.lastrowid or 0
            self._own = self._own or self._last_id - (end - start) // 3 + 1
            start = end
        if not start:
            return
        if self._mark < 0:
            self._mark = max(find_mark(connection), 0)
            self._behind = size_of_rest(connection, self._mark)
        if self._last_id - self._mark >= MANY or self._behind >= MUCH or self._own <= self._mark:
            self._note_places(connection)

    def note_places(self, connection: sqlite3.Connection) -> None:
        """Note the places of all records that there are."""
        self.write_out(connection)
        (last,) = connection.execute("SELECT max(id) FROM log").fetchone()
        self._last_id = last or 0
        self._mark = max(find_mark(connection), 0)
        if self._last_id > self._mark:
            self._note_places(connection)

    def _note_places(self, connection: sqlite3.Connection) -> None:
        note_places(connection, self._mark, self._own or self._last_id + 1, self._last_id)
        self._mark = self._last_id
        self._own = self._behind = 0

    def _find(self, connection: sqlite3.Connection, run_id: str) -> Head:
        """The head in the file, or that of a run which is about to begin."""
        self.write_out(connection)
        return find_head(connection, run_id) or Head(0, RunInfo(run_id), "")

    def _remember(self, run_id: str, head: Head) -> None:
        if head.info.status in TERMINAL:
            self._heads.pop(run_id, None)
            return
        if run_id not in self._heads and len(self._heads) >= REMEMBERED:
            del self._heads[next(iter(self._heads))]
        self._heads[run_id] = head


def find_head(connection: sqlite3.Connection, run_id: str) -> Head | None:
    """The head of a run, or ``None``; raises :class:`CorruptRecord`."""
    try:
        row = connection.execute(FIND_HEAD, (run_id,)).fetchone()
        return None if row is None else _to_head(run_id, row, Rest(connection))
    except SQLITE_ERRORS as error:
        if is_damage(error):
            raise CorruptRecord(run_id, -1, f"the file is damaged: {error}") from error
        raise


def look_up(connection: sqlite3.Connection, run_id: str) -> Head | None:
    """As :func:`find_head`, but a run that only its index has lost is not taken for an unknown one."""
    head = find_head(connection, run_id)
    if head is None and connection.execute(HIDDEN_RUN, (run_id,)).fetchone():
        raise CorruptRecord(run_id, -1, "the index of the runs has lost it")
    return head


def read_records(connection: sqlite3.Connection, run_id: str, from_seq: int) -> list[Record]:
    """The records of a run from ``from_seq`` on, each checked; raises :class:`CorruptRecord`."""
    head = look_up(connection, run_id)
    if head is None:
        return []
    expected = max(from_seq - 1, 0)  # one earlier, so that the chain of the first one is checked too
    records: list[Record] = []
    tail = ""
    try:
        base = find_base(connection, run_id, head.number)
        expected = max(expected, base) if expected else 0
        end = head.info.next_seq if head.info.status in TERMINAL else 0
        for seq, line in find_records(connection, head.number, run_id, expected, end):
            if 0 < seq < base:
                continue  # it is deleted already, and its row will be
            if seq != expected:
                raise CorruptRecord(run_id, expected, f"it is missing, the next one is {seq}")
            record = _decode(line, run_id, expected)
            if tail and record.prev_hash and record.prev_hash != tail:
                raise CorruptRecord(run_id, expected, "it does not follow the record before it")
            if seq == base and base and record.type != "snapshot":
                raise CorruptRecord(run_id, seq, "the run cannot go on from it: it is no snapshot")
            tail = chain_hash(cast("bytes", line))
            records.append(record)
            expected += 1
            if base and not seq:
                expected, tail = base, ""
    except SQLITE_ERRORS as error:
        if is_damage(error):
            raise CorruptRecord(run_id, expected, f"the file is damaged: {error}") from error
        raise
    if expected < head.info.next_seq or base >= head.info.next_seq:
        raise CorruptRecord(run_id, expected, "it is missing")
    return [record for record in records if record.seq >= from_seq]


def find_base(connection: sqlite3.Connection, run_id: str, number: int) -> int:
    """The seq of the snapshot that follows the first record of a run, 0 where nothing was deleted.

    It has no check sum: what it says must fit the records. Raises :class:`CorruptRecord` where it says nothing.
    """
    (base,) = connection.execute("SELECT base FROM runs WHERE id = ?", (number,)).fetchone() or (None,)
    if base is not None and not isinstance(base, int):
        raise CorruptRecord(run_id, -1, "the row of the run is damaged")
    return base or 0


def are_indexes_sound(connection: sqlite3.Connection) -> bool:
    """Whether the indexes of the runs have each run; 4 ms for 10,000 runs, so ask once."""
    try:
        (found,) = connection.execute("PRAGMA integrity_check(runs)").fetchone()
    except SQLITE_ERRORS as error:
        if is_damage(error):
            return False
        raise
    return bool(found == "ok")


def list_heads(
    connection: sqlite3.Connection, status: str | None, limit: int, *, indexed: bool = True
) -> list[RunInfo]:
    """Heads, newest start first. A run whose last record is damaged shows as ``quarantined``.

    Without ``indexed`` every row is looked at, so that none is missing that a damaged index has lost.
    """
    query, values = LIST_ALL, tuple[str, ...]()
    if status == "quarantined":
        query = LIST_NOT_ENDED
    elif status in TERMINAL:
        query, values = LIST_ENDED, (status,)
    elif status is not None:
        query, values = LIST_OPEN, (status, _TWIN.get(status, status))
    if not indexed:  # https://sqlite.org/optoverview.html, section 2 (November 2026): a unary plus forbids an index
        query = query.replace(" status ", " +status ").replace(" started_at ", " +started_at ")
    rows = connection.execute(query, values)
    rest = Rest(connection)
    found: list[RunInfo] = []
    while len(found) < limit:
        row = rows.fetchone()
        if row is None:
            break
        run_id = cast("str", row[0])
        try:
            info = _to_head(run_id, row, rest).info
            if status in (None, info.status):
                found.append(info)
        except CorruptRecord as error:
            if status is None or status == "quarantined":
                found.append(RunInfo(run_id, status="quarantined", code=error.code, cause=error.problem))
    return found


def tally(connection: sqlite3.Connection, *, indexed: bool = True) -> list[tuple[str, str, int]]:
    """Owner, cause and number of the runs that have not ended; ``indexed`` as in :func:`list_heads`."""
    query = TALLY if indexed else TALLY.replace(" status ", " +status ").replace("CASE +status", "CASE status")
    return connection.execute(query).fetchall()


def _to_head(run_id: str, row: Row, rest: Rest) -> Head:
    """The head from a row of ``runs`` with the last record of the run, which is of the rest, or has a place."""
    _, number, top, line, *columns, crc = row
    if crc != _check_sum(run_id, columns):
        raise CorruptRecord(run_id, -1, "the check sum of its head does not match")
    name, status, epoch, next_seq, owner, started_at, updated_at, code, cause, parent = columns
    info = RunInfo(run_id, name, status, epoch, next_seq, owner, started_at, updated_at, code, cause, parent or "")  # type: ignore[arg-type]  # the check sum says that they are what was written
    if rest.is_whole or status not in TERMINAL or not isinstance(top, int) or top + 1 != next_seq:
        end = rest.end(cast("int", number), run_id)
        line = line if end is None else end
    last = _decode(line, run_id, -1)
    if last.seq + 1 < info.next_seq or (isinstance(top, int) and last.seq < top):
        raise CorruptRecord(run_id, last.seq + 1, "it is missing")
    fold(info, last)
    return Head(cast("int", number), info, chain_hash(cast("bytes", line)))


def _decode(line: object, run_id: str, seq: int) -> Record:
    if not isinstance(line, bytes):
        raise CorruptRecord(run_id, seq, "it is missing" if line is None else "it holds no bytes")
    return decode_record(line, run_id=run_id, seq=seq)


def _write_head(connection: sqlite3.Connection, run_id: str, head: Head) -> None:
    """Bring the row of a run up to date; a run without a number gets its row and number."""
    columns = _columns(head.info)
    values = (*columns, _check_sum(run_id, columns))
    if head.number:
        connection.execute(UPDATE_HEAD, (*values, head.number))
    else:
        head.number = cast("int", connection.execute(INSERT_HEAD, (run_id, *values)).lastrowid)
    head.ahead = False


def _columns(info: RunInfo) -> list[object]:
    """The head as SQLite gives it back, also where a payload holds something else than a text."""
    times = float(info.started_at), float(info.updated_at)
    name, status, owner = _text(info.name), _text(info.status), _text(info.owner)
    parent = _text(info.parent) or None
    return [name, status, info.epoch, info.next_seq, owner, *times, _text(info.code), _text(info.cause), parent]


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _check_sum(run_id: str, columns: Sequence[object]) -> int:
    known = columns if columns[-1] else columns[:-1]  # rows without a parent are as they were before there was one
    return zlib.crc32("\x1f".join(map(str, [run_id, *known])).encode())
