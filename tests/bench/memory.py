"""Memory: what a kernel with a journal keeps of runs that have ended, beside what it keeps of a fifth of them."""

from __future__ import annotations

import gc
import os
import tempfile

import anyio
from nodes import chain
from table import Row

from agentflow_kernel import Flow, Kernel

AT_ONCE = 50
WARM = 2_000
"""Runs after which every buffer has its size."""


def rows(*, many: int) -> list[Row]:
    """Growth of the resident memory over so many runs, and over a fifth of them."""
    with tempfile.TemporaryDirectory(dir=os.getcwd()) as folder:
        grown = anyio.run(_measure, folder, many)
    return [
        Row(f"memory after {count:,} runs more", kib / 1024, "MiB", "", None, "≤ 1 MiB", kib <= 1024)
        for count, kib in grown.items()
    ]


async def _measure(folder: str, many: int) -> dict[int, float]:
    """KiB above the warm kernel by number of runs."""
    async with Kernel(state=folder, journal="sqlite") as kernel:
        flow: Flow = chain(3)
        await _run(kernel, flow, WARM)
        before, grown = _resident_kib(), {}
        for done in (many // 5, many):
            await _run(kernel, flow, done - max(grown, default=0))
            grown[done] = _resident_kib() - before
    return grown


async def _run(kernel: Kernel, flow: Flow, times: int) -> None:
    async def one_after_the_other() -> None:
        for _ in range(times // AT_ONCE):
            await kernel.run(flow, 1)

    async with anyio.create_task_group() as group:
        for _ in range(AT_ONCE):
            group.start_soon(one_after_the_other)


def _resident_kib() -> float:
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") / 1024
