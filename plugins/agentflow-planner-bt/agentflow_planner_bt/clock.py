"""A clock: what a tree that is ticked by hand waits for: time, a leaf's call, and actions that others do for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentflow_planner_bt.status import RUNNING

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentflow_kernel.contracts.planner import Action
    from agentflow_planner_bt._machine import Machine


class Clock:
    """The time of a tree, which :meth:`Tree.advance` moves, and when the tree wants to be ticked again."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    @property
    def now(self) -> float:
        """Seconds, from 0 when the tree was made."""
        return self._machine.run.now

    @property
    def due_in_s(self) -> float | None:
        """Seconds until a timer of the tree is due, None where it waits for none."""
        due = self._machine.due()
        return None if due is None else max(0.0, due - self.now)

    @property
    def wants_tick(self) -> bool:
        """Whether another tick would bring it on at once: a leaf called, a loop gave way, a node has more to do."""
        run = self._machine.run
        return run.woken or ((run.again or run.more) and self._machine.status == RUNNING)

    @property
    def on_wake(self) -> Callable[[], None] | None:
        """Called when a leaf asks for another tick, perhaps from another thread."""
        return self._machine.run.on_wake

    @on_wake.setter
    def on_wake(self, call: Callable[[], None] | None) -> None:
        self._machine.run.on_wake = call


class Actions:
    """The actions of a tree: whoever takes them has to see to them, and to say how they ended."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def take_started(self) -> list[Action]:
        """The actions that have begun since this was last asked."""
        run = self._machine.run
        started, run.starts = run.starts, []
        return started

    def take_cancelled(self) -> list[str]:
        """The ids of actions that were halted since this was last asked."""
        run = self._machine.run
        cancelled, run.cancels = run.cancels, []
        return cancelled

    def complete(self, action_id: str, value: Any = None) -> bool:
        """Say that an action has its result; its node sees it at the next tick. False if it is not open any more."""
        return self._machine.finish(action_id, "result", value)

    def fail(self, action_id: str, message: str, *, code: str = "AF-NODE-FAILED") -> bool:
        """Say that an action failed. False if it is not open any more."""
        return self._machine.finish(action_id, "error", {"message": message, "code": code})
