"""A planner of the simplest useful kind, and an agent made with it, for tests of the engine under both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentflow_kernel import Agent
from agentflow_kernel.contracts.planner import Action, Decision, End, Observation, Task
from agentflow_kernel.testing import FunctionToolset, ScriptedProvider

if TYPE_CHECKING:
    from collections.abc import Iterable


class Loop:
    """Asks the model, does all tool calls of its answer side by side, asks again; ends with its first plain answer."""

    def begin(self, task: Task) -> dict[str, Any]:
        return {"messages": [], "turn": 0, "calls": [], "answers": {}}

    def step(self, state: Any, observation: Observation) -> Decision:
        if observation.kind == "started":
            state["messages"].append({"role": "user", "text": str(observation.value)})
            return self._ask(state)
        if observation.action_id.startswith("model"):
            if observation.kind == "error":
                return Decision(end=End(error=observation.value["message"], code="AF-TEST-MODEL"))
            return self._heard(state, observation.value["message"])
        state["answers"][observation.action_id] = [observation.kind, observation.value]
        if len(state["answers"]) < len(state["calls"]):
            return Decision()
        for action_id in state["calls"]:
            kind, value = state["answers"][action_id]
            answer = {"role": "tool", "text": str(value), "call_id": action_id, "is_error": kind != "result"}
            state["messages"].append(answer)
        return self._ask(state)

    def _ask(self, state: Any) -> Decision:
        state["turn"] += 1
        action = Action(f"model{state['turn']}", "model", arguments={"messages": list(state["messages"])})
        return Decision([action])

    def _heard(self, state: Any, message: Any) -> Decision:
        state["messages"].append(message)
        calls = message.get("calls", [])
        if not calls:
            return Decision(end=End(message["text"]))
        actions = [
            Action(f"tool{state['turn']}-{number}", "tool", call["name"], call["arguments"])
            for number, call in enumerate(calls)
        ]
        state["calls"], state["answers"] = [action.id for action in actions], {}
        return Decision(actions)

    def dump(self, state: Any) -> Any:
        return state

    def load(self, task: Task, document: Any) -> Any:
        return document


class Script(ScriptedProvider):
    """A provider that answers by the number of answers before, so that a new process goes on where the old one was."""

    def __init__(self, turns: Iterable[Any]) -> None:
        self._script = list(turns)
        super().__init__(())

    async def complete(self, request: Any) -> Any:
        before = sum(message.role == "assistant" for message in request.messages)
        self._turns = iter(self._script[before:])
        return await super().complete(request)


def make_agent(turns: Iterable[Any], toolset: FunctionToolset | None = None, **options: Any) -> Agent:
    """An agent ``helper`` with the tools ``kit.*``."""
    tools = {"kit": toolset} if toolset is not None else {}
    return Agent("helper", Script(turns), options.pop("planner", Loop()), tools=tools, **options)
