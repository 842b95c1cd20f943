"""Shape: that references lead somewhere (P005), nothing waits for itself (P006), all can run (P007) and end (P008)."""

from __future__ import annotations

from agentflow_kernel.contracts.finding import PlanFinding
from agentflow_kernel.errors import ExpressionFailed
from agentflow_planner_llm.plan.condition import read_condition
from agentflow_planner_llm.plan.finding import CYCLE, DEAD_END, REFERENCE, UNREACHABLE, suggest
from agentflow_planner_llm.plan.reference import ROOTS
from agentflow_planner_llm.plan.ways import contradicts, guards_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeAlias

    from agentflow_planner_llm.plan.graph import Graph, Loop

    Places: TypeAlias = Mapping[str, int]
    Where: TypeAlias = tuple[str | int, ...]


def check_references(graph: Graph, places: Places, found: list[PlanFinding]) -> None:
    """P005: every reference and every name in a condition leads to a step, a key of the state, or the input."""
    steps = graph.steps
    for number, text, where in graph.faults:
        name = "" if number < 0 else steps[number].id
        place = where if number < 0 else ("steps", places[name], *where)
        found.append(PlanFinding(REFERENCE, text, *place, step=name))
    for unknown in graph.unknown:
        place = ("steps", places[unknown.step], *unknown.where) if unknown.step else unknown.where
        who = f"Step {unknown.step!r}" if unknown.step else "The output"
        if unknown.later:
            what = "itself" if unknown.name == unknown.step else f"the later step {unknown.name!r}"
            text = f"{who} refers to {what}; in linear form a step may only use what stands before it."
            advice = "Move the step, or write form: graph."
        else:
            text, advice = f"{who} refers to {unknown.name!r}, which is no step.", suggest(unknown.name, graph.index)
        found.append(PlanFinding(REFERENCE, text, *place, step=unknown.step, suggestion=advice))
    for step in steps:
        if step.expect is not None:
            for name in sorted(read_condition(step.expect).names - {"result", *ROOTS}):
                text = (
                    f"Step {step.id!r} expects something of {name!r}; expect may look at result, input and state only."
                )
                found.append(PlanFinding(REFERENCE, text, "steps", places[step.id], "expect", step=step.id))
    _check_keys(graph, places, found)


def _check_keys(graph: Graph, places: Places, found: list[PlanFinding]) -> None:
    """References to the state lead to keys that are declared or written."""
    keys = {*graph.plan.state, *(key for key, _ in graph.writes())}
    for number, step in enumerate(graph.steps):
        if not (step.reads or number in graph.stateful):
            continue
        for key in sorted(graph.reads(number) - keys):
            text = f"Step {step.id!r} reads the key {key!r} of the state, which nothing declares or writes."
            place = ("steps", places[step.id])
            found.append(PlanFinding(REFERENCE, text, *place, step=step.id, suggestion=suggest(key, keys)))
    for reference in graph.output_references:
        if reference.root == "state" and str(reference.path[0]) not in keys:
            key = str(reference.path[0])
            text = f"The output reads the key {key!r} of the state, which nothing declares or writes."
            found.append(PlanFinding(REFERENCE, text, "output", *reference.where, suggestion=suggest(key, keys)))


def check_shape(graph: Graph, places: Places, found: list[PlanFinding]) -> None:
    """P006, P007 and P008: circles and loops, steps that never run, and ways that lead nowhere."""
    for source, number in graph.astray:
        step = graph.steps[source]
        route = step.routes[number]
        text = f"Step {step.id!r} has a route to {route.to!r}, which is no step."
        advice = suggest(route.to, [*graph.index, "end"])
        found.append(
            PlanFinding(
                DEAD_END, text, "steps", places[step.id], "routes", number, "to", step=step.id, suggestion=advice
            )
        )
    if len(graph.topological) < len(graph.steps):
        path = [graph.steps[number].id for number in graph.cycle]
        text = f"Steps wait for each other in a circle: {' → '.join(path)}."
        advice = "Take out one of these needs, or make a loop of a route with when and max."
        place: Where = ("steps", places[path[0]]) if path else ("steps",)
        found.append(PlanFinding(CYCLE, text, *place, step=path[0] if path else "", suggestion=advice))
        return
    for loop in graph.loops:
        _check_loop(graph, loop, places, found)
    for one, loop in enumerate(graph.loops):
        for other in graph.loops[:one]:
            if not (loop.body.isdisjoint(other.body) or loop.body <= other.body or other.body <= loop.body):
                ids = [graph.steps[each.source].id for each in (other, loop)]
                text = (
                    f"The loops that end with {ids[0]!r} and {ids[1]!r} overlap: one must hold the other, or neither."
                )
                found.append(PlanFinding(CYCLE, text, "steps", places[ids[1]], "routes", step=ids[1]))
    _check_reach(graph, places, found)


def _check_loop(graph: Graph, loop: Loop, places: Places, found: list[PlanFinding]) -> None:
    step = graph.steps[loop.source]
    route = step.routes[loop.route]
    ids = [graph.steps[number].id for number in graph.topological if number in loop.body]
    around = " → ".join([*ids, ids[0]])
    place = ("steps", places[step.id], "routes", loop.route)
    if route.most is None:
        text = f"The loop {around} has no bound."
        advice = "Give the route a max: how often it is taken at most."
        found.append(PlanFinding(CYCLE, text, *place, step=step.id, suggestion=advice))
    before = step.routes[: loop.route]
    leaves = any(each.when is not None and graph.index.get(each.to) not in loop.body for each in before)
    if route.when is None and not leaves:
        text = f"The loop {around} has no condition to leave it by."
        advice = "Give the route a when, or put a route with when before it."
        found.append(PlanFinding(CYCLE, text, *place, step=step.id, suggestion=advice))
        if not before:
            text = f"From step {step.id!r} no way leads to an end: it always goes back to {route.to!r}."
            found.append(PlanFinding(DEAD_END, text, *place, step=step.id, suggestion="Add a route to end."))


def _check_reach(graph: Graph, places: Places, found: list[PlanFinding]) -> None:
    """P007: steps that can never run."""
    if not graph.routed and not any(step.when for step in graph.steps):
        return
    steps = graph.steps
    guards = guards_of(graph)
    dead: set[int] = set()
    for number in graph.topological:
        step = steps[number]
        if step.when is None and not dead and number not in graph.routed and not guards[number]:
            continue
        why = ""
        lost = sorted((graph.data[number] | graph.declared[number]) & dead)
        if step.when is not None and _is_never(step.when):
            why = f"its condition {step.when!r} is never true"
        elif lost:
            why = f"it needs {steps[lost[0]].id!r}, which never runs"
        elif number in graph.routed and all(
            source in dead or _is_shadowed(graph, source, route) for source, route in graph.routed[number]
        ):
            why = "no route to it can be taken"
        elif contradicts(guards[number], guards[number]):
            why = "it needs steps of which only one can run"
        if why:
            dead.add(number)
            text = f"Step {step.id!r} can never run: {why}."
            found.append(PlanFinding(UNREACHABLE, text, "steps", places[step.id], step=step.id))


def _is_shadowed(graph: Graph, source: int, number: int) -> bool:
    """Whether a route is never taken: its condition is never true, or one before it always is."""
    routes = graph.steps[source].routes
    when = routes[number].when
    if when is not None and _is_never(when):
        return True
    return any(route.when is None for route in routes[:number])


def _is_never(text: str) -> bool:
    """Whether a condition is false whatever the data."""
    condition = read_condition(text)
    if condition.paths:
        return False
    try:
        return not condition.test({})
    except ExpressionFailed:  # it is found when it runs
        return False
