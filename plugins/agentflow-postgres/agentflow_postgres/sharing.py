"""Sharing: the leases and the inbox of a database, by which workers on several machines own runs and are asked."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from agentflow_kernel.contracts.journal import Request
from agentflow_kernel.event import uuid7
from agentflow_postgres._watchman import Watchman, channel_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from agentflow_postgres._link import Connection, Link

ALIVE = """
SELECT owner FROM leases WHERE owner = ANY($1::text[]) AND (
    until > clock_timestamp() OR pg_postmaster_start_time() > clock_timestamp() - make_interval(secs => $2))"""
"""A server that has just come back gives every worker the time to come back, too."""
LEAVE = """
WITH left_here AS (INSERT INTO inbox (place, run_id, body) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING run_id)
SELECT pg_notify($4, run_id) FROM left_here"""
FIND = "SELECT place, body FROM inbox WHERE run_id = $1 ORDER BY number"
VERSION = 1
"""Of the form of a request's body."""
LOOK_ANYWAY_S = 10.0
"""How often the table is read although nothing was heard."""


class PostgresInbox:
    """Requests as rows; their owner hears of them through ``NOTIFY`` and looks now and then all the same."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._watchman: Watchman | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news = asyncio.Event()
        self._heard: set[str] = set()
        self._look_at = 0.0

    def listen(self, watchman: Watchman | None) -> None:
        """Take word from this watchman from now on."""
        self._watchman = watchman
        self._loop = asyncio.get_running_loop()
        self.forget()

    def hear(self, run_id: str) -> None:
        """A request has come, for any run where the id is empty; called in the watchman's thread."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._note, run_id)

    def _note(self, run_id: str) -> None:
        if run_id:
            self._heard.add(run_id)
        else:
            self.forget()
        self._news.set()

    async def leave(self, run_id: str, request: Request) -> None:
        """Insert a row and call it out, in one transaction."""
        place = request.place or uuid7()
        body = {"v": VERSION, "kind": request.kind, "id": request.id, "name": request.name, "value": request.value}
        data = json.dumps(body, separators=(",", ":")).encode()

        async def job(connection: Connection) -> None:
            await connection.execute(LEAVE, place, run_id, data, channel_of(self._link.schema))

        await self._link.run(job, make=True)

    async def find(self, run_id: str) -> Sequence[Request]:
        """The rows of a run, in the order in which they were left."""

        async def job(connection: Connection) -> list[Request]:
            rows = await connection.fetch(FIND, run_id)
            return [_to_request(json.loads(bytes(row["body"])), row["place"]) for row in rows]

        return await self._link.run(job) or []

    async def remove(self, run_id: str, request: Request) -> None:
        """Delete a row."""

        async def job(connection: Connection) -> None:
            await connection.execute("DELETE FROM inbox WHERE run_id = $1 AND place = $2", run_id, request.place)

        await self._link.run(job)

    async def changed(self) -> Collection[str]:
        """What was heard of since the last call; all runs with requests where nobody listens, and now and then."""
        self._news.clear()
        heard, self._heard = self._heard, set()
        now = asyncio.get_running_loop().time()
        deaf = self._watchman is None or not self._watchman.listening
        if not deaf and now < self._look_at:
            return heard
        found = await self._link.run(_find_addressees)
        self._look_at = now + LOOK_ANYWAY_S
        return heard.union(found or ())

    def forget(self) -> None:
        """Read the table the next time."""
        self._look_at = 0.0

    async def woken(self) -> None:
        """Return when a call was heard."""
        await self._news.wait()


async def _find_addressees(connection: Connection) -> set[str]:
    return {row["run_id"] for row in await connection.fetch("SELECT DISTINCT run_id FROM inbox")}


def _to_request(body: dict[str, object], place: str) -> Request:
    return Request(str(body["kind"]), str(body["id"]), str(body["name"]), body["value"], place)  # type: ignore[arg-type]  # JSON


class PostgresLeases:
    """Owners as rows that say until when they are alive, by the server's clock."""

    def __init__(self, link: Link, inbox: PostgresInbox, lease_s: float) -> None:
        self._link = link
        self._inbox = inbox
        self._lease_s = lease_s
        self._watchman: Watchman | None = None
        self._known_lapses = 0

    async def acquire(self) -> str:
        """Start the thread that keeps the lease; return the owner's name once it is in the database."""
        await self._link.run(_nothing, make=True)
        watchman = Watchman(self._link, lease_s=self._lease_s, on_request=self._inbox.hear)
        self._inbox.listen(watchman)
        await watchman.start()
        self._watchman, self._known_lapses = watchman, 0
        return watchman.name

    def lapsed(self) -> bool:
        """Whether the lease was renewed after it had run out, since the last call."""
        before = self._known_lapses
        if self._watchman is not None:
            self._known_lapses = self._watchman.lapses
        return self._known_lapses > before

    async def release(self) -> None:
        """Delete the row and end the thread; a server that is away finds the lease run out."""
        watchman, self._watchman = self._watchman, None
        if watchman is not None:
            await watchman.stop()

    async def alive(self, owners: Collection[str]) -> Collection[str]:
        """Those whose leases have not run out; all of them for ``lease_s`` after the server's start."""

        async def job(connection: Connection) -> set[str]:
            return {row["owner"] for row in await connection.fetch(ALIVE, list(owners), self._lease_s)}

        return await self._link.run(job) or set()


async def _nothing(connection: Connection) -> None:
    """There is a connection, and the tables are there."""
