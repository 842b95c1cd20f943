"""A picture of a tree: each node a box above its children, marked with its status where a run is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentflow_kernel.drawing import Edge, Picture, Shape
from agentflow_planner_bt._last_tick import where_it_broke
from agentflow_planner_bt._run import HEAD
from agentflow_planner_bt.status import FAILURE, RUNNING, SUCCESS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentflow_planner_bt._compiler import Placed
    from agentflow_planner_bt._machine import Compiled


def draw(compiled: Compiled, state: Mapping[str, Any] | None) -> Picture:
    """The tree with all its subtrees; ``state`` is what the planner stored of a run."""
    picture = Picture(compiled.main)
    ids = _ids(compiled.nodes)
    for node, id in zip(compiled.nodes, ids, strict=True):
        picture.add(Shape(id, node.name, kind=_word(node), detail=_detail(node)))
        if node.parent >= 0:
            picture.edges.append(Edge(ids[node.parent], id))
    machine = (state or {}).get("machine", {})
    if state is not None and "memory" in machine and machine.get("tree") == compiled.digest:
        marks = _marks(compiled.nodes, state)
        picture.mark({id: mark for id, mark in zip(ids, marks, strict=True) if mark})
    return picture


def _marks(nodes: list[Placed], state: Mapping[str, Any]) -> list[str]:
    """The mark of each node: as it stands, or in a run that has ended as it stood at last."""
    memory = state["machine"]["memory"]
    last = state.get("last") or [memory[node.slot - HEAD] for node in nodes]
    broke = where_it_broke(nodes, state.get("broke", ""))
    return ["failed" if at in broke else _mark(node, last[at]) for at, node in enumerate(nodes)]


def _ids(nodes: list[Placed]) -> list[str]:
    """The paths, with a number where two nodes have the same."""
    counted: dict[str, int] = {}
    ids = []
    for node in nodes:
        number = counted[node.path] = counted.get(node.path, 0) + 1
        ids.append(node.path if number == 1 else f"{node.path}~{number}")
    return ids


def _word(node: Placed) -> str:
    group = node.node.kind.group
    if group == "action":
        return node.node.kind.name
    return {"control": "fork", "decorator": "fork", "subtree": "flow", "leaf": "call"}[group]


def _detail(node: Placed) -> str:
    ports = node.node.ports
    if node.node.kind.group == "action":
        return str(ports.get("name", ports.get("type", "")))
    shown = ports.get("if", ports.get("code", ports.get("tree", "")))
    return str(shown) if node.name == node.node.type else " ".join(filter(None, (node.node.type, str(shown))))


def _mark(node: Placed, status: int) -> str:
    waiting = node.node.kind.waits and node.node.kind.group != "decorator"
    return {RUNNING: "waiting" if waiting else "working", SUCCESS: "visited", FAILURE: "failed"}.get(status, "")
