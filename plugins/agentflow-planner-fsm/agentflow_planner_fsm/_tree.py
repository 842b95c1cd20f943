"""A tree: the states of a document as they stand within each other, before what they do is read."""

from __future__ import annotations

from agentflow_planner_fsm._reading import DUPLICATE, SCHEMA, TOO_LARGE, shown
from agentflow_planner_fsm.chart import State

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from agentflow_planner_fsm._reading import Reading, Where
    from agentflow_planner_fsm.chart import Chart, Kind

MOST_STATES = 100_000
DEEPEST = 100
"""How deep states may be within each other."""

_COMMON = ("description", "transitions", "enter", "exit", "invoke", "after", "data")
_KEYS: Mapping[str, tuple[str, ...]] = {
    "atomic": (*_COMMON, "parallel", "final"),
    "compound": (*_COMMON, "initial", "states", "parallel", "final"),
    "parallel": (*_COMMON, "states", "parallel", "final"),
    "final": ("description", "final", "enter", "exit", "data", "params", "parallel"),
    "history": ("description", "history", "default", "transitions"),
}


def read_tree(reading: Reading, chart: Chart, fields: Mapping[str, Any], where: Where) -> list[Mapping[str, Any]]:
    """Put the states of a document into a chart that has none; returns what the document has for each, by index."""
    root = State(0, "", "compound", None, where)
    chart.states.append(root)
    sources = [fields]
    _read_level(reading, chart, root, sources)
    root.end = len(chart.states)
    if not root.children:
        reading.find(SCHEMA, "A statechart needs at least one state.", *where, "states")
    return sources


def _read_level(reading: Reading, chart: Chart, parent: State, sources: list[Mapping[str, Any]]) -> None:
    """The states in one state, with all that is in them."""
    where = (*parent.where, "states")
    states = sources[parent.index].get("states", {})
    if not isinstance(states, dict):
        reading.find(SCHEMA, f"Expected a mapping of states, not {shown(states)}.", *where)
        return
    if states and parent.depth >= DEEPEST:
        reading.find(TOO_LARGE, f"States are nested more than {DEEPEST} deep.", *where)
        return
    for key, value in states.items():
        if len(chart.states) > MOST_STATES:
            if len(chart.states) == MOST_STATES + 1 and not reading.dropped:
                reading.find(TOO_LARGE, f"There are more than {MOST_STATES:,} states.", *where)
            return
        source = {} if value is None else value
        state = _add(reading, chart, parent, key, source)
        sources.append(reading.fields(source, _KEYS[state.kind], state.where, _called(state.kind)))
        (parent.histories if state.kind == "history" else parent.children).append(state)
        if parent.kind == "parallel" and state.kind == "final":
            reading.find(SCHEMA, "A parallel state cannot have a final state as its child.", *state.where)
        if state.kind in ("compound", "parallel"):
            _read_level(reading, chart, state, sources)
            if not state.children:
                reading.step = state.id
                reading.find(SCHEMA, "It has history states only.", *state.where, "states")
        state.end = len(chart.states)


def _add(reading: Reading, chart: Chart, parent: State, key: Any, source: Any) -> State:
    """One more state, under its name."""
    name = str(key)
    reading.step = name
    where = (*parent.where, "states", name)
    if not isinstance(key, str) or not name or len(name) > 200 or name.split() != [name]:
        reading.find(SCHEMA, f"Expected a name without blanks for a state, not {shown(key)}.", *where)
    state = State(len(chart.states), name, _kind(reading, source, where), parent, where)
    if name in chart.by_id:
        other = "/".join(map(str, chart.by_id[name].where))
        reading.find(DUPLICATE, f"The state {name!r} is there already, at {other}.", *where)
    else:
        chart.by_id[name] = state
    chart.states.append(state)
    return state


def _kind(reading: Reading, source: Any, where: Where) -> Kind:
    if not isinstance(source, dict):
        return "atomic"
    marks = [mark for mark in ("parallel", "final", "history") if source.get(mark) not in (None, False)]
    if len(marks) > 1:
        reading.find(SCHEMA, f"A state cannot be both {' and '.join(marks)}.", *where, marks[1])
    for mark in ("parallel", "final"):
        if mark in source:
            reading.flag(source[mark], (*where, mark), f"{mark!r}")
    if "history" in source:
        if source["history"] not in ("shallow", "deep"):
            text = f"Expected shallow or deep, not {shown(source['history'])}."
            reading.find(SCHEMA, text, *where, "history")
        return "history"
    if source.get("final") is True:
        return "final"
    if source.get("states"):
        return "parallel" if source.get("parallel") is True else "compound"
    if source.get("parallel") is True:
        reading.find(SCHEMA, "A parallel state needs states in it.", *where, "states")
    return "atomic"


def _called(kind: Kind) -> str:
    return "an atomic state" if kind == "atomic" else f"a {kind} state"
