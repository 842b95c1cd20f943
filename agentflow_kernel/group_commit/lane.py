"""A lane: the tickets of one event loop that wait for a transaction, and the groups in which its thread commits them.

A task waits for a bare future of its event loop, without a scope of its own round it: at a hundred runs that scope, and
asking for the event loop anew each time, would cost more than the transaction.
"""

from __future__ import annotations

import math
import sys
import types
import weakref
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
from anyio.lowlevel import cancel_shielded_checkpoint

from agentflow_kernel.errors import StorageUnavailable
from agentflow_kernel.group_commit.thread import OwnThread, find_soon

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Generator
    from typing import Any

    from agentflow_kernel.errors import Executed
    from agentflow_kernel.group_commit.thread import Soon
    from agentflow_kernel.group_commit.ticket import Committer, Ticket

READERS = 4
"""Snapshots that the tasks of one event loop read at the same time."""


class Bell:
    """What a task waits for where the event loop is none of asyncio's, whose futures are such bells already."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = anyio.Event()

    def done(self) -> bool:
        """Whether it has rung."""
        return self._event.is_set()

    def set_result(self, _: None) -> None:
        """Ring it."""
        self._event.set()

    def __await__(self) -> Generator[Any, Any, None]:
        return self._event.wait().__await__()


class Lane:
    """What one event loop has of a writer; ``led`` while a group is gathered or committed.

    ``lonely``: the last ticket had the whole transaction for itself, and nobody came meanwhile. Its threads are its
    own: user code that fills the threads of the event loop must not hold up a journal.
    """

    __slots__ = ("pending", "led", "lonely", "held_up_s", "thread", "reading", "_loop", "__weakref__")

    def __init__(self, loop: AbstractEventLoop | None) -> None:
        self.pending: deque[Ticket[Any]] = deque()
        self.led = False
        self.lonely = False
        self.held_up_s = 0.0
        self.thread = OwnThread()
        self.reading = anyio.CapacityLimiter(READERS)
        self._loop = None if loop is None else weakref.ref(loop)  # it refers to this lane, and must be able to go

    def enter(self, ticket: Ticket[Any], committer: Committer) -> bool:
        """Let a ticket wait. ``True``: it is the first of its group, which is sure to be committed with it."""
        loop = None if self._loop is None else self._loop()
        ticket.woken = Bell() if loop is None else loop.create_future()
        self.pending.append(ticket)
        if self.led:
            return False
        group = Group(self, committer, *_soon_of(loop))
        self.led = True
        if self.lonely:
            group.begin()
        else:
            group.soon(group.begin)  # first the tasks that are ready now: they come along
        return True

    async def stay(self, ticket: Ticket[Any], error: BaseException, *, through: bool) -> None:
        """Meet the cancellation of a task that waits: with ``through`` it has to wait until the ticket is settled.

        Raises ``error`` without it, and where the task was not cancelled by a scope: ``Task.cancel`` of asyncio pierces
        every shield.
        """
        if not through or anyio.current_effective_deadline() != -math.inf:
            self._leave(ticket)
            raise error
        with anyio.CancelScope(shield=True):
            while not ticket.settled:
                ticket.woken = Bell()
                try:
                    await ticket.woken
                except BaseException:
                    self._leave(ticket)
                    raise

    def _leave(self, ticket: Ticket[Any]) -> None:
        """A waiting task was cancelled: its job is not done, unless a transaction has it already."""
        with suppress(ValueError):
            self.pending.remove(ticket)

    async def give_way(self, committer: Committer) -> None:
        """Let the other tasks have a turn; those that come meanwhile form a group. A cancelled scope waits for it."""
        self.held_up_s = 0.0
        self.led = True
        loop = None if self._loop is None else self._loop()
        group = Group(self, committer, *_soon_of(loop))
        try:
            await (cancel_shielded_checkpoint() if loop is None else _turn())
        except BaseException:
            if anyio.current_effective_deadline() != -math.inf:
                raise
        finally:
            group.pass_on()


class Group:
    """The tickets of one transaction, from the event loop to the thread that commits them and back."""

    __slots__ = ("lane", "committer", "soon", "soon_from_thread", "tickets")

    def __init__(self, lane: Lane, committer: Committer, soon: Soon, soon_from_thread: Soon) -> None:
        self.lane = lane
        self.committer = committer
        self.soon = soon
        self.soon_from_thread = soon_from_thread
        self.tickets: list[Ticket[Any]] = []

    def begin(self) -> None:
        """Have the thread commit what waits by the time it comes to it."""
        try:
            self.lane.thread.order(self.commit, self.tell)
        except RuntimeError as error:  # no thread can be started: those that wait hear of it
            self._take()
            self._settle(error, "no")
            self.finish()

    def commit(self) -> None:
        """Commit what waits; runs in the thread."""
        self._take()
        if self.tickets:
            self.committer.run(self.tickets)

    def tell(self, error: BaseException | None) -> None:
        """Have the event loop go on; runs in the thread."""
        if error is not None:
            self._settle(error, "maybe")
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self.soon_from_thread(self.finish)

    def finish(self) -> None:
        """Wake those whose tickets are settled, then see to those that came meanwhile."""
        self.lane.lonely = len(self.tickets) == 1 and not self.lane.pending
        for ticket in self.tickets:
            woken = ticket.woken
            if woken is not None and not woken.done():
                woken.set_result(None)
        self.pass_on()

    def pass_on(self) -> None:
        """Gather the next group, if somebody waits: those who have just been woken may come along."""
        self.lane.led = bool(self.lane.pending)
        if self.lane.led:
            self.soon(Group(self.lane, self.committer, self.soon, self.soon_from_thread).begin)

    def _take(self) -> None:
        with suppress(IndexError):
            while True:
                self.tickets.append(self.lane.pending.popleft())

    def _settle(self, error: BaseException, executed: Executed) -> None:
        for ticket in self.tickets:
            if not ticket.settled:
                fault = StorageUnavailable(
                    f"Storage {self.committer.name!r} is not available: {error}", executed=executed
                )
                fault.__cause__ = error
                ticket.settle(fault)


def _soon_of(loop: AbstractEventLoop | None) -> tuple[Soon, Soon]:
    """As :func:`find_soon`, which takes ten times as long."""
    return find_soon() if loop is None else (loop.call_soon, loop.call_soon_threadsafe)


@types.coroutine
def _turn() -> Generator[None, None, None]:
    """Come back in the next turn of asyncio's event loop."""
    yield


def running_loop() -> AbstractEventLoop | None:
    """The event loop of asyncio whose task this is, ``None`` for a task of another kind."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:  # where it was never imported there is no such task
        return None
    try:
        loop: AbstractEventLoop = asyncio.get_running_loop()
    except RuntimeError:
        return None
    return None if asyncio.current_task(loop) is None else loop  # a guest may run other tasks in the same loop
