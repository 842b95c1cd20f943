"""Several actions of one planner at a time, and what may wake it besides: a timer; all end with the planner."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from agentflow_kernel.contracts.planner import Observation

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from agentflow_kernel.contracts.planner import Action
    from agentflow_kernel.run.drive import Drive
    from agentflow_kernel.run.history import Line

    Arrival = tuple[Observation, Line | None]


class Parallel:
    """Runs a planner's open actions side by side; observations reach it one at a time, in order of arrival."""

    def __init__(self, drive: Drive) -> None:
        self._drive = drive
        self._scopes: dict[str, anyio.CancelScope] = {}
        self._arrivals: list[Arrival] = []
        self._arrived = anyio.Event()
        self._failures: list[Exception] = []
        self._timer: float | None = None
        """The time for which a task waits."""

    async def run(self) -> None:
        """Work until the planner ends; the first failure of the engine itself cancels everything and is raised."""
        async with anyio.create_task_group() as group:
            try:
                await self._loop(group)
            except Exception as error:  # noqa: BLE001 -- raised below, after the actions have ended
                self._failures.append(error)
            group.cancel_scope.cancel()
        if self._failures:
            raise self._failures[0]

    async def _loop(self, group: TaskGroup) -> None:
        drive = self._drive
        begun: set[str] = set()
        while drive.end is None and (drive.open or drive.timer is not None):
            if drive.cancelling:
                await self._cancel(drive.cancelling.pop(0))
                continue
            for action in list(drive.open.values()):
                if action.id not in begun:
                    begun.add(action.id)
                    drive.context.run.busy += 1
                    scope = self._scopes[action.id] = anyio.CancelScope()
                    group.start_soon(self._act, action, scope)
            if drive.timer is not None and drive.timer != self._timer:
                self._timer = drive.timer
                group.start_soon(self._ring, drive.timer)
            arrival = await self._next()
            if arrival is None:
                return
            await drive.conclude(*arrival)

    async def _act(self, action: Action, scope: anyio.CancelScope) -> None:
        try:
            with scope:
                if not scope.cancel_called:
                    self._arrivals.append(await self._drive.act(action))
        except Exception as error:  # noqa: BLE001 -- raised by run(), after the others have ended
            self._failures.append(error)
        finally:
            self._drive.context.run.busy -= 1
            del self._scopes[action.id]
            self._arrived.set()

    async def _ring(self, due: float) -> None:
        """Wake the planner when its timer is due, unless another one has taken its place."""
        clock = self._drive.clock
        await clock.sleep(due - clock.now())
        if self._drive.timer == due:
            self._arrivals.append((Observation("timer"), None))
            self._arrived.set()

    async def _next(self) -> Arrival | None:
        """The next observation; ``None`` when the engine failed."""
        while not self._arrivals and not self._failures:
            await self._wait()
        return None if self._failures else self._arrivals.pop(0)

    async def _wait(self) -> None:
        """Return when an action has ended or the timer has rung."""
        run = self._drive.context.run
        self._arrived = anyio.Event()
        run.busy -= 1  # this planner only looks on
        try:
            if run.rests:
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
        arrived = any(observation.action_id == action_id for observation, _ in self._arrivals)
        if action_id in self._drive.open and not arrived:
            await self._drive.conclude(Observation("cancelled", action_id), None)
