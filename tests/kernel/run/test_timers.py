"""Timers: a deadline on record, of which a resumed run waits only for the rest."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from engine_kit import DurableJournal, check_history, own

from agentflow_kernel import Context, Flow, Kernel
from agentflow_kernel.testing import FakeClock, InProcessJournal, settle

pytestmark = pytest.mark.anyio

HOUR = 3600.0


def sleeper(seconds: float, woke: list[float] | None = None) -> Flow:
    """A flow of one node that sleeps and says when it woke."""

    async def node(value: int, context: Context) -> int:
        await context.sleep(seconds)
        if woke is not None:
            woke.append(context.now())
        return value

    return Flow("f").step(node)


async def types_of(journal: InProcessJournal) -> list[str]:
    (head,) = await journal.runs()
    records = await journal.read(head.run_id)
    check_history(records)
    return [record.type for record in own(records)]


async def test_a_timer_is_on_record_when_it_is_set_and_when_it_fires() -> None:
    journal, clock = InProcessJournal(), FakeClock()
    async with Kernel(journal=journal, clock=clock) as kernel:
        handle = await kernel.start(sleeper(HOUR), 1)
        await settle()
        await clock.advance(HOUR - 1)
        assert handle.status == "running"
        assert "timer.fired" not in await types_of(journal)
        await clock.advance(1)
        assert await handle.result() == 1
    assert await types_of(journal) == ["run.started", "timer.set", "timer.fired", "step.completed", "run.ended"]


@pytest.mark.parametrize(("gone", "rest"), [(HOUR / 2, HOUR / 2), (0.0, HOUR), (HOUR * 2, 0.0)])
async def test_a_resumed_run_waits_only_for_the_rest(gone: float, rest: float) -> None:
    """``gone`` seconds went by while no process was there; what is overdue fires at once."""
    journal, woke = InProcessJournal(), []
    begin = FakeClock()
    flow = sleeper(HOUR, woke)
    async with Kernel(journal=DurableJournal(journal), clock=begin) as kernel:
        await kernel.start(flow, 1, key="k")
        await settle()
    clock = FakeClock(begin.now() + gone, auto=True)
    async with Kernel(journal=DurableJournal(journal), clock=clock) as kernel:
        assert await (await kernel.start(flow, 1, key="k")).result() == 1
    assert sum(clock.slept) == pytest.approx(rest)
    assert woke == [pytest.approx(begin.now() + max(gone, HOUR))]
    assert (await types_of(journal)).count("timer.fired") == 1


async def test_a_timer_that_has_fired_is_not_waited_for_again() -> None:
    """Not even when the clock was set back before its deadline in the meantime."""
    survivor = InProcessJournal()
    begin = FakeClock(auto=True)
    flow = sleeper(HOUR)
    async with Kernel(journal=DurableJournal(survivor, dies_at=4), clock=begin) as kernel:
        handle = await kernel.start(flow, 1, key="k")
        with pytest.raises(Exception, match="ProcessDied"):
            await handle.result()
    assert (await types_of(survivor))[-1] == "timer.fired"
    clock = FakeClock(begin.now() - 2 * HOUR)
    async with Kernel(journal=DurableJournal(survivor), clock=clock) as kernel:
        assert await (await kernel.start(flow, 1, key="k")).result() == 1
    assert clock.slept == []


@pytest.mark.parametrize(("jump", "waits"), [(-HOUR, HOUR), (0.0, HOUR), (HOUR / 2, HOUR / 2), (HOUR * 2, 60.0)])
async def test_a_wall_clock_that_is_set_meanwhile_never_delays_a_timer(jump: float, waits: float) -> None:
    """Set back: the time that goes by counts. Set forward: early by at most the jump, within a minute."""
    clock = FakeClock()
    async with Kernel(journal=InProcessJournal(), clock=clock) as kernel:
        handle = await kernel.start(sleeper(HOUR), 1)
        await settle()
        clock.jump(jump)
        await clock.advance(waits - 1)
        await settle()
        assert handle.status == "running"
        await clock.advance(1)
        assert await handle.result() == 1


async def test_the_head_shows_waiting_during_a_long_timer_only() -> None:
    """From the record of the timer on until it fires; a resumed run shows it again."""
    journal, clock = InProcessJournal(), FakeClock()

    async def node(value: int, context: Context) -> int:
        await context.sleep(1)
        await context.sleep(HOUR)
        return value

    flow = Flow("f").step(node)

    async def status(kernel: Kernel) -> str:
        await settle()
        (head,) = await kernel.runs()
        return head.status

    async with Kernel(journal=DurableJournal(journal), clock=clock) as kernel:
        await kernel.start(flow, 1, key="k")
        assert await status(kernel) == "running"
        await clock.advance(1)
        assert await status(kernel) == "waiting"
    async with Kernel(journal=DurableJournal(journal), clock=clock) as kernel:
        assert await status(kernel) == "suspended"
        handle = await kernel.start(flow, 1, key="k")
        assert await status(kernel) == "waiting"
        assert [head.run_id for head in await kernel.runs(status="waiting")] == [handle.run_id]
        await clock.advance(HOUR)
        await handle.result()
        assert await status(kernel) == "completed"


async def test_timers_of_a_batch_fire_in_the_order_of_their_deadlines() -> None:
    journal, clock = InProcessJournal(), FakeClock()

    async def node(seconds: int, context: Context) -> int:
        await context.sleep(seconds)
        return seconds

    flow = Flow("f").step(node, each={"$ref": "input"}, concurrency=3)
    async with Kernel(journal=journal, clock=clock) as kernel:
        handle = await kernel.start(flow, [30, 10, 20])
        await settle()
        await clock.advance(30)
        assert await handle.result() == [30, 10, 20]
        fired = [record.path for record in await kernel.history(handle.run_id) if record.type == "timer.fired"]
    assert fired == ["node[1]!sleep", "node[2]!sleep", "node[0]!sleep"]


async def test_a_run_without_a_kernel_sleeps_in_memory() -> None:
    with anyio.fail_after(30):
        assert await sleeper(0.001).run(1) == 1
        assert await sleeper(-1).run(2) == 2


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), float("-inf")])
async def test_a_time_that_is_no_time_is_refused(seconds: Any) -> None:
    with pytest.raises(ValueError, match="finite"):
        await sleeper(seconds).run(1)
