"""The machine's clock: the default of everything that takes one."""

from __future__ import annotations

import time

import anyio
import anyio.lowlevel
import pytest

from agentflow_kernel.contracts.clock import SystemClock

pytestmark = pytest.mark.anyio


async def test_it_tells_the_time_of_the_machine() -> None:
    """Wall time since 1970 and a monotonic one."""
    clock = SystemClock()
    assert clock.now() == pytest.approx(time.time(), abs=60)
    first = clock.monotonic()
    assert clock.monotonic() >= first


@pytest.mark.parametrize("seconds", [0, -1])
async def test_a_sleep_of_nothing_lets_others_run_and_can_be_cancelled(seconds: float) -> None:
    """It is a turn of the loop."""
    turns: list[str] = []

    async def take_turns(name: str) -> None:
        for _ in range(2):
            await SystemClock().sleep(seconds)
            turns.append(name)

    async with anyio.create_task_group() as group:
        group.start_soon(take_turns, "a")
        group.start_soon(take_turns, "b")
    assert sorted(turns[:2]) == ["a", "b"]
    with anyio.CancelScope() as scope:
        scope.cancel()
        await SystemClock().sleep(seconds)
    assert scope.cancelled_caught
