"""A database: one store as tasks and threads use it, written in groups and read in snapshots."""

from __future__ import annotations

from typing import TypeVar

from agentflow_kernel.group_commit.ticket import Job
from agentflow_sqlite._snapshots import Snapshots
from agentflow_sqlite._transactions import Transactions

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from agentflow_kernel.group_commit.ticket import Ticket
    from agentflow_kernel.group_commit.writer import Writer
    from agentflow_sqlite._store import Store
    from agentflow_sqlite._transactions import Mirror

T = TypeVar("T")


class Database:
    """What a journal and a memory share. Opens nothing before the first call."""

    __slots__ = ("transactions", "_snapshots", "_writer")

    def __init__(self, store: Store, mirror: Mirror) -> None:
        self.transactions = Transactions(store, mirror)
        self._snapshots = Snapshots(store)
        self._writer: Writer | None = None

    async def write(self, job: Callable[[sqlite3.Connection], T], size: int | None = None) -> T:
        """What ``job`` returns, durable; see :meth:`Writer.write`."""
        return await self.writer.write(Job(job, size), size)

    @property
    def writer(self) -> Writer:
        """What writes the tickets of tasks."""
        return self._writer or self._start()

    def write_inline(self, ticket: Ticket[T]) -> T:
        """The same on the calling thread."""
        self.transactions.run([ticket])
        return ticket.result()

    async def read(self, query: Callable[[sqlite3.Connection], T], absent: T) -> T:
        """What ``query`` finds in one snapshot; ``absent`` where there is no file yet."""
        return await self.writer.read(self._snapshots.run, query, absent)

    async def aclose(self) -> None:
        """Finish what was accepted and close all connections."""
        await self.writer.aclose(self.close)

    def close(self) -> None:
        """Close all connections, once they are not in use; blocks."""
        self._snapshots.close()
        self.transactions.close()

    def _start(self) -> Writer:
        from agentflow_kernel.group_commit.writer import (
            Writer,  # lazy: 25 ms for anyio, which appends without a loop do not need
        )

        self._writer = self._writer or Writer(self.transactions)
        return self._writer
