"""Trust: that no result of an untrusted source reaches a parameter that must be trusted (P014)."""

from __future__ import annotations

from collections.abc import Mapping

from agentflow_kernel.contracts.finding import PlanFinding
from agentflow_planner_llm.plan.finding import TAINT
from agentflow_planner_llm.plan.schemas import TRUSTED, children_of, forms_of
from agentflow_planner_llm.plan.scope import matches

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    from agentflow_kernel.contracts.values import JSON
    from agentflow_planner_llm.plan.graph import Graph
    from agentflow_planner_llm.plan.reference import Reference
    from agentflow_planner_llm.plan.scope import Scope

    Object: TypeAlias = Mapping[str, JSON]


def check_trust(graph: Graph, scope: Scope, places: Mapping[str, int], found: list[PlanFinding]) -> None:
    """P014 for every reference in the arguments of a tool."""
    called = {step.name for step, inside in zip(graph.steps, graph.references, strict=True) if inside}
    trusting = {name for name in called if name in scope.tools and _names_trusted(scope.tools[name].parameters)}
    if not trusting:
        return
    for number, step in enumerate(graph.steps):
        tool = scope.tools.get(step.name) if step.kind == "tool" else None
        if tool is None or not graph.references[number] or step.name not in trusting:
            continue
        for reference in graph.references[number]:
            if not _is_trusted_place(tool.parameters, reference.where):
                continue
            source = _untrusted_source(graph, scope, reference)
            if source:
                text = f"Step {step.id!r} passes {reference.text!r}, which is not trusted ({source}), where it must be."
                where = ("steps", places[step.id], "args", *reference.where)
                advice = "Write the value out, or let a person give it in a step of kind 'ask'."
                found.append(PlanFinding(TAINT, text, *where, step=step.id, suggestion=advice))


def _names_trusted(parameters: Object) -> bool:
    """Whether a trusted parameter stands anywhere in the document of a schema."""
    waiting: list[JSON] = [parameters]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Mapping):
            if value.get(TRUSTED) is True:
                return True
            waiting.extend(value.values())
        elif isinstance(value, list | tuple):
            waiting.extend(value)
    return False


def _is_trusted_place(parameters: Object, where: Sequence[str | int]) -> bool:
    """Whether a place in the arguments, or anything round it or in it, must be trusted, in any form that is allowed.

    A schema that leads to one which cannot be found may say so: it is taken to.
    """
    at = [parameters]
    for part in where:
        forms = forms_of(parameters, at)
        if forms is None or any(form.get(TRUSTED) is True for form in forms):
            return True
        at = [inner for form in forms for inner in children_of(form, part)]
    seen: set[int] = set()
    while at:
        forms = forms_of(parameters, at)
        if forms is None or any(form.get(TRUSTED) is True for form in forms):
            return True
        fresh = [form for form in forms if id(form) not in seen]
        seen.update(map(id, fresh))
        at = [inner for form in fresh for inner in children_of(form)]
    return False


def _untrusted_source(graph: Graph, scope: Scope, reference: Reference) -> str:
    """What makes a reference untrusted, or ``""``."""
    grants = scope.grants
    if reference.root == "input":
        return "" if grants.trust_input else "the input of the run"
    if reference.root == "state":
        key = reference.path[0]
        sources = [_untrusted_step(graph, scope, number) for name, number in graph.writes() if name == key]
        return next((source for source in sources if source), "")
    if reference.path[0] == "status":
        return ""
    number = graph.index.get(reference.root)
    return f"a result of step {reference.root!r}" if number is None else _untrusted_step(graph, scope, number)


def _untrusted_step(graph: Graph, scope: Scope, number: int) -> str:
    step = graph.steps[number]
    if step.kind == "ask" or (step.kind == "tool" and matches(step.name, scope.grants.trusted)):
        return ""
    return f"a result of {step.kind} {step.name!r}" if step.name else f"a result of step {step.id!r}"
