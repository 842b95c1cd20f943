"""A transaction: the jobs of several callers, made durable together on the one writing connection."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import suppress

from agentflow_kernel.errors import AgentFlowError, StorageUnavailable
from agentflow_kernel.group_commit.pace import TURNS, Pace
from agentflow_kernel.group_commit.ticket import Job, closed
from agentflow_sqlite._faults import ENVIRONMENT, LOCKED, SQLITE_ERRORS, primary_code, to_fault
from agentflow_sqlite._store import RETRY_S

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from agentflow_kernel.errors import Executed
    from agentflow_kernel.group_commit.ticket import Ticket
    from agentflow_sqlite._store import Store

CHECKPOINT_PAGES = 500
"""About how many pages the write-ahead log gets before it is copied into the file."""
BYTES = 2048
"""For so many of a batch one page is counted, and two for each transaction."""
BACKSTOP = "PRAGMA wal_autocheckpoint = 8000"
"""Where the count is wrong, because jobs write much, SQLite copies it by itself: 32 MB."""
DATA_VERSION = "PRAGMA data_version"
"""A number that changes when another connection has written to the file."""
UNTRUSTED = frozenset((sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB))
"""After these the connection is closed; the next one looks first whether all is there."""


class Mirror:
    """What a process remembers of its file, kept in step with the transactions; this one remembers nothing.

    ``gathers`` is the class of tickets that leave rows to be written together, see :meth:`write_out`.
    """

    gathers: type | None = None

    def write_out(self, connection: sqlite3.Connection) -> None:
        """Write what the jobs so far have left; called before one of another class and before the end."""

    def forget(self) -> None:
        """Another connection has written, or a transaction was undone: nothing remembered holds any more."""

    def confirm(self) -> None:
        """The last transaction is durable."""

    def verify(self, connection: sqlite3.Connection) -> str:
        """What is missing in a file that is opened again after a fault, or ``""``."""
        del connection
        return ""

    def is_ahead(self) -> bool:
        """Whether something is remembered that ought to be written down before the file is closed."""
        return False

    def flush(self, connection: sqlite3.Connection) -> None:
        """Write that down; inside a transaction."""

    def round_off(self, connection: sqlite3.Connection) -> None:
        """Write down what the file must not lack; inside the last transaction before the log is copied into it."""


class Transactions:
    """The writer of one store: opened by the first job, closed and verified anew after a fault of the disk.

    Thread-safe; every method blocks. ``commits`` counts the transactions that have become durable.
    """

    __slots__ = (
        "name",
        "store",
        "mirror",
        "commits",
        "pace",
        "_pages",
        "_lock",
        "_connection",
        "_data_version",
        "_suspect",
        "_closed",
    )

    def __init__(self, store: Store, mirror: Mirror) -> None:
        self.name = store.path
        self.store = store
        self.mirror = mirror
        self.commits = 0
        self.pace = Pace()
        self._pages = 0
        """About how many the log has got since it was copied last."""
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._data_version = -1
        self._suspect = False
        self._closed = False

    def run(self, tickets: Sequence[Ticket[Any]]) -> None:
        """Settle all tickets in order, in one transaction; a job that refuses does not harm the others."""
        with self._lock:
            try:
                connection = self._open()
                if self.pace.turns >= TURNS or self._pages >= CHECKPOINT_PAGES:
                    self._together(connection, [*tickets, Job(self.mirror.round_off)])
                    self._checkpoint()
                else:
                    self._together(connection, tickets)
            except BaseException as error:  # noqa: BLE001 -- each caller gets it from its own ticket
                for ticket in tickets:
                    ticket.settle(self._typed(error))
        for ticket in tickets:
            ticket.settled = True

    def run_at_once(self, ticket: Ticket[Any]) -> bool:
        """Settle one ticket without waiting for anything but a disk that is fast; ``False``: it is for :meth:`run`."""
        if not self.pace.allows_loop() or not self._lock.acquire(blocking=False):
            return False
        try:
            if self._connection is None:
                return False
            self.pace.turns += 1
            try:
                self._perform(self._connection, [ticket], wait=False)
            except BaseException as error:  # noqa: BLE001 -- the caller gets it from the ticket
                if primary_code(error) in LOCKED:
                    return False
                ticket.settle(self._typed(error))
            ticket.settled = True
            return True
        finally:
            self._lock.release()

    def close(self) -> None:
        """Write down what was only remembered, and close; later jobs are refused. May be called twice."""
        with self._lock:
            self._closed = True
            connection = self._connection
            if connection is None:
                return
            if self.mirror.is_ahead():
                with suppress(sqlite3.Error, AgentFlowError):
                    self._perform(connection, [Job(self.mirror.flush)])
            self._discard()

    def _open(self) -> sqlite3.Connection:
        if self._closed:
            raise closed(self.store.path)
        if self._connection is None:
            self.mirror.forget()
            connection = self.store.open_writer()
            try:
                if self._suspect:
                    self._verify(connection)
                (self._data_version,) = connection.execute(DATA_VERSION).fetchone()
                connection.execute("PRAGMA busy_timeout = 0")  # from here on _begin waits
                connection.execute(BACKSTOP)
            except BaseException:
                connection.close()
                raise
            self._connection, self._suspect = connection, False
        return self._connection

    def _verify(self, connection: sqlite3.Connection) -> None:
        """Look after a fault whether all that was acknowledged is still there."""
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        problem = "" if found == "ok" else str(found)
        problem = problem or self.mirror.verify(connection)
        if problem:
            raise StorageUnavailable(
                f"Storage {self.store.path!r} did not survive a fault of its disk: {problem}. "
                "Keep a copy, and put back a backup.",
                executed="no",
            )

    def _together(self, connection: sqlite3.Connection, tickets: Sequence[Ticket[Any]]) -> None:
        try:
            self._perform(connection, tickets)
        except Exception as error:
            alone = len(tickets) == 1
            if alone or self._connection is None or primary_code(error) in ENVIRONMENT:
                raise
            for ticket in tickets:  # one of them cannot be written: find out which, and let the others through
                try:
                    self._perform(self._open(), [ticket])
                except Exception as fault:  # noqa: BLE001 -- the caller gets it from the ticket
                    ticket.settle(self._typed(fault))

    def _perform(self, connection: sqlite3.Connection, tickets: Sequence[Ticket[Any]], *, wait: bool = True) -> None:
        """One transaction; on any error nothing of it is kept and all tickets are open again."""
        committing = False
        try:
            self._begin(connection, wait=wait)
            start = time.perf_counter()
            (version,) = connection.execute(DATA_VERSION).fetchone()
            if version != self._data_version:
                self._data_version = version
                self.mirror.forget()
            size = 0
            for ticket in tickets:
                size += ticket.size or 0
                if ticket.__class__ is not self.mirror.gathers:
                    self.mirror.write_out(connection)
                _do(connection, ticket)
            self.mirror.write_out(connection)
            committing = True
            connection.execute("COMMIT")
        except BaseException as error:
            self._undo(connection)
            if primary_code(error) in UNTRUSTED:
                self._suspect = True
                self._discard()
            if committing and isinstance(error, SQLITE_ERRORS) and primary_code(error) == sqlite3.SQLITE_IOERR:
                raise to_fault(error, self.store.path, "maybe") from error
            raise
        self.commits += 1
        self._pages += 2 + size // BYTES
        self.pace.note(start, time.perf_counter())
        self.mirror.confirm()

    def _begin(self, connection: sqlite3.Connection, *, wait: bool) -> None:
        """Begin a transaction; while another process writes, ``wait`` as long as the store allows."""
        deadline = time.monotonic() + self.store.busy_timeout_s if wait else 0.0
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.Error as error:
                if primary_code(error) not in LOCKED or time.monotonic() >= deadline:
                    raise
                time.sleep(RETRY_S)
            else:
                return

    def _checkpoint(self) -> None:
        """Copy the write-ahead log into the file, so that no transaction of an event loop has to."""
        self.pace.turns = self._pages = 0
        if self._connection is None:
            return
        with suppress(sqlite3.Error):  # as when SQLite does it by itself: what is committed is safe all the same
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    def _undo(self, connection: sqlite3.Connection) -> None:
        self.mirror.forget()
        with suppress(sqlite3.Error):
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    def _discard(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def _typed(self, error: BaseException) -> BaseException:
        """The error as one caller gets it: of its own, since several callers raise it at once."""
        executed: Executed = "no"
        if isinstance(error, StorageUnavailable):
            fresh: BaseException = StorageUnavailable(str(error), executed=error.executed)
        elif isinstance(error, SQLITE_ERRORS):
            fresh = to_fault(error, self.store.path, executed)
        else:
            return error
        fresh.__cause__ = error
        return fresh


def _do(connection: sqlite3.Connection, ticket: Ticket[Any]) -> None:
    """Run one job; a refusal is its own outcome, anything else ends the transaction."""
    changes = connection.total_changes
    ticket.error = None
    try:
        ticket.value = ticket.do(connection)
    except Exception as error:
        if isinstance(error, SQLITE_ERRORS) or connection.total_changes != changes:
            raise
        ticket.error = error
