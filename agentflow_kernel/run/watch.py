"""A watch: looks into the inboxes of the runs at work here, and makes records of what it finds."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import anyio

from agentflow_kernel.errors import Fenced, Refused, RunEnded, UnknownRun, UsageError
from agentflow_kernel.run.waits import accept

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agentflow_kernel.contracts.clock import Clock
    from agentflow_kernel.contracts.journal import Inbox, Journal, Request
    from agentflow_kernel.run.handle import RunHandle
    from agentflow_kernel.run.runtime import Run

LOOK_EVERY_S = 1.0
IN_DOUBT_S = 1.5
"""After a look that came so long after the one before, or failed, the runs may be those of others.

A lease is renewed thrice in its time, so that none of more than 2.25 s runs out in less than that. Leases that notice
it themselves (:class:`NoticesLapses`) say so of shorter ones too, and of those that only their keeper was late with.
"""
DOUBT_LASTS_S = 2.0
"""How long that lasts: who found the lease run out may be about to put on record that it takes a run.

There is a look as it begins, and one as it ends; however often the inbox calls, the moment between them is as long.
"""


class InboxWatch:
    """Works while there are runs: one look a second, or when the inbox calls, however many runs there are."""

    def __init__(
        self, inbox: Inbox, clock: Clock, handles: Mapping[str, RunHandle], shared: Journal | None = None
    ) -> None:
        self._clock = clock
        self._shared = shared
        """The journal, where others may have taken over a run while this process was held up or cut off."""
        self._lapsed: Callable[[], bool] | None = getattr(getattr(shared, "leases", None), "lapsed", None)
        self._handles = handles
        self._inbox = inbox
        self._at_work = False

    def begins(self) -> bool:
        """A run was added; whether :meth:`work` has to be started."""
        self._inbox.forget()
        began, self._at_work = not self._at_work, True
        return began

    async def work(self) -> None:
        """Look every second until no run is at work."""
        fresh, doubt_until, looked_at = False, inf, self._clock.now()
        try:
            while self._handles:
                await self._pause()
                now, time = self._clock.now(), self._clock.monotonic()
                lapsed = self._lapsed is not None and self._lapsed()
                if lapsed or now - looked_at > IN_DOUBT_S:
                    fresh, doubt_until = True, time + DOUBT_LASTS_S
                looked_at = now
                try:
                    await self._look()
                    if (fresh or time >= doubt_until) and self._shared is not None:
                        await self._leave_lost(self._shared)
                        fresh, doubt_until = False, inf if time >= doubt_until else doubt_until
                except Exception as error:  # noqa: BLE001 -- whatever it is, it is tried again: no run may die of it
                    fresh, doubt_until = True, self._clock.monotonic() + DOUBT_LASTS_S
                    _warn("inbox.not_read", error)
        finally:
            self._at_work = False

    async def _pause(self) -> None:
        async with anyio.create_task_group() as group:

            async def listen() -> None:
                await self._inbox.woken()
                group.cancel_scope.cancel()

            group.start_soon(listen)
            await self._clock.sleep(LOOK_EVERY_S)
            group.cancel_scope.cancel()

    async def _leave_lost(self, journal: Journal) -> None:
        """Leave the runs that others have taken over: one that only waits appends nothing, and would not hear of it."""
        for run_id, handle in list(self._handles.items()):
            history = handle.run.history
            if history is None or history.broken is not None:
                continue
            try:
                epoch = (await journal.head(run_id)).epoch
            except UnknownRun:  # who took it over has ended it, and it was pruned
                epoch = history.epoch + 1
            if epoch > history.epoch:
                history.broken = Fenced(run_id, history.epoch, epoch)
                handle.stop_soon("suspend")

    async def _look(self) -> None:
        for run_id in await self._inbox.changed():
            handle = self._handles.get(run_id)
            if handle is None:
                continue
            try:
                if await take_in(self._inbox, handle.run):
                    handle.stop_soon("cancel")
            except Exception as error:  # noqa: BLE001 -- the requests of the other runs are as good as before
                self._inbox.forget()
                _warn("inbox.not_read", error, run_id=run_id)
                if handle.run.history is not None and handle.run.history.broken is not None:
                    handle.stop_soon("suspend")  # nothing can be appended any more: it would wait for ever


async def take_in(inbox: Inbox, run: Run) -> bool:
    """Put all requests for a run on record and remove them; whether the run is to be cancelled.

    A request that the run cannot take is dropped, with a warning.
    """
    for request in await inbox.find(run.run_id):
        try:
            await _record(run, request)
        except (UsageError, Refused) as error:
            if isinstance(error, RunEnded) and error.status not in ("completed", "failed", "cancelled"):
                break  # whoever resumes the run takes it
            _warn("inbox.request_dropped", error, run_id=run.run_id, request=request.id)
        await inbox.remove(run.run_id, request)
    return run.standing.cancel_asked


async def _record(run: Run, request: Request) -> None:
    if request.kind == "signal":
        await accept(run, request.name, request.value, request.id)
        return
    if request.kind in ("approval", "answer"):
        from agentflow_kernel.run.questions import answer  # only runs that ask people pay

        await answer(run, request.name, request.value, request.id)
        return
    if not run.standing.cancel_asked and run.history is not None:
        await run.history.commit([("cancel.requested", "", {"request": request.id}, "", 0)])
    run.standing.cancel_asked = True


def _warn(what: str, error: Exception, **fields: str) -> None:
    from agentflow_kernel.telemetry import get_logger  # only where something went wrong

    get_logger("agentflow.run").warning(what, error=str(error), **fields)
