"""What the tests of the journal share: one real server, and a schema of its own for each test."""

from __future__ import annotations

import secrets
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
import structlog  # noqa: F401 -- the first warning would import it on the event loop, which counts as blocking
from postgres_server import PostgresServer

from agentflow_kernel.contracts.journal import Record, chain_hash, encode_record
from agentflow_postgres.journal import PostgresJournal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence
    from contextlib import AbstractAsyncContextManager

    Chain = Callable[..., list[Record]]
    Open = Callable[..., AbstractAsyncContextManager[PostgresJournal]]


@pytest.fixture
def anyio_backend() -> str:
    """The driver knows asyncio only; that trio is refused is a test of its own."""
    return "asyncio"


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    """One server for all tests."""
    found = PostgresServer()
    found.open()
    yield found
    found.close()


@pytest.fixture
def schema() -> str:
    """A name that no other test has."""
    return f"test_{secrets.token_hex(6)}"


@pytest.fixture
def journal(server: PostgresServer, schema: str) -> Open:
    """What opens a journal in this test's schema."""

    @asynccontextmanager
    async def make(**options: Any) -> AsyncIterator[PostgresJournal]:
        made = PostgresJournal(options.pop("dsn", server.dsn), schema=schema, **options)
        try:
            yield made
        finally:
            await made.aclose()

    return make


@pytest.fixture
async def sql(server: PostgresServer, schema: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    """A look past the journal."""
    connection = await asyncpg.connect(server.dsn, server_settings={"search_path": schema})
    yield connection
    await connection.close()


@pytest.fixture
def chain() -> Chain:
    """What makes the records of a run."""
    return _chain


def _chain(run_id: str, count: int, *, epoch: int = 1, after: Sequence[Record] = (), size: int = 20) -> list[Record]:
    """So many records that follow others, the first of a run being ``run.started``."""
    records = list(after)
    for seq in range(len(records), len(records) + count):
        tail = chain_hash(encode_record(records[-1])) if records else ""
        kind: Any = "step.completed" if seq else "run.started"
        payload: Any = {"output": "x" * size} if seq else {"name": "flow/f", "owner": "o"}
        records.append(
            Record(run_id, seq, kind, f"s{seq}" if seq else "", payload, epoch, ts=float(seq), prev_hash=tail)
        )
    return records[len(after) :]
