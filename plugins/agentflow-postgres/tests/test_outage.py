"""A server that goes away: nothing that was acknowledged is lost, nothing is appended twice, nobody hangs."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

import pytest

from agentflow_kernel.errors import AppendConflict, CredentialRefused, StorageUnavailable, UsageError
from agentflow_postgres.journal import PostgresJournal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agentflow_kernel.contracts.journal import Record

    Chain = Callable[..., list[Record]]
    Open = Callable[..., Any]

from postgres_server import PostgresServer
from service import free_port

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """One for each test: it is killed."""
    found = PostgresServer()
    found.open()
    yield found
    found.close()


@pytest.mark.parametrize("kill", [False, True], ids=["shutdown", "SIGKILL"])
async def test_no_append_is_lost_or_doubled_while_the_server_restarts(
    server: PostgresServer, journal: Open, chain: Chain, kill: bool
) -> None:
    """Under load, again and again. The load waits and goes on."""
    stop = asyncio.Event()
    acknowledged: dict[str, list[Record]] = {}

    async def load(one: Any, run_id: str) -> None:
        records: list[Record] = acknowledged.setdefault(run_id, [])
        while not stop.is_set():
            more = chain(run_id, 2, after=records)
            await one.append(run_id, len(records), 1, more)
            records.extend(more)

    async with journal(outage_s=120) as one, journal(outage_s=120) as other:
        tasks = [asyncio.create_task(load(each, f"{n}-{m}")) for n, each in enumerate((one, other)) for m in range(8)]
        for turn in range(4):
            await asyncio.sleep(0.4)
            while (  # noqa: ASYNC110 -- the disk is slow
                sum(map(len, acknowledged.values())) < 32 * (turn + 1) and not any(task.done() for task in tasks)
            ):
                await asyncio.sleep(0.02)
            await asyncio.to_thread(server.restart, kill=kill)
        counts = [len(records) for records in acknowledged.values()]
        while any(len(records) < count + 4 for records, count in zip(acknowledged.values(), counts, strict=True)):
            done, _ = await asyncio.wait(tasks, timeout=0.05)  # all of them go on after the last restart
            for task in done:
                task.result()
        stop.set()
        await asyncio.gather(*tasks)
        assert sum(counts) > 100
        for run_id, records in acknowledged.items():
            assert await other.read(run_id) == records


async def test_a_server_that_stays_away_is_unavailable(server: PostgresServer, journal: Open, chain: Chain) -> None:
    """And the same journal goes on when it is back."""
    async with journal(outage_s=0.5) as one:
        await one.append("r", 0, 1, chain("r", 1))
        await asyncio.to_thread(server.stop)
        began = time.monotonic()
        for call in (one.append("r", 1, 1, chain("r", 2)[1:]), one.read("r"), one.runs(), one.put_blob(b"x")):
            with pytest.raises(StorageUnavailable, match="does not answer"):
                await call
        assert time.monotonic() - began < 25  # by itself it is waited for 30 s
        await asyncio.to_thread(server.start)
        await one.append("r", 1, 1, chain("r", 2)[1:])
        assert await one.read("r") == chain("r", 2)


async def test_a_server_that_hangs_is_not_waited_for_for_ever(
    server: PostgresServer, journal: Open, chain: Chain
) -> None:
    """It may have kept the batch: the error says so, and what is on record is one or the other."""
    async with journal() as patient, journal(outage_s=1, statement_timeout_s=0.5) as one:
        await patient.append("r", 0, 1, chain("r", 1))  # to make the tables may take a slow disk longer
        await one.append("r", 1, 1, [])  # nothing, but over the connection that is then there
        await asyncio.to_thread(server.pause)
        with pytest.raises(StorageUnavailable) as caught:
            await one.append("r", 1, 1, chain("r", 2)[1:])
        assert caught.value.executed == "maybe"
        await asyncio.to_thread(server.go_on)
        with contextlib.suppress(AppendConflict):
            await patient.append("r", 1, 1, chain("r", 2)[1:])
        assert await patient.read("r") == chain("r", 2)


async def test_a_batch_whose_answer_was_lost_is_recognised(
    server: PostgresServer, journal: Open, chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server has kept it and the way broke before it could say so: it is not sent a second time."""
    from agentflow_postgres import _writer

    lost = []

    async def append(connection: Any, batches: Any) -> set[str]:
        kept = await send(connection, batches)
        if not lost:
            lost.append(kept)
            raise ConnectionResetError
        return kept

    send = _writer.append
    monkeypatch.setattr(_writer, "append", append)
    async with journal() as one:
        records = chain("r", 3)
        await one.append("r", 0, 1, records[:2])
        await one.append("r", 2, 1, records[2:])
        assert lost
        assert await one.read("r") == records


async def test_a_batch_whose_answer_was_lost_counts_also_when_another_owner_has_gone_on(
    server: PostgresServer, journal: Open, chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    from agentflow_postgres import _writer

    records = chain("r", 2)
    taken = chain("r", 1, epoch=2, after=records)
    attempts = []

    async def append(connection: Any, batches: Any) -> set[str]:
        kept = await send(connection, batches)
        attempts.append(kept)
        if len(attempts) == 1:
            await other.append("r", 2, 2, taken)
            raise ConnectionResetError
        return kept

    async with journal() as one, journal() as other:
        send = _writer.append
        monkeypatch.setattr(_writer, "append", append)
        await one.append("r", 0, 1, records)
        assert await one.read("r") == [*records, *taken]


async def test_no_error_names_the_password(
    server: PostgresServer, chain: Chain, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    wrong = {
        f"postgresql://agentflow:tiger@127.0.0.1:{port}/postgres": StorageUnavailable,
        f"postgresql://agentflow:tiger@127.0.0.1:{server.port}/nowhere": UsageError,
        f"postgresql://nobody:tiger@127.0.0.1:{server.port}/postgres": CredentialRefused,
        f"postgresql://agentflow:tiger@127.0.0.1:{server.port}/postgres?sslmode=maybe": UsageError,
        f"postgresql://agentflow:tiger@127.0.0.1:{server.port}/postgres?sslmode=require": StorageUnavailable,
    }
    for dsn, kind in wrong.items():
        one = PostgresJournal(dsn, outage_s=0)
        with pytest.raises(kind) as caught:
            await one.append("r", 0, 1, chain("r", 1))
        error: BaseException | None = caught.value
        while error is not None:
            assert "tiger" not in f"{error!r}", dsn
            error = error.__cause__
        assert "tiger" not in f"{one!r}"
        await one.aclose()
    with pytest.raises(UsageError) as caught:
        PostgresJournal("mysql://agentflow:tiger@127.0.0.1/x")
    assert "tiger" not in str(caught.value)
    assert "tiger" not in caplog.text
