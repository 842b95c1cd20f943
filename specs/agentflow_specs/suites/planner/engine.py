"""An engine: the shortest one there is. It feeds a planner with how its actions end, and keeps all that was decided."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any, cast

import anyio

from agentflow_kernel.contracts.planner import Action, Decision, Observation

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentflow_kernel.contracts.planner import Planner
    from agentflow_kernel.testing import Harness, PlannerHarness

    Answer = Callable[[Action, int], Observation]

STEPS = 300
"""More steps than a scene of any harness takes."""


def open_planner(harness: Harness) -> Planner:
    """A fresh planner; it holds nothing that its harness would have to close."""

    async def open_one() -> Planner:
        async with harness.open() as subject:
            return cast("Planner", subject)

    return anyio.run(open_one)


class Engine:
    """One run of a planner: ``observe`` gives it what has happened; ``reload`` goes through its stored state first."""

    def __init__(self, planner: Planner, scene: PlannerHarness, *, reload: bool = False) -> None:
        self._planner, self._scene, self._reload = planner, scene, reload
        self.state = planner.begin(scene.task)
        self.decisions: list[Decision] = []
        self.open: dict[str, Action] = {}
        self.count = 0
        """How many actions have ended."""

    @property
    def ended(self) -> bool:
        """Whether the planner has ended."""
        return bool(self.decisions) and self.decisions[-1].end is not None

    def observe(self, observation: Observation) -> Decision:
        """One step."""
        if self._reload:
            document = json.loads(json.dumps(self._planner.dump(self.state), allow_nan=False))
            self.state = self._planner.load(self._scene.task, document)
        decision = self._planner.step(self.state, observation)
        self.decisions.append(decision)
        self.open.pop(observation.action_id, None)
        for action_id in decision.cancel:
            self.open.pop(action_id, None)
        self.open |= {action.id: action for action in decision.start}
        return decision

    def start(self, value: Any = None) -> Decision:
        """The first observation."""
        return self.observe(Observation("started", value=self._scene.input if value is None else value))

    def run(self, answer: Answer | None = None) -> Engine:
        """To the end, answering the oldest open action each time; raises `AssertionError` where there is none."""
        give = answer or self.answer
        if not self.decisions:
            self.start()
        for _ in range(STEPS):
            if self.ended:
                return self
            assert self.open, f"it waits for nothing and has not ended after {len(self.decisions)} steps"
            action = next(iter(self.open.values()))
            self.observe(give(action, self.count))
            self.count += 1
        raise AssertionError(f"it has not ended after {STEPS} steps")

    def answer(self, action: Action, number: int) -> Observation:
        """How the action ends in the scene."""
        return Observation("result", action.id, copy.deepcopy(self._scene.answers(action, number)))


def shown(decision: Decision) -> str:
    """A decision as text, to be compared."""
    starts = [action.to_json() for action in decision.start]
    end = decision.end and [decision.end.output, decision.end.error, decision.end.code, decision.end.stop_reason]
    parts = [starts, list(decision.cancel), [dict(w) for w in decision.waits], end]
    return json.dumps([*parts, [[name, dict(fields)] for name, fields in decision.events]], sort_keys=True)
