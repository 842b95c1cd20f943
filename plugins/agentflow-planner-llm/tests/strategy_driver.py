"""A driver for strategies: a model that answers from a script by the name of its question, and tools that answer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from dag_driver import Play
from plans import TOOLS

from agentflow_kernel.contracts.planner import PlanScope, Task
from agentflow_kernel.contracts.provider import Message, ModelReply, ToolCall, Usage
from agentflow_planner_llm.strategies.compiler import Compiler
from agentflow_planner_llm.strategies.plan_and_execute import PlanAndExecute
from agentflow_planner_llm.strategy_settings import PlanAndExecuteSettings, PlannedSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentflow_kernel.contracts.planner import Action


def says(value: Any) -> Any:
    """A turn of the model: a text, or anything else as JSON."""
    text = value if isinstance(value, str) else json.dumps(value)
    return ModelReply(Message("assistant", text), usage=Usage(10, 5, cost_usd=0.1)).to_json()


def calls(*wanted: tuple[str, dict[str, Any]]) -> Any:
    """A turn of the model that calls tools."""
    made = [ToolCall(f"c{number}", name, given) for number, (name, given) in enumerate(wanted)]
    return ModelReply(Message("assistant", "", calls=made), stop_reason="tool_calls", usage=Usage(10, 5)).to_json()


def strategy_task(**fields: Any) -> Task:
    scope = PlanScope(tools=TOOLS, agents={}, flows={}, plans={})
    return Task("assistant", **{"instructions": "Be brief.", "tools": TOOLS, "scope": scope, **fields})


class Model:
    """Answers each question from its own script, the last answer again and again; tools say who they are."""

    def __init__(self, tools: Callable[[Action], Any] | None = None, **scripts: Any) -> None:
        self.scripts = {name: list(script) for name, script in scripts.items()}
        self.tools = tools
        self.asked: list[Action] = []

    def __call__(self, action: Action) -> Any:
        if action.kind != "model":
            return f"result of {action.id}" if self.tools is None else self.tools(action)
        self.asked.append(action)
        name = action.id.partition(".")[0].rstrip("0123456789")
        script = self.scripts[name]
        turn = script.pop(0) if len(script) > 1 else script[0]
        return turn if isinstance(turn, dict) and "message" in turn else turn if not_json(turn) else says(turn)

    @property
    def names(self) -> list[str]:
        """What the model was asked for, in order."""
        return [action.id.partition(".")[0] for action in self.asked]

    def prompt(self, number: int) -> str:
        """All that the model was told in one call."""
        messages: Any = self.asked[number].arguments["messages"]
        return "\n".join(message["text"] for message in messages)


def not_json(turn: Any) -> bool:
    """Whether a turn is no text and no data, but a failure."""
    return hasattr(turn, "value")


def run(subject: Any, model: Model, value: Any = "the task", *, reload: bool = False, **fields: Any) -> Play:
    """A whole run."""
    return Play(subject, strategy_task(**fields), value, reload=reload, traced=True).until_end(model)


def tool(name: str, called: str = "count", **fields: Any) -> dict[str, Any]:
    """A step that calls a tool, as a model writes it."""
    return {"id": name, "kind": "tool", "name": called, **fields}


def think(name: str, prompt: str = "Do it.", **fields: Any) -> dict[str, Any]:
    """A step that asks the model, as a model writes it."""
    return {"id": name, "kind": "model", "args": {"prompt": prompt}, **fields}


def compiling(*, reload: bool = False, **settings: Any) -> Play:
    """A run of `compiler` that listens."""
    subject = Compiler(PlannedSettings.model_validate({"listen": True, **settings}))
    return Play(subject, strategy_task(), "the task", reload=reload)


def executing(*, reload: bool = False, **settings: Any) -> Play:
    """A run of `plan-and-execute` in which nothing is asked after a step, unless the settings say otherwise."""
    subject = PlanAndExecute(PlanAndExecuteSettings.model_validate({"observe": False, **settings}))
    return Play(subject, strategy_task(), "the task", reload=reload)


def told(played: Play) -> str:
    """What the model was asked last."""
    messages: Any = played.started[-1].arguments["messages"]
    return str(messages[-1]["text"])
