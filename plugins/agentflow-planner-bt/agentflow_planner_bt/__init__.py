"""Behaviour trees: from YAML or BehaviorTree.CPP XML, ticked by hand or followed by the engine as planner `bt`."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentflow_planner_bt.leaf import Leaf
    from agentflow_planner_bt.status import Status
    from agentflow_planner_bt.tree import Tree

_MODULES = {
    "Leaf": "leaf",
    "Status": "status",
    "Tree": "tree",
}

__all__ = (
    "Leaf",
    "Status",
    "Tree",
)


def __getattr__(name: str) -> object:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(__import__(f"{__name__}.{module}", fromlist=(name,)), name)
    return value


def __dir__() -> list[str]:
    return list(__all__)
