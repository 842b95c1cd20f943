"""A thread call: a plain function run beside the event loop, with a bound on how long a cancelled run waits for it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from agentflow_kernel.run.runtime import Context

LOOK_EVERY_S = 0.01
"""How often a cancelled run looks whether its thread has ended. Asking is safe where waiting to be told is not:
a thread that ends after its event loop would wait for ever to have told it."""


async def call_in_thread(context: Context, function: Callable[[Context, object], object], value: object) -> object:
    """Run ``function(context, value)`` in a worker thread and return its result.

    What gives a coroutine, as a lambda round a coroutine function does, is awaited here. A thread cannot be stopped
    from outside. When the action is cancelled it is told by ``raise_if_cancelled`` and has ``grace_s`` to return; after
    that the run goes on without it and names it as abandoned.
    """
    import anyio.to_thread  # lazy: 25 ms, and loaded already wherever there is a loop

    begun: list[bool] = []
    ended: list[bool] = []

    def body() -> list[Any]:
        begun.append(True)
        try:
            # a thread that was still to be had when its action was cancelled comes too late
            return [None if context.cancelled else function(context, value)]
        finally:
            ended.append(True)

    try:
        (result,) = await anyio.to_thread.run_sync(body, abandon_on_cancel=True)  # a list: trio takes out no coroutine
    except anyio.get_cancelled_exc_class():
        context.cancelled = True
        with anyio.move_on_after(context.run.services.grace_s, shield=True):
            while begun and not ended:  # noqa: ASYNC110 -- see LOOK_EVERY_S
                await anyio.sleep(LOOK_EVERY_S)
        if begun and not ended:
            context.run.abandoned.append(context.path)
        raise
    return await result if hasattr(result, "__await__") else result
