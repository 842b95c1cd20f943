"""A flow as a picture: its nodes, what is in them, and where each leads."""

from __future__ import annotations

from agentflow_kernel.drawing import Edge, Group, Picture, Shape
from agentflow_kernel.flow.fork import Parallel
from agentflow_kernel.flow.graph import Graph
from agentflow_kernel.flow.node import DEFAULT, END

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentflow_kernel.flow.step import Step

_START, _STOP = "(start)", "(end)"
"""Ids that no node can have."""


def picture_of(graph: Graph) -> Picture:
    """The picture of a flow; nodes in the order in which they were added, ids as the paths of a run.

    What undoes a node has its id and ``!undo``. Forks and flows are drawn with what is in them: a nested flow ends
    where its box ends, a branch at its join. The graph need not be valid: edges to unknown nodes are left out.
    """
    picture = Picture(graph.name)
    picture.add(Shape(_START, "start", kind="start"))
    _level(picture, graph, "", ())
    if any(edge.target == _STOP for edge in picture.edges):
        picture.add(Shape(_STOP, "end", kind="end"))
    if graph.start in graph.steps:
        picture.edges.append(Edge(_START, str(graph.start)))
    return picture


def _level(picture: Picture, graph: Graph, parent: str, within: tuple[Graph, ...]) -> None:
    """Nodes, what undoes them, and edges of one flow."""
    prefix = f"{parent}/" if parent else ""
    for step in graph.steps.values():
        _node(picture, step, parent, (*within, graph))
    branches = {name for step in graph.steps.values() for name in step.fan_out}
    for step in graph.steps.values():
        for target, label, kind in _edges(step):
            if target == END:
                there = "" if within or step.name in branches else _STOP
            else:
                there = f"{prefix}{target}" if target in graph.steps else ""
            if there:
                picture.edges.append(Edge(f"{prefix}{step.name}", there, label, kind))


def _edges(step: Step) -> Iterator[tuple[str, str, str]]:
    """Where a node leads: target, label and kind of the edge."""
    for action, target in step.routes.items():
        yield target, "" if action == DEFAULT else action, "way"
    for case in step.when:
        yield case.target, "else" if case.condition is None else f"if {case.condition.text}", "way"
    if not step.routes and not step.when:
        yield END, "", "way"
    for target in step.fan_out:
        yield target, "each", "fan"


def _node(picture: Picture, step: Step, parent: str, within: tuple[Graph, ...]) -> None:
    name = f"{parent}/{step.name}" if parent else step.name
    _shape(picture, step, (name, parent), within)
    if step.compensate is not None:
        undo = step.compensate.target
        label = str(getattr(undo, "__name__", None) or getattr(undo, "name", "undo"))
        picture.add(Shape(f"{name}!undo", label, kind="undo", parent=parent, detail="undoes"))
        picture.edges.append(Edge(name, f"{name}!undo", "", "undo"))


def _shape(picture: Picture, step: Step, place: tuple[str, str], within: tuple[Graph, ...]) -> None:
    """What the step itself is drawn as, at ``place``: its id and that of its group."""
    target, (name, parent) = step.target, place
    if isinstance(target, Parallel):
        join = f"{target.join} of {len(target.steps)}" if isinstance(target.join, int) else f"join: {target.join}"
        picture.add(Group(name, step.name, kind="parallel", parent=parent, detail=join))
        for branch in target.steps.values():
            _node(picture, branch, name, within)
    elif isinstance(target, Graph) and target not in within:
        picture.add(Group(name, step.name, kind="flow", parent=parent))
        _level(picture, target, name, within)
    elif step.emits:
        picture.add(Shape(name, step.name, kind="event", parent=parent, detail=step.emits, batch=step.each is not None))
    else:
        kind = str(getattr(target, "kind", "call")) if hasattr(target, "perform") else "call"
        name_of = str(getattr(target, "name", ""))
        detail = "" if kind == "call" else kind if name_of in ("", step.name) else f"{kind} {name_of}"
        picture.add(Shape(name, step.name, kind=kind, parent=parent, detail=detail, batch=step.each is not None))
