"""A choice of several ways: each chosen route is walked as a branch of its own up to the node where they join."""

from __future__ import annotations

from agentflow_kernel.flow.fork import WORKERS
from agentflow_kernel.flow.graph import next_of
from agentflow_kernel.flow.node import JOINED, Route
from agentflow_kernel.flow.state import copied
from agentflow_kernel.run.batch import work_through
from agentflow_kernel.run.branches import BranchFrame, merge, values_of
from agentflow_kernel.run.walk import run_frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentflow_kernel.run.bind import BoundNode
    from agentflow_kernel.run.runtime import Frame
    from agentflow_kernel.run.settle import Choices


class WayFrame(BranchFrame):
    """The frame of one way: it ends where the ways join, and a :class:`StopFlow` in it ends the whole flow."""

    __slots__ = ()

    way = True

    def __init__(self, parent: Frame, prefix: str, values: Mapping[str, object], start: BoundNode) -> None:
        super().__init__(parent, prefix, values)
        self.graph = start.graph


async def run_choices(frame: Frame, node: BoundNode, path: str, choices: Choices) -> Route:
    """The results of the chosen ways, action → last result, on their way to the node where they join.

    All ways read the state as of the choice; writes are merged, and results of nodes become known, in the order in
    which the actions were chosen. Errors are those of a fork; an action that is not routed is :class:`FlowInvalid`.
    """
    actions = list(dict.fromkeys(choices.actions))
    for action in actions:
        next_of(node.step.routes, action, flow=node.graph.name, node=node.name)
    values = values_of(frame)
    frames: dict[str, WayFrame] = {}
    results: dict[str, object] = {}

    async def one(index: int) -> bool:
        action = actions[index]
        start = node.ways[action]
        if start is None:  # it leads to the join at once
            results[action] = copied(choices.value)
            return False
        way = frames[action] = WayFrame(frame, f"{path}/{action}/", values, start)
        results[action] = await run_frame(way, start, copied(choices.value))
        return False

    await work_through(len(actions), WORKERS, one, frame.run)
    walked = [action for action in actions if action in frames]
    merge(frame, node.name, values, [(f"{path}/{action}", frames[action]) for action in walked])
    for action in walked:
        known = frames[action].roots
        frame.roots.update({name: known[name] for name in known if name not in ("input", "state")})
    return Route(JOINED, {action: results[action] for action in actions})
