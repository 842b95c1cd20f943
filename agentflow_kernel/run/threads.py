"""A thread call: a plain function run beside the event loop, with a bound on how long a cancelled run waits for it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    import anyio

    from agentflow_kernel.run.runtime import Context


async def call_in_thread(context: Context, function: Callable[[Context, object], object], value: object) -> object:
    """Run ``function(context, value)`` in a worker thread and return its result.

    A thread cannot be stopped from outside. When the action is cancelled it is told by ``raise_if_cancelled`` and has
    ``grace_s`` to return; after that the run goes on without it and names it as abandoned.
    """
    import anyio.to_thread  # lazy: 25 ms, and loaded already wherever there is a loop

    waiter: list[anyio.Event] = []
    begun: list[bool] = []
    ended: list[bool] = []

    def body() -> object:
        begun.append(True)
        try:
            # a thread that was still to be had when its action was cancelled comes too late
            return None if context.cancelled else function(context, value)
        finally:
            ended.append(True)
            if waiter:
                _wake(waiter[0])

    try:
        return await anyio.to_thread.run_sync(body, abandon_on_cancel=True)
    except anyio.get_cancelled_exc_class():
        context.cancelled = True
        waiter.append(anyio.Event())
        if begun and not ended:
            with anyio.move_on_after(context.run.services.grace_s, shield=True) as scope:
                await waiter[0].wait()
            if scope.cancelled_caught:
                context.run.abandoned.append(context.path)
        raise


def _wake(event: anyio.Event) -> None:
    """Tell the loop that the thread has ended; nobody minds when the loop is gone."""
    import contextlib

    import anyio.from_thread

    with contextlib.suppress(RuntimeError):  # the loop ended first: nobody waits any more
        anyio.from_thread.run_sync(event.set)
