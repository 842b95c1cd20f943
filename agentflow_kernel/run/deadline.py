"""A deadline: work that is cancelled when its time is over, by the clock of the run."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import anyio

from agentflow_kernel.run.fault import is_raised

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agentflow_kernel.contracts.clock import Clock

T = TypeVar("T")


class TimeOver(Exception):
    """The work was cancelled because its time was over."""


async def within(
    clock: Clock, seconds: float, work: Callable[[], Awaitable[T]], before: Callable[[], None] = lambda: None
) -> T:
    """What ``work`` gives; raises what it raises, and :class:`TimeOver` when it was cancelled after ``seconds``.

    Work that ends all the same keeps its result. ``before`` is called when the time is over, before the cancellation.
    """
    failure: BaseException | None = None
    scope = anyio.CancelScope()
    results: list[T] = []

    async def ring() -> None:
        await clock.sleep(seconds)
        before()
        scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(ring)
        try:
            with scope:
                results.append(await work())
        except BaseException as error:
            if not is_raised(error):
                raise
            failure = error  # raised below, not as one of a group
        group.cancel_scope.cancel()
    if failure is not None:
        raise failure
    if not results:
        raise TimeOver
    return results[0]
