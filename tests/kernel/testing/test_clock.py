"""The fake clock: time moves when the test moves it, sleepers wake at their deadlines, in order."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from agentflow_kernel.testing import FakeClock, settle

pytestmark = pytest.mark.anyio


async def test_time_stands_still_until_it_is_moved() -> None:
    """Wall and monotonic time begin where they are told to."""
    clock = FakeClock(100)
    assert (clock.now(), clock.monotonic()) == (100, 0)
    await clock.advance(5)
    assert (clock.now(), clock.monotonic()) == (105, 5)


async def test_a_jump_moves_the_wall_clock_alone() -> None:
    """As an administrator would; sleepers do not notice."""
    clock, woken = FakeClock(100), []
    async with anyio.create_task_group() as group:

        async def sleep() -> None:
            await clock.sleep(10)
            woken.append(clock.monotonic())

        group.start_soon(sleep)
        await settle()
        clock.jump(-50)
        assert (clock.now(), clock.monotonic()) == (50, 0)
        await settle()
        assert woken == []
        await clock.advance(10)
    assert (woken, clock.now()) == ([10], 60)


async def test_sleepers_wake_one_by_one_at_their_deadlines() -> None:
    """Each sees the time at which it wanted to wake; equal deadlines keep their order."""
    clock, woken = FakeClock(0), []

    async def sleep(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((name, clock.now()))

    async with anyio.create_task_group() as group:
        for name, seconds in [("c", 3), ("a", 1), ("b", 2), ("late", 9)]:
            group.start_soon(sleep, name, seconds)
        await settle()
        await clock.advance(5)
        assert woken == [("a", 1), ("b", 2), ("c", 3)]
        assert clock.now() == 5
        await clock.advance(4)
    assert woken[-1] == ("late", 9)


async def test_a_sleep_begun_while_time_moves_ends_within_the_same_move() -> None:
    """A loop of sleeps runs as often as its time allows."""
    clock, ticks = FakeClock(0), []

    async def tick() -> None:
        for _ in range(3):
            await clock.sleep(2)
            ticks.append(clock.now())

    async with anyio.create_task_group() as group:
        group.start_soon(tick)
        await settle()
        await clock.advance(10)
    assert ticks == [2, 4, 6]


async def test_every_sleep_is_written_down() -> None:
    """In order, with what was asked for."""
    clock = FakeClock(auto=True)
    for seconds in (1, 0, -1, 2.5):
        await clock.sleep(seconds)
    assert clock.slept == [1, 0, -1, 2.5]
    assert clock.monotonic() == 3.5


@pytest.mark.parametrize(("auto", "seconds"), [(True, 5), (True, 0), (False, 0), (False, -1)])
async def test_a_sleep_that_does_not_wait_still_lets_others_run(auto: bool, seconds: float) -> None:
    """And can be cancelled, like that of the machine's clock."""
    clock, turns = FakeClock(auto=auto), []

    async def sleep(name: str) -> None:
        for _ in range(2):
            await clock.sleep(seconds)
            turns.append(name)

    async with anyio.create_task_group() as group:
        group.start_soon(sleep, "a")
        group.start_soon(sleep, "b")
    assert sorted(turns[:2]) == ["a", "b"]
    with anyio.CancelScope() as scope:
        scope.cancel()
        await clock.sleep(seconds)
    assert scope.cancelled_caught


async def test_a_cancelled_sleeper_does_no_harm() -> None:
    """Time moves past it."""
    clock = FakeClock()
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(clock.sleep, 5)
            await settle()
            scope.cancel()
    await clock.advance(10)
    assert clock.monotonic() == 10
