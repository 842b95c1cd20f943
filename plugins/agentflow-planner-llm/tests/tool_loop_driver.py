"""A driver that plays the engine: it performs a planner's actions from a script, without a loop, clock or model."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, cast

from agentflow_kernel.contracts.planner import Action, Decision, End, Observation, Task
from agentflow_kernel.contracts.provider import Message, ModelReply, ToolCall, Usage
from agentflow_kernel.contracts.tool import Tool
from agentflow_planner_llm.settings import ToolLoopSettings
from agentflow_planner_llm.tool_loop import ToolLoop

ANYTHING: dict[str, Any] = {"type": "object"}
PATH: dict[str, Any] = {
    "type": "object",
    "properties": {"path": {"type": "string"}},
    "required": ["path"],
    "additionalProperties": False,
}
TOOLS = {
    "files.read": Tool("read", "Read a file", PATH, effect="pure"),
    "files.write": Tool("write", "Write a file", PATH),
    "shell.run": Tool("run", "Run a command", ANYTHING, sequential=True),
}


class Failure:
    """An action that ends with an error."""

    def __init__(self, message: str = "it broke", code: str = "AF-TOOL-FAILED", executed: str = "yes") -> None:
        self.value = {"code": code, "message": message, "executed": executed}


class Cancelled:
    """An action that the engine cancelled."""


Outcome = Any
"""A JSON value, a `Failure`, or `Cancelled()`."""
Tools = Mapping[str, Outcome] | Callable[[Action], Outcome]


def _first(_count: int) -> int:
    return 0


def call(call_id: str, name: str = "files.read", **arguments: Any) -> ToolCall:
    """A call of a tool, `files.read` of `a.txt` if nothing else is said."""
    return ToolCall(call_id, name, arguments or {"path": "a.txt"})


def calls(*wanted: ToolCall, text: str = "", stop: Any = "tool_calls", usage: Usage | None = None) -> dict[str, Any]:
    """A turn of the model that calls tools."""
    return ModelReply(Message("assistant", text, calls=wanted), stop_reason=stop, usage=usage).to_json()


def says(text: str, *, stop: Any = "end", usage: Usage | None = None) -> dict[str, Any]:
    """A turn of the model without calls."""
    return ModelReply(Message("assistant", text), stop_reason=stop, usage=usage).to_json()


def planner(**settings: Any) -> ToolLoop:
    """The planner with these settings."""
    return ToolLoop(ToolLoopSettings.model_validate(settings))


def task(**fields: Any) -> Task:
    """A task with the usual tools."""
    return Task("assistant", **{"instructions": "Be brief.", "tools": TOOLS, **fields})


class Play:
    """One run: the driver performs what the planner starts, and hands over what comes of it.

    `reload` writes the state to JSON text and reads it again before each observation.
    """

    def __init__(self, subject: ToolLoop, task: Task, value: Any = "hello", *, reload: bool = False) -> None:
        self.subject, self.task, self.reload = subject, task, reload
        self.state: Any = subject.begin(task)
        self.open: list[Action] = []
        self.started: list[Action] = []
        self.decisions: list[Decision] = []
        self.observed: list[str] = []
        self.give(Observation("started", value=value))

    def until_end(
        self, model: Sequence[Outcome], tools: Tools = MappingProxyType({}), choose: Callable[[int], int] = _first
    ) -> Play:
        """Play to the end, or until nothing is open.

        `model` gives the model's turns in order, the last one again and again. `tools` gives the outcome of each tool
        action by its name, or is called with the action. `choose` picks which of so many open actions ends next.
        """
        turns = list(model)
        while self.open and self.end is None:
            action = self.open[choose(len(self.open)) % len(self.open)]
            if action.kind == "model":
                self.finish(action, turns.pop(0) if len(turns) > 1 else turns[0])
            elif callable(tools):
                self.finish(action, tools(action))
            else:
                self.finish(action, tools.get(action.name, f"result of {action.name}"))
        return self

    @property
    def end(self) -> End | None:
        return self.decisions[-1].end

    @property
    def output(self) -> dict[str, Any]:
        assert self.end is not None, "the run has not ended"
        return cast("dict[str, Any]", self.end.output)

    @property
    def requests(self) -> list[dict[str, Any]]:
        """The arguments of each model action."""
        found: list[Any] = [action.arguments for action in self.started if action.kind == "model"]
        return found

    @property
    def tool_actions(self) -> list[Action]:
        return [action for action in self.started if action.kind == "tool"]

    @property
    def history(self) -> list[dict[str, Any]]:
        """All messages, as the state holds them."""
        dumped: Any = self.subject.dump(self.state)
        found: list[dict[str, Any]] = dumped["messages"]
        return found

    @property
    def events(self) -> list[tuple[str, Any]]:
        return [event for decision in self.decisions for event in decision.events]

    def give(self, observation: Observation) -> Decision:
        """Hand one observation to the planner."""
        if self.reload:
            text = json.dumps(self.subject.dump(self.state))
            self.state = self.subject.load(self.task, json.loads(text))
        decision = self.subject.step(self.state, observation)
        assert not (decision.end and decision.start), "a decision that ends starts nothing"
        self.decisions.append(decision)
        self.observed.append(observation.action_id)
        self.open = [action for action in self.open if action.id != observation.action_id]
        self.open += decision.start
        self.started += decision.start
        return decision

    def finish(self, action: Action | str, outcome: Outcome) -> Decision:
        """End an action, given as itself or by its id."""
        action_id = action if isinstance(action, str) else action.id
        if isinstance(outcome, Failure):
            return self.give(Observation("error", action_id, outcome.value))
        if isinstance(outcome, Cancelled):
            return self.give(Observation("cancelled", action_id))
        return self.give(Observation("result", action_id, outcome))


def play(*model: Outcome, tools: Tools = MappingProxyType({}), of: Task | None = None, **settings: Any) -> Play:
    """A whole run of the usual task; other names are settings of the planner."""
    return Play(planner(**settings), of or task()).until_end(model, tools)


def pending(*wanted: ToolCall, of: Task | None = None, **settings: Any) -> Play:
    """A run whose model has just called these tools; nothing of it has ended yet."""
    run = Play(planner(**settings), of or task())
    run.finish("model-1", calls(*wanted))
    return run


def answers(run: Play) -> list[tuple[str, str, bool]]:
    """The results of tool calls in the history: call id, text, and whether it is an error."""
    found = [message for message in run.history if message["role"] == "tool"]
    return [(message["call_id"], message["text"], message.get("is_error", False)) for message in found]
