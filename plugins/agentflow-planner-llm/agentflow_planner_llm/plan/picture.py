"""A picture: the steps of a plan and what they wait for, and how each stands in a run."""

from __future__ import annotations

from collections.abc import Mapping

from agentflow_kernel.drawing import Edge, Picture, Shape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentflow_kernel.contracts.values import JSON
    from agentflow_planner_llm.plan.graph import Graph

_MARKS = {"running": "working", "waiting": "waiting", "done": "visited", "failed": "failed", "cancelled": "failed"}


def draw_plan(graph: Graph, state: JSON = None) -> Picture:
    """The picture; ``state`` is what the planner has dumped, ``None`` for none."""
    picture = Picture(graph.plan.goal or "plan")
    for number, step in enumerate(graph.steps):
        looped = any(number in loop.body for loop in graph.loops)
        kind = "call" if step.kind == "tool" else step.kind
        picture.add(Shape(step.id, step.id, kind=kind, detail=step.name, batch=looped))
    routed: set[tuple[int, int]] = set()
    for source, step in enumerate(graph.steps):
        for route in step.routes:
            target = graph.index.get(route.to)
            if target is not None:
                routed.add((source, target))
                label = route.when or ("" if route.most is None else f"at most {route.most} times")
                picture.edges.append(Edge(step.id, route.to, label))
    for number, step in enumerate(graph.steps):
        for need in sorted(graph.data[number] | graph.declared[number] | graph.soft[number]):
            if (need, number) not in routed:
                picture.edges.append(Edge(graph.steps[need].id, step.id))
    picture.mark(_marks(state))
    return picture


def _marks(state: JSON) -> dict[str, str]:
    """The mark of each step that the state knows of."""
    run = state.get("run") if isinstance(state, Mapping) else None
    status = run.get("status") if isinstance(run, Mapping) else None
    if not isinstance(status, Mapping):
        return {}
    return {str(name): _MARKS[each] for name, each in status.items() if each in _MARKS}
