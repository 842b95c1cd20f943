"""A leak: a task, thread, file, socket or child process that is still there when its subject was closed."""

from __future__ import annotations

import gc
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agentflow_kernel.testing import Harness

POOLS = ("AnyIO worker thread", "Trio thread", "asyncio_")
"""Names of threads that belong to the event loop; it keeps them for the next one."""
DESCRIPTORS = 256
END_S = 10.0
"""How long what is just ending may take: a thread, a process, a task of what stands for a service."""


def find_leaks(harness: Harness, use: Callable[[object], Awaitable[object]], backend: str) -> list[str]:
    """What is left after a subject was opened, used and closed a second time; the first time may load what stays."""
    left: list[str] = []

    async def once() -> None:
        tasks = count_tasks(backend)
        async with harness.open() as subject:
            await use(subject)
        await anyio.wait_all_tasks_blocked()
        try:
            await wait_for_tasks(backend, tasks)
        except TimeoutError:
            left.append(f"{count_tasks(backend) - tasks} tasks")

    anyio.run(once, backend=backend)
    gc.collect()
    threads, files, children = open_threads(), open_files(), child_processes()
    anyio.run(once, backend=backend)

    def more() -> list[str]:
        gc.collect()
        found = [f"thread {name}" for name in open_threads().values() if name not in threads.values()]
        found += [f"file descriptor {number}" for number in open_files() - files]
        return found + [f"child process {number}" for number in child_processes() - children]

    end = time.monotonic() + END_S
    while (found := more()) and time.monotonic() < end:
        time.sleep(0.01)
    return left + found


def count_tasks(backend: str) -> int:
    """How many tasks the event loop has."""
    if backend == "trio":
        import trio  # lazy: the other loop needs none of it

        return trio.lowlevel.current_statistics().tasks_living
    import asyncio  # lazy: the other loop needs none of it

    return len(asyncio.all_tasks())


async def wait_for_tasks(backend: str, number: int) -> None:
    """Return when there are no more tasks than this; raises ``TimeoutError`` after ten seconds.

    What stands for a service may be a task of the same event loop, which notices a moment later that it was left.
    """
    with anyio.fail_after(END_S):
        while count_tasks(backend) > number:  # noqa: ASYNC110 -- a task that ends tells nobody
            await anyio.sleep(0.01)


def open_threads() -> dict[int | None, str]:
    """The threads that are not the event loop's, by number, with their names."""
    threads = (thread for thread in threading.enumerate() if not thread.name.startswith(POOLS))
    return {thread.ident: f"{thread.name} ({thread.ident})" for thread in threads}


def open_files() -> set[int]:
    """The file descriptors that are open, those of sockets included; those of the event loops are closed with them."""
    found = set()
    for descriptor in range(DESCRIPTORS):
        try:
            os.fstat(descriptor)
        except OSError:
            continue
        found.add(descriptor)
    return found


def child_processes() -> set[int]:
    """The processes that this one has started and that are not gone, as far as the system tells."""
    found: set[int] = set()
    for path in Path("/proc/self/task").glob("*/children"):
        try:
            found.update(int(word) for word in path.read_text().split())
        except OSError:  # the thread has ended meanwhile
            continue
    return found
