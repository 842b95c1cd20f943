"""A planner that listens: signals in order, at rest until one comes, none lost or taken twice at a restart."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from engine_kit import DurableJournal, check_history
from plan_kit import Ear, InTurn

from agentflow_kernel import Context, Flow, Kernel, Parts, Plan
from agentflow_kernel.contracts.planner import Decision, End
from agentflow_kernel.errors import ProtocolViolation, RunFailed, RunSuspended, Unsupported
from agentflow_kernel.run.history_limits import Limits
from agentflow_kernel.testing import FakeClock, FunctionToolset, InProcessJournal, settle

pytestmark = pytest.mark.anyio


def ear(**document: Any) -> Plan:
    return Plan("ear", Ear(), document)


async def status_of(kernel: Kernel) -> str:
    (head,) = await kernel.runs()
    return head.status


async def test_signals_are_observed_in_the_order_of_their_arrival() -> None:
    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(ear())
        for number in range(5):
            await handle.signal("note", number)
        await handle.signal("stop")
        assert await handle.result() == [*(["note", number] for number in range(5)), ["stop", None]]


@pytest.mark.keeps_memory("lists every record")
async def test_a_listening_run_rests() -> None:
    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(ear())
        await settle()
        assert await status_of(kernel) == "waiting"
        await handle.signal("note", 1)
        await settle()
        assert await status_of(kernel) == "waiting"
        await handle.signal("stop")
        await handle.result()
        records = await kernel.history(handle.run_id)
    check_history(records)
    assert [record.type for record in records] == [
        "run.started", "decision", "wait.opened",
        "signal.received", "signal.consumed", "decision", "wait.opened",
        "signal.received", "signal.consumed", "decision", "step.completed", "run.ended",
    ]  # fmt: skip
    last: Any = records[-3].payload
    assert (last["state"], last["open"], last["timer"]) == ({"heard": [["note", 1], ["stop", None]]}, [], None)


async def test_only_the_signals_that_are_named_are_observed() -> None:
    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(ear(names=["note", "stop"]))
        await handle.signal("noise", 1)
        await handle.signal("note", 2)
        await handle.signal("stop")
        assert await handle.result() == [["note", 2], ["stop", None]]


async def test_a_wait_that_a_signal_fits_has_it_before_the_planner() -> None:
    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(ear(work={"type": "signal", "name": "go"}))
        await settle()
        await handle.signal("go", 1)
        await settle()
        await handle.signal("go", 2)
        await handle.signal("stop")
        assert await handle.result() == [["result", 1], ["go", 2], ["stop", None]]


async def test_signals_are_observed_while_an_action_is_at_work() -> None:
    clock = FakeClock()
    async with Kernel(journal=InProcessJournal(), clock=clock) as kernel:
        handle = await kernel.start(ear(work={"type": "timer", "seconds": 60}))
        await settle()
        await handle.signal("note", 1)
        await settle()
        await clock.advance(60)
        await handle.signal("stop")
        assert await handle.result() == [["note", 1], ["result", None], ["stop", None]]


async def test_a_timer_wakes_a_planner_that_listens() -> None:
    clock = FakeClock()
    async with Kernel(journal=InProcessJournal(), clock=clock) as kernel:
        handle = await kernel.start(ear(timer_s=100))
        await handle.signal("note", 1)
        await settle()
        await clock.advance(100)
        assert await handle.result() == [["note", 1], ["timer", None]]
        check_history(await kernel.history(handle.run_id))


async def test_a_timer_can_be_taken_back() -> None:
    clock = FakeClock()
    async with Kernel(journal=InProcessJournal(), clock=clock) as kernel:
        handle = await kernel.start(ear(timer_s=100))
        await handle.signal("disarm")
        await settle()
        await clock.advance(1000)
        await handle.signal("stop")
        assert await handle.result() == [["disarm", None], ["stop", None]]


class Sleeper:
    """Asks for the timer that each signal names; ends when one fires."""

    def read(self, document: Any) -> Any:
        return document

    def begin(self, task: Any) -> Any:
        return {}

    def step(self, state: Any, observation: Any) -> Decision:
        if observation.kind == "timer":
            return Decision(end=End("woken"))
        waits: list[Any] = [{"type": "signal", "name": "*"}]
        if observation.kind == "signal":
            waits.append({"type": "timer", "after_s": observation.value})
        return Decision(waits=waits)

    def dump(self, state: Any) -> Any:
        return {}

    def load(self, task: Any, document: Any) -> Any:
        return {}


async def test_a_timer_whose_place_was_taken_and_given_back_fires_at_its_time_only() -> None:
    clock = FakeClock()
    async with Kernel(journal=InProcessJournal(), clock=clock) as kernel:
        handle = await kernel.start(Plan("sleeper", Sleeper(), {}))
        for seconds in (100, 10, 100):
            await handle.signal("sleep", seconds)
            await settle()
        await clock.advance(99)
        assert await status_of(kernel) == "waiting"
        await clock.advance(1)
        assert await handle.result() == "woken"


@pytest.mark.parametrize("rested", [True, False])
async def test_no_signal_is_lost_or_taken_twice_when_the_run_goes_on_elsewhere(rested: bool) -> None:
    journal, heard, run_id = DurableJournal(), ear(), ""
    for number in range(3):
        async with Kernel(journal=journal) as kernel:
            kernel.add(heard)
            handle = await (kernel.resume(run_id) if number else kernel.start(heard))
            run_id = handle.run_id
            if rested:
                await settle()
            await handle.signal("note", number, signal_id=f"s{number}")
            await handle.signal("note", number, signal_id=f"s{number}")
    async with Kernel(journal=journal) as kernel:
        kernel.add(heard)
        handle = await kernel.resume(run_id)
        await handle.signal("stop")
        assert await handle.result() == [["note", 0], ["note", 1], ["note", 2], ["stop", None]]
        check_history(await kernel.history(run_id))


async def test_a_resumed_run_waits_only_for_what_is_left_of_its_timer() -> None:
    clock, journal, subject = FakeClock(), DurableJournal(), ear(timer_s=100)
    async with Kernel(journal=journal, clock=clock) as kernel:
        run_id = (await kernel.start(subject)).run_id
        await settle()
        await clock.advance(60)
    async with Kernel(journal=journal, clock=clock) as kernel:
        kernel.add(subject)
        handle = await kernel.resume(run_id)
        await settle()
        assert await status_of(kernel) == "waiting"
        await clock.advance(40)
        assert await handle.result() == [["timer", None]]


async def test_a_listening_run_that_is_closed_is_suspended_and_one_that_is_cancelled_ends() -> None:
    journal, subject = DurableJournal(), ear()
    async with Kernel(journal=journal) as kernel:
        handle = await kernel.start(subject)
        await settle()
    with pytest.raises(RunSuspended):
        await handle.result()
    async with Kernel(journal=journal) as kernel:
        kernel.add(subject)
        handle = await kernel.resume(handle.run_id)
        await handle.cancel()
        assert await status_of(kernel) == "cancelled"


async def test_listening_without_a_kernel_is_refused() -> None:
    with pytest.raises((RunFailed, Unsupported), match="no kernel round it"):
        await Flow("f").step(ear(), name="ear").run(None)


@pytest.mark.parametrize("compact", [False, True])
async def test_a_planner_that_listens_for_long_does_not_outgrow_its_history(compact: bool) -> None:
    """A snapshot in the midst of its only visit: what its actions did before is in the planner's state."""
    limits = Limits(snapshot_records=20, most_records=60, compact=compact)
    journal, subject, run_id = DurableJournal(), ear(), ""
    for life in range(4):
        async with Kernel(journal=journal, limits=limits) as kernel:
            kernel.add(subject)
            handle = await (kernel.resume(run_id) if life else kernel.start(subject))
            run_id = handle.run_id
            for number in range(50):
                await handle.signal("note", [life, number], signal_id=f"{life}.{number}")
                await settle()
            assert not await handle.signal("note", 0, signal_id="0.7")
    async with Kernel(journal=journal, limits=limits) as kernel:
        kernel.add(subject)
        handle = await kernel.resume(run_id)
        await handle.signal("stop")
        heard = await handle.result()
        records = await kernel.history(run_id)
    assert heard == [*(["note", [life, number]] for life in range(4) for number in range(50)), ["stop", None]]
    assert sum(record.type == "snapshot" for record in records) >= (1 if compact else 20)
    assert (len(records) < 60) == compact


@pytest.mark.parametrize("compact", [False, True])
async def test_a_snapshot_within_a_visit_keeps_only_what_open_actions_did(compact: bool) -> None:
    """Also over several lives: each ends in the middle of a flow, which goes on where it was."""
    journal, limits, lives = DurableJournal(), Limits(snapshot_records=12, compact=compact), 0
    done: list[int] = []

    async def half(number: int) -> int:
        done.append(number)
        return number

    async def pause(number: int, context: Context) -> int:
        if number % 10 == 7 and lives == number // 10:
            await context.wait("never")
        return number * 2

    steps = [
        {"id": f"s{number}", "kind": "flow", "name": "double", "arguments": {"input": number}} for number in range(30)
    ]
    flow = Flow("double").step(half).step(pause)
    subject, run_id = Plan("p", InTurn(), {"steps": steps}, parts=Parts(flows={"double": flow})), ""
    for lives in range(4):
        async with Kernel(journal=journal, limits=limits) as kernel:
            kernel.add(subject)
            handle = await (kernel.resume(run_id) if lives else kernel.start(subject))
            run_id = handle.run_id
            await settle()
            if lives == 3:
                assert await handle.result() == [number * 2 for number in range(30)]
            records = await kernel.history(run_id)
    assert done == list(range(30))
    assert any(record.type == "snapshot" for record in records)


async def test_a_run_whose_plan_has_changed_is_parked_and_goes_on_when_it_is_put_back() -> None:
    """It is not ended for good, as long as a person may still mend it."""

    class Other(Ear):
        def load(self, task: Any, document: Any) -> Any:
            raise ProtocolViolation("The chart has no state 'open' any more.")

    journal, subject = DurableJournal(), ear()
    async with Kernel(journal=journal) as kernel:
        handle = await kernel.start(subject)
        await handle.signal("note", 1)
        await settle()
    async with Kernel(journal=journal) as kernel:
        kernel.add(Plan("ear", Other(), {}))
        handle = await kernel.resume(handle.run_id)
        with pytest.raises(RunSuspended, match="The chart has no state 'open' any more"):
            await handle.result()
        assert await status_of(kernel) == "stuck"
    async with Kernel(journal=journal) as kernel:
        kernel.add(subject)
        handle = await kernel.resume(handle.run_id)
        await handle.signal("stop")
        assert await handle.result() == [["note", 1], ["stop", None]]


async def test_an_effect_that_was_begun_is_not_forgotten_by_another_plan() -> None:
    """A run that broke off in its first step has no decision on record: what it began must be begun again, or wait."""
    journal, kit, began = DurableJournal(), FunctionToolset(), list[str]()

    async def pay(_arguments: Any) -> None:
        began.append("pay")
        await anyio.sleep_forever()

    async def look(_arguments: Any) -> str:
        began.append("look")
        return "seen"

    kit.add("pay", pay, effect="effect")
    kit.add("look", look, effect="pure")

    def in_turn(tool: str) -> Plan:
        return Plan(
            "p", InTurn(), {"steps": [{"id": "a-" + tool, "kind": "tool", "name": "kit." + tool}]}, tools={"kit": kit}
        )

    async with Kernel(journal=journal) as kernel:
        handle = await kernel.start(in_turn("pay"))
        await settle()
    for plan, words in ((in_turn("look"), "p/a-pay.*begins otherwise"), (in_turn("pay"), "p/a-pay")):
        async with Kernel(journal=journal) as kernel:
            kernel.add(plan)
            resumed = await kernel.resume(handle.run_id)
            with pytest.raises(RunSuspended, match=words):
                await resumed.result()
            assert await status_of(kernel) == "stuck"
    assert began == ["pay"]
