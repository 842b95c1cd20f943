"""The hooks of this distribution: which planners it offers."""

from __future__ import annotations

from agentflow_kernel.contracts.plugin import PlannerSpec
from agentflow_kernel.hookspecs import hookimpl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


@hookimpl
def agentflow_planners() -> Sequence[PlannerSpec]:
    """The tool loop, and plans as graphs of steps."""
    return [
        PlannerSpec(
            "tools",
            "agentflow_planner_llm.tool_loop:create_planner",
            "agentflow_planner_llm.settings:ToolLoopSettings",
            capabilities=("budgets", "output_schema", "parallel_tools", "resume"),
            summary="Ask the model, run the tools it calls, and again, until it answers",
        ),
        PlannerSpec(
            "dag",
            "agentflow_planner_llm.dag:create_planner",
            "agentflow_planner_llm.plan_settings:PlanSettings",
            capabilities=("budgets", "check", "graph", "plan", "resume"),
            summary="Follow a plan: a graph of steps that start as soon as what they need is there",
        ),
    ]
