"""Behaviour trees: read from YAML or BehaviorTree.CPP XML, ticked by hand or followed by the engine as planner `bt`."""

from agentflow_planner_bt.blackboard import Blackboard
from agentflow_planner_bt.leaf import Context, Leaf
from agentflow_planner_bt.port import Port
from agentflow_planner_bt.status import Status
from agentflow_planner_bt.tree import Tree

__all__ = (
    "Blackboard",
    "Context",
    "Leaf",
    "Port",
    "Status",
    "Tree",
)
