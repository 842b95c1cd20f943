"""The harness of the planner `bt`: a tree with tools side by side, a retry, a timer and a question, for the kit."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, ClassVar, cast

from agentflow_kernel.contracts.planner import Task
from agentflow_kernel.contracts.tool import Tool
from agentflow_planner_bt.planner import TreePlanner

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from agentflow_kernel.contracts.planner import Action
    from agentflow_kernel.contracts.values import JSON

PATH: dict[str, JSON] = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
DOCUMENT: dict[str, JSON] = {
    "trees": {
        "main": {
            "ports": {"text": {"out": "any"}},
            "root": {
                "sequence": [
                    {
                        "parallel": [
                            {"tool": "files.read", "args": {"path": "a.txt"}, "out": "{text}"},
                            {"tool": "files.read", "args": {"path": "b.txt"}},
                        ],
                        "name": "read",
                    },
                    {"fallback": [{"subtree": "write", "ports": {"text": "{text}"}}, "always_success"]},
                    {"ask": "Is it good?", "choices": ["yes", "no"], "errors": "failure"},
                ]
            },
        },
        "write": {
            "retry": {"tool": "files.write", "args": {"path": "c.txt", "text": "{text}"}, "errors": "failure"},
            "times": 2,
        },
    }
}


class TreeHarness:
    """Opens planners with their default settings; their tree reads two files, writes one and asks a person."""

    kind: ClassVar[str] = "planner"
    declared: ClassVar[Mapping[str, bool]] = {"versions": True}
    known_deviations: ClassVar[Mapping[str, str]] = {}
    task: ClassVar[Task] = Task(
        "reader",
        tools={
            "files.read": Tool("read", "Reads a file.", PATH, effect="pure"),
            "files.write": Tool("write", "Writes a file.", PATH),
        },
        plan=TreePlanner().read(DOCUMENT),
    )
    input: ClassVar[JSON] = "Go. é 🐎"

    @asynccontextmanager
    async def open(self) -> AsyncIterator[TreePlanner]:
        """A fresh planner."""
        yield TreePlanner()

    def answers(self, action: Action, number: int) -> JSON:
        """A tool gives the path it was asked for, the person says yes."""
        return "yes" if action.kind == "ask" else f"content of {action.arguments['path']}"

    def make_newer(self, document: JSON) -> JSON:
        """The same with the version of tomorrow."""
        return {**cast("Mapping[str, JSON]", document), "version": 1_000_000}
