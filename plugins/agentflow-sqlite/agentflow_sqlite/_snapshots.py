"""A snapshot: one consistent reading of a store, beside the writers of this and of other processes."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import suppress
from typing import TypeVar

from agentflow_kernel.group_commit.ticket import closed
from agentflow_sqlite._faults import SQLITE_ERRORS, to_fault
from agentflow_sqlite._store import is_exclusive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from agentflow_sqlite._store import Store

T = TypeVar("T")


class Snapshots:
    """The readers of one store: connections that only read, opened when needed and kept. Thread-safe and blocking."""

    __slots__ = ("store", "_idle", "_busy", "_quiet", "_closed")

    def __init__(self, store: Store) -> None:
        self.store = store
        self._idle: list[sqlite3.Connection] = []
        self._busy = 0
        self._quiet = threading.Condition()
        self._closed = False

    def run(self, query: Callable[[sqlite3.Connection], T], absent: T) -> T:
        """What ``query`` finds in one snapshot; ``absent`` where nothing has been written yet."""
        with self._quiet:
            if self._closed:
                raise closed(self.store.path)
            self._busy += 1
            connection = self._idle.pop() if self._idle else None
        usable = False
        try:
            connection = connection or self.store.open_reader()
            if connection is None:
                return absent
            connection.execute("BEGIN")
            try:
                return query(connection)
            finally:
                connection.execute("COMMIT")
                usable = not is_exclusive(connection)
        except SQLITE_ERRORS as error:
            raise to_fault(error, self.store.path) from error
        finally:
            self._put_back(connection, usable=usable)

    def close(self) -> None:
        """Wait for the readings under way, then close; later ones are refused. May be called twice."""
        with self._quiet:
            self._closed = True
            self._quiet.wait_for(lambda: self._busy == 0)
            for connection in self._idle:
                connection.close()
            self._idle.clear()

    def _put_back(self, connection: sqlite3.Connection | None, *, usable: bool) -> None:
        with self._quiet:
            self._busy -= 1
            if connection is not None and usable:
                self._idle.append(connection)
            elif connection is not None:
                with suppress(sqlite3.Error):
                    connection.close()
            self._quiet.notify_all()
