from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from agentflow_kernel.testing import settle

pytestmark = pytest.mark.anyio


async def test_all_that_can_run_has_run() -> None:
    """A chain in which each task wakes the next, through groups that end one in the other."""
    bells = [anyio.Event() for _ in range(50)]
    rung: list[int] = []

    async def link(number: int) -> None:
        await bells[number].wait()
        async with anyio.create_task_group() as outer, anyio.create_task_group() as inner:
            outer.start_soon(anyio.lowlevel.checkpoint)
            inner.start_soon(anyio.lowlevel.checkpoint)
        rung.append(number)
        if number + 1 < len(bells):
            bells[number + 1].set()

    async with anyio.create_task_group() as group:
        for number in range(len(bells)):
            group.start_soon(link, number)
        await settle()
        assert rung == []
        bells[0].set()
        await settle()
        assert rung == list(range(50))


async def test_a_task_that_waits_for_long_is_left_waiting() -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(anyio.sleep, 3600)
        group.start_soon(anyio.sleep_forever)
        await settle()
        group.cancel_scope.cancel()


async def test_tasks_that_settle_at_once_do_not_keep_each_other_from_it() -> None:
    done: list[int] = []

    async def one(number: int) -> None:
        await settle()
        done.append(number)

    async with anyio.create_task_group() as group:
        for number in range(3):
            group.start_soon(one, number)
    assert sorted(done) == [0, 1, 2]


async def test_a_cancelled_one_ends() -> None:
    async def busy() -> None:
        while True:
            await anyio.lowlevel.checkpoint()

    with anyio.move_on_after(0.05) as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(busy)
            await settle()
    assert scope.cancelled_caught
