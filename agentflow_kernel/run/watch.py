"""A watch: looks into the inboxes of the runs at work here, and makes records of what it finds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio.to_thread

from agentflow_kernel.errors import InputInvalid, NotSerialisable, RunEnded
from agentflow_kernel.run.inbox import Letterbox, find_requests, remove
from agentflow_kernel.run.waits import accept

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentflow_kernel.contracts.clock import Clock
    from agentflow_kernel.run.handle import RunHandle
    from agentflow_kernel.run.inbox import Request
    from agentflow_kernel.run.runtime import Run

LOOK_EVERY_S = 1.0


class InboxWatch:
    """Works while there are runs: one look at one folder a second, however many runs there are."""

    def __init__(self, state: str, clock: Clock, handles: Mapping[str, RunHandle]) -> None:
        self._clock = clock
        self._handles = handles
        self._box = Letterbox(state)
        self._at_work = False

    def begins(self) -> bool:
        """A run was added; whether :meth:`work` has to be started."""
        self._box.forget()
        began, self._at_work = not self._at_work, True
        return began

    async def work(self) -> None:
        """Look every second until no run is at work."""
        try:
            while self._handles:
                await self._clock.sleep(LOOK_EVERY_S)
                try:
                    await self._look()
                except Exception as error:  # noqa: BLE001 -- whatever it is, it is tried again: no run may die of it
                    _warn("inbox.not_read", error)
        finally:
            self._at_work = False

    async def _look(self) -> None:
        for run_id in await anyio.to_thread.run_sync(self._box.changed):
            handle = self._handles.get(run_id)
            if handle is not None and await take_in(self._box.state, handle.run):
                handle.stop_soon("cancel")


async def take_in(state: str, run: Run) -> bool:
    """Put all requests for a run on record and remove them; whether the run is to be cancelled.

    A request that the run cannot take is dropped, with a warning.
    """
    for request in await anyio.to_thread.run_sync(find_requests, state, run.run_id):
        try:
            await _record(run, request)
        except (InputInvalid, NotSerialisable, RunEnded) as error:
            if isinstance(error, RunEnded) and error.status not in ("completed", "failed", "cancelled"):
                break  # whoever resumes the run takes it
            _warn("inbox.request_dropped", error, run_id=run.run_id, request=request.id)
        await anyio.to_thread.run_sync(remove, request)
    return run.standing.cancel_asked


async def _record(run: Run, request: Request) -> None:
    if request.kind == "signal":
        await accept(run, request.name, request.value, request.id)
        return
    if not run.standing.cancel_asked and run.history is not None:
        await run.history.commit([("cancel.requested", "", {"request": request.id}, "", 0)])
    run.standing.cancel_asked = True


def _warn(what: str, error: Exception, **fields: str) -> None:
    from agentflow_kernel.telemetry import get_logger  # only where something went wrong

    get_logger("agentflow.run").warning(what, error=str(error), **fields)
