"""AgentFlow's kernel: contracts, engine and composition of an event-driven agent framework made of plugins.

The public names below are imported when they are first used; ``import agentflow_kernel`` itself costs nothing.
"""

from agentflow_kernel._version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentflow_kernel.agent import Agent
    from agentflow_kernel.errors import AgentFlowError
    from agentflow_kernel.event import Event
    from agentflow_kernel.flow.fork import Branch, Goto, Parallel
    from agentflow_kernel.flow.key import StateKey
    from agentflow_kernel.flow.marking import node
    from agentflow_kernel.flow.node import END, Node, Route
    from agentflow_kernel.kernel import Kernel
    from agentflow_kernel.plan import Plan
    from agentflow_kernel.run.acting import Parts
    from agentflow_kernel.run.flow import Flow
    from agentflow_kernel.run.handle import RunHandle
    from agentflow_kernel.run.progress import Progress
    from agentflow_kernel.run.runtime import Context

_MODULES = {
    "Agent": "agent",
    "AgentFlowError": "errors",
    "Branch": "flow.fork",
    "Context": "run.runtime",
    "END": "flow.node",
    "Event": "event",
    "Flow": "run.flow",
    "Goto": "flow.fork",
    "Kernel": "kernel",
    "Node": "flow.node",
    "Parallel": "flow.fork",
    "Parts": "run.acting",
    "Plan": "plan",
    "Progress": "run.progress",
    "Route": "flow.node",
    "RunHandle": "run.handle",
    "StateKey": "flow.key",
    "node": "flow.marking",
}

__all__ = (
    "Agent",
    "AgentFlowError",
    "Branch",
    "Context",
    "END",
    "Event",
    "Flow",
    "Goto",
    "Kernel",
    "Node",
    "Parallel",
    "Parts",
    "Plan",
    "Progress",
    "Route",
    "RunHandle",
    "StateKey",
    "__version__",
    "node",
)


def __getattr__(name: str) -> object:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    loaded = __import__(f"{__name__}.{module}", fromlist=(name,))
    value = globals()[name] = getattr(loaded, name)
    return value


def __dir__() -> list[str]:
    return list(__all__)
