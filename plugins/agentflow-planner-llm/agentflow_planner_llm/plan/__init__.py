"""Plans: steps that depend on each other as a document, checked before it runs, made cheaper, and drawn."""

from agentflow_planner_llm.plan.bounds import Estimate, estimate_plan
from agentflow_planner_llm.plan.check import check_plan, read_plan
from agentflow_planner_llm.plan.document import Plan, PlanLimits
from agentflow_planner_llm.plan.graph import Graph
from agentflow_planner_llm.plan.scope import Grants, Scope
from agentflow_planner_llm.plan.step import Step

__all__ = (
    "Estimate",
    "Grants",
    "Graph",
    "Plan",
    "PlanLimits",
    "Scope",
    "Step",
    "check_plan",
    "estimate_plan",
    "read_plan",
)
