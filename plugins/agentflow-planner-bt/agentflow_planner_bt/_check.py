"""A check: what a tree names against what there is, and its literal arguments against the schemas of its tools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentflow_kernel.contracts.finding import PlanFinding
from agentflow_kernel.errors import nearest
from agentflow_kernel.schema import find_problems
from agentflow_planner_bt.port import reference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agentflow_kernel.contracts.planner import PlanScope
    from agentflow_planner_bt._definition import Definition, Node

_KINDS = {"tool": "tools", "agent": "agents", "flow": "flows", "plan": "plans"}


def check_scope(definition: Definition, scope: PlanScope) -> list[PlanFinding]:
    """All that is named and is not there, and arguments that tools refuse, in the order of the document."""
    found: list[PlanFinding] = []
    for tree in definition.trees.values():
        for node in _walk(tree.root):
            found += _node(node, scope)
    return found


def _walk(root: Node) -> Iterator[Node]:
    todo = [root]
    while todo:
        node = todo.pop()
        yield node
        todo += reversed(node.children)


def _node(node: Node, scope: PlanScope) -> Iterator[PlanFinding]:
    kind = node.kind.name
    if kind in _KINDS:
        name, known = node.ports.get("name"), getattr(scope, _KINDS[kind])
        if not isinstance(name, str):
            return  # which has been found already
        if known is not None and name not in known:
            yield _missing(node, kind, name, known, "name")
        elif kind == "tool" and known is not None:
            yield from _arguments(node, known[name].parameters)
    elif kind == "model" and scope.tools is not None:
        tools = node.ports.get("tools", [])
        for name in tools if isinstance(tools, list) else ():  # others have been found already
            if type(name) is str and name not in scope.tools:
                yield _missing(node, "tool", name, scope.tools, "tools")


def _missing(node: Node, kind: str, name: str, known: Mapping[str, Any], port: str) -> PlanFinding:
    close = nearest(name, known)
    there = ", ".join(sorted(known)) or "none"
    return PlanFinding(
        "P003",
        f"Node {node.name or node.type!r} names the unknown {kind} {name!r}. There are: {there}.",
        *node.where,
        node.type if port == "name" else port,
        step=node.name,
        suggestion=f"Did you mean {close!r}?" if close else "",
    )


def _arguments(node: Node, schema: Mapping[str, Any]) -> Iterator[PlanFinding]:
    """Arguments without references against the whole schema, others for what is required and what is unknown."""
    given = node.ports.get("args", {})
    if reference(given) is not None:
        return
    problems: list[str] = []
    if not _refers(given):
        problems = [str(problem) for problem in find_problems(given, schema)]
    elif isinstance(given, dict):
        properties = schema.get("properties", {})
        problems = [f"{name!r} is missing" for name in schema.get("required", []) if name not in given]
        if schema.get("additionalProperties") is False:
            problems += [f"{name!r} is unknown" for name in given if name not in properties]
        for name, value in given.items():
            if name in properties and not _refers(value):
                problems += [f"{name}: {problem}" for problem in find_problems(value, properties[name])]
    for problem in problems:
        text = f"The arguments of tool {node.ports['name']!r} in node {node.name or node.type!r}: {problem}."
        yield PlanFinding("P004", text, *node.where, "args", step=node.name)


def _refers(value: Any) -> bool:
    """Whether a value has a reference anywhere in it."""
    todo = [value]
    while todo:
        item = todo.pop()
        if isinstance(item, dict):
            todo += item.values()
        elif isinstance(item, list):
            todo += item
        elif reference(item) is not None:
            return True
    return False
