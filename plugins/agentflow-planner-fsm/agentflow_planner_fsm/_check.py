"""A check: everything that can be said about a document before it is run, faults and what is merely odd."""

from __future__ import annotations

from agentflow_kernel.contracts.finding import PlanFinding
from agentflow_kernel.errors import PlanInvalid
from agentflow_kernel.errors.hints import nearest
from agentflow_kernel.schema import find_problems
from agentflow_planner_fsm._compile import read_chart
from agentflow_planner_fsm._endless import find_endless
from agentflow_planner_fsm._reading import ARGUMENTS, DEAD_END, ENDLESS, UNKNOWN_NAME, UNREACHABLE, Reading
from agentflow_planner_fsm.document import read_document

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from agentflow_kernel.contracts.planner import PlanScope
    from agentflow_planner_fsm._reading import Named
    from agentflow_planner_fsm.chart import Chart, State


def check_document(document: Mapping[str, Any], scope: PlanScope) -> Sequence[PlanFinding]:
    """All findings about a document: shape, states and expressions first, then names, then what is odd."""
    try:
        source = read_document(document)
    except PlanInvalid as error:
        return [each if isinstance(each, PlanFinding) else PlanFinding("P001", each) for each in error.findings]
    reading = Reading()
    chart = read_chart(reading, source)
    for named in reading.names:
        _check_name(reading, named, scope)
    if not reading.failed:
        for each in _nested(chart):
            _check_ways(reading, each)
    return reading.findings


def _nested(chart: Chart) -> Iterator[Chart]:
    """The chart, and the charts that its states invoke, as far as they are known before any run."""
    yield chart
    for state in chart.states:
        for invoke in state.invokes:
            if invoke.chart is not None:
                yield from _nested(invoke.chart)


def _check_name(reading: Reading, named: Named, scope: PlanScope) -> None:
    known: Mapping[str, Any] | None = getattr(scope, f"{named.kind}s")
    if known is None or not named.name:
        return
    reading.step = named.step
    if named.name not in known:
        near = nearest(named.name, known)
        hint = f"Did you mean {near!r}?" if near else f"Known are: {', '.join(sorted(known)) or 'none'}."
        reading.find(UNKNOWN_NAME, f"There is no {named.kind} {named.name!r} here.", *named.where, suggestion=hint)
    elif named.kind == "tool":
        given = named.arguments if isinstance(named.arguments, dict) else {}
        _check_arguments(reading, named, given, known[named.name].parameters)


def _check_arguments(reading: Reading, named: Named, given: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    """Literals against the schema of the tool; of what only the run knows, that it is there."""
    where = (*named.where[:-1], "with")
    if not _depends(given):
        for problem in find_problems(given, schema):
            reading.find(ARGUMENTS, f"The arguments of {named.name!r} do not fit: {problem}.", *where)
        return
    required: Any = schema.get("required", ())
    for name in required:
        if name not in given and not set(given) & {"$expr", "$ref"}:
            reading.find(ARGUMENTS, f"{named.name!r} needs the argument {name!r}.", *where)
    properties: Any = schema.get("properties", {})
    for name, value in given.items():
        if name in ("$expr", "$ref"):
            continue
        if name not in properties:
            if schema.get("additionalProperties") is False:
                reading.find(ARGUMENTS, f"{named.name!r} has no argument {name!r}.", *where, name)
        elif not _depends(value):
            for problem in find_problems(value, properties[name]):
                reading.find(ARGUMENTS, f"{name!r} of {named.name!r} does not fit: {problem}.", *where, name)


def _depends(value: Any) -> bool:
    """Whether a part of the value is an expression."""
    todo = [value]
    while todo:
        each = todo.pop()
        if isinstance(each, dict):
            if len(each) == 1 and set(each) & {"$expr", "$ref"}:
                return True
            todo.extend(each.values())
        elif isinstance(each, list):
            todo.extend(each)
    return False


def _check_ways(reading: Reading, chart: Chart) -> None:
    """States that nothing leads to, states that nothing leads on from, and ways that never end."""
    reached = _reached(chart)
    for circle in find_endless(chart, reached):
        at = min(range(len(circle)), key=lambda place: circle[place][1].index)
        _, first = circle[at]
        names = [leaf.id for leaf, _ in (*circle[at:], *circle[: at + 1])]
        reading.step = first.source.id
        text = f"Without event and guard {_way(names)} goes round for ever, and no event is taken any more."
        hint = "Give one of these transitions an event or a guard."
        reading.find(ENDLESS, text, *first.where, suggestion=hint)
    for state in chart.states[1:]:
        reading.step = state.id
        holder = state.parent
        if state.index not in reached:
            if holder.index in reached or not holder.depth:
                reading.find(UNREACHABLE, f"Nothing leads to the state {state.id!r}.", *state.where, warning=True)
        elif state.kind == "atomic" and not _leads_on(chart, state):
            text = f"No event leads on from the state {state.id!r}, and it is not final."
            reading.find(DEAD_END, text, *state.where, warning=True)
    reading.step = ""


def _way(names: Sequence[str]) -> str:
    """Some states one after the other; of very many the first and the last."""
    shown = names if len(names) <= 8 else (*names[:6], "…", names[-1])
    return " → ".join(name[:80] for name in shown)


def _reached(chart: Chart) -> set[int]:
    """The states that can be active, as far as the chart alone tells: guards may hold and events may come."""
    reached = {0}
    todo: list[State] = list(chart.root.initial)
    while todo:
        state = todo.pop()
        if state.index in reached:
            continue
        reached.add(state.index)
        todo.append(state.parent)
        for transition in state.transitions:
            todo.extend(transition.targets)
        if state.kind == "parallel":
            todo.extend(state.children)
        else:
            todo.extend(state.initial)
    return reached


def _leads_on(chart: Chart, state: State) -> bool:
    """Whether the state, what holds it or, in a parallel state, what is beside it has a transition."""
    while state.depth:
        if state.transitions:
            return True
        state = state.parent
        if state.kind == "parallel" and any(chart.states[at].transitions for at in range(state.index, state.end)):
            return True
    return False
