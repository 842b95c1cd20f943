"""Planners that follow the simplest documents, for tests of what the engine does for any planner."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentflow_kernel.contracts.finding import PlanFinding
from agentflow_kernel.contracts.planner import Action, Decision, End, Observation, PlanScope, Task
from agentflow_kernel.drawing import Picture
from agentflow_kernel.drawing.picture import Shape
from agentflow_kernel.errors import PlanInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class InTurn:
    """Does the ``steps`` of its document one after another; ends with their results, errors as their codes."""

    def read(self, document: Mapping[str, Any]) -> object:
        found = self.check(document, PlanScope())
        if found:
            raise PlanInvalid("steps", found)
        return [Action.from_json({"name": "", "arguments": {}, **step}) for step in document["steps"]]

    def check(self, document: Mapping[str, Any], scope: PlanScope) -> Sequence[PlanFinding]:
        if "steps" not in document:
            return [PlanFinding("P001", "There are no steps.")]
        return [
            PlanFinding("P003", f"Unknown tool {step['name']!r}.", "steps", index, "name", step=step["id"])
            for index, step in enumerate(document["steps"])
            if step["kind"] == "tool" and scope.tools is not None and step["name"] not in scope.tools
        ]

    def graph(self, document: Mapping[str, Any], state: Any = None) -> Picture:
        picture = Picture("steps")
        for step in document["steps"]:
            picture.add(Shape(step["id"], step["id"], kind=step["kind"]))
        if state is not None and state["at"] < len(document["steps"]):
            picture.mark({document["steps"][state["at"]]["id"]: "working"})
        return picture

    def begin(self, task: Task) -> dict[str, Any]:
        return {"at": -1, "results": [], "steps": task.plan, "seen": []}

    def step(self, state: dict[str, Any], observation: Observation) -> Decision:
        state["seen"].append((observation.kind, observation.at))
        if observation.kind == "error":
            state["results"].append(observation.value["code"])
        elif observation.kind != "started":
            state["results"].append(observation.value)
        state["at"] += 1
        if state["at"] == len(state["steps"]):
            return Decision(end=End(state["results"]))
        return Decision([state["steps"][state["at"]]])

    def dump(self, state: dict[str, Any]) -> Any:
        return {"at": state["at"], "results": list(state["results"])}

    def load(self, task: Task, document: Any) -> dict[str, Any]:
        return {**document, "steps": task.plan, "seen": []}


class Ear(InTurn):
    """Listens to the signals of its document, for ``timer_s`` if given; ends at ``stop`` with all it has heard."""

    def read(self, document: Mapping[str, Any]) -> object:
        return document

    def check(self, document: Mapping[str, Any], scope: PlanScope) -> Sequence[PlanFinding]:
        return []

    def begin(self, task: Task) -> dict[str, Any]:
        return {"heard": [], "plan": task.plan}

    def step(self, state: dict[str, Any], observation: Observation) -> Decision:
        plan = state["plan"]
        if observation.kind == "started":
            waits = [{"type": "signal", "name": name} for name in plan.get("names", ["*"])]
            if "timer_s" in plan:
                waits.append({"type": "timer", "after_s": plan["timer_s"]})
            return Decision([Action("work", "wait", arguments=plan["work"])] if "work" in plan else (), waits=waits)
        if observation.kind == "signal":
            state["heard"].append([observation.action_id, observation.value])
            if observation.action_id == "disarm":
                return Decision(waits=[{"type": "timer", "after_s": None}])
        else:
            state["heard"].append([observation.kind, observation.value])
        ends = observation.kind == "timer" or observation.action_id == "stop"
        return Decision(end=End(state["heard"]) if ends else None)

    def dump(self, state: dict[str, Any]) -> Any:
        return {"heard": list(state["heard"])}

    def load(self, task: Task, document: Any) -> dict[str, Any]:
        return {**document, "plan": task.plan}
