"""A storm of cancellations: runs in every kind of wait end at once, each with one end, and leave nothing behind."""

from __future__ import annotations

import gc
import os
import random
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

from agentflow_kernel import Flow, Kernel
from agentflow_kernel.contracts.clock import SystemClock
from agentflow_kernel.contracts.plugin import PluginContext
from agentflow_kernel.errors import PeerUnavailable
from agentflow_kernel.testing import InProcessJournal
from agentflow_resilience.retry import Retry, RetrySettings

if TYPE_CHECKING:
    from agentflow_kernel import Context, RunHandle

LONG = os.environ.get("AGENTFLOW_CHAOS", "short") == "long"
SEED = int(os.environ.get("AGENTFLOW_CHAOS_SEED", "20251"))
RUNS = 10_000 if LONG else 1_000
WAYS = 6
PROMISE_S = 5.0
"""What is promised on an idle machine; a busy one gets four times as long."""

pytestmark = [pytest.mark.anyio, pytest.mark.chaos, pytest.mark.timeout(600), pytest.mark.blocking]


def storm_flow() -> Flow:
    """One step that waits in one of many ways: what cancellation meets."""
    gone = Retry(
        RetrySettings(attempts=100, base_s=30.0),
        PluginContext("retry", clock=SystemClock(), random=random.Random(1)),
    )

    async def never_there(value: int, context: Context) -> None:
        raise PeerUnavailable("down", executed="no")

    async def stream() -> Any:
        while True:
            await anyio.sleep(0.05)
            yield "token"

    async def wait(value: int, context: Context) -> Any:
        way = value % WAYS
        if way == 0:
            await context.sleep(3600)
        elif way == 1:
            await context.wait("go")
        elif way == 2:
            async for _ in stream():
                context.progress(1)
        elif way == 3:
            await context.step("slow", anyio.sleep, 3600)
        elif way == 4:
            async with anyio.create_task_group() as group:
                for _ in range(3):
                    group.start_soon(anyio.sleep, 3600)
        else:
            await anyio.sleep(3600)

    flow = Flow("storm").step(lambda value: value, name="first", blocking="inline")
    return flow.parallel({"waits": wait, "retries": Flow("again").step(never_there, policies=[gone])}, name="fork")


def left_behind() -> dict[str, int]:
    """Threads, open files and sockets, and children of this process."""
    return {
        "threads": threading.active_count(),
        "files": len(os.listdir("/proc/self/fd")),
        "children": len(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()),
    }


async def tasks_of_loop() -> int:
    """How many tasks there are besides this one, once those that end have ended."""
    for _ in range(20):
        await anyio.lowlevel.checkpoint()
    import asyncio

    return len(asyncio.all_tasks())


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_half_of_all_runs_are_cancelled_at_random_instants() -> None:
    """All of them end within seconds of the last cancellation, once each; the others are untouched until the close."""
    dice, journal = random.Random(SEED), InProcessJournal(keep_ended=RUNS)
    await anyio.to_thread.run_sync(int)
    gc.collect()  # what others have left is not ours
    before, tasks = left_behind(), await tasks_of_loop()
    flow = storm_flow()
    async with Kernel(journal=journal) as kernel:
        handles: list[RunHandle] = []
        doomed: list[RunHandle] = []
        for number in range(RUNS):
            handle = await kernel.start(flow, number)
            handles.append(handle)
            if dice.random() < 0.5 and len(doomed) < RUNS // 2:  # some die young, some in the middle of their wait
                victim = dice.choice(handles)
                if victim not in doomed[-50:] and not victim.wish:
                    doomed.append(victim)
                    victim.stop_soon("cancel")
        rest = [handle for handle in handles if not handle.wish]
        for victim in dice.sample(rest, RUNS // 2 - len(doomed)):
            doomed.append(victim)
            victim.stop_soon("cancel")
            if dice.random() < 0.1:
                await anyio.lowlevel.checkpoint()
        last = time.perf_counter()
        for victim in doomed:
            await victim.ended()
        took = time.perf_counter() - last
        assert {handle.status for handle in doomed} == {"cancelled"}
        untouched = [handle for handle in handles if not handle.wish]
        assert len(untouched) == RUNS - RUNS // 2
        assert {handle.status for handle in untouched} == {"running"}
        await _check_ends(journal, doomed)
    assert await tasks_of_loop() == tasks
    gc.collect()
    assert [name for name, count in left_behind().items() if count > before[name]] == []
    print(f"{len(doomed)} of {RUNS} runs cancelled, all ended {took:.2f} s after the last one was (seed {SEED})")
    assert took < 4 * PROMISE_S


async def _check_ends(journal: InProcessJournal, doomed: list[RunHandle]) -> None:
    """Each has exactly one end on record, the last one."""
    ends = Counter[int]()
    for handle in doomed:
        types = [record.type for record in await journal.read(handle.run_id)]
        ends[types.count("run.ended")] += 1
        assert types[-1] == "run.ended"
    assert ends == {1: len(doomed)}
