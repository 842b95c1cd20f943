"""A pruning: ended runs leave the file, and blobs that no record names any more; their room is used again."""

from __future__ import annotations

import re
import time

from agentflow_kernel.contracts.journal import AT_WORK, TERMINAL
from agentflow_kernel.errors import CorruptRecord
from agentflow_sqlite._log import find_head
from agentflow_sqlite._places import delete_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Sequence

    from agentflow_sqlite._log import Heads

MOST_RECORDS = 5000
"""Deleted in one transaction, a single run may have more; also what one look for names reads."""
MOST_BLOBS = 20
"""Deleted in one transaction."""
NOTED_S = 600.0
"""A blob that is put again so soon is not noted again."""
_REF = re.compile(rb"[0-9a-f]{64}")
_NEWEST = "SELECT run FROM log ORDER BY id DESC LIMIT 1"
_ENDED = """
SELECT run_id, id FROM runs WHERE started_at < ? AND updated_at < ? AND status IN ({}) ORDER BY started_at, id"""
_OLDEST = "SELECT min(started_at) FROM runs WHERE status = ? AND status NOT IN ('completed', 'failed', 'cancelled')"
_PUT = """
INSERT INTO puts (sha256, at) VALUES (?, ?)
ON CONFLICT (sha256) DO UPDATE SET at = excluded.at WHERE at < excluded.at - ?"""


def delete_runs(
    connection: sqlite3.Connection, heads: Heads, before: float, statuses: Collection[str], limit: int
) -> list[str]:
    """Delete runs that ended before a moment; the run with the newest record of the file stays for the next time.

    By the number of that record every process sees that nothing was lost.
    """
    heads.note_places(connection)
    newest = connection.execute(_NEWEST).fetchone()
    wanted = sorted(TERMINAL.intersection(statuses))
    gone: list[str] = []
    records = 0
    rows = connection.execute(_ENDED.format(", ".join("?" * len(wanted))), (before, before, *wanted))
    chosen: list[int] = []
    for run_id, number in rows:
        if len(gone) >= limit or records >= MOST_RECORDS:
            break
        if newest is None or number == newest[0]:
            continue
        try:
            head = find_head(connection, run_id)
        except CorruptRecord:
            continue  # a person may still put it right
        if head is None or head.info.status not in wanted or head.info.updated_at >= before:
            continue
        records += head.info.next_seq
        gone.append(run_id)
        chosen.append(number)
    for number in chosen:
        delete_all(connection, number)
        connection.execute("DELETE FROM runs WHERE id = ?", (number,))
    return gone


def note_put(connection: sqlite3.Connection, ref: str) -> None:
    """Note that a blob was put now."""
    connection.execute(_PUT, (ref, time.time(), NOTED_S))


def find_old(connection: sqlite3.Connection, grace_s: float) -> tuple[float, set[str]]:
    """The moment before which a blob was put that no run at work can be about to name, and the blobs from then."""
    begun = [connection.execute(_OLDEST, (status,)).fetchone()[0] for status in AT_WORK]
    before = min([time.time(), *(at for at in begun if at is not None)]) - grace_s
    return before, {ref for (ref,) in connection.execute("SELECT sha256 FROM puts WHERE at < ?", (before,))}


def find_names(connection: sqlite3.Connection, after: int) -> tuple[set[str], int | None]:
    """What the next records of the log name, whatever else looks like it, and where to go on; ``None`` at the end."""
    found: set[str] = set()
    rows = connection.execute("SELECT id, data FROM log WHERE id > ? ORDER BY id LIMIT ?", (after, MOST_RECORDS))
    place = None
    for place, data in rows:  # noqa: B007 -- the last one counts
        if isinstance(data, bytes):
            found.update(ref.decode() for ref in _REF.findall(data))
    return found, place


def delete_blobs(connection: sqlite3.Connection, refs: Sequence[str], before: float) -> int:
    """Delete those that were not put again meanwhile; how many went."""
    count = 0
    for ref in refs:
        if connection.execute("DELETE FROM puts WHERE sha256 = ? AND at < ?", (ref, before)).rowcount:
            count += connection.execute("DELETE FROM blobs WHERE sha256 = ?", (ref,)).rowcount
    return count
