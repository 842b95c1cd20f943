"""The hooks of this distribution: which planners it offers."""

from __future__ import annotations

from agentflow_kernel.contracts.plugin import PlannerSpec
from agentflow_kernel.hookspecs import hookimpl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


STRATEGIES = (
    ("adapt", "adapt", "AdaptSettings", "Try a task, and take it apart only where that fails"),
    ("compiler", "compiler", "PlannedSettings", "Plan numbered calls that run side by side, then join or plan again"),
    (
        "plan-and-execute", "plan_and_execute", "PlanAndExecuteSettings",
        "Plan once, do each step with a small loop, and ask after each if the plan holds",
    ),
    ("reflexion", "reflexion", "ReflexionSettings", "Attempt a task, have it judged, try again with what was learned"),
    ("rewoo", "rewoo", "PlannedSettings", "Plan all calls, make them without the model, then ask for the answer"),
)  # fmt: skip
"""Name, module, settings and summary of each strategy."""


@hookimpl
def agentflow_planners() -> Sequence[PlannerSpec]:
    """The tool loop, plans as graphs of steps, and the strategies that ask a model in other ways."""
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
        *(
            PlannerSpec(
                name,
                f"agentflow_planner_llm.strategies.{module}:create_planner",
                f"agentflow_planner_llm.strategy_settings:{settings}",
                capabilities=("budgets", "output_schema", "resume"),
                summary=summary,
            )
            for name, module, settings, summary in STRATEGIES
        ),
    ]
