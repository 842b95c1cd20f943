"""A watchman: a thread that keeps a worker's lease alive and hears of requests, whatever the event loop does."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from concurrent.futures import Future
from threading import Thread
from typing import TYPE_CHECKING

from agentflow_kernel.telemetry import get_logger
from agentflow_postgres._faults import DRIVER_ERRORS

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentflow_postgres._link import Connection, Link

RENEW = """
WITH before AS (SELECT until FROM leases WHERE owner = $1)
INSERT INTO leases (owner, until) VALUES ($1, clock_timestamp() + make_interval(secs => $2))
ON CONFLICT (owner) DO UPDATE SET until = excluded.until
RETURNING (SELECT until >= clock_timestamp() FROM before)"""
"""Gives whether the lease was still good, null where there was none."""
CLEAN = "DELETE FROM leases WHERE until < clock_timestamp() - interval '1 day'"
RETRY_S = 0.5
GOODBYE_S = 2.0
"""How long the end of a worker waits for the server; after that the lease runs out by itself."""


class Watchman:
    """One lease and one ear at the inbox, from :meth:`start` to :meth:`stop`, in a thread with a loop of its own."""

    def __init__(self, link: Link, *, lease_s: float, on_request: Callable[[str], None]) -> None:
        self.name = f"{os.getpid()}@{socket.gethostname()}-{secrets.token_hex(6)}"
        self._link = link
        self._lease_s = lease_s
        self._on_request = on_request
        self._begun: Future[None] = Future()
        self._stop: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = Thread(target=lambda: asyncio.run(self._work()), name="agentflow-postgres-lease", daemon=True)
        self.listening = False
        """Whether requests are heard of at once."""
        self.lapses = 0
        """How often the lease was renewed after it had run out; others may have taken over runs then.

        A renewal after one that failed counts too: that one may have been done, late, and its reply lost.
        """

    async def start(self) -> None:
        """Return when the lease is in the database."""
        self._thread.start()
        await asyncio.wrap_future(self._begun)

    async def stop(self) -> None:
        """Give the lease back and end the thread."""
        loop, stop = self._loop, self._stop
        if loop is not None and stop is not None and self._thread.is_alive():
            loop.call_soon_threadsafe(stop.set)
            await asyncio.to_thread(self._thread.join)

    async def _work(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        connection: Connection | None = None
        cleaned = failed = False
        try:
            while not self._stop.is_set():
                pause_s = self._lease_s / 3
                try:
                    if connection is None or connection.is_closed():
                        connection = await self._connect()
                    was_good = await connection.fetchval(RENEW, self.name, self._lease_s, timeout=self._lease_s)
                    if self._begun.done() and (failed or not was_good):
                        self.lapses += 1
                        if not was_good:
                            get_logger("agentflow.postgres").warning("lease.lapsed", owner=self.name)
                    failed = False
                    if not cleaned:
                        await connection.execute(CLEAN)
                        cleaned = True
                    self._tell_begun()
                except DRIVER_ERRORS as error:
                    self.listening, failed = False, True
                    get_logger("agentflow.postgres").warning("lease.not_renewed", error=type(error).__name__)
                    if connection is not None:
                        connection.terminate()
                    connection, pause_s = None, min(RETRY_S, pause_s)
                try:
                    await asyncio.wait_for(self._stop.wait(), pause_s)
                except TimeoutError:
                    continue
        except BaseException as error:
            if not self._begun.done():
                self._begun.set_exception(error)
            raise
        finally:
            self.listening = False
            if connection is not None:
                await self._leave(connection)

    async def _connect(self) -> Connection:
        connection = await self._link.connect("agentflow lease")
        await connection.add_listener(channel_of(self._link.schema), self._hear)
        self.listening = True
        self._on_request("")  # what came while nobody listened
        return connection

    def _hear(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        self._on_request(str(payload))

    def _tell_begun(self) -> None:
        if not self._begun.done():
            self._begun.set_result(None)

    async def _leave(self, connection: Connection) -> None:
        try:
            if not connection.is_closed():
                await connection.execute("DELETE FROM leases WHERE owner = $1", self.name, timeout=GOODBYE_S)
                await connection.close(timeout=GOODBYE_S)
        except DRIVER_ERRORS:
            connection.terminate()


def channel_of(schema: str) -> str:
    """The channel on which requests are called out."""
    return f"{schema}_inbox"
