"""Back-pressure and the end: a bus that is full, publishers that are cancelled, and what is closed when."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import anyio
import pytest
from anyio.lowlevel import checkpoint

from agentflow_kernel.errors import Unavailable
from agentflow_specs.leaks import count_tasks, find_leaks, wait_for_tasks
from agentflow_specs.requirement import requirement
from agentflow_specs.suites.bus.abilities import capacity_of
from agentflow_specs.suites.bus.taker import PATIENCE_S, SlowTaker, Taker, drained, make_event, quiet, until

if TYPE_CHECKING:
    from agentflow_kernel.contracts.bus import Bus
    from agentflow_kernel.testing import Harness

MOMENTS = 12


@requirement(
    "BUS-30",
    "MUST",
    needs="bounded",
    reason="A handler that is slower than its publishers must not fill the memory.",
    advice="Wait in publish while there is no room; wake every publisher when there is.",
)
@pytest.mark.anyio
async def test_a_full_bus_makes_publishers_wait(bus: Bus, harness: Harness) -> None:
    """Waits in `publish` while a subscription is full, goes on as it is emptied, and loses nothing."""
    capacity = capacity_of(harness)
    with SlowTaker() as taker:
        assert 1 <= capacity <= 100
        subscription = await bus.subscribe("*", taker, max_in_flight=1)
        published: list[int] = []

        async def publish() -> None:
            for number in range(capacity * 3):
                await bus.publish(make_event(number))
                published.append(number)

        with anyio.fail_after(PATIENCE_S):
            async with anyio.create_task_group() as group:
                group.start_soon(publish)
                await until(harness, lambda: len(published) >= capacity)
                await quiet(harness)
                assert len(published) == capacity
                taker.gate.set()
        await drained(harness, subscription)
        assert taker.ids == [str(number) for number in range(capacity * 3)]


@requirement(
    "BUS-31",
    "MUST",
    needs="bounded",
    reason="A run that is cancelled while it waits for room must not hold a place for ever.",
    advice="Take the place only once there is one.",
)
@pytest.mark.anyio
async def test_a_publisher_may_give_up_waiting(bus: Bus, harness: Harness) -> None:
    """Lets a publisher that waits for room be cancelled; its event is not delivered, later ones are."""
    with SlowTaker() as taker:
        subscription = await bus.subscribe("*", taker, max_in_flight=1)
        for number in range(capacity_of(harness)):
            await bus.publish(make_event(number))
        with anyio.move_on_after(0.05) as scope:
            await bus.publish(make_event("given up"))
        assert scope.cancelled_caught
        taker.gate.set()
        await drained(harness, subscription)
        await bus.publish(make_event("later"))
        await drained(harness, subscription)
        assert taker.ids == [*(str(number) for number in range(capacity_of(harness))), "later"]


@requirement(
    "BUS-32",
    "MUST",
    reason="Ctrl-C, timeouts and losing branches cancel publishers at every moment.",
    advice="Accept the event whole or not at all.",
)
@pytest.mark.anyio
async def test_a_cancelled_publish_happened_or_not(bus: Bus, harness: Harness) -> None:
    """Delivers an event once or not at all whose publisher was cancelled, at every moment; the next ones come."""
    taker = Taker()
    subscription = await bus.subscribe("*", taker)
    for moment in range(MOMENTS):
        with anyio.fail_after(PATIENCE_S):
            async with anyio.create_task_group() as group:
                for number in range(4):
                    group.start_soon(bus.publish, make_event(f"{moment}-{number}", f"key {number}"))
                for _ in range(moment):
                    await checkpoint()
                group.cancel_scope.cancel()
            await bus.publish(make_event(f"next {moment}"))
    await drained(harness, subscription)
    assert len(taker.ids) == len(set(taker.ids))
    assert {name for name in taker.ids if name.startswith("next")} == {f"next {moment}" for moment in range(MOMENTS)}


@requirement(
    "BUS-40",
    "MUST",
    reason="A worker that stops drains first: what it accepted is done before it goes.",
    advice="Count what is held and what is being handled or tried again; wake who waits when it is nothing.",
)
@pytest.mark.anyio
async def test_drain_waits_for_all_that_was_accepted(bus: Bus, harness: Harness) -> None:
    """Returns from `drain` once all accepted events are handled, put aside or dropped, and at once where none is."""
    with SlowTaker() as taker:
        subscription = await bus.subscribe("*", taker)
        with anyio.fail_after(PATIENCE_S):
            await subscription.drain()
        for number, deed in enumerate(("ack", "retry", "raise", "dead", "poison", "drop")):
            await bus.publish(make_event(number, f"key {number}", deed=deed))
        returned: list[str] = []

        async def drain() -> None:
            await subscription.drain()
            returned.append("drained")

        with anyio.fail_after(PATIENCE_S * 2):
            async with anyio.create_task_group() as group:
                group.start_soon(drain)
                await quiet(harness)
                assert returned == []
                taker.gate.set()
                await until(harness, lambda: bool(returned))
        before = len(taker.ids)
        assert set(taker.ids) == {str(number) for number in range(6)}
        assert taker.ids.count("1") == taker.ids.count("2") == 2
        await quiet(harness)
        assert len(taker.ids) == before


@requirement(
    "BUS-41",
    "MUST",
    reason="A trigger that is taken away must not act any more, and what it had begun is finished.",
    advice="Stop taking events, wait for the handlers under way, let others go on.",
)
@pytest.mark.anyio
async def test_a_closed_subscription_takes_nothing_more(bus: Bus, harness: Harness) -> None:
    """Lets handlers under way end before it is closed, takes nothing afterwards; closes twice; others go on."""
    other = Taker()
    with SlowTaker() as slow:
        subscription, beside = await bus.subscribe("*", slow), await bus.subscribe("*", other)
        await bus.publish(make_event("begun"))
        await until(harness, lambda: slow.under_way == 1)
        closed: list[int] = []

        async def close() -> None:
            await subscription.aclose()
            closed.append(slow.ended)

        with anyio.fail_after(PATIENCE_S):
            async with anyio.create_task_group() as group:
                group.start_soon(close)
                group.start_soon(close)
                await quiet(harness)
                assert closed == []
                slow.gate.set()
            await subscription.aclose()
            await subscription.drain()
        await bus.publish(make_event("after"))
        await drained(harness, beside)
        await quiet(harness)
        assert closed == [1, 1]
        assert slow.ids == ["begun"]
        assert other.ids == ["begun", "after"]


@requirement(
    "BUS-42",
    "MUST",
    reason="A member of a group that goes away leaves its share to the others.",
    advice="Choose among the members that are there when the event is published.",
)
@pytest.mark.anyio
async def test_a_group_goes_on_without_a_member(bus: Bus, harness: Harness) -> None:
    """Gives all events to the members of a group that are left."""
    takers = [Taker(), Taker()]
    gone, left = [await bus.subscribe("*", taker, group="one") for taker in takers]
    for number in range(6):
        await bus.publish(make_event(number, f"key {number}"))
    await drained(harness, gone, left)
    await gone.aclose()
    for number in range(6, 12):
        await bus.publish(make_event(number, f"key {number}"))
    await drained(harness, left)
    assert sorted(int(name) for taker in takers for name in taker.ids) == list(range(12))
    assert {int(name) for name in takers[1].ids} >= set(range(6, 12))


@requirement(
    "BUS-50",
    "MUST",
    reason="The kernel closes what it made, and so does a careful user.",
    advice="The second call finds nothing to do.",
)
@pytest.mark.anyio
async def test_closing_twice_is_no_error(bus: Bus, harness: Harness) -> None:
    """May be closed twice, used or not, and by several tasks at once; its subscriptions too, before and after."""
    async with harness.open() as unused:
        await cast("Bus", unused).aclose()
    subscription = await bus.subscribe("*", Taker())
    await bus.publish(make_event("one"))
    with anyio.fail_after(PATIENCE_S):
        async with anyio.create_task_group() as group:
            group.start_soon(bus.aclose)
            group.start_soon(bus.aclose)
        await bus.aclose()
        await subscription.aclose()
        await subscription.drain()


@requirement(
    "BUS-51",
    "MUST",
    reason="Who publishes to a bus that is gone has to learn that nobody will react.",
    advice="Look whether the bus is closed, in publish and in subscribe.",
)
@pytest.mark.anyio
async def test_calls_after_the_end_are_refused(bus: Bus) -> None:
    """Refuses `publish` and `subscribe` after the end with `Unavailable` and `executed` "no"."""
    await bus.aclose()
    with pytest.raises(Unavailable) as refused:
        await bus.publish(make_event("late"))
    assert refused.value.executed == "no"
    with pytest.raises(Unavailable) as refused:
        await bus.subscribe("*", Taker())
    assert refused.value.executed == "no"


@requirement(
    "BUS-52",
    "MUST",
    reason="A worker that stops closes its bus while events are under way.",
    advice="Let handlers end, wake publishers that wait for room, forget or keep the rest.",
)
@pytest.mark.anyio
async def test_closing_while_in_use_settles_everything(bus: Bus, harness: Harness) -> None:
    """Lets handlers under way end before `aclose` returns; every publisher comes back, with `Unavailable` or not."""
    with SlowTaker() as taker:
        await bus.subscribe("*", taker, max_in_flight=2)
        settled: list[str] = []

        async def publish(number: int) -> None:
            try:
                for turn in range(30):
                    await bus.publish(make_event(f"{number}-{turn}", f"key {number}"))
            except Unavailable as refused:
                settled.append(refused.executed)
            else:
                settled.append("accepted")

        async def close() -> None:
            await bus.aclose()
            settled.append(f"closed after {taker.ended}")

        with anyio.fail_after(PATIENCE_S):
            async with anyio.create_task_group() as group:
                for number in range(10):
                    group.start_soon(publish, number)
                await until(harness, lambda: taker.under_way > 0)
                under_way = taker.under_way
                group.start_soon(close)
                await quiet(harness)
                assert not [word for word in settled if word.startswith("closed")]
                taker.gate.set()
        assert len(settled) == 11
        assert set(settled) <= {"no", "maybe", "accepted", f"closed after {under_way}"}
        ended = taker.ended
        await quiet(harness)
        assert taker.ended == ended


@requirement(
    "BUS-53",
    "MUST",
    reason="A process that opens and closes buses for months must not run out of sockets, threads or files.",
    advice="Join what was started and close what was opened before aclose returns.",
)
def test_nothing_is_left_after_the_end(harness: Harness, anyio_backend: str) -> None:
    """Leaves no task, thread, open file, socket or child process behind."""

    async def use(subject: object) -> None:
        bus = cast("Bus", subject)
        subscription = await bus.subscribe("*", Taker())
        for number in range(20):
            await bus.publish(make_event(number, f"key {number % 3}", deed="raise" if number == 7 else "ack"))
        await drained(harness, subscription)
        await bus.publish(make_event("held", deed="poison"))
        await bus.aclose()

    assert find_leaks(harness, use, anyio_backend) == []


@requirement(
    "BUS-54",
    "MUST",
    reason="A bus at rest costs nothing; a task for each event that ever was fills the memory.",
    advice="End the tasks that deliver once there is nothing to do.",
)
@pytest.mark.anyio
async def test_a_bus_at_rest_has_no_tasks_for_its_past(bus: Bus, harness: Harness, anyio_backend: str) -> None:
    """Keeps no more tasks after a thousand events of a thousand keys than after the first ones."""
    subscription = await bus.subscribe("*", Taker())
    before = 0
    for number in range(1_000):
        await bus.publish(make_event(number, f"key {number}"))
        if number in {20, 999}:
            await drained(harness, subscription)
        if number == 20:
            before = count_tasks(anyio_backend)
    await wait_for_tasks(anyio_backend, before)
