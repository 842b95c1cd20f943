"""The harnesses of the planners: for each a task and a model or tools that answer, for the conformance kit."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, ClassVar, cast

from agentflow_kernel.contracts.planner import Task
from agentflow_kernel.contracts.provider import Message, ModelReply, ToolCall, Usage
from agentflow_kernel.contracts.tool import Tool
from agentflow_planner_llm.dag import Dag
from agentflow_planner_llm.plan_settings import PlanSettings
from agentflow_planner_llm.settings import ToolLoopSettings
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
