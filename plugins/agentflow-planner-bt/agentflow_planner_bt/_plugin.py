"""The hooks of this distribution: which planners it offers."""

from __future__ import annotations

from agentflow_kernel.contracts.plugin import PlannerSpec
from agentflow_kernel.hookspecs import hookimpl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


@hookimpl
def agentflow_planners() -> Sequence[PlannerSpec]:
    """Behaviour trees."""
    return [
        PlannerSpec(
            "bt",
            "agentflow_planner_bt.planner:create_planner",
            "agentflow_planner_bt.settings:TreeSettings",
            capabilities=("check", "graph", "resume"),
            summary="Follow a behaviour tree, decided anew from its root whenever something happens",
        )
    ]
