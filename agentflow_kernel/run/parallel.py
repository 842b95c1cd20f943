"""Several actions of one planner at a time, and what else may wake it: a timer, signals; all end with the planner."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, cast

import anyio

from agentflow_kernel.contracts.planner import Observation
from agentflow_kernel.errors import Unsupported
from agentflow_kernel.run.drive import is_streamed
from agentflow_kernel.run.fault import is_raised
from agentflow_kernel.run.listening import end_rest, next_signal, rest_on
from agentflow_kernel.run.waits import until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anyio.abc import TaskGroup

    from agentflow_kernel.contracts.planner import Action
    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.run.drive import Drive
    from agentflow_kernel.run.history import Line

    Arrival = tuple[Observation, Sequence[Line]]


class Parallel:
    """Runs a planner's open actions side by side; observations reach it one at a time, in order of arrival."""

    def __init__(self, drive: Drive) -> None:
        self._drive = drive
        self._scopes: dict[str, anyio.CancelScope] = {}
        self._begun: set[str] = set()
        """Ids of open actions that have begun."""
        self._arrivals: deque[Arrival] = deque()
        self._arrived = anyio.Event()
        self._failures: list[BaseException] = []
        self._timer: float | None = None
        """The time for which a task waits."""
        self._ringing: anyio.CancelScope | None = None
        self._rung: float | None = None
        """The time that has come."""
        self._listens = False

    async def run(self) -> None:
        """Work until the planner ends; the first failure of the engine itself cancels everything and is raised."""
        async with anyio.create_task_group() as group:
            try:
                await self._loop(group)
            except BaseException as error:
                if not is_raised(error):
                    raise
                self._failures.append(error)  # raised below, after the actions have ended
            finally:
                if self._listens:
                    self._drive.context.run.standing.listeners.remove(self._hear)
            group.cancel_scope.cancel()
        if self._failures:
            raise self._failures[0]

    async def _loop(self, group: TaskGroup) -> None:
        drive = self._drive
        while drive.end is None and (drive.open or drive.timer is not None or drive.signals):
            if drive.cancelling:
                await self._cancel(drive.cancelling.pop(0))
                continue
            new: list[Action] = []
            for action in reversed(drive.open.values()):  # the latest last: those before it have begun
                if action.id in self._begun:
                    break
                new.append(action)
            for action in reversed(new):
                self._begun.add(action.id)
                drive.context.run.busy += 1
                scope = self._scopes[action.id] = anyio.CancelScope()
                group.start_soon(self._act, action, scope)
            if drive.timer != self._timer:
                self._set_timer(group, drive.timer)
            if drive.signals and not self._listens:
                self._listen()
            arrival = await self._next()
            if arrival is None:
                return
            if arrival[0].kind != "piece":  # its action is still at work
                self._begun.discard(arrival[0].action_id)
            await drive.conclude(*arrival)

    async def _act(self, action: Action, scope: anyio.CancelScope) -> None:
        try:
            with scope:
                if not scope.cancel_called:
                    hear = partial(self._hear_piece, action.id) if is_streamed(action) else None
                    self._arrivals.append(await self._drive.act(action, hear))
        except BaseException as error:
            if not is_raised(error):
                raise
            self._failures.append(error)  # raised by run(), after the others have ended
        finally:
            self._drive.context.run.busy -= 1
            del self._scopes[action.id]
            self._arrived.set()

    def _hear_piece(self, action_id: str, text: str, offset: int) -> None:
        """Hand on a piece of text, together with those before it that wait still."""
        last = self._arrivals[-1][0] if self._arrivals else None
        if last is not None and last.kind == "piece" and last.action_id == action_id and offset:
            said = cast("dict[str, JSON]", last.value)
            said["text"] = f"{said['text']}{text}"
        else:
            self._arrivals.append((Observation("piece", action_id, {"text": text, "offset": offset}), ()))
            self._arrived.set()

    def _set_timer(self, group: TaskGroup, due: float | None) -> None:
        if self._ringing is not None:
            self._ringing.cancel()
        self._timer, self._ringing = due, None
        if due is not None:
            self._ringing = anyio.CancelScope()
            group.start_soon(self._ring, due, self._ringing)

    async def _ring(self, due: float, scope: anyio.CancelScope) -> None:
        """Wake the planner when its timer is due, unless another one has taken its place."""
        with scope:
            await until(self._drive.clock, due)
            self._rung = due
            self._arrived.set()

    def _listen(self) -> None:
        run = self._drive.context.run
        if not run.reachable and not self._drive.open and self._drive.timer is None:
            raise Unsupported("Waiting for signals", "this run has no kernel round it, so nobody can send one.")
        run.standing.listeners.append(self._hear)
        self._listens = True

    def _hear(self) -> None:
        self._arrived.set()

    async def _next(self) -> Arrival | None:
        """The next observation; ``None`` when the engine failed."""
        while True:
            if self._failures:
                return None
            while self._arrivals:
                arrival = self._arrivals.popleft()
                if arrival[0].kind != "piece" or arrival[0].action_id in self._drive.open:
                    return arrival
            if self._rung is not None and self._rung == self._drive.timer:
                end_rest(self._drive)
                return Observation("timer"), ()
            if self._listens:
                heard = next_signal(self._drive)
                if heard is not None:
                    return heard
                history = self._drive.context.run.history
                if history is not None and history.broken is not None:
                    raise history.broken
            await self._wait()

    async def _wait(self) -> None:
        """Return when an action has ended, the timer has rung or a signal has come."""
        run = self._drive.context.run
        self._arrived = anyio.Event()
        run.busy -= 1  # this planner only looks on
        try:
            if not self._drive.open:
                await rest_on(self._drive)
            elif run.rests:
                from agentflow_kernel.run.resting import at_rest  # only runs that wait pay

                await at_rest(run)
            await self._arrived.wait()
        finally:
            run.busy += 1

    async def _cancel(self, action_id: str) -> None:
        """Stop an action and tell the planner; the engine finishes this before it starts anything else.

        An action that was quicker is not cancelled: its result stands and is observed in its turn.
        """
        scope = self._scopes.get(action_id)
        if scope is not None:
            scope.cancel()
            while action_id in self._scopes:
                await self._wait()
        arrived = any(each.action_id == action_id and each.kind != "piece" for each, _ in self._arrivals)
        if action_id in self._drive.open and not arrived:
            self._begun.discard(action_id)
            await self._drive.conclude(Observation("cancelled", action_id), ())
