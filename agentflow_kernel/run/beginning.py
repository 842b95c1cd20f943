"""A beginning: whether a task that was started has begun; one that is ended from outside before that never does.

An interrupt that comes out of asyncio's loop, or a program that cancels all tasks, ends tasks that wait for their first
turn: nothing of them runs, not even what cleans up, and whoever waits for them would wait for ever.
"""

from __future__ import annotations

import anyio.lowlevel


async def until_begun() -> None:
    """Return when each task that was started before this call has begun, or never will.

    A loop gives all tasks that are ready their turn before one has its next. Two turns, because trio draws the order of
    those that have become ready together: with the first one this task is behind the others.
    """
    await anyio.lowlevel.checkpoint()
    await anyio.lowlevel.checkpoint()
