"""Leases and the inbox: who is alive, by the server's clock, and how requests reach the owner."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from agentflow_kernel.contracts.journal import Request

if TYPE_CHECKING:
    from collections.abc import Callable

    Open = Callable[..., Any]

pytestmark = pytest.mark.anyio


@pytest.fixture
async def old_server(server: Any, sql: Any) -> None:
    """A server that has been up for longer than the leases of these tests."""
    await sql.execute(
        "SELECT pg_sleep(greatest(0, 1.2 - extract(epoch FROM clock_timestamp() - pg_postmaster_start_time())))"
    )


@pytest.mark.usefixtures("old_server")
async def test_an_owner_is_alive_from_acquire_to_release(journal: Open) -> None:
    async with journal(lease_s=1) as one, journal(lease_s=1) as other:
        name = await one.leases.acquire()
        assert await other.leases.alive({name, "nobody"}) == {name}
        await asyncio.sleep(1.5)  # renewed in the meantime
        assert await other.leases.alive({name}) == {name}
        await one.leases.release()
        assert not await other.leases.alive({name})
        await one.leases.release()


@pytest.mark.blocking  # it is what the test is about
@pytest.mark.usefixtures("old_server")
async def test_a_blocked_event_loop_keeps_its_lease(journal: Open, sql: Any) -> None:
    async with journal(lease_s=1) as one:
        name = await one.leases.acquire()
        time.sleep(1.5)  # noqa: ASYNC251
        assert await sql.fetchval("SELECT until > clock_timestamp() FROM leases WHERE owner = $1", name)


@pytest.mark.usefixtures("old_server")
async def test_an_owner_that_is_not_heard_of_is_gone_when_its_lease_has_run_out(journal: Open, sql: Any) -> None:
    async with journal(lease_s=1) as one:
        await one.leases.acquire()
        await sql.execute("INSERT INTO leases VALUES ('silent-1', clock_timestamp() + interval '0.3 s')")
        assert await one.leases.alive({"silent-1"}) == {"silent-1"}
        await asyncio.sleep(0.4)
        assert not await one.leases.alive({"silent-1"})


async def test_after_a_restart_of_the_server_every_owner_gets_the_time_to_come_back(journal: Open, sql: Any) -> None:
    """The lease is longer than the server is up: one that ran out while it was away is still good."""
    async with journal(lease_s=3600) as one:
        await one.leases.acquire()
        await sql.execute("INSERT INTO leases VALUES ('silent-1', clock_timestamp() - interval '10 s')")
        assert await one.leases.alive({"silent-1", "nobody"}) == {"silent-1"}


async def test_a_request_is_heard_of_at_once_and_kept_until_it_is_removed(journal: Open) -> None:
    async with journal() as owner, journal() as sender:
        await owner.leases.acquire()
        await owner.inbox.changed()
        waiting = asyncio.create_task(owner.inbox.woken())
        value = {"text": "a\0b \ud800", "n": 1}
        await sender.inbox.leave("r", Request("signal", "id-1", "go", value))
        await asyncio.wait_for(waiting, 5)
        assert await owner.inbox.changed() == {"r"}
        await sender.inbox.leave("r", Request("cancel", "id-2"))
        first, second = await owner.inbox.find("r")
        assert (first.kind, first.id, first.name, first.value) == ("signal", "id-1", "go", value)
        assert (second.kind, second.id) == ("cancel", "id-2")
        await owner.inbox.remove("r", first)
        await owner.inbox.remove("r", first)
        assert await sender.inbox.find("r") == [second]
        assert await owner.inbox.find("other") == []


async def test_who_does_not_listen_reads_the_table(journal: Open) -> None:
    """Also who has just begun to: what was left before is found."""
    async with journal() as owner, journal() as sender:
        assert await owner.inbox.changed() == set()
        await sender.inbox.leave("r", Request("cancel", "id"))
        assert await owner.inbox.changed() == {"r"}
        await owner.leases.acquire()
        owner.inbox.forget()
        assert "r" in await owner.inbox.changed()


async def test_a_request_that_was_not_called_out_is_found_in_time(journal: Open, sql: Any) -> None:
    """A listener that has lost its connection for a moment looks at the table by itself."""
    async with journal() as owner:
        await owner.leases.acquire()
        await owner.inbox.changed()
        await sql.execute("INSERT INTO inbox (place, run_id, body) VALUES ('p', 'r', '{}')")
        await sql.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'agentflow lease'"
        )
        async with asyncio.timeout(10):
            while "r" not in await owner.inbox.changed():
                await owner.inbox.woken()
