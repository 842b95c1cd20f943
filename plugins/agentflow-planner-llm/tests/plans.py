"""Plans to test with: tools that may be called, and short ways to write steps."""

from __future__ import annotations

from typing import Any

from agentflow_kernel.contracts.tool import Tool
from agentflow_planner_llm.plan import Grants, Scope, check_plan

PATH: dict[str, Any] = {
    "type": "object",
    "properties": {"path": {"type": "string"}, "lines": {"type": "integer"}},
    "required": ["path"],
    "additionalProperties": False,
    "x-returns": {"type": "object", "properties": {"text": {"type": "string"}, "size": {"type": "integer"}}},
}
TEXT: dict[str, Any] = {
    "type": "object",
    "properties": {"path": {"type": "string"}, "text": {"type": "string"}},
    "required": ["path", "text"],
}
COMMAND: dict[str, Any] = {
    "type": "object",
    "properties": {"command": {"type": "string", "x-trusted": True}, "input": {"type": "string"}},
    "required": ["command"],
}
ANYTHING: dict[str, Any] = {"type": "object"}
TOOLS = {
    "files.read": Tool("read", "Read a file", PATH, effect="pure"),
    "files.write": Tool("write", "Write a file", TEXT),
    "files.touch": Tool("touch", "Touch a file", ANYTHING, effect="idempotent"),
    "shell.run": Tool("run", "Run a command", COMMAND),
    "count": Tool("count", "Count", ANYTHING, effect="pure"),
    "send": Tool("send", "Send", ANYTHING),
}


def step(name: str, tool: str = "count", **fields: Any) -> dict[str, Any]:
    """A step that calls a tool."""
    return {"id": name, "kind": "tool", "name": tool, **fields}


def plan(*steps: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """The document of a plan with these steps."""
    return {"steps": list(steps), **fields}


def ref(text: str, **fields: Any) -> dict[str, Any]:
    """A reference."""
    return {"$ref": text, **fields}


def scope(**fields: Any) -> Scope:
    """What the plans of these tests may name."""
    return Scope(TOOLS, **{"agents": ("helper",), "flows": ("triage",), "plans": ("inner",), **fields})


def findings(document: Any, **fields: Any) -> list[Any]:
    """All findings of a document."""
    return list(check_plan(document, scope(**fields))[1])


def granted(**fields: Any) -> Grants:
    """Grants with these fields."""
    return Grants(**fields)
