"""Settling: everything else of the event loop runs until each of its tasks waits for something."""

from __future__ import annotations

import sys

import anyio
from anyio.lowlevel import current_token

LOOKS = 5
"""How often in a row all must be found waiting: a task group that is just ending looks as if it waited."""


async def settle() -> None:
    """Return once every other task waits: for an event, a timer, a thread, a peer.

    What anyio has for that looks only each 0.1 s on asyncio, which makes a test with a hundred such waits take ten
    seconds; this one looks after each round of the loop. A task that never waits keeps both from returning.
    """
    asyncio = sys.modules.get("asyncio")  # lazy: trio may run without it
    if asyncio is None or not isinstance(current_token().native_token, asyncio.AbstractEventLoop):
        await anyio.wait_all_tasks_blocked()
        return
    loop, this, found = asyncio.get_running_loop(), asyncio.current_task(), 0
    while found < LOOKS:
        passed = asyncio.Event()
        loop.call_soon(passed.set)
        await passed.wait()  # a checkpoint would keep two tasks that settle from seeing each other wait
        found = found + 1 if all(_waits(task) for task in asyncio.all_tasks() if task is not this) else 0


def _waits(task: object) -> bool:
    waiter = getattr(task, "_fut_waiter", None)
    return waiter is not None and not waiter.done()
