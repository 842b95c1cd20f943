"""A driver that plays the engine for plans: it performs actions from a script, with a clock that it moves itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from plans import TOOLS

from agentflow_kernel.contracts.planner import Observation, PlanScope, Task
from agentflow_planner_llm.dag import Dag
from agentflow_planner_llm.plan_settings import PlanSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agentflow_kernel.contracts.planner import Action, Decision, End


class Failure:
    """An action that ends with an error."""

    def __init__(self, message: str = "it broke", code: str = "AF-TOOL-FAILED", executed: str = "yes") -> None:
        self.value = {"code": code, "message": message, "executed": executed}


class Never:
    """An action that does not end by itself."""


def first(_count: int) -> int:
    return 0


def dag(**settings: Any) -> Dag:
    """The planner with these settings; nothing is optimised unless they say so."""
    settings.setdefault("optimise", ())
    return Dag(PlanSettings.model_validate(settings))


def task_of(subject: Any, document: Mapping[str, Any], tools: Mapping[str, Any] = TOOLS) -> Task:
    """The task of a plan, as the engine makes it."""
    scope = PlanScope(tools=tools, agents={"helper": ""}, flows={"triage": ""}, plans={"inner": ""})
    return Task("plan", tools=tools, plan=subject.read(document), scope=scope)


class Play:
    """One run of a plan. `reload` stores the state as JSON and reads it again before each observation."""

    def __init__(
        self, subject: Any, task: Task, value: Any = None, *, reload: bool = False, traced: bool = False
    ) -> None:
        self.subject, self.task, self.reload, self.traced = subject, task, reload, traced
        self.now = 1_000.0
        self.timer: float | None = None
        self.open: dict[str, Action] = {}
        self.started: list[Action] = []
        self.decisions: list[Decision] = []
        self.most = 0
        """How many actions were open at a time."""
        self.state: Any = subject.begin(task)
        self.give(Observation("started", value=value))

    def give(self, observation: Observation) -> Decision:
        """Hand one observation to the planner."""
        observation.at, observation.traced = self.now, self.traced
        if self.reload:
            text = json.dumps(self.subject.dump(self.state), allow_nan=False)
            self.state = self.subject.load(self.task, json.loads(text))
        if observation.kind == "timer":
            self.timer = None
        decision: Decision = self.subject.step(self.state, observation)
        assert not (decision.end and decision.start), "a decision that ends starts nothing"
        self.decisions.append(decision)
        if observation.kind != "piece":
            self.open.pop(observation.action_id, None)
        for wait in decision.waits:
            if wait["type"] != "timer":
                continue
            after = wait["after_s"]
            self.timer = None if after is None else self.now + after
        for action in decision.start:
            assert action.id not in {each.id for each in self.started}, f"{action.id} was used before"
            self.open[action.id] = action
            self.started.append(action)
        self.most = max(self.most, len(self.open))
        for action_id in decision.cancel:
            if action_id in self.open and decision.end is None:
                self.give(Observation("cancelled", action_id))
        return decision

    def finish(self, action_id: str, outcome: Any = None) -> Decision:
        """End an action."""
        if isinstance(outcome, Failure):
            return self.give(Observation("error", action_id, outcome.value))
        return self.give(Observation("result", action_id, outcome))

    def ring(self) -> Decision:
        """Let the time pass until the timer is due."""
        assert self.timer is not None, "no timer is set"
        self.now = max(self.now, self.timer)
        return self.give(Observation("timer"))

    def until_end(
        self, answer: Callable[[Action], Any] | None = None, choose: Callable[[int], int] = first, most: int = 5_000
    ) -> Play:
        """Play to the end: `choose` says which action ends next; the timer rings when nothing else happens."""
        give = answer or (lambda action: f"result of {action.id}")
        for _ in range(most):
            if self.end is not None:
                return self
            ids = list(self.open)
            outcomes: list[tuple[str, Any]] = []
            while ids and not outcomes:
                action_id = ids.pop(choose(len(ids)) % len(ids))
                outcome = give(self.open[action_id])
                if not isinstance(outcome, Never):
                    outcomes.append((action_id, outcome))
            if outcomes:
                self.finish(*outcomes[0])
            else:
                assert self.timer is not None, f"nothing happens any more: {list(self.open)} are open"
                self.ring()
        raise AssertionError("the plan does not end")

    @property
    def end(self) -> End | None:
        return self.decisions[-1].end

    @property
    def output(self) -> Any:
        assert self.end is not None, "the run has not ended"
        assert self.end.error is None, self.end.error
        return self.end.output

    @property
    def statuses(self) -> dict[str, str]:
        """How each step stands."""
        dumped: Any = self.subject.dump(self.state)
        return dict(dumped["run"]["status"])

    @property
    def ids(self) -> list[str]:
        """The ids of all actions, in the order of their start."""
        return [action.id for action in self.started]

    @property
    def events(self) -> list[tuple[str, Any]]:
        return [event for decision in self.decisions for event in decision.events]


def play(document: Mapping[str, Any], value: Any = None, *, reload: bool = False, **settings: Any) -> Play:
    """A run of a document that has just begun; other names are settings of the planner."""
    subject = dag(**settings)
    return Play(subject, task_of(subject, document), value, reload=reload)


def shown(decision: Decision) -> str:
    """A decision as text, to be compared."""
    starts = [action.to_json() for action in decision.start]
    end = decision.end and [decision.end.output, decision.end.error, decision.end.code, decision.end.stop_reason]
    parts = [starts, list(decision.cancel), [dict(wait) for wait in decision.waits], end]
    return json.dumps([*parts, [[name, dict(fields)] for name, fields in decision.events]], sort_keys=True)
