"""The in-process bus: order per key, retries, dead letters, groups, back-pressure, and an end that leaves nothing."""

from __future__ import annotations

from collections import defaultdict
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import agentflow_kernel.log_output  # noqa: F401 -- loaded by the first warning, which stands in an event loop here
from agentflow_kernel import Event
from agentflow_kernel.contracts.bus import Ack, DeadLetter, Drop, Retry
from agentflow_kernel.errors import Unavailable, UsageError
from agentflow_kernel.inprocess.bus import CAPACITY, InProcessBus, matches
from agentflow_kernel.testing import FakeClock, settle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def open_bus(**options: Any) -> AsyncIterator[InProcessBus]:
    """A bus in a task group of its own."""
    async with anyio.create_task_group() as group:
        bus = InProcessBus(group, clock=options.pop("clock", FakeClock(auto=True)), **options)
        yield bus
        await bus.aclose()


def keyed(key: str | None, data: Any, kind: str = "a.b") -> Event:
    """An event of this key."""
    return Event(kind, data, extensions=None if key is None else {"partitionkey": key})


class Inbox:
    """A handler that keeps the data of what it handled."""

    def __init__(self) -> None:
        self.data: list[Any] = []

    async def __call__(self, event: Event) -> None:
        self.data.append(event.data)


async def test_an_event_reaches_every_matching_subscription_once() -> None:
    """Those that do not match get nothing."""
    one, other, none = Inbox(), Inbox(), Inbox()
    async with open_bus() as bus:
        for pattern, inbox in (("order.created", one), ("order.*", other), ("order.deleted", none)):
            await bus.subscribe(pattern, inbox)
        await bus.publish(keyed(None, 1, "order.created"))
        await bus.drain()
    assert (one.data, other.data, none.data) == ([1], [1], [])


@pytest.mark.parametrize(
    ("pattern", "kind", "fits"),
    [
        ("*", "order.created", True),
        ("order.created", "order.created", True),
        ("order.*", "order.created", True),
        ("order.*", "order.created.late", True),
        ("order.*", "order", True),
        ("order.*", "orders.created", False),
        ("order.created", "order.created.late", False),
        ("order", "order.created", False),
        ("*.created", "order.created", False),
    ],
)
def test_a_pattern_is_a_type_a_prefix_or_everything(pattern: str, kind: str, fits: bool) -> None:
    """``prefix.*`` is the prefix and what is below it."""
    assert matches(pattern, kind) is fits


async def test_events_of_one_key_are_handled_in_order_one_at_a_time() -> None:
    """Whatever the concurrency; different keys go side by side."""
    inside: dict[str, int] = defaultdict(int)
    order: dict[str, list[int]] = defaultdict(list)
    most = 0

    async def handle(event: Event) -> None:
        nonlocal most
        key = str(event.key)
        inside[key] += 1
        assert inside[key] == 1
        most = max(most, sum(inside.values()))
        for _ in range(event.data % 3):
            await anyio.lowlevel.checkpoint()
        order[key].append(event.data)
        inside[key] -= 1

    async with open_bus() as bus:
        await bus.subscribe("*", handle, max_in_flight=4)
        for number in range(60):
            await bus.publish(keyed("abcde"[number % 5], number))
        await bus.drain()
    assert all(numbers == sorted(numbers) for numbers in order.values())
    assert sum(map(len, order.values())) == 60
    assert 1 < most <= 4


async def test_events_without_a_key_share_one() -> None:
    """They stay in order."""
    inbox = Inbox()

    async def handle(event: Event) -> None:
        for _ in range(3 - event.data % 3):
            await anyio.lowlevel.checkpoint()
        await inbox(event)

    async with open_bus() as bus:
        await bus.subscribe("*", handle)
        for number in range(20):
            await bus.publish(keyed(None, number))
        await bus.drain()
    assert inbox.data == list(range(20))


async def test_a_busy_key_does_not_keep_the_others_waiting() -> None:
    """After each event it is the next key's turn."""
    inbox = Inbox()
    async with open_bus() as bus:
        await bus.subscribe("*", inbox, max_in_flight=1)
        for key, data in [("a", "a1"), ("a", "a2"), ("a", "a3"), ("b", "b1")]:
            await bus.publish(keyed(key, data))
        await bus.drain()
    assert inbox.data == ["a1", "b1", "a2", "a3"]


async def test_a_retried_event_keeps_its_place() -> None:
    """Later events of its key wait; those of other keys do not."""
    clock, seen, tries = FakeClock(), [], defaultdict(int)

    async def handle(event: Event) -> Retry | None:
        tries[event.data] += 1
        if event.data == "a1" and tries["a1"] < 3:
            return Retry(10)
        seen.append(event.data)
        return None

    async with open_bus(clock=clock) as bus:
        await bus.subscribe("*", handle)
        for key, data in [("a", "a1"), ("a", "a2"), ("b", "b1")]:
            await bus.publish(keyed(key, data))
        await settle()
        assert seen == ["b1"]
        await clock.advance(20)
        await bus.drain()
    assert seen == ["b1", "a1", "a2"]
    assert clock.slept == [10, 10]


async def test_a_handler_that_raises_is_tried_three_times_then_the_event_is_put_aside() -> None:
    """With the reason; the pause doubles, and the next event of the key goes on."""
    clock, inbox = FakeClock(auto=True), Inbox()

    async def handle(event: Event) -> None:
        await inbox(event)
        if event.data == 1:
            raise ValueError("broken")

    async with open_bus(clock=clock) as bus:
        await bus.subscribe("*", handle)
        await bus.publish(keyed("a", 1))
        await bus.publish(keyed("a", 2))
        await bus.drain()
        assert [(event.data, reason) for event, reason in bus.dead_letters] == [(1, "ValueError: broken")]
    assert inbox.data == [1, 1, 1, 2]
    assert clock.slept == [0.1, 0.2]


async def test_a_handler_that_asks_for_a_retry_for_ever_is_not_asked_for_ever() -> None:
    """The reason says so."""

    async def handle(event: Event) -> Retry:
        return Retry(1)

    async with open_bus() as bus:
        await bus.subscribe("*", handle)
        await bus.publish(keyed(None, 1))
        await bus.drain()
        assert [reason for _, reason in bus.dead_letters] == ["the handler asked for a retry 3 times"]


async def test_a_handler_may_put_aside_drop_or_acknowledge() -> None:
    """Each at once; nothing is delivered again."""
    inbox = Inbox()
    outcomes = {1: DeadLetter("poison"), 2: Drop("not ours"), 3: Ack(), 4: None}

    async def handle(event: Event) -> Any:
        await inbox(event)
        return outcomes[event.data]

    async with open_bus() as bus:
        await bus.subscribe("*", handle)
        for number in outcomes:
            await bus.publish(keyed(None, number))
        await bus.drain()
        assert [(event.data, reason) for event, reason in bus.dead_letters] == [(1, "poison")]
        assert bus.dropped == 1
    assert inbox.data == [1, 2, 3, 4]


async def test_dead_letters_are_bounded() -> None:
    """The latest thousand are kept."""

    async def handle(event: Event) -> DeadLetter:
        return DeadLetter("no")

    async with open_bus() as bus:
        await bus.subscribe("*", handle)
        for number in range(1010):
            await bus.publish(keyed(None, number))
        await bus.drain()
        assert len(bus.dead_letters) == 1000
        assert bus.dead_letters[0][0].data == 10


async def test_members_of_a_group_share_the_events() -> None:
    """Each event goes to one of them; another group and single subscriptions get all."""
    members, other, single = [Inbox(), Inbox()], Inbox(), Inbox()
    async with open_bus() as bus:
        for inbox in members:
            await bus.subscribe("*", inbox, group="workers")
        await bus.subscribe("*", other, group="audit")
        await bus.subscribe("*", single)
        for number in range(10):
            await bus.publish(keyed(str(number), number))
        await bus.drain()
    assert sorted(members[0].data + members[1].data) == other.data == single.data == list(range(10))
    assert len(members[0].data) == len(members[1].data) == 5


async def test_order_per_key_holds_across_the_members_of_a_group() -> None:
    """While one works on a key, the others do not get its next event."""
    inside: dict[str, int] = defaultdict(int)
    order: dict[str, list[int]] = defaultdict(list)

    async def handle(event: Event) -> None:
        key = str(event.key)
        inside[key] += 1
        assert inside[key] == 1
        for _ in range(3 - event.data % 3):
            await anyio.lowlevel.checkpoint()
        order[key].append(event.data)
        inside[key] -= 1

    async with open_bus() as bus:
        for _ in range(3):
            await bus.subscribe("*", handle, group="workers")
        for number in range(60):
            await bus.publish(keyed("ab"[number % 2], number))
        await bus.drain()
    assert dict(order) == {"a": list(range(0, 60, 2)), "b": list(range(1, 60, 2))}


async def test_a_full_subscription_makes_the_publisher_wait() -> None:
    """It goes on when there is room; nothing is lost."""
    go, inbox = anyio.Event(), Inbox()
    accepted: list[int] = []

    async def handle(event: Event) -> None:
        await go.wait()
        await inbox(event)

    async with open_bus(capacity=3) as bus, anyio.create_task_group() as group:
        await bus.subscribe("*", handle)

        async def publish() -> None:
            for number in range(6):
                await bus.publish(keyed(None, number))
                accepted.append(number)

        group.start_soon(publish)
        await settle()
        assert accepted == [0, 1, 2]
        go.set()
        await settle()
        await bus.drain()
    assert inbox.data == accepted == list(range(6))


async def test_a_subscription_holds_two_thousand_events() -> None:
    """The default bound."""
    assert CAPACITY == 2000


async def test_publishing_without_subscribers_is_no_error() -> None:
    """Nobody wanted the event."""
    async with open_bus() as bus:
        await bus.publish(keyed(None, 1))
        await bus.drain()
        assert not bus.holds_events


async def test_draining_waits_for_everything_that_is_held() -> None:
    """Also for retries."""
    clock, inbox, tries = FakeClock(), Inbox(), []

    async def handle(event: Event) -> Retry | None:
        tries.append(event.data)
        if len(tries) == 1:
            return Retry(5)
        await inbox(event)
        return None

    drained = []
    async with open_bus(clock=clock) as bus, anyio.create_task_group() as group:
        subscription = await bus.subscribe("*", handle)
        await bus.publish(keyed(None, 1))
        assert bus.holds_events

        async def drain() -> None:
            await subscription.drain()
            drained.append(list(inbox.data))

        group.start_soon(drain)
        await settle()
        assert drained == []
        await clock.advance(5)
    assert drained == [[1]]


async def test_a_closed_subscription_gets_nothing_more_and_others_go_on() -> None:
    """Closing twice does no harm."""
    one, other = Inbox(), Inbox()
    async with open_bus() as bus:
        subscription = await bus.subscribe("*", one)
        await bus.subscribe("*", other)
        await bus.publish(keyed(None, 1))
        await bus.drain()
        await subscription.aclose()
        await subscription.aclose()
        await bus.publish(keyed(None, 2))
        await bus.drain()
    assert (one.data, other.data) == ([1], [1, 2])


async def test_closing_waits_for_the_handlers_under_way() -> None:
    """They are not cut off."""
    inside, go, done = anyio.Event(), anyio.Event(), []

    async def handle(event: Event) -> None:
        inside.set()
        await go.wait()
        done.append(event.data)

    async with open_bus() as bus, anyio.create_task_group() as group:
        subscription = await bus.subscribe("*", handle)
        await bus.publish(keyed(None, 1))
        await bus.publish(keyed(None, 2))
        await inside.wait()
        group.start_soon(subscription.aclose)
        await settle()
        assert done == []
        go.set()
    assert done == [1]


@pytest.mark.parametrize("late", [False, True], ids=["never", "after it was closed"])
async def test_tasks_that_do_not_begin_hold_up_no_closing(late: bool) -> None:
    """An interrupt ends them before their first turn, or the loop gives them that when it pleases; closed twice."""
    inbox, begin = Inbox(), []
    group: Any = SimpleNamespace(start_soon=begin.append)
    subscription = await InProcessBus(group).subscribe("*", inbox)
    for number in range(2):
        await subscription.put(keyed(str(number), number), str(number))
    with anyio.fail_after(5):
        await subscription.aclose()
        for work in begin if late else ():
            await work()
        await subscription.aclose()
    assert len(begin) == 2
    assert inbox.data == []


async def test_closing_does_not_wait_for_the_next_attempt() -> None:
    """However far away it is."""
    tries: list[int] = []

    async def handle(event: Event) -> Retry:
        tries.append(1)
        return Retry(3600)

    with anyio.fail_after(30):
        async with open_bus(clock=FakeClock()) as bus:
            await bus.subscribe("*", handle)
            await bus.publish(keyed(None, 1))
            await settle()
    assert tries == [1]


async def test_a_closed_bus_refuses_events() -> None:
    """Not executed, so it is safe to send them elsewhere; closing twice does no harm."""
    async with open_bus() as bus:
        await bus.aclose()
        await bus.aclose()
        with pytest.raises(Unavailable, match="The in-process bus is closed") as caught:
            await bus.publish(keyed(None, 1))
        with pytest.raises(Unavailable, match="The in-process bus is closed"):
            await bus.subscribe("*", Inbox())
    assert caught.value.executed == "no"


async def test_who_waits_for_room_is_told_when_the_bus_closes() -> None:
    """The event was not accepted, and the publisher must not believe it was."""
    go = anyio.Event()
    errors: list[str] = []

    async def handle(event: Event) -> None:
        await go.wait()

    async with open_bus(capacity=1) as bus, anyio.create_task_group() as group:
        await bus.subscribe("*", handle)
        await bus.publish(keyed(None, 1))

        async def publish() -> None:
            try:
                await bus.publish(keyed(None, 2))
            except Unavailable as error:
                errors.append(str(error))

        group.start_soon(publish)
        await settle()
        group.start_soon(bus.aclose)
        await settle()
        go.set()
    assert errors == ["The in-process bus was closed before it had room for the event."]


async def test_a_handler_may_publish() -> None:
    """Also to its own subscription."""
    inbox = Inbox()

    async with open_bus() as bus:

        async def handle(event: Event) -> None:
            await inbox(event)
            if event.data < 5:
                await bus.publish(keyed(str(event.data), event.data + 1))

        await bus.subscribe("*", handle)
        await bus.publish(keyed(None, 1))
        await bus.drain()
    assert inbox.data == [1, 2, 3, 4, 5]


async def test_nothing_can_be_handled_with_no_handler_in_flight() -> None:
    """The bound is at least one."""
    async with open_bus() as bus:
        with pytest.raises(UsageError, match="max_in_flight must be at least 1, not 0"):
            await bus.subscribe("*", Inbox(), max_in_flight=0)


outcomes = st.sampled_from(["ack", "raise once", "retry once", "raise", "drop", "put aside"])


@given(
    events=st.lists(st.tuples(st.sampled_from("abc"), outcomes), max_size=25),
    in_flight=st.integers(1, 4),
    members=st.integers(1, 3),
    backend=st.sampled_from(["asyncio", "trio"]),
)
@settings(max_examples=40, deadline=None)
def test_every_event_is_handled_in_order_or_accounted_for(
    events: list[tuple[str, str]], in_flight: int, members: int, backend: str
) -> None:
    """Accepted = handled + dropped + put aside; the order of each key holds whatever goes wrong on the way."""
    handled: dict[str, list[int]] = defaultdict(list)
    tries: dict[int, int] = defaultdict(int)

    async def handle(event: Event) -> Any:
        key, outcome = str(event.key), events[event.data][1]
        tries[event.data] += 1
        await anyio.lowlevel.checkpoint()
        if outcome == "raise" or (outcome == "raise once" and tries[event.data] == 1):
            raise ValueError("broken")
        if outcome == "retry once" and tries[event.data] == 1:
            return Retry(1)
        if outcome in {"drop", "put aside"}:
            return Drop("") if outcome == "drop" else DeadLetter("")
        handled[key].append(event.data)
        return None

    async def main() -> tuple[int, int]:
        async with open_bus() as bus:
            for _ in range(members):
                await bus.subscribe("*", handle, group="workers", max_in_flight=in_flight)
            for number, (key, _) in enumerate(events):
                await bus.publish(keyed(key, number))
            await bus.drain()
            return len(bus.dead_letters), bus.dropped

    put_aside, dropped = anyio.run(main, backend=backend)
    assert all(numbers == sorted(numbers) for numbers in handled.values())
    assert sum(map(len, handled.values())) + put_aside + dropped == len(events)
    assert all(count <= 3 for count in tries.values())
