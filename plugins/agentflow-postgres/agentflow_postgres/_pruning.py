"""A pruning: ended runs leave the tables, and blobs that no record names any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentflow_kernel.contracts.journal import AT_WORK, TERMINAL
from agentflow_kernel.errors import CorruptRecord
from agentflow_postgres._log import HEADS, to_head

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection, Sequence

    from agentflow_postgres._link import Connection

MOST_RECORDS = 5000
"""Deleted in one transaction, a single run may have more; also what one look for names reads."""
MOST_BLOBS = 20
"""Deleted in one transaction."""
PAGE = 500
ENDED = HEADS + "WHERE status = ANY($1::text[]) AND started_at < $2 ORDER BY started_at, number LIMIT $3 OFFSET $4"
DELETE_RUNS = """
WITH gone AS (
    DELETE FROM runs WHERE number = ANY($1::int8[]) AND status = ANY($2::text[]) RETURNING run_id, number
), emptied AS (DELETE FROM records USING gone WHERE run = gone.number
), unasked AS (DELETE FROM inbox USING gone WHERE inbox.run_id = gone.run_id
)
SELECT run_id FROM gone"""
OLD = """
WITH moment AS (
    SELECT least(now(), (SELECT to_timestamp(min(started_at)) FROM runs WHERE status = ANY($1::text[])))
        - make_interval(secs => $2) AS before
)
SELECT moment.before, array(SELECT sha256 FROM puts WHERE puts.at < moment.before) AS old FROM moment"""
NAMES = """
SELECT run, seq, array(SELECT (regexp_matches(encode(data, 'escape'), '[0-9a-f]{64}', 'g'))[1]) AS names
FROM (SELECT run, seq, data FROM records WHERE (run, seq) > ($1, $2) ORDER BY run, seq LIMIT $3) AS page
ORDER BY run, seq"""
DELETE_BLOBS = """
WITH gone AS (DELETE FROM puts WHERE sha256 = ANY($1::text[]) AND at < $2 RETURNING sha256)
DELETE FROM blobs USING gone WHERE blobs.sha256 = gone.sha256 RETURNING 1"""


async def delete_runs(connection: Connection, before: float, statuses: Collection[str], limit: int) -> list[str]:
    """Delete runs that ended before a moment, and what was still asked of them; damaged ones stay."""
    wanted = sorted(TERMINAL.intersection(statuses))
    numbers: list[int] = []
    records = offset = 0
    while len(numbers) < limit and records < MOST_RECORDS:
        rows = await connection.fetch(ENDED, wanted, before, PAGE, offset)
        for row in rows:
            try:
                head = to_head(row)
            except CorruptRecord:
                continue  # a person may still put it right
            if head.info.updated_at < before and len(numbers) < limit and records < MOST_RECORDS:
                numbers.append(head.number)
                records += head.info.next_seq
        offset += PAGE
        if len(rows) < PAGE:
            break
    if not numbers:
        return []
    return [row["run_id"] for row in await connection.fetch(DELETE_RUNS, numbers, wanted)]


async def find_old(connection: Connection, grace_s: float) -> tuple[dt.datetime, set[str]]:
    """The moment before which a blob was put that no run at work can be about to name, and the blobs from then."""
    row = await connection.fetchrow(OLD, sorted(AT_WORK), grace_s)
    return row["before"], set(row["old"])


async def find_names(connection: Connection, after: tuple[int, int]) -> tuple[set[str], tuple[int, int] | None]:
    """What the next records name, whatever else looks like it, and where to go on; ``None`` at the end."""
    rows = await connection.fetch(NAMES, *after, MOST_RECORDS)
    names = {name for row in rows for name in row["names"]}
    return names, (rows[-1]["run"], rows[-1]["seq"]) if rows else None


async def delete_blobs(connection: Connection, refs: Sequence[str], before: dt.datetime) -> int:
    """Delete those that were not put again meanwhile; how many went."""
    return len(await connection.fetch(DELETE_BLOBS, refs, before))
