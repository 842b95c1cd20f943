"""A link: the connections to one database, made anew when they break, and waited for while the server is away."""

from __future__ import annotations

import asyncio
import time
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import asyncpg

from agentflow_kernel.errors import AgentFlowError, StorageUnavailable, Unsupported, UsageError
from agentflow_kernel.telemetry import get_logger, hide
from agentflow_postgres._faults import DRIVER_ERRORS, passes, to_fault
from agentflow_postgres._schema import VERSION, find_version, migrate

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeAlias

    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record]

T = TypeVar("T")

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 1.0
"""Between two attempts to reach a server that is away; the pause doubles."""
CONNECT_TIMEOUT_S = 10.0
GOODBYE_S = 2.0
"""How long closing waits for what is under way."""


class Link:
    """One database. Nothing is opened before the first call; other event loops than the first keep no connections."""

    def __init__(self, dsn: str, schema: str, *, size: int, outage_s: float, statement_timeout_s: float) -> None:
        self._dsn = dsn
        self.schema = schema
        self.place = describe(dsn)
        self.outage_s = outage_s
        self._timeout_s = statement_timeout_s
        self._idle: list[Connection] = []
        self._size = size
        self._room = asyncio.Semaphore(size)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._in_use: set[Connection] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False

    async def run(self, job: Callable[[Connection], Awaitable[T]], *, make: bool = False) -> T | None:
        """What ``job`` returns, ``None`` where there are no tables; with ``make`` they are made.

        ``job`` is done again when the way to the server breaks: doing it twice must come to the same as once. Raises
        :class:`StorageUnavailable` once the server was away for so long (``outage_s``).
        """
        require_asyncio()
        room = self._room if self._is_home() else nullcontext()
        deadline = time.monotonic() + self.outage_s
        pause_s, reached = FIRST_PAUSE_S, False

        async def tried(connection: Connection) -> T:
            nonlocal reached
            reached = True
            return await job(connection)

        while True:
            if self._closed:
                raise StorageUnavailable("The journal is closed.", executed="no")
            try:
                async with room:
                    task = asyncio.get_running_loop().create_task(self._attempt(tried, make=make))
                    self._tasks.add(task)
                    task.add_done_callback(self._end)
                    return await asyncio.shield(task)  # cancelled in the middle, a connection would be left in pieces
            except DRIVER_ERRORS as error:
                if not passes(error) or time.monotonic() + pause_s > deadline:
                    fault = to_fault(error, self.place, "maybe" if reached else "no")
                    raise fault from (error if isinstance(error, asyncpg.PostgresError) else None)
                if pause_s == FIRST_PAUSE_S:
                    get_logger("agentflow.postgres").warning(
                        "server.away", place=self.place, error=type(error).__name__
                    )
                if self._is_home():
                    self._drop_idle()
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    def _is_home(self) -> bool:
        """Whether this is the loop that keeps connections: the first one, as long as it is open."""
        loop = asyncio.get_running_loop()
        if self._loop is None or self._loop.is_closed():
            self._loop, self._room = loop, asyncio.Semaphore(self._size)
            self._idle.clear()
            self._in_use.clear()
            self._tasks.clear()
        return loop is self._loop

    async def connect(self, application: str = "agentflow") -> Connection:
        """A connection of one's own, with the settings of all."""
        statement_ms = str(int(self._timeout_s * 1000))
        settings = {
            "application_name": application,
            "search_path": self.schema,
            "statement_timeout": statement_ms,
            "synchronous_commit": "on",
            "idle_in_transaction_session_timeout": statement_ms,
        }
        try:
            return await asyncpg.connect(
                self._dsn, timeout=CONNECT_TIMEOUT_S, command_timeout=self._timeout_s + 1.0, server_settings=settings
            )
        except (ValueError, asyncpg.ClientConfigurationError) as error:
            raise UsageError(
                f"The DSN of the PostgreSQL database {self.place} cannot be used ({type(error).__name__}). Expected "
                "postgresql://user:password@host:port/database, with % codes for special characters in the password."
            ) from None  # the library quotes the DSN

    async def aclose(self) -> None:
        """Close all connections; may be called twice."""
        self._closed = True
        if self._loop is None or self._loop.is_closed() or not self._loop.is_running():
            self._idle.clear()  # nothing was opened, or its loop has ended
            return
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=GOODBYE_S)
        idle, self._idle = self._idle, []
        for connection in idle:
            with suppress(*DRIVER_ERRORS):
                await connection.close(timeout=GOODBYE_S)
        for connection in self._in_use:
            connection.terminate()  # nothing is under way that was acknowledged
        await asyncio.sleep(0)  # sockets of terminated connections close in the loop's next round

    async def _take(self, *, make: bool) -> Connection | None:
        """A connection to a database that has the tables."""
        while self._idle and self._is_home():
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        connection = await self.connect()
        try:
            found = await find_version(connection, self.place)
            if found < VERSION and (found or make):
                await migrate(connection, self.schema, self.place)
            elif not found:
                connection.terminate()
                return None
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def _attempt(self, job: Callable[[Connection], Awaitable[T]], *, make: bool) -> T | None:
        connection = await self._take(make=make)
        return None if connection is None else await self._use(connection, job)

    def _end(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # somebody who was cancelled does not ask for it

    async def _use(self, connection: Connection, job: Callable[[Connection], Awaitable[T]]) -> T:
        self._in_use.add(connection)
        try:
            result = await job(connection)
        except AgentFlowError:
            await self._give_back(connection)
            raise
        except BaseException as error:
            if isinstance(error, asyncpg.PostgresError) and not passes(error):
                await self._give_back(connection)
            else:
                self._in_use.discard(connection)
                connection.terminate()  # whatever it was doing, nobody waits for its answer any more
            raise
        await self._give_back(connection)
        return result

    async def _give_back(self, connection: Connection) -> None:
        self._in_use.discard(connection)
        if self._closed or connection.is_closed():
            connection.terminate()
        elif self._is_home():
            self._idle.append(connection)
        else:
            with suppress(*DRIVER_ERRORS):
                await connection.close(timeout=GOODBYE_S)

    def _drop_idle(self) -> None:
        """Those that waited while the server went away are of no use."""
        for connection in self._idle:
            connection.terminate()
        self._idle.clear()


def require_asyncio() -> None:
    """Raise :class:`Unsupported` in another event loop than that of asyncio."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise Unsupported(
            "The postgres journal",
            "asyncpg knows only the event loop of asyncio. Run the kernel on asyncio, or name another journal.",
        ) from None


def describe(dsn: str) -> str:
    """Host, port and database of a DSN, for messages; its password is kept out of the log from here on.

    Raises :class:`UsageError` for a text that is no DSN.
    """
    try:
        parts = urlsplit(dsn)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        parts, port = urlsplit(""), ""
    if parts.scheme not in ("postgresql", "postgres"):
        raise UsageError(
            "The DSN of a PostgreSQL database begins with postgresql://, as in postgresql://user@host:5432/database."
        )
    if parts.password:
        hide(parts.password)
    return f"{parts.hostname or 'on this machine'}{port}/{parts.path.lstrip('/')}"
