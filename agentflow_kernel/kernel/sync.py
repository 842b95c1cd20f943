"""A run for callers without an event loop."""

from __future__ import annotations

from agentflow_kernel.run.bind import needs_loop
from agentflow_kernel.run.loopless import drive_to_end
from agentflow_kernel.run.runtime import Frame, Run
from agentflow_kernel.run.walk import run_frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentflow_kernel.agent import Agent
    from agentflow_kernel.kernel.core import Kernel
    from agentflow_kernel.run.flow import Flow


def run_sync(kernel: Kernel, target: Flow | Agent | str, value: object) -> object:
    """Run on the calling thread where nothing can wait and nothing is to be kept, else in an event loop of its own.

    On the calling thread errors are raised as the nodes raise them; from a loop they are :class:`RunFailed`.
    """
    name, flow = kernel.find(target)
    if kernel.keeps_runs or needs_loop(flow):
        import anyio  # lazy: 25 ms, plain flows need no loop

        async def main() -> object:
            async with kernel:
                return await kernel.run(name, value)

        return anyio.run(main)
    run = Run("", name, services=kernel.services(), listener=kernel.listener(), loopless=True)
    start = flow.bound(loopless=True)
    return drive_to_end(run_frame(Frame(run, flow, value), start, value), name)
