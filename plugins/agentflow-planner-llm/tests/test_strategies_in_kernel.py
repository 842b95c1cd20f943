"""The strategies as planners of real agents: the engine performs what they decide, with a scripted model."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agentflow_kernel import Agent, Kernel
from agentflow_kernel.testing import FunctionToolset, InProcessJournal, ScriptedProvider
from agentflow_planner_llm.strategies.adapt import Adapt
from agentflow_planner_llm.strategies.compiler import Compiler
from agentflow_planner_llm.strategies.plan_and_execute import PlanAndExecute
from agentflow_planner_llm.strategies.reflexion import Reflexion
from agentflow_planner_llm.strategies.rewoo import Rewoo
from agentflow_planner_llm.strategy_settings import (
    AdaptSettings,
    PlanAndExecuteSettings,
    PlannedSettings,
    ReflexionSettings,
)

pytestmark = pytest.mark.anyio

READ = ("kit.double", {"value": 4})
PLAN = {
    "steps": [
        {"id": "E1", "kind": "tool", "name": "kit.double", "args": {"value": 1}},
        {"id": "E2", "kind": "tool", "name": "kit.double", "args": {"value": {"$ref": "E1.result"}}},
    ]
}
TASKS = {"steps": [{"id": "s1", "kind": "model", "args": {"prompt": "Double 4."}}]}
GOOD, BAD = {"succeeded": True, "answer": "8"}, {"succeeded": False, "answer": "too much"}
CASES: list[tuple[Any, list[Any], str, int]] = [
    (Rewoo(PlannedSettings()), [PLAN, "It is 4."], "It is 4.", 2),
    (
        Compiler(PlannedSettings()),
        ['1. kit.double({"value": 1})\n2. kit.double({"value": $1})', {"decision": "finish", "answer": "4"}],
        "4",
        2,
    ),
    (PlanAndExecute(PlanAndExecuteSettings()), [TASKS, [READ], "It is 8.", {"decision": "keep"}], "It is 8.", 1),
    (Adapt(AdaptSettings()), [BAD, {"operator": "and", "subtasks": ["a"]}, [READ], GOOD, "It is 8."], "It is 8.", 1),
    (
        Reflexion(ReflexionSettings()),
        ["7?", {"verdict": "fail", "reflection": "Use the tool."}, [READ], "8", {"verdict": "pass", "reflection": ""}],
        "8",
        1,
    ),
]


@pytest.mark.parametrize(("planner", "turns", "text", "tools"), CASES, ids=lambda case: getattr(case, "name", ""))
async def test_strategy_works_as_the_planner_of_an_agent(planner: Any, turns: list[Any], text: str, tools: int) -> None:
    """Questions, loops and plan steps all go through the engine, and every turn of the script is used."""
    made: list[int] = []

    async def double(arguments: Any) -> Any:
        made.append(arguments["value"])
        return arguments["value"] * 2

    kit = FunctionToolset()
    kit.add("double", double, parameters={"type": "object", "required": ["value"]})
    provider = ScriptedProvider([json.dumps(turn) if isinstance(turn, dict) else turn for turn in turns])
    async with Kernel(journal=InProcessJournal()) as kernel:
        result: Any = await kernel.run(Agent("a", provider, planner, tools={"kit": kit}), "Double it.")
    assert result["text"] == text
    assert result["model_calls"] == len(turns) == len(provider.requests)
    assert (result["tool_calls"], len(made)) == (tools, tools)
