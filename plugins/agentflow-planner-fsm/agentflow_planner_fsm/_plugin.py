"""The hooks of this distribution: which planners it offers."""

from __future__ import annotations

from agentflow_kernel.contracts.plugin import PlannerSpec
from agentflow_kernel.hookspecs import hookimpl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


@hookimpl
def agentflow_planners() -> Sequence[PlannerSpec]:
    """The statechart."""
    return [
        PlannerSpec(
            "fsm",
            "agentflow_planner_fsm.planner:create_planner",
            "agentflow_planner_fsm.settings:StatechartSettings",
            capabilities=("check", "graph", "read", "resume", "signals", "timers"),
            summary="Follow a statechart: states, events, guards and invocations, by the rules of W3C SCXML",
        )
    ]
