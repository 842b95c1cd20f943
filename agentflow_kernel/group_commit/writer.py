"""A writer: lets the tasks of an event loop share transactions, so that many appends cost one wait for the disk.

A task that has been alone for a while commits where it stands, if the disk is fast. Otherwise those that are ready now
form a group: a worker thread takes all tickets there are by then and commits them together. Those that come meanwhile
wait, and are the next group. No task serves others for longer than its own transaction.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, TypeVar

import anyio
from anyio.lowlevel import RunVar, checkpoint_if_cancelled
from anyio.to_thread import run_sync

from agentflow_kernel.group_commit.lane import Lane, running_loop
from agentflow_kernel.group_commit.pace import SMALL_BYTES
from agentflow_kernel.group_commit.ticket import Job, closed

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable
    from typing import TypeVarTuple

    from agentflow_kernel.group_commit.ticket import Committer, Ticket

    Args = TypeVarTuple("Args")

T = TypeVar("T")

TURN_S = 0.001
"""How long transactions hold up their event loop until the other tasks have a turn."""


class Writer:
    """The asynchronous side of :class:`Committer`; for the tasks of any number of event loops."""

    __slots__ = ("committer", "_lanes", "_near", "_closed")

    def __init__(self, committer: Committer) -> None:
        self.committer = committer
        self._lanes: RunVar[Lane] = RunVar("agentflow.lane")
        self._near: tuple[weakref.ref[AbstractEventLoop], weakref.ref[Lane]] | None = None
        """The lane that was asked for last, where its event loop is one of asyncio's."""
        self._closed = False

    async def write(self, ticket: Ticket[T], size: int | None) -> T:
        """What the job returns, once its transaction is durable; it writes about ``size`` bytes, where that is known.

        Jobs of one event loop run in the order of the calls. A cancelled call whose transaction has begun is carried
        out all the same; one that still waits is not.
        """
        await checkpoint_if_cancelled()
        return await self.write_through(ticket, size, through=False)

    async def write_through(self, ticket: Ticket[T], size: int | None, *, through: bool = True) -> T:
        """As :meth:`write`, but cancellation waits until it is decided, as if the caller had shielded it.

        ``Task.cancel`` of asyncio comes through at once, as it does through a shield.
        """
        committer = self.committer
        if self._closed:
            raise closed(committer.name)
        lane = self._lane()
        short = size is not None and size <= SMALL_BYTES
        if short and lane.lonely and not lane.led and committer.run_at_once(ticket):
            lane.held_up_s += committer.pace.last_s
            if lane.held_up_s >= TURN_S:
                await lane.give_way(committer)
        else:
            through = lane.enter(ticket, committer) or through
            try:
                await ticket.woken  # type: ignore[misc]  # set by enter
            except BaseException as error:  # noqa: BLE001 -- raised again there, unless it has to wait
                await lane.stay(ticket, error, through=through)
        if ticket.error is not None:
            raise ticket.error
        return ticket.value  # type: ignore[return-value]  # settled without an error

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
                last: Job[None] = Job(_nothing)
                lane.enter(last, self.committer)
                await last.woken  # type: ignore[misc]  # set by enter
            await lane.thread.run(close)
            await lane.thread.aclose()

    def _lane(self) -> Lane:
        """The lane of this event loop."""
        loop = running_loop()
        if loop is not None and self._near is not None:
            its_loop, its_lane = self._near
            if its_loop() is loop and (near := its_lane()) is not None:
                return near
        try:
            lane = self._lanes.get()
        except LookupError:
            lane = Lane(loop)
            self._lanes.set(lane)
        if loop is not None:
            self._near = weakref.ref(loop), weakref.ref(lane)
        return lane


def _nothing(transaction: object) -> None:
    """The job of a ticket that only waits for those before it."""
