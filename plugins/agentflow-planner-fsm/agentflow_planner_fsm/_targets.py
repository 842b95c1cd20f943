"""Targets: the states that a document names where a transition, an initial state or a history leads to."""

from __future__ import annotations

from itertools import pairwise

from agentflow_kernel.errors.hints import nearest
from agentflow_planner_fsm._content import read_block
from agentflow_planner_fsm._reading import MOST_FINDINGS, SCHEMA, UNKNOWN_TARGET

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from agentflow_planner_fsm._reading import Reading, Where
    from agentflow_planner_fsm.chart import Chart, State


def read_targets(reading: Reading, chart: Chart, value: Any, where: Where) -> tuple[State, ...]:
    """The states of these names, each once; those that are not there, or cannot be active together, are noted."""
    found: dict[str, State] = {}
    for name in reading.names_in(value, where, "the target"):
        state = chart.by_id.get(name)
        if state is None:
            worth = len(chart.by_id) < 2_000 and len(reading.findings) < MOST_FINDINGS
            near = nearest(name, chart.by_id) if worth else None
            hint = f"Did you mean {near!r}?" if near else ""
            reading.find(UNKNOWN_TARGET, f"There is no state {name[:80]!r}.", *where, suggestion=hint)
        else:
            found[name] = state
    targets = tuple(found.values())
    for one, other in pairwise(sorted(targets, key=lambda state: state.index)):
        if not meet(one, other):
            text = f"The targets {one.id!r} and {other.id!r} cannot be active at the same time."
            reading.find(UNKNOWN_TARGET, text, *where)
    return targets


def meet(one: State, other: State) -> bool:
    """Whether two states can be active together: the later one is in the other, or in a region beside it."""
    holder = one
    while not other.is_below(holder) and holder.depth:
        holder = holder.parent
    return holder is one or holder.kind == "parallel"


def read_initial(reading: Reading, chart: Chart, state: State, fields: Mapping[str, Any]) -> None:
    """Where a compound state is entered by default, and what is done then."""
    where: Where = (*state.where, "initial")
    value = fields.get("initial")
    if value is None:
        state.initial = tuple(state.children[:1])
        return
    if isinstance(value, dict):
        value = reading.fields(value, ("target", "do"), where, "'initial'")
        state.initial_actions = read_block(reading, value.get("do", []), (*where, "do"))
        where = (*where, "target")
        value = value.get("target")
    targets = read_targets(reading, chart, value, where)
    for target in targets:
        if not target.is_below(state):
            inside = f"the state {state.id!r}" if state.id else "the chart"
            reading.find(UNKNOWN_TARGET, f"The initial state {target.id!r} is not in {inside}.", *where)
    state.initial = tuple(target for target in targets if target.is_below(state)) or tuple(state.children[:1])


def read_history(reading: Reading, chart: Chart, state: State, sources: list[Mapping[str, Any]]) -> None:
    """What a history state leads to before anything was recorded; ``sources`` are the documents of all states."""
    fields, where, holder = sources[state.index], state.where, state.parent
    state.deep = fields.get("history") == "deep"
    value = fields.get("default")
    place: Where = (*where, "default")
    if "transitions" in fields:
        place = (*where, "transitions")
        items = fields["transitions"]
        if value is not None or not isinstance(items, list) or len(items) != 1 or not isinstance(items[0], dict):
            reading.find(SCHEMA, "A history state has one 'default', or one transition without event.", *place)
            return
        value, place = items[0], (*place, 0)
    if isinstance(value, dict):
        value = reading.fields(value, ("target", "do"), place, "the default of a history state")
        state.initial_actions = read_block(reading, value.get("do", []), (*place, "do"))
        place = (*place, "target")
        value = value.get("target")
    if value is None:
        parallel = holder.kind == "parallel"
        state.initial = tuple(holder.children) if parallel else _default(chart, holder, sources[holder.index])
        return
    targets = read_targets(reading, chart, value, place)
    for target in targets:
        if not target.is_below(holder) or target is state:
            reading.find(UNKNOWN_TARGET, f"The default {target.id!r} is not beside the history state.", *place)
    state.initial = tuple(target for target in targets if target.is_below(holder) and target is not state)


def _default(chart: Chart, holder: State, source: Mapping[str, Any]) -> tuple[State, ...]:
    """What a history state without default leads to: what its state is entered with by default."""
    value = source.get("initial")
    names = value.get("target") if isinstance(value, dict) else value
    found = [chart.by_id.get(name) for name in (names.split() if isinstance(names, str) else names or [])]
    plain = tuple(each for each in found if each is not None and each.kind != "history")
    return plain or tuple(holder.children[:1])
