"""A commit: the writes of several callers, synced together; after a fault the store is opened anew and verified."""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager, suppress

from agentflow_kernel.errors import AgentFlowError, StorageUnavailable
from agentflow_kernel.group_commit.pace import Pace
from agentflow_kernel.group_commit.ticket import closed
from agentflow_leveldb._driver import to_fault
from agentflow_leveldb._high_water import Keeper, write_mark
from agentflow_leveldb._opened import Transaction
from agentflow_leveldb._opening import make_folder, open_store, paths
from agentflow_leveldb._space import LOOK_S, Space

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from agentflow_kernel.group_commit.ticket import Ticket
    from agentflow_leveldb._high_water import Mark
    from agentflow_leveldb._opened import Opened


class Commits:
    """The one user of the LevelDB store in the folder ``name``: opened by the first use, closed by :meth:`close`.

    Thread-safe; every method blocks. ``commits`` counts the synced writes.
    """

    __slots__ = ("name", "pace", "commits", "_accept_loss", "_space", "_lock", "_opened", "_keeper", "_use", "_readers",
                 "_closed", "_failed")  # fmt: skip

    def __init__(self, folder: str, *, least_free: float = 0.05, accept_loss: bool = False) -> None:
        self.name = folder
        self.pace = Pace()
        self.commits = 0
        self._accept_loss = accept_loss
        self._space = Space(folder, least_free)
        self._lock = threading.Lock()
        """Held by who writes, opens or closes."""
        self._opened: Opened | None = None
        self._keeper: Keeper | None = None
        self._failed: tuple[Opened, Transaction, Exception, Ticket[Any]] | None = None
        """A write of an event loop that failed: a thread has to look whether it is there."""
        self._use = threading.Condition()
        """Guards what readers and the keeper of the mark look at."""
        self._readers = 0
        self._closed = False

    def run(self, tickets: Sequence[Ticket[Any]]) -> None:
        """Settle all tickets in order with one synced write; one that refuses does not harm the others."""
        with self._lock:
            self._look_for_failed()
            try:
                opened = self._open()
                self.pace.turns = 0
                if open_tickets := [ticket for ticket in tickets if not ticket.settled]:
                    self._together(opened, open_tickets)
            except BaseException as error:  # noqa: BLE001 -- each caller gets it from its own ticket
                for ticket in tickets:
                    if not ticket.settled:
                        ticket.settle(_own(error))
        for ticket in tickets:
            ticket.settled = True

    def run_at_once(self, ticket: Ticket[Any]) -> bool:
        """Settle one ticket without waiting for anything but a disk that is fast; ``False``: it is for :meth:`run`."""
        if not self.pace.allows_loop() or not self._lock.acquire(blocking=False):
            return False
        try:
            opened = self._opened
            if opened is None or self._failed is not None:
                return False
            if time.monotonic() - self._space.looked_at > LOOK_S:
                return False  # the next look at the disk is for the thread
            self.pace.turns += 1
            try:
                if not self._together(opened, [ticket], aside=True):
                    return False
            except BaseException as error:  # noqa: BLE001 -- the caller gets it from the ticket
                ticket.settle(_own(error))
            ticket.settled = True
            return True
        finally:
            self._lock.release()

    @contextmanager
    def reading(self) -> Iterator[Opened | None]:
        """The store to read from, or ``None`` where there is none yet; it stays open meanwhile."""
        with self._use:
            opened = self._opened
            self._readers += opened is not None
        if opened is None:
            with self._lock:
                if self._closed:
                    raise closed(self.name)
                if not os.path.isdir(paths(self.name)[0]):
                    yield None
                    return
                opened = self._open()
                with self._use:
                    self._readers += 1
        try:
            yield opened
        except opened.errors as error:
            raise to_fault(error, self.name) from error
        finally:
            with self._use:
                self._readers -= 1
                self._use.notify_all()

    def close(self) -> None:
        """Write the mark and close; later calls are refused. May be called twice."""
        with self._lock:
            self._closed = True
            self._discard()

    def _open(self) -> Opened:
        if self._closed:
            raise closed(self.name)
        if self._opened is None:
            self.name = self._space.folder = os.path.abspath(self.name)
            make_folder_or_fault(self.name)
            try:
                opened = open_store(self.name, accept_loss=self._accept_loss)
            except StorageUnavailable as error:
                if "disk is full" not in str(error) or not self._space.throw_off():
                    raise
                opened = open_store(self.name, accept_loss=self._accept_loss)
            with suppress(OSError):  # a disk without room for it goes without
                self._space.load()
            with self._use:
                self._opened = opened
            self._keeper = Keeper(paths(self.name)[1], self._mark)
            self._keeper.advance()
        return self._opened

    def _mark(self) -> Mark:
        with self._use:
            return self._opened.mark if self._opened is not None else (0, {})

    def _discard(self) -> None:
        """Write the mark and close LevelDB, once nobody reads."""
        opened, keeper = self._opened, self._keeper
        if opened is None:
            return
        with self._use:
            self._opened = None
            while self._readers:
                self._use.wait()
        self._keeper = None
        if keeper is not None:
            keeper.close()
        with suppress(OSError):  # a full disk: an older mark is there
            write_mark(paths(self.name)[1], opened.mark)
        opened.db.close()

    def _look_for_failed(self) -> None:
        """Settle the ticket whose write failed in an event loop, which must not wait for a store to be opened anew."""
        if self._failed is None:
            return
        (opened, transaction, error, ticket), self._failed = self._failed, None
        try:
            opened = self._settle_fault(opened, transaction, error)
            self._take_over(opened, transaction)
        except BaseException as fault:  # noqa: BLE001 -- the caller gets it from the ticket
            ticket.settle(_own(fault))
        ticket.settled = True

    def _together(self, opened: Opened, tickets: Sequence[Ticket[Any]], *, aside: bool = False) -> bool:
        """One transaction. With ``aside``, for one ticket, a failed write is put aside for the thread: ``False``."""
        transaction = Transaction(opened, allows_new_run=self._space.allows_new_run(look=not aside))
        for ticket in tickets:
            ticket.error = None
            try:
                ticket.value = ticket.do(transaction)
            except Exception as error:  # noqa: BLE001 -- a refusal is its own outcome
                ticket.error = error
        start = time.perf_counter()
        try:
            if not transaction.commit():
                return True
        except opened.errors as error:
            if aside:
                self._failed = (opened, transaction, error, tickets[0])
                return False
            opened = self._settle_fault(opened, transaction, error)
        self.pace.note(start, time.perf_counter())
        self._take_over(opened, transaction)
        return True

    def _take_over(self, opened: Opened, transaction: Transaction) -> None:
        """Remember what a durable transaction has changed."""
        self.commits += 1
        with self._use:
            transaction.apply(opened)
        if self._keeper is not None:
            self._keeper.advance()

    def _settle_fault(self, opened: Opened, transaction: Transaction, error: Exception) -> Opened:
        """Open the store anew after a failed write: it says whether the write is there. Nothing is synced again.

        Raises :class:`StorageUnavailable` when it is not there, or nobody can tell.
        """
        self._discard()
        try:
            again = self._open()
        except AgentFlowError:
            raise to_fault(error, self.name, "maybe") from error
        if again.last == transaction.last:
            return again
        raise to_fault(error, self.name, "no") from error


def make_folder_or_fault(folder: str) -> None:
    """Create the folder; raises :class:`StorageUnavailable`."""
    try:
        make_folder(folder)
    except OSError as error:
        raise StorageUnavailable(
            f"Storage {folder!r} is not available. Its folder cannot be created: {error.strerror}.", executed="no"
        ) from error


def _own(error: BaseException) -> BaseException:
    """The error as one caller gets it: of its own, since several callers raise it at once."""
    if not isinstance(error, StorageUnavailable):
        return error
    fresh = StorageUnavailable(str(error), executed=error.executed)
    fresh.__cause__ = error
    return fresh
