"""A writer: lets the tasks of an event loop share transactions, so that many appends cost one wait for the disk.

A task that has been alone for a while commits where it stands, if the disk is fast. Otherwise the first task to come
leads: a worker thread takes all tickets there are by then and commits them together. Those that come meanwhile wait,
and the first of them leads next. No task serves others for longer than its own transaction.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

import anyio
from anyio.lowlevel import RunVar, cancel_shielded_checkpoint, checkpoint_if_cancelled
from anyio.to_thread import run_sync

from agentflow_kernel.errors import AgentFlowError
from agentflow_kernel.group_commit.pace import SMALL_BYTES
from agentflow_kernel.group_commit.thread import OwnThread
from agentflow_kernel.group_commit.ticket import Ticket, closed

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable
    from typing import Any, TypeVarTuple

    from anyio import Event

    from agentflow_kernel.group_commit.ticket import Committer

    Args = TypeVarTuple("Args")

T = TypeVar("T")

TURN_S = 0.001
"""How long transactions hold up their event loop until the other tasks have a turn."""
READERS = 4
"""Snapshots that the tasks of one event loop read at the same time."""


class Lane:
    """The tickets of one event loop that wait for a transaction; ``led`` while one of their tasks leads.

    ``heir`` is the ticket whose task has been told to lead next. ``crowd`` is the event for which all those wait that
    are not the first: one for many is cheaper than one for each. ``lonely``: the last one had the whole transaction for
    itself, and nobody came meanwhile. Its threads are its own: user code that fills the threads of the event loop must
    not hold up a journal.
    """

    __slots__ = ("pending", "led", "heir", "crowd", "lonely", "held_up_s", "thread", "reading")

    def __init__(self) -> None:
        self.pending: deque[Ticket[Any]] = deque()
        self.led = False
        self.heir: Ticket[Any] | None = None
        self.crowd: Event | None = None
        self.lonely = False
        self.held_up_s = 0.0
        self.thread = OwnThread()
        self.reading = anyio.CapacityLimiter(READERS)

    async def hold_up(self, seconds: float) -> None:
        """Take up that the event loop was held up; now and then the other tasks have a turn, and may form a group."""
        self.held_up_s += seconds
        if self.held_up_s < TURN_S:
            return
        self.held_up_s = 0.0
        self.led = True
        try:
            await cancel_shielded_checkpoint()
        finally:
            self.pass_on()

    def leave(self, ticket: Ticket[Any]) -> None:
        """A waiting task was cancelled: its job is not done, unless a transaction has it already."""
        try:
            self.pending.remove(ticket)
        except ValueError:
            return
        if self.heir is ticket:
            self.pass_on()

    def pass_on(self) -> None:
        """Let the first that waits lead."""
        self.heir = self.pending[0] if self.pending else None
        if self.heir is None:
            self.led = False
        elif self.heir.woken is not None:
            self.heir.woken.set()

    def bell(self, *, first: bool) -> Event:
        """What a waiting ticket is woken by; perhaps in vain, where it is not the first one."""
        if first:
            return anyio.Event()
        crowd = self.crowd  # read once: a thread takes it away when it begins a transaction
        if crowd is None or crowd.is_set():
            crowd = self.crowd = anyio.Event()
        return crowd


class Group:
    """The tickets of one transaction, from the thread that commits them back to the tasks that wait."""

    __slots__ = ("lane", "committer", "tickets", "unclaimed", "committed", "finished", "loop")

    def __init__(self, lane: Lane, committer: Committer) -> None:
        self.lane = lane
        self.committer = committer
        self.tickets: list[Ticket[Any]] = []
        self.unclaimed = [True]
        self.committed = False
        self.finished = False
        self.loop: AbstractEventLoop | None = None

    def claim(self) -> bool:
        """``True`` for the first that asks: either the thread commits, or the task calls it off."""
        try:
            return self.unclaimed.pop()
        except IndexError:
            return False

    def commit(self) -> None:
        """Commit what waits; runs in a worker thread."""
        if not self.claim():
            return
        try:
            while True:
                self.tickets.append(self.lane.pending.popleft())
        except IndexError:
            self.lane.crowd = None  # those that come from now on are not of this group, and must not be woken with it
            self.committer.run(self.tickets)
        self.committed = True
        if self.loop is not None:
            self._tell(self.loop)

    def _tell(self, loop: AbstractEventLoop) -> None:
        try:
            loop.call_soon_threadsafe(self.finish)
        except RuntimeError:
            return  # the loop is closed: nobody waits any more

    def finish(self) -> None:
        """Wake those whose tickets are settled and pass the lead on; only the first call counts."""
        if self.finished:
            return
        self.finished = True
        self.lane.lonely = len(self.tickets) == 1 and not self.lane.pending
        last = None
        for ticket in self.tickets:
            if ticket.woken is not last:
                last = ticket.woken
                if last is not None:
                    last.set()
        self.lane.pass_on()

    def abandon(self, ticket: Ticket[Any]) -> None:
        """The leading task was cancelled before the thread has begun: another one leads, without its job.

        Later only ``Task.cancel`` of asyncio does this, which pierces every shield; then the thread finishes what it
        has begun, and tells the others through the event loop.
        """
        if self.claim():
            self.lane.pending.remove(ticket)
            self.lane.pass_on()
            return
        import asyncio  # lazy: it is loaded where it is the one that cancels

        self.loop = asyncio.get_running_loop()
        if self.committed:
            self.finish()


class Writer:
    """The asynchronous side of :class:`Committer`; for the tasks of any number of event loops."""

    __slots__ = ("committer", "_lanes", "_closed")

    def __init__(self, committer: Committer) -> None:
        self.committer = committer
        self._lanes: RunVar[Lane] = RunVar("agentflow.lane")
        self._closed = False

    async def write(self, job: Callable[[Any], T], size: int | None) -> T:
        """What ``job`` returns, once its transaction is durable; it writes about ``size`` bytes, where that is known.

        Jobs of one event loop run in the order of the calls. A cancelled call whose transaction has begun is carried
        out all the same; one that still waits is not.
        """
        await checkpoint_if_cancelled()
        if self._closed:
            raise closed(self.committer.name)
        lane, ticket = self._lane(), Ticket(job)
        short = size is not None and size <= SMALL_BYTES
        if short and lane.lonely and not lane.led and self.committer.run_at_once(ticket):
            await lane.hold_up(self.committer.pace.last_s)
            return ticket.result()
        return await self._enter(lane, ticket)

    async def read(self, query: Callable[[*Args], T], *args: *Args) -> T:
        """What ``query`` returns, called in a thread beside the transactions."""
        if self._closed:
            raise closed(self.committer.name)
        return await run_sync(query, *args, limiter=self._lane().reading)

    async def aclose(self, close: Callable[[], None]) -> None:
        """Refuse further jobs, finish those accepted in this event loop, then call ``close`` in a thread."""
        with anyio.CancelScope(shield=True):
            self._closed = True
            lane = self._lane()
            if lane.led:
                with suppress(AgentFlowError):
                    await self._enter(lane, Ticket(_nothing))
            await lane.thread.run(close)
            await lane.thread.aclose()

    async def _enter(self, lane: Lane, ticket: Ticket[T]) -> T:
        first = not lane.pending  # asked now: the thread may take tickets at any time
        lane.pending.append(ticket)
        while not ticket.settled:
            if not lane.led or lane.heir is ticket:
                lane.led, lane.heir = True, None
                await self._lead(lane, ticket)
                break
            ticket.woken, first = lane.bell(first=first), False
            try:
                await ticket.woken.wait()
            except BaseException:
                lane.leave(ticket)
                raise
        return ticket.result()

    async def _lead(self, lane: Lane, ticket: Ticket[Any]) -> None:
        group = Group(lane, self.committer)
        try:
            await lane.thread.run(group.commit)
        except BaseException:
            group.abandon(ticket)
            raise
        group.finish()

    def _lane(self) -> Lane:
        try:
            return self._lanes.get()
        except LookupError:
            lane = Lane()
            self._lanes.set(lane)
            return lane


def _nothing(transaction: object) -> None:
    """The job of a ticket that only waits for those before it."""
