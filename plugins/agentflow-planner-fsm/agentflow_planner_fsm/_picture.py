"""A picture of a chart: a box in a box for each state, an arrow for each transition; what is active is marked."""

from __future__ import annotations

from agentflow_kernel.drawing import Edge, Group, Picture, Shape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from agentflow_kernel.contracts.values import JSON
    from agentflow_planner_fsm.chart import Chart, State, Transition


def draw(chart: Chart, state: JSON = None) -> Picture:
    """The picture; ``state`` is a snapshot of a machine or what the planner stored of a run."""
    picture = Picture(chart.name)
    for each in chart.states[1:]:
        _add(picture, each)
    for each in chart.states:
        for target in each.initial if each.kind == "compound" else ():
            _start(picture, each, target)
        if each.kind == "history":
            for target in each.initial:
                _arrow(picture, each, target, "default")
    for transition in chart.transitions:
        _way(picture, transition)
    picture.mark(_marks(chart, state))
    return picture


def _add(picture: Picture, state: State) -> None:
    made = Group if state.kind in ("compound", "parallel") else Shape
    kind = state.kind if state.kind in ("final", "history") else "state"
    label = state.id if state.kind != "history" else f"{'H*' if state.deep else 'H'} {state.id}"
    detail = "parallel" if state.kind == "parallel" else ", ".join(_doing(state))
    picture.add(made(state.id, label, kind=kind, parent=state.parent.id, detail=detail))


def _doing(state: State) -> list[str]:
    """What a state invokes."""
    return [f"{invoke.kind} {invoke.name}" if invoke.chart is None else "chart" for invoke in state.invokes]


def _start(picture: Picture, state: State, target: State) -> None:
    """A dot from which an arrow leads to where the state is entered."""
    name = f"start {state.id}".rstrip()
    if name not in picture.shapes:
        picture.add(Shape(name, "●", kind="initial", parent=state.id))
    inner = target
    while inner.parent is not state:
        inner = inner.parent
    picture.edges.append(Edge(name, inner.id, "" if inner is target else f"→ {target.id}"))


def _way(picture: Picture, transition: Transition) -> None:
    label = transition.label.strip()
    if not transition.targets:
        picture.edges.append(Edge(transition.source.id, transition.source.id, f"{label} /"))
    for target in transition.targets:
        _arrow(picture, transition.source, target, label)


def _arrow(picture: Picture, source: State, target: State, label: str) -> None:
    """An arrow stands in one box: where its ends are deeper, it joins what holds them and says what it means."""
    first, last = source, target
    while first.parent is not last.parent:
        if first.depth >= last.depth:
            first = first.parent
        else:
            last = last.parent
    if first is not source or last is not target:
        label = f"{source.id} → {target.id}: {label}".removesuffix(": ")
    picture.edges.append(Edge(first.id, last.id, label))


def _marks(chart: Chart, state: JSON) -> Mapping[str, str]:
    """What is active waits or is at work; where a run has ended, it was there last, or it failed there."""
    fields: Any = state if isinstance(state, dict) else {}
    machine: Any = fields.get("machine", fields)
    root: Any = machine.get("root") if isinstance(machine, dict) else None
    if not isinstance(root, dict):
        return {}
    if "ended" in root:
        return dict.fromkeys(root["ended"]["in"], "visited")
    active = [id for id in root["active"] if id in chart.by_id]
    if fields.get("ended") is True:  # the run has, and not in a final state
        return dict.fromkeys(active, "failed")
    busy = {each["state"] for each in root.get("invocations", ()) if "action" in each or "child" in each}
    return {id: "working" if id in busy else "waiting" for id in active}
