"""Places: where in the log the records of each run stand, noted for many records at once.

An index would put a second page into every transaction, which a run that is alone waits for. So places are noted when
there are ``MANY`` that are not, by the transaction that comes then, before SQLite's write-ahead log is copied into the
file, and when the journal is closed. The records whose places are not noted yet stand at the end of the log, behind a
mark, and are looked for there. They are in the write-ahead log alone, whose check sums tell any damage; in the file
each record has its place, so that none can go unnoticed there.
"""

from __future__ import annotations

from typing import cast

from agentflow_kernel.contracts.journal import RECORD_VERSION, decode_record
from agentflow_kernel.errors import CorruptRecord, NewerSchema
from agentflow_kernel.json_text import write
from agentflow_sqlite._faults import SQLITE_ERRORS, is_damage

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from agentflow_kernel.contracts.journal import Record

MANY = 128
"""Records at the end of the log that a reader looks through at most, and those of one transaction more."""
MUCH = 64 * 1024
"""And so many bytes of them."""
CREATE_PLACES = """
CREATE TABLE places (
    run INTEGER NOT NULL, seq INTEGER NOT NULL, id INTEGER NOT NULL, PRIMARY KEY (run, seq)) WITHOUT ROWID"""
PLACES_STEP = (
    "DROP VIEW heads",
    CREATE_PLACES,
    "INSERT OR IGNORE INTO places SELECT run, seq, id FROM log",
    "INSERT INTO places SELECT 0, 0, coalesce(max(id), 0) FROM log",
    "INSERT INTO places SELECT 0, 1, -1 - id FROM places WHERE run = 0",
    "DROP INDEX log_place",
)
"""The mark is the place of record 0 of run 0, which no run is; that of its record 1 is its complement, to check it."""

_FIND_MARK = """
SELECT (SELECT id FROM places WHERE run = 0 AND seq = 0), (SELECT id FROM places WHERE run = 0 AND seq = 1)"""
_SET_MARK = "INSERT OR REPLACE INTO places VALUES (0, 0, ?), (0, 1, ?)"
_NOTE_OWN = "INSERT OR IGNORE INTO places SELECT run, seq, id FROM log WHERE id >= ?"
_NOTE = "INSERT OR IGNORE INTO places VALUES (?, ?, ?)"
"""What is damaged may claim the place of another record: that must not keep all others from theirs."""
_FIND_NOTED = """
SELECT places.seq, data FROM places LEFT JOIN log ON log.id = places.id
WHERE places.run = ? AND places.seq >= ? AND places.id <= ? ORDER BY places.seq"""
_FIND_REST = "SELECT id, run, seq, data FROM log WHERE id > ? ORDER BY id"
_SOME = "SELECT seq FROM places WHERE run = ? AND seq > 0 AND seq < ? ORDER BY seq LIMIT ?"
_DELETE_RECORDS = """
DELETE FROM log WHERE id IN (SELECT id FROM places WHERE run = ? AND seq BETWEEN ? AND ?)
AND run = ? AND id < (SELECT max(id) FROM log)"""
"""Whatever the places say, no record of another run goes, nor the newest one, after which the next is numbered."""
_DELETE_PLACES = "DELETE FROM places WHERE run = ? AND seq BETWEEN ? AND ?"


def find_mark(connection: sqlite3.Connection) -> int:
    """The id of the last record whose place is noted. Where that is damaged -1: all can be found with it, slowly."""
    try:
        mark, complement = connection.execute(_FIND_MARK).fetchone()
    except SQLITE_ERRORS as error:
        if is_damage(error):
            return -1
        raise
    holds = isinstance(mark, int) and isinstance(complement, int) and mark >= 0 and complement == -1 - mark
    return cast("int", mark) if holds else -1


def note_places(connection: sqlite3.Connection, mark: int, own: int, last: int) -> None:
    """Note the places of the records behind ``mark`` up to ``last``; those from ``own`` on this process has written."""
    if own > mark + 1:
        for place in _read_places(connection, mark, own):
            connection.execute(_NOTE, place)
    connection.execute(_NOTE_OWN, (own,))
    connection.execute(_SET_MARK, (last, -1 - last))


class Rest:
    """The records at the end of the log whose places are not noted yet, as they stand there.

    Each says by itself, under its check sum, which run it belongs to, and its columns say so, too: neither can hide it
    alone. Their ids have no gap, by which a missing one is noticed.
    """

    __slots__ = ("mark", "_rows", "is_whole")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.mark = find_mark(connection)
        self._rows = connection.execute(_FIND_REST, (self.mark,)).fetchall()
        ids = [row[0] for row in self._rows]
        (last,) = connection.execute("SELECT max(id) FROM log").fetchone()
        self.is_whole = self.mark < 0 or ids == list(range(self.mark + 1, (last or 0) + 1))

    def of(self, number: int, run_id: str) -> Iterator[tuple[int, object]]:
        """Seq and data of those of a run, in order; -1 for a damaged seq.

        Raises :class:`CorruptRecord` where one is missing, for nobody knows whose it was.
        """
        if not self.is_whole:
            raise CorruptRecord(run_id, -1, "the end of the log is damaged, and it may have had records there")
        begins = write((RECORD_VERSION, run_id)).encode()[:-1] + b","
        for _, column, seq, data in self._rows:
            if column != number and isinstance(data, bytes) and begins not in data:
                continue
            record = _try_to_decode(data)
            if record is None:
                yield seq if isinstance(seq, int) else -1, data
            elif record.run_id == run_id:
                yield record.seq, data

    def end(self, number: int, run_id: str) -> object:
        """The data of the last record of a run, ``None`` where it has none here. Raises as :meth:`of`."""
        data: object = None
        for _, data in self.of(number, run_id):  # noqa: B007 -- the last one counts
            pass
        return data


def size_of_rest(connection: sqlite3.Connection, mark: int) -> int:
    """The bytes of the records behind the mark."""
    (size,) = connection.execute("SELECT sum(length(data)) FROM log WHERE id > ?", (mark,)).fetchone()
    return size or 0


def find_records(
    connection: sqlite3.Connection, number: int, run_id: str, from_seq: int, end: int
) -> Iterator[tuple[int, object]]:
    """Seq and data of the records of a run, in order; no data for one that is missing, -1 for a damaged seq.

    ``end`` is where the run has ended, for one that has. Raises as :meth:`Rest.of`, but not for one that is whole then.
    """
    seq = -1
    rest = Rest(connection)
    for seq, data in connection.execute(_FIND_NOTED, (number, from_seq, rest.mark)):
        yield seq if isinstance(seq, int) else -1, data
    if not rest.is_whole and 0 < end == seq + 1:
        return
    for seq, data in rest.of(number, run_id):
        if not 0 <= seq < from_seq:
            yield seq, data


def delete_between(connection: sqlite3.Connection, number: int, end: int, most: int) -> int:
    """Delete records of a run between its first one and ``end`` whose places are noted, at most so many; how many."""
    seqs = connection.execute(_SOME, (number, end, most)).fetchall()
    if seqs:
        _delete(connection, (number, seqs[0][0], seqs[-1][0]))
    return len(seqs)


def delete_all(connection: sqlite3.Connection, number: int) -> None:
    """Delete the records of a run whose places are noted."""
    _delete(connection, (number, 0, 1 << 62))


def _delete(connection: sqlite3.Connection, span: tuple[int, int, int]) -> None:
    connection.execute(_DELETE_RECORDS, (*span, span[0]))
    connection.execute(_DELETE_PLACES, span)


def _read_places(connection: sqlite3.Connection, mark: int, end: int) -> list[tuple[int, int, int]]:
    """The places of records that another process has written, by what they say of themselves."""
    numbers: dict[str, int] = {}
    found: list[tuple[int, int, int]] = []
    rows = connection.execute("SELECT run, seq, id, data FROM log WHERE id > ? AND id < ?", (mark, end))
    for number, seq, place, data in rows:
        record = _try_to_decode(data)
        if record is not None and record.run_id not in numbers:
            row = connection.execute("SELECT id FROM runs WHERE run_id = ?", (record.run_id,)).fetchone()
            numbers[record.run_id] = number if row is None else row[0]
        found.append((number, seq, place) if record is None else (numbers[record.run_id], record.seq, place))
    return found


def _try_to_decode(data: object) -> Record | None:
    """The record, ``None`` for one that is damaged or of a newer version, which whoever reads it is told."""
    try:
        return decode_record(data) if isinstance(data, bytes) else None
    except (CorruptRecord, NewerSchema):
        return None
