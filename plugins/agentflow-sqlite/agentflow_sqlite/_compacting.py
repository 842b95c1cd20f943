"""A compacting: the records of a run between its first and a snapshot leave the file, for readers all at once."""

from __future__ import annotations

from agentflow_kernel.contracts.journal import check_snapshot
from agentflow_kernel.errors import Fenced, UnknownRun
from agentflow_sqlite._log import find_base, look_up, read_records
from agentflow_sqlite._places import delete_between

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3

    from agentflow_sqlite._log import Heads

MOST_RECORDS = 5000
"""Deleted in one transaction, so that no append waits long."""


def compact_run(connection: sqlite3.Connection, heads: Heads, run_id: str, seq: int, epoch: int) -> int:
    """Hide what lies between, and delete some of it; how many rows went. It is done when fewer than most of them do.

    The newest record of the file stays: it is the snapshot, or comes after it.
    """
    head = look_up(connection, run_id)
    if head is None:
        raise UnknownRun(run_id)
    if head.info.epoch > epoch:
        raise Fenced(run_id, epoch, head.info.epoch)
    heads.note_places(connection)
    base = find_base(connection, run_id, head.number)
    if seq > base or seq < 1:
        check_snapshot(run_id, seq, read_records(connection, run_id, seq))
        base = seq
        connection.execute("UPDATE runs SET base = ? WHERE id = ?", (base, head.number))
    return delete_between(connection, head.number, base, MOST_RECORDS)
