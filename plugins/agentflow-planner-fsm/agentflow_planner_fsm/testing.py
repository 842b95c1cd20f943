"""The harness of the planner `fsm`: a chart with invocations, calls, parallel regions and a result, for the kit."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, ClassVar, cast

from agentflow_kernel.contracts.planner import Task
from agentflow_kernel.contracts.tool import Tool
from agentflow_planner_fsm.planner import Statechart
from agentflow_planner_fsm.settings import StatechartSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from agentflow_kernel.contracts.planner import Action
    from agentflow_kernel.contracts.values import JSON

_PATH: dict[str, JSON] = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
_READ: dict[str, JSON] = {
    "invoke": {"id": "read", "tool": "files.read", "with": {"path": "a.txt"}},
    "transitions": [
        {"event": "done.invoke.read", "target": "read.done", "do": ["text := _event.data"]},
        {"event": "error.invoke.read", "when": "tries < 2", "target": "read.open", "do": ["tries += 1"]},
        {"event": "error.invoke.read", "target": "read.done"},
    ],
}
DOCUMENT: dict[str, JSON] = {
    "name": "harness",
    "data": {"tries": 0, "text": None},
    "states": {
        "work": {
            "parallel": True,
            "states": {
                "reading": {"states": {"read.open": _READ, "read.done": {"final": True}}},
                "writing": {
                    "states": {
                        "write.open": {
                            "enter": [{"tool": "files.write", "with": {"path": "b.txt"}, "id": "write"}],
                            "transitions": [{"event": "done.call.write error.call.write", "target": "write.done"}],
                        },
                        "write.done": {"final": True},
                    }
                },
            },
            "transitions": [{"event": "done.state.work", "target": "told"}],
        },
        "told": {
            "enter": [{"emit": {"type": "work.done", "data": {"$expr": "{'tries': tries}"}}}],
            "transitions": [{"target": "end"}],
        },
        "end": {"final": True, "data": {"text": {"$expr": "text"}, "tries": {"$expr": "tries"}}},
    },
}


class StatechartHarness:
    """Opens planners with their default settings; their chart reads and writes side by side, emits, and ends."""

    kind: ClassVar[str] = "planner"
    declared: ClassVar[Mapping[str, bool]] = {"versions": True}
    known_deviations: ClassVar[Mapping[str, str]] = {}
    task: ClassVar[Task] = Task(
        "harness",
        tools={
            "files.read": Tool("read", "Reads a file.", _PATH, effect="pure"),
            "files.write": Tool("write", "Writes a file.", _PATH),
        },
        plan=Statechart().read(DOCUMENT),
    )
    input: ClassVar[JSON] = {"goal": "é 🐎"}

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Statechart]:
        """A fresh planner."""
        yield Statechart(StatechartSettings())

    def answers(self, action: Action, number: int) -> JSON:
        """A text for what is read, nothing for the rest."""
        return f"content of {action.arguments}" if action.name == "files.read" else None

    def make_newer(self, document: JSON) -> JSON:
        """The same with the version of tomorrow."""
        return {**cast("Mapping[str, JSON]", document), "version": 1_000_000}
