"""The harnesses of the planners: for each a task and a model or tools that answer, for the conformance kit."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, ClassVar, cast

from agentflow_kernel.contracts.planner import Task
from agentflow_kernel.contracts.provider import Message, ModelReply, ToolCall, Usage
from agentflow_kernel.contracts.tool import Tool
from agentflow_planner_llm.dag import Dag
from agentflow_planner_llm.plan_settings import PlanSettings
from agentflow_planner_llm.settings import ToolLoopSettings
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
from agentflow_planner_llm.tool_loop import ToolLoop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from agentflow_kernel.contracts.planner import Action
    from agentflow_kernel.contracts.values import JSON

PATH: dict[str, JSON] = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}


class ToolLoopHarness:
    """Opens planners with their default settings; their model calls three tools in two turns, then answers."""

    kind: ClassVar[str] = "planner"
    declared: ClassVar[Mapping[str, bool]] = {"versions": True}
    known_deviations: ClassVar[Mapping[str, str]] = {}
    task: ClassVar[Task] = Task(
        "assistant",
        instructions="Be brief.",
        tools={
            "files.read": Tool("read", "Reads a file.", PATH, effect="pure"),
            "files.write": Tool("write", "Writes a file.", PATH, sequential=True),
        },
    )
    input: ClassVar[JSON] = "What is in a.txt? é 🐎"

    @asynccontextmanager
    async def open(self) -> AsyncIterator[ToolLoop]:
        """A fresh planner."""
        yield ToolLoop(ToolLoopSettings())

    def answers(self, action: Action, number: int) -> JSON:
        """Two calls, then one, then a text; a tool gives the path it was asked for."""
        if action.kind != "model":
            return {"text": f"content of {action.arguments}"}
        wanted: list[ToolCall] = []
        if number == 0:
            wanted = [ToolCall(f"c{name}", "files.read", {"path": f"{name}.txt"}) for name in "ab"]
        elif number == 3:
            wanted = [ToolCall("cw", "files.write", {"path": "c.txt"})]
        message = Message("assistant", "" if wanted else "It is empty.", calls=wanted)
        return ModelReply(message, stop_reason="tool_calls" if wanted else "end", usage=Usage(10, 5)).to_json()

    def make_newer(self, document: JSON) -> JSON:
        """The same with the version of tomorrow."""
        return {**cast("Mapping[str, JSON]", document), "version": 1_000_000}


DOCUMENT: dict[str, JSON] = {
    "goal": "Copy two files into one",
    "steps": [
        {"id": "a", "kind": "tool", "name": "files.read", "args": {"path": "a.txt"}},
        {"id": "b", "kind": "tool", "name": "files.read", "args": {"path": "b.txt"}, "on_error": "continue"},
        {
            "id": "sum", "kind": "model", "when": 'a.status == "done"',
            "args": {"prompt": "Sum up:", "with": [{"$ref": "a.result"}, {"$ref": "b.result"}, {"$ref": "input"}]},
            "routes": [{"to": "a", "when": "result == 'again'", "max": 1}],
        },
        {
            "id": "write", "kind": "tool", "name": "files.write",
            "args": {"path": "c.txt", "text": {"$ref": "sum.result"}},
        },
    ],
    "output": {"written": {"$ref": "write.result"}},
}  # fmt: skip


class DagHarness(ToolLoopHarness):
    """Opens planners with their default settings; their plan reads, asks a model, goes back once, and writes."""

    task: ClassVar[Task] = Task("copy", tools=ToolLoopHarness.task.tools, plan=Dag(PlanSettings()).read(DOCUMENT))

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Dag]:  # type: ignore[override]  # another planner than the loop's
        """A fresh planner."""
        yield Dag(PlanSettings())

    def answers(self, action: Action, number: int) -> JSON:
        """The model wants it again the first time; a tool gives the path it was asked for."""
        if action.kind != "model":
            return {"text": f"content of {action.arguments}"}
        text = "again" if action.id == "sum" else "All is said. é 🐎"
        return ModelReply(Message("assistant", text), usage=Usage(10, 5)).to_json()


def _says(value: JSON) -> JSON:
    """A turn of the model: a text, or anything else as JSON."""
    text = value if isinstance(value, str) else json.dumps(value)
    return ModelReply(Message("assistant", text), usage=Usage(10, 5)).to_json()


class RewooHarness(ToolLoopHarness):
    """Opens planners with their default settings; the plan reads twice and writes, then the model answers."""

    plan: ClassVar[JSON] = {
        "steps": [
            {"id": "E1", "kind": "tool", "name": "files.read", "args": {"path": "a.txt"}},
            {"id": "E2", "kind": "tool", "name": "files.read", "args": {"path": "b.txt"}},
            {"id": "E3", "kind": "tool", "name": "files.write", "args": {"path": {"$ref": "E1.result.text"}}},
        ]
    }

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Rewoo]:  # type: ignore[override]  # another planner than the loop's
        """A fresh planner."""
        yield Rewoo(PlannedSettings())

    def answers(self, action: Action, number: int) -> JSON:
        """The plan, the tools' texts, the answer."""
        if action.kind != "model":
            return {"text": f"content of {action.arguments}"}
        return _says(self.plan if action.id.startswith("plan") else "It is empty.")


class CompilerHarness(ToolLoopHarness):
    """Opens planners with their default settings; the model plans twice, then it is content."""

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Compiler]:  # type: ignore[override]  # another planner than the loop's
        """A fresh planner."""
        yield Compiler(PlannedSettings())

    def answers(self, action: Action, number: int) -> JSON:
        """Three calls, one more, and the answer."""
        if action.kind != "model":
            return {"text": f"content of {action.arguments}"}
        if action.id == "plan.1":
            calls = '1. files.read({"path": "a.txt"})\n2. files.read(path="b.txt")\n3. files.write({"path": $1.text})'
            return _says(f"Let me see.\n{calls}\n4. join()")
        if action.id == "join.2":
            return _says({"decision": "replan", "feedback": "One is missing."})
        if action.id.startswith("plan"):
            return _says('4. files.read({"path": $2.text})')
        return _says({"decision": "finish", "answer": "Empty."})


class PlanAndExecuteHarness(ToolLoopHarness):
    """Opens planners with their default settings; their plan has a task, a tool call and a task."""

    plan: ClassVar[JSON] = {
        "steps": [
            {"id": "s1", "kind": "model", "args": {"prompt": "Look into a.txt."}},
            {"id": "s2", "kind": "tool", "name": "files.write", "args": {"path": "c.txt"}},
            {"id": "s3", "kind": "model", "args": {"prompt": "Say what you found.", "with": {"$ref": "s1.result"}}},
        ]
    }

    @asynccontextmanager
    async def open(self) -> AsyncIterator[PlanAndExecute]:  # type: ignore[override]  # another planner than the loop's
        """A fresh planner."""
        yield PlanAndExecute(PlanAndExecuteSettings())

    def answers(self, action: Action, number: int) -> JSON:
        """The plan, a tool call in the first step, "keep" after each, and texts."""
        if action.kind != "model":
            return {"text": f"content of {action.arguments}"}
        if action.id.startswith("plan"):
            return _says(self.plan)
        if action.id.startswith("observe"):
            return _says({"decision": "keep"})
        if action.id == "s1.model-1":
            call = ToolCall("c1", "files.read", {"path": "a.txt"})
            return ModelReply(Message("assistant", "", calls=[call]), stop_reason="tool_calls").to_json()
        return _says(f"Done: {action.id}")


class AdaptHarness(ToolLoopHarness):
    """Opens planners with their default settings; the first attempt fails, its two parts succeed."""

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Adapt]:  # type: ignore[override]  # another planner than the loop's
        """A fresh planner."""
        yield Adapt(AdaptSettings())

    def answers(self, action: Action, number: int) -> JSON:
        """A failure, the parts, a tool call in one of them, and successes."""
        if action.kind != "model":
            return {"text": f"content of {action.arguments}"}
        if action.id.startswith("split"):
            return _says({"operator": "and", "subtasks": ["Read it.", "Say it."]})
        if action.id == "try2.model-1":
            call = ToolCall("c1", "files.read", {"path": "a.txt"})
            return ModelReply(Message("assistant", "", calls=[call]), stop_reason="tool_calls").to_json()
        if action.id.startswith("try"):
            return _says({"succeeded": not action.id.startswith("try1."), "answer": f"by {action.id}"})
        return _says("It is empty.")


class ReflexionHarness(ToolLoopHarness):
    """Opens planners with their default settings; the second attempt is passed."""

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Reflexion]:  # type: ignore[override]  # another planner than the loop's
        """A fresh planner."""
        yield Reflexion(ReflexionSettings())

    def answers(self, action: Action, number: int) -> JSON:
        """An attempt with a tool call that is not passed, and one that is."""
        if action.kind != "model":
            return {"text": f"content of {action.arguments}"}
        if action.id.startswith("judge"):
            first = action.id == "judge.1"
            return _says({"verdict": "fail" if first else "pass", "reflection": "Look into the file first."})
        if action.id == "episode1.model-1":
            call = ToolCall("c1", "files.read", {"path": "a.txt"})
            return ModelReply(Message("assistant", "", calls=[call]), stop_reason="tool_calls").to_json()
        return _says(f"By {action.id}.")
