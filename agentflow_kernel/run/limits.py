"""A limit: the time that a node or a flow may take; what is still at work when it is over is cancelled and named."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from agentflow_kernel.errors import FlowElapsed
from agentflow_kernel.run.deadline import TimeOver, within
from agentflow_kernel.run.waits import clock_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from agentflow_kernel.run.bind import BoundNode
    from agentflow_kernel.run.runtime import Frame, Run

T = TypeVar("T")
_BELOW = ("/", "@", "[", "!")
"""What follows the path of a node in the paths of its parts."""


async def limited_frame(frame: Frame, start: BoundNode, value: object) -> object:
    """Walk the run's own flow within its time; raises :class:`FlowElapsed`."""
    from agentflow_kernel.run.walk import run_frame  # here, because the walk needs this for nested flows

    graph = start.graph
    if graph.timeout_s is None:
        return await run_frame(frame, start, value)
    left_s = await flow_time(frame.run, "", graph.timeout_s)
    return await limited(
        frame.run, "", (f"Flow {graph.name!r}", graph.timeout_s, left_s), lambda: run_frame(frame, start, value)
    )


async def flow_time(run: Run, path: str, timeout_s: float) -> float:
    """The seconds that the flow at ``path`` has left; its deadline is on record, so that a restart does not move it."""
    clock, timers, timer = clock_of(run), run.standing.timers, f"{path}!timeout"
    if timer not in timers:
        timers[timer] = clock.now() + timeout_s
        if run.history is not None:
            await run.history.commit([("timer.set", timer, {"deadline": timers[timer]}, "", 0)])
    return timers[timer] - clock.now()


async def limited(run: Run, path: str, limit: tuple[str, float, float], work: Callable[[], Awaitable[T]]) -> T:
    """What ``work`` gives. ``limit`` is whose it is, its seconds, and those that are left of them.

    Raises :class:`FlowElapsed` with the paths of all that was still at work.
    """
    what, timeout_s, left_s = limit
    cut: list[str] = []

    def begin() -> None:
        run.cut = cut

    try:
        return await within(clock_of(run), max(left_s, 0.0), work, begin)
    except TimeOver:
        active = sorted(set(_innermost(each for each in cut if each.startswith(path))))
        raise FlowElapsed(what, timeout_s, active or [path or what]) from None
    finally:
        if run.cut is cut:
            run.cut = None


def _innermost(paths: Iterable[str]) -> list[str]:
    """Those of the paths that hold no other."""
    found = list(paths)
    return [
        each for each in found if not any(other.startswith(tuple(each + mark for mark in _BELOW)) for other in found)
    ]
