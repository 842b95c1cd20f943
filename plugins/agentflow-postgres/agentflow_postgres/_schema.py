"""A schema: the tables of a journal, and the steps that lead from each version to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg

from agentflow_kernel.errors import NewerSchema, UsageError

if TYPE_CHECKING:
    from agentflow_postgres._link import Connection

FIRST_STEP = (
    """CREATE TABLE runs (
    number bigint GENERATED ALWAYS AS IDENTITY, run_id text COLLATE "C" PRIMARY KEY, epoch bigint NOT NULL,
    next_seq bigint NOT NULL, status text NOT NULL, started_at float8 NOT NULL, tail text NOT NULL, head bytea NOT NULL)
    WITH (fillfactor = 70)""",
    "CREATE INDEX runs_started ON runs (started_at DESC, number DESC)",
    "CREATE INDEX runs_status ON runs (status, started_at DESC, number DESC)",
    "CREATE TABLE records (run bigint, seq bigint, data bytea NOT NULL, PRIMARY KEY (run, seq))",
    'CREATE TABLE blobs (sha256 text COLLATE "C" PRIMARY KEY, data bytea NOT NULL)',
    'CREATE TABLE leases (owner text COLLATE "C" PRIMARY KEY, until timestamptz NOT NULL)',
    """CREATE TABLE inbox (
    number bigint GENERATED ALWAYS AS IDENTITY, place text COLLATE "C" PRIMARY KEY, run_id text COLLATE "C" NOT NULL,
    body bytea NOT NULL)""",
    "CREATE INDEX inbox_run ON inbox (run_id, number)",
)
SECOND_STEP = (
    """ALTER TABLE runs ADD COLUMN held text COLLATE "C" NOT NULL DEFAULT 'o'""",
    "UPDATE runs SET held = '' WHERE status IN ('completed', 'failed', 'cancelled', 'stuck', 'quarantined')",
    "CREATE INDEX runs_held ON runs (held) WHERE held <> ''",
)
"""``held`` is ``o`` and the owner of a run at work, ``c`` and the cause of a suspended one; of an older run ``o``."""
PUTS_STEP = (
    'CREATE TABLE puts (sha256 text COLLATE "C" PRIMARY KEY, at timestamptz NOT NULL)',
    "INSERT INTO puts SELECT sha256, now() FROM blobs",
)
"""When each blob was last put; apart from the blobs, so that nothing large is written again for it."""
BASE_STEP = ("ALTER TABLE runs ADD COLUMN base bigint NOT NULL DEFAULT 0",)
"""The seq of the snapshot before which the records of a run were deleted, all but the first; 0 where none were."""
STEPS = (FIRST_STEP, SECOND_STEP, PUTS_STEP, BASE_STEP)
"""``STEPS[n]`` leads from version n to n + 1. A released step is never changed: a change is a further step."""
VERSION = len(STEPS)
FIND = "SELECT version FROM agentflow_version"


async def find_version(connection: Connection, place: str) -> int:
    """The version of the tables, 0 where there are none; raises :class:`NewerSchema` for a newer one."""
    try:
        found = await connection.fetchval(FIND)
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
        return 0
    if found is None:
        return 0
    if found > VERSION:
        raise NewerSchema(f"The journal in the PostgreSQL database {place}", found, VERSION)
    return int(found)


async def migrate(connection: Connection, schema: str, place: str) -> None:
    """Bring the tables to :data:`VERSION` in one transaction; workers that come at the same time wait.

    Raises :class:`UsageError` where the user may not make them.
    """
    try:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(hashtext('agentflow'), hashtext($1))", schema)
            if not await connection.fetchval("SELECT 1 FROM pg_namespace WHERE nspname = $1", schema):
                await connection.execute(f'CREATE SCHEMA "{schema}"')
            await connection.execute("CREATE TABLE IF NOT EXISTS agentflow_version (version int NOT NULL)")
            found = await find_version(connection, place)
            for step in STEPS[found:]:
                for statement in step:
                    await connection.execute(statement)
            if found < VERSION:
                await connection.execute("DELETE FROM agentflow_version")
                await connection.execute("INSERT INTO agentflow_version (version) VALUES ($1)", VERSION)
    except asyncpg.InsufficientPrivilegeError as error:
        raise UsageError(
            f"The user may not make the journal's tables in the schema {schema!r} of the PostgreSQL database {place}: "
            f"{error}. Let somebody who may run `CREATE SCHEMA {schema} AUTHORIZATION <user>`, or name another schema."
        ) from error
