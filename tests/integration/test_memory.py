"""What a kernel keeps of runs that have ended: nothing that grows with their number."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import anyio
import pytest

from agentflow_kernel import Context, Flow, Kernel

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.anyio, pytest.mark.blocking]  # a kernel reads its settings when it opens

WARM, MORE, ROUNDS = 60, 150, 3


async def ends(value: int) -> int:
    return value + 1


async def waits(value: int, context: Context) -> object:
    return await context.wait("go")


async def fails(value: int) -> int:
    raise ValueError("no")


async def start_signal_end(kernel: Kernel, times: int) -> None:
    """As many runs that complete, that wait for a signal, that fail and that are cancelled."""
    for number in range(times):
        await kernel.run("plain", number)
        handle = await kernel.start("waiting", number)
        await handle.signal("go", number)
        assert await handle.result() == number
        failed = await kernel.start("failing", number)
        await failed.ended()
        cancelled = await kernel.start("waiting", number)
        await cancelled.cancel()


async def test_runs_that_have_ended_leave_no_objects_behind(tmp_path: Path) -> None:
    """However they ended; counted, because memory given back to the system is a matter of the allocator."""
    async with Kernel(state=str(tmp_path), journal="sqlite") as kernel:
        for name, node in (("plain", ends), ("waiting", waits), ("failing", fails)):
            kernel.add(Flow(name).step(node))
        await start_signal_end(kernel, WARM)
        grown = []
        while len(grown) < ROUNDS and (not grown or grown[-1] >= MORE):
            gc.collect()
            before = len(gc.get_objects())
            await start_signal_end(kernel, MORE)
            await anyio.lowlevel.checkpoint()
            gc.collect()
            grown.append(len(gc.get_objects()) - before)
        # one object for each run of one kind would be there in every round; caches of others fill up once
        assert grown[-1] < MORE, grown
