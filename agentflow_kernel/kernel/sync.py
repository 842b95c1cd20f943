"""A run on the calling thread, for flows in which nothing can wait and of which nothing is to be kept."""

from __future__ import annotations

from agentflow_kernel.run.loopless import drive_to_end
from agentflow_kernel.run.runtime import Frame, Run
from agentflow_kernel.run.walk import run_frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentflow_kernel.kernel.wiring import Wiring
    from agentflow_kernel.run.flow import Flow


def run_here(wiring: Wiring, name: str, flow: Flow, value: object) -> object:
    """Run to the end and return the output; raises what a node raises."""
    flow.check_input(value)
    run = Run("", name, services=wiring.services(), listener=wiring.listener(), loopless=True)
    start = flow.bound(loopless=True)
    return drive_to_end(run_frame(Frame(run, flow, value), start, value), name)
