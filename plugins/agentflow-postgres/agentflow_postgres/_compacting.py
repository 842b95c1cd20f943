"""A compacting: the records of a run between its first and a snapshot leave the tables, for readers all at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentflow_kernel.errors import Fenced, UnknownRun
from agentflow_postgres._log import find_head

if TYPE_CHECKING:
    from agentflow_postgres._link import Connection

MOST_RECORDS = 5000
"""Deleted in one transaction."""
FIND_BASE = "SELECT base FROM runs WHERE run_id = $1"
HIDE = "UPDATE runs SET base = greatest(base, $2) WHERE run_id = $1 AND epoch <= $3 RETURNING number, base"
DELETE = """
DELETE FROM records WHERE run = $1
AND seq IN (SELECT seq FROM records WHERE run = $1 AND seq > 0 AND seq < $2 ORDER BY seq LIMIT $3) RETURNING 1"""


async def find_base(connection: Connection, run_id: str) -> int:
    """The seq of the snapshot that follows the first record of a run, 0 where nothing was deleted."""
    base = await connection.fetchval(FIND_BASE, run_id)
    if base is None:
        raise UnknownRun(run_id)
    return int(base)


async def compact_run(connection: Connection, run_id: str, seq: int, epoch: int) -> int:
    """Hide what lies between, and delete some of it; how many went. It is done when fewer than most of them do.

    ``seq`` is that of a snapshot.
    """
    async with connection.transaction():
        place = await connection.fetchrow(HIDE, run_id, seq, epoch)
        if place is None:
            head = await find_head(connection, run_id)
            raise UnknownRun(run_id) if head is None else Fenced(run_id, epoch, head.info.epoch)
        return len(await connection.fetch(DELETE, place["number"], place["base"], MOST_RECORDS))
