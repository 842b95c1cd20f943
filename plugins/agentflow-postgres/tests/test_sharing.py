"""Leases and the inbox: who is alive, by the server's clock, and how requests reach the owner."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from agentflow_kernel import Context, Flow, Kernel
from agentflow_kernel.contracts.journal import Request
from agentflow_kernel.errors import RunBusy, RunSuspended

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    Open = Callable[..., Any]

pytestmark = pytest.mark.anyio
LEASE_S = 3
"""Longer than the machine may well stand still."""
UNTIL = "SELECT until FROM leases WHERE owner = $1"


@pytest.fixture
async def old_server(server: Any, sql: Any) -> None:
    """A server that has been up for longer than the leases of these tests."""
    await sql.execute(
        "SELECT pg_sleep(greatest(0, $1 + 0.2 - extract(epoch FROM clock_timestamp() - pg_postmaster_start_time())))",
        float(LEASE_S),
    )


async def renewed(sql: Any, name: str, before: datetime) -> datetime:
    """Until when the lease is good once it has been renewed."""
    while True:
        until: datetime = await sql.fetchval(UNTIL, name)
        if until > before:
            return until
        await asyncio.sleep(0.02)


async def noticed(leases: Any) -> None:
    """Return when the owner has noticed that its lease had run out."""
    while True:
        if leases.lapsed():
            return
        await asyncio.sleep(0.02)


@pytest.mark.usefixtures("old_server")
async def test_an_owner_is_alive_from_acquire_to_release(journal: Open, sql: Any) -> None:
    async with journal(lease_s=LEASE_S) as one, journal(lease_s=LEASE_S) as other:
        name = await one.leases.acquire()
        assert await other.leases.alive({name, "nobody"}) == {name}
        await renewed(sql, name, await sql.fetchval(UNTIL, name))
        assert await other.leases.alive({name}) == {name}
        await one.leases.release()
        assert not await other.leases.alive({name})
        await one.leases.release()


@pytest.mark.blocking  # it is what the test is about
@pytest.mark.usefixtures("old_server")
async def test_a_blocked_event_loop_keeps_its_lease(journal: Open, server: Any, schema: str) -> None:
    """Somebody else, in a loop of his own, sees it renewed twice."""
    seen: list[datetime] = []

    async def look(name: str) -> None:
        connection = await asyncpg.connect(server.dsn, server_settings={"search_path": schema})
        seen.append(await connection.fetchval(UNTIL, name))
        for _ in range(2):
            seen.append(await renewed(connection, name, seen[-1]))
        await connection.close()

    async with journal(lease_s=1) as one:
        name = await one.leases.acquire()
        somebody = threading.Thread(target=lambda: asyncio.run(look(name)))
        somebody.start()
        somebody.join(50)
        assert len(seen) == 3


@pytest.mark.parametrize("how", ["ran out", "was deleted"])
async def test_an_owner_notices_that_its_lease_had_run_out(how: str, journal: Open, sql: Any) -> None:
    """By the clock of the server, at its next renewal, and once for each time."""
    statements = {
        "ran out": "UPDATE leases SET until = clock_timestamp() - interval '1 ms' WHERE owner = $1",
        "was deleted": "DELETE FROM leases WHERE owner = $1",
    }
    async with journal(lease_s=LEASE_S) as one:
        assert not one.leases.lapsed()
        name = await one.leases.acquire()
        await renewed(sql, name, await sql.fetchval(UNTIL, name))
        assert not one.leases.lapsed()
        await sql.execute(statements[how], name)
        await noticed(one.leases)
        assert await sql.fetchval(UNTIL, name) is not None
        assert not one.leases.lapsed()


async def test_a_renewal_after_one_whose_reply_was_lost_counts_as_one_after_the_lease_had_run_out(
    journal: Open, sql: Any
) -> None:
    """That one may have been done, late: the lease looks good then."""
    waits = "SELECT pid FROM pg_locks WHERE relation = 'leases'::regclass AND NOT granted"
    async with journal(lease_s=LEASE_S) as one:
        await one.leases.acquire()
        async with sql.transaction():
            await sql.execute("LOCK TABLE leases")
            while True:
                pid = await sql.fetchval(waits)
                if pid is not None:
                    break
                await asyncio.sleep(0.02)
            await sql.execute("SELECT pg_terminate_backend($1)", pid)
        await noticed(one.leases)
        assert not one.leases.lapsed()


@pytest.mark.usefixtures("old_server")
async def test_an_owner_that_is_not_heard_of_is_gone_when_its_lease_has_run_out(journal: Open, sql: Any) -> None:
    async with journal(lease_s=LEASE_S) as one:
        await one.leases.acquire()
        await sql.execute("INSERT INTO leases VALUES ('silent-1', clock_timestamp() + interval '1 h')")
        assert await one.leases.alive({"silent-1"}) == {"silent-1"}
        await sql.execute("UPDATE leases SET until = clock_timestamp() WHERE owner = 'silent-1'")
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
        await asyncio.wait_for(waiting, 9)  # ten seconds later the table is read anyway
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
        async with asyncio.timeout(50):
            while "r" not in await owner.inbox.changed():
                await owner.inbox.woken()


@pytest.mark.usefixtures("old_server")
async def test_a_worker_whose_short_lease_ran_out_for_a_moment_leaves_a_run_that_only_waits(
    journal: Open, sql: Any
) -> None:
    """Nothing was held up and no look failed: the renewal alone shows it."""

    async def wait(value: object, context: Context) -> object:
        return await context.wait("go")

    flow = Flow("f").step(wait)
    async with journal(lease_s=1) as one, journal(lease_s=1) as other, Kernel(journal=other) as second:
        second.add(flow)
        async with Kernel(journal=one) as first:
            lost = await first.start(flow)
            while True:
                await sql.execute("DELETE FROM leases WHERE owner = $1", (await one.head(lost.run_id)).owner)
                try:
                    taken = await second.resume(lost.run_id)
                except RunBusy:  # it was renewed in between
                    continue
                break
            with pytest.raises(RunSuspended, match="epoch 2"):
                await asyncio.wait_for(lost.result(), 9)
            await taken.signal("go", 1)
            assert await taken.result() == 1
