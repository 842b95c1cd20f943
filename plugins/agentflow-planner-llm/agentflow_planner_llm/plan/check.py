"""A check: everything that is wrong with a plan, found in one go before any of it runs."""

from __future__ import annotations

from agentflow_planner_llm.plan.arguments import check_arguments
from agentflow_planner_llm.plan.bounds import check_bounds
from agentflow_planner_llm.plan.facts import check_facts
from agentflow_planner_llm.plan.graph import Graph
from agentflow_planner_llm.plan.names import check_names
from agentflow_planner_llm.plan.reading import Reading
from agentflow_planner_llm.plan.shape import check_references, check_shape
from agentflow_planner_llm.plan.sharing import check_sharing
from agentflow_planner_llm.plan.trust import check_trust

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentflow_kernel.contracts.finding import PlanFinding
    from agentflow_kernel.contracts.values import JSON
    from agentflow_planner_llm.plan.document import Plan
    from agentflow_planner_llm.plan.scope import Scope


def read_plan(document: Mapping[str, JSON]) -> tuple[Plan, list[PlanFinding]]:
    """The plan of a document, and what is wrong with its form (P001, P002); it holds what could be read."""
    reading = Reading()
    plan = reading.plan(document)
    return plan, reading.findings


def check_plan(document: Mapping[str, JSON], scope: Scope) -> tuple[Graph, list[PlanFinding]]:
    """The graph of a document's plan and all findings, in the order of the document.

    What cannot be told is left out: the order of steps that wait in a circle, and the form of a step that has none.
    """
    plan, found = read_plan(document)
    graph = Graph(plan, scope.tools, scope.facts)
    places = places_of(plan)
    check_names(graph, scope, places, found)
    check_arguments(graph, scope, places, found)
    check_references(graph, places, found)
    check_shape(graph, places, found)
    if graph.topological and len(graph.topological) == len(graph.steps):
        check_bounds(graph, scope, found)
        check_sharing(graph, places, found)
        check_facts(graph, places, found)
        check_trust(graph, scope, places, found)
    if len(found) > 1:
        fields = list(plan.source) if plan.source.__class__ is dict else []
        found.sort(key=lambda finding: _place(finding, fields))
    return graph, found


def _place(finding: PlanFinding, fields: list[str]) -> tuple[int, int]:
    """Where a finding stands in the document, to be sorted by; what is about all of it comes last."""
    where = finding.where
    if not where or where[0] not in fields:
        return len(fields), 0
    inner = where[1] if len(where) > 1 else 0
    return fields.index(str(where[0])), inner if isinstance(inner, int) else 0


def places_of(plan: Plan) -> dict[str, int]:
    """Where each step stands in the document, by its id; of two with one id the first."""
    places: dict[str, int] = {}
    for step, position in zip(plan.steps, plan.positions, strict=True):
        places.setdefault(step.id, position)
    return places
