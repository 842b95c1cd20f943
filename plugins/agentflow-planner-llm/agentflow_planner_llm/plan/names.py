"""Names: that everything a plan calls is there (P003) and may be called (P010)."""

from __future__ import annotations

from agentflow_kernel.contracts.finding import PlanFinding
from agentflow_planner_llm.plan.finding import PERMISSION, UNKNOWN_NAME, suggest
from agentflow_planner_llm.plan.scope import matches

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from agentflow_planner_llm.plan.graph import Graph
    from agentflow_planner_llm.plan.scope import Scope
    from agentflow_planner_llm.plan.step import Step

    Places = Mapping[str, int]

_MOST = 12
"""Names listed in a sentence."""


def check_names(graph: Graph, scope: Scope, places: Places, found: list[PlanFinding]) -> None:
    """P003 and P010 for every step."""
    known: dict[str, Collection[str] | None] = {
        "tool": scope.tools if scope.known else None, "agent": scope.agents, "flow": scope.flows, "plan": scope.plans
    }  # fmt: skip
    grants = scope.grants
    plain = not (grants.denied or grants.approved or scope.author == "model")
    for step in graph.steps:
        names = known.get(step.kind)
        if names is not None and step.name and step.name not in names:
            where = ("steps", places[step.id], "name")
            if step.kind == "tool" and matches(step.name, grants.denied):
                found.append(_denied(step, where))
                continue
            listed = ", ".join(sorted(names)[:_MOST]) or "none"
            more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
            text = f"Step {step.id!r} calls the unknown {step.kind} {step.name!r}. There are: {listed}{more}."
            found.append(PlanFinding(UNKNOWN_NAME, text, *where, step=step.id, suggestion=suggest(step.name, names)))
        elif step.kind == "tool" and not plain:
            _check_grant(step, scope, places, found)
        if step.on_error == "replan" and not scope.replans:
            text = f"Step {step.id!r} asks for a new plan when it fails, and nobody here makes one."
            advice = "Use another on_error, or a planner that has a model."
            where = ("steps", places[step.id], "on_error")
            found.append(PlanFinding(PERMISSION, text, *where, step=step.id, suggestion=advice))


def _check_grant(step: Step, scope: Scope, places: Places, found: list[PlanFinding]) -> None:
    grants = scope.grants
    where = ("steps", places[step.id], "name")
    if grants.denied and matches(step.name, grants.denied):
        found.append(_denied(step, where))
    elif grants.approved and not grants.approver and matches(step.name, grants.approved):
        text = f"Tool {step.name!r} of step {step.id!r} needs a person's approval, and nobody is there to give it."
        found.append(PlanFinding(PERMISSION, text, *where, step=step.id, suggestion="Configure an approver."))
    tool = scope.tools.get(step.name)
    if scope.author == "model" and step.idempotent and tool is not None and tool.effect == "effect":
        text = f"Step {step.id!r} calls {step.name!r} idempotent, which its tool does not: a model may not say so."
        place = ("steps", places[step.id], "idempotent")
        found.append(PlanFinding(PERMISSION, text, *place, step=step.id, suggestion="Leave out 'idempotent'."))


def _denied(step: Step, where: tuple[str | int, ...]) -> PlanFinding:
    text = f"Tool {step.name!r} of step {step.id!r} is not granted to this plan."
    return PlanFinding(PERMISSION, text, *where, step=step.id, suggestion="Use a tool that is granted, or grant it.")
