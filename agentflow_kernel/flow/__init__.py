"""The flow room: the graph of nodes, what flows along its edges, and its shared state; it decides, it never acts."""

from agentflow_kernel.flow.fork import Branch, Goto, Parallel
from agentflow_kernel.flow.graph import Graph, Step
from agentflow_kernel.flow.node import END, Node, Route
from agentflow_kernel.flow.reference import Template
from agentflow_kernel.flow.state import SharedState, StateView
from agentflow_kernel.flow.step import Compensation

__all__ = (
    "Branch",
    "Compensation",
    "END",
    "Goto",
    "Graph",
    "Node",
    "Parallel",
    "Route",
    "SharedState",
    "StateView",
    "Step",
    "Template",
)
