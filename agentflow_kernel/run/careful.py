"""A careful visit: what stands between a visit and its call where the step asks for it: approval, time, intent."""

from __future__ import annotations

from agentflow_kernel.errors import ApprovalRefused
from agentflow_kernel.flow.node import REFUSED, Route
from agentflow_kernel.flow.state import copied
from agentflow_kernel.run.canonical import to_json
from agentflow_kernel.run.questions import approve_action
from agentflow_kernel.run.runtime import Context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.run.bind import BoundNode
    from agentflow_kernel.run.history import Line
    from agentflow_kernel.run.runtime import Frame

    Work = Callable[[], Awaitable[tuple[object, Sequence[Line]]]]


async def carefully(
    frame: Frame, node: BoundNode, path: str, value: object, work: Work
) -> tuple[object, Sequence[Line]]:
    """What ``work`` gives, once a person has approved it where the step says so; with what undoes it."""
    approval = node.step.approve
    if approval is not None:
        arguments, _ = to_json(value, node.name)
        try:
            await approve_action(
                Context(frame.run, path, node.name), f"{path}!approve", (_action_of(node), arguments), approval
            )
        except ApprovalRefused as error:
            if REFUSED not in node.step.routes or path.endswith("]"):
                raise
            told: dict[str, JSON] = {"by": error.by, "reason": error.reason, "expired": error.expired}
            return Route(REFUSED, told), ()
    limit_s = node.step.timeout_s
    whole = node.inner.graph.timeout_s if node.inner is not None else None
    if whole is not None:
        work = _in_time(frame, path, (f"Flow {node.inner.graph.name!r}", whole), work, keeps=True)  # type: ignore[union-attr]  # asked just now
    if limit_s is not None:
        work = _in_time(frame, path, (f"Node {node.name!r}", limit_s), work, keeps=False)
    undo: tuple[JSON, int] | None = None if node.undo is None else undo_of(frame, node, value)
    result, lines = await work()
    if undo is not None:
        lines = (*lines, ("compensation.started", path, undo[0], "", undo[1]))
    return result, lines


def undo_of(frame: Frame, node: BoundNode, value: object) -> tuple[JSON, int]:
    """What its compensation has to know of a step beside the result, and about how large that is as text.

    The input is as it was before the call, whatever the node does to it.
    """
    size = 0
    if frame.run.history is not None:
        value, text = to_json(value, node.name)
        size = len(text)
    else:
        value = copied(value)
    return {"node": node.place, "input": value}, size  # type: ignore[dict-item]  # JSON where it must be


def _in_time(frame: Frame, path: str, limit: tuple[str, float], work: Work, *, keeps: bool) -> Work:
    """The work within a limit; one that ``keeps`` its deadline over a restart has it on record."""
    from agentflow_kernel.run.limits import flow_time, limited  # only steps with a limit pay

    async def in_time() -> tuple[object, Sequence[Line]]:
        what, timeout_s = limit
        left_s = await flow_time(frame.run, path, timeout_s) if keeps else timeout_s
        return await limited(frame.run, path, (what, timeout_s, left_s), work)

    return in_time


def _action_of(node: BoundNode) -> str:
    """What a person approves, in two words: ``tool billing.charge``, ``node charge``."""
    target = node.step.target
    if node.kind in ("tool", "agent", "flow", "plan"):
        return f"{node.kind} {getattr(target, 'name', node.name)}"
    return f"emit {node.step.emits}" if node.step.emits else f"node {node.name}"
