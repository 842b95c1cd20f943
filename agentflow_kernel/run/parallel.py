"""Several actions of one planner at a time, and what may wake it besides: a timer; all end with the planner."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

import anyio
import anyio.lowlevel

from agentflow_kernel.contracts.planner import Observation

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from agentflow_kernel.contracts.planner import Action, Decision
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
        self._timer_at = math.inf

    async def run(self, decision: Decision) -> None:
        """Work until the planner ends; the first failure of the engine itself cancels everything and is raised."""
        async with anyio.create_task_group() as group:
            try:
                await self._loop(group, decision)
            except Exception as error:  # noqa: BLE001 -- raised below, after the actions have ended
                self._failures.append(error)
            group.cancel_scope.cancel()
        if self._failures:
            raise self._failures[0]

    async def _loop(self, group: TaskGroup, decision: Decision) -> None:
        begun: set[str] = set()
        while True:
            self._arm(decision)
            for action in list(self._drive.open.values()):
                if action.id not in begun:
                    begun.add(action.id)
                    group.start_soon(self._act, action)
            arrival = await self._next()
            if arrival is None:
                return
            decision = await self._drive.conclude(*arrival)
            for action_id in decision.cancel:
                await self._cancel(action_id)
            if self._drive.end is not None or not (self._drive.open or self._timer_at < math.inf):
                return

    async def _act(self, action: Action) -> None:
        with anyio.CancelScope() as scope:
            self._scopes[action.id] = scope
            try:
                self._arrivals.append(await self._drive.act(action))
            except Exception as error:  # noqa: BLE001 -- raised by run(), after the others have ended
                self._failures.append(error)
            finally:
                del self._scopes[action.id]
                self._arrived.set()

    async def _next(self) -> Arrival | None:
        """The next observation, an arrival or the timer; ``None`` when the engine failed."""
        while not self._arrivals and not self._failures:
            self._arrived = anyio.Event()
            with anyio.CancelScope(deadline=self._timer_at):
                await self._arrived.wait()
            if not self._arrivals and anyio.current_time() >= self._timer_at:
                self._timer_at = math.inf
                return Observation("timer"), None
        return None if self._failures else self._arrivals.pop(0)

    async def _cancel(self, action_id: str) -> None:
        """Stop one action and tell the planner; the engine finishes this before it starts anything else."""
        scope = self._scopes.get(action_id)
        if scope is not None:
            scope.cancel()
            while action_id in self._scopes:
                await anyio.lowlevel.checkpoint()
        if action_id in self._drive.open:
            await self._drive.conclude(Observation("cancelled", action_id), None)

    def _arm(self, decision: Decision) -> None:
        for wait in decision.waits:
            if wait.get("type") == "timer":
                self._timer_at = anyio.current_time() + cast("float", wait["after_s"])
