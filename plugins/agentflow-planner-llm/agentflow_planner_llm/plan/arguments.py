"""Arguments: that what a step gives fits what its tool takes, as literals (P004) and as results of others (P009)."""

from __future__ import annotations

from typing import cast

from agentflow_kernel.contracts.finding import PlanFinding
from agentflow_kernel.schema import find_problems
from agentflow_planner_llm.plan.finding import ARGUMENTS, MISMATCH, suggest
from agentflow_planner_llm.plan.fitting import make_fit
from agentflow_planner_llm.plan.partly import find_certain
from agentflow_planner_llm.plan.schemas import (
    arguments_of,
    follow_path,
    mismatch,
    properties_of,
    result_schema,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, TypeAlias

    from agentflow_kernel.contracts.values import JSON
    from agentflow_planner_llm.plan.fitting import Fit
    from agentflow_planner_llm.plan.graph import Graph
    from agentflow_planner_llm.plan.reference import Reference
    from agentflow_planner_llm.plan.scope import Scope

    Object: TypeAlias = Mapping[str, JSON]
    Places: TypeAlias = Mapping[str, int]
    Where: TypeAlias = tuple[str | int, ...]


def check_arguments(graph: Graph, scope: Scope, places: Places, found: list[PlanFinding]) -> None:
    """P004 and P009 for every step."""
    fits: dict[int, Fit] = {}
    faulty = {number for number, _, _ in graph.faults}
    for number, step in enumerate(graph.steps):
        schema: Object | None
        if step.kind == "tool":
            tool = scope.tools.get(step.name)
            schema = None if tool is None else tool.parameters
        else:
            schema = arguments_of(step.kind, step.args)
        if schema is None:
            continue
        fit = fits.get(id(schema))
        if fit is None:
            fit = fits[id(schema)] = make_fit(schema)
        if not fit(step.args) or number in faulty:
            _check_literals(graph, number, schema, places, found)
        for reference in graph.references[number]:
            _check_reference(graph, scope, number, reference, (schema, places, found))


def _check_literals(graph: Graph, number: int, schema: Object, places: Places, found: list[PlanFinding]) -> None:
    """P004 for one step."""
    step = graph.steps[number]
    inside = [reference.where for reference in graph.references[number]]
    properties = properties_of(schema)
    for place, problem in find_certain(cast("JSON", step.args), schema, schema, inside):
        name = str(place[0]) if place else ""
        advice = suggest(name, properties) if name and name not in properties else ""
        text = f"Step {step.id!r}: invalid arguments for {step.name or step.kind!r}: {problem}."
        where = ("steps", places[step.id], "args", *place)
        found.append(PlanFinding(ARGUMENTS, text, *where, step=step.id, suggestion=advice))


def _check_reference(
    graph: Graph, scope: Scope, number: int, reference: Reference, about: tuple[Object, Places, list[PlanFinding]]
) -> None:
    """P009: what the referenced step gives against what the parameter takes."""
    schema, places, found = about
    step = graph.steps[number]
    target = graph.index.get(reference.root)
    produced: Object | None = None
    if target is not None:
        produced = _TOLD.get(str(reference.path[0])) or result_schema(graph.steps[target], scope.tools)
    if produced is None and not reference.tolerant:
        return
    where: Where = ("steps", places[step.id], "args", *reference.where)
    wanted = follow_path(schema, reference.where)[0]
    if reference.tolerant and wanted is not None:
        for fault in find_problems(_default_of(cast("JSON", step.args), reference.where), wanted, schema):
            text = f"Step {step.id!r}: the default of {reference.text!r} does not fit: {fault}."
            found.append(PlanFinding(MISMATCH, text, *where, step=step.id))
    if produced is None:
        return
    given, problem = follow_path(produced, reference.path[1:])
    if problem is None and given is not None and wanted is not None:
        problem = mismatch(given, wanted, (produced, schema))
    if problem is not None and not (reference.tolerant and given is None):
        text = f"Step {step.id!r} uses {reference.text!r} where it does not fit: {problem}."
        found.append(PlanFinding(MISMATCH, text, *where, step=step.id))


def _default_of(args: JSON, where: Where) -> JSON:
    """What stands in the arguments for a reference that leads nowhere."""
    at: Any = args
    for part in where:
        at = at[part]
    return cast("JSON", at["default"])


_TOLD: Mapping[str, Object] = {
    "status": {"type": "string"},
    "error": {"type": "object", "properties": {"code": {"type": "string"}, "message": {"type": "string"}}},
}
"""The schemas of what a reference may ask of any step beside its result."""
