"""Delivery: what reaches whom, unchanged and in order, and how many at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest
from anyio.lowlevel import checkpoint

from agentflow_kernel.errors import AgentFlowError, UsageError
from agentflow_kernel.event import Event
from agentflow_specs.requirement import requirement
from agentflow_specs.suites.bus.taker import PATIENCE_S, SlowTaker, Taker, drained, make_event, quiet, until

if TYPE_CHECKING:
    from agentflow_kernel.contracts.bus import Bus, Outcome
    from agentflow_kernel.testing import Harness

pytestmark = pytest.mark.anyio

PUBLISHERS = 100
FITS = {
    "order.created": {"order.created"},
    "order.*": {"order", "order.created", "order.created.late"},
    "order.created.*": {"order.created", "order.created.late"},
    "*": {"order", "order.created", "order.created.late", "orders.created", "*", "Order.created"},
    "order": {"order"},
    "ord*": set(),
    "*.created": set(),
    "order.*.late": set(),
}
"""Each pattern with the types, of those in it, that fit."""
TYPES = sorted(set().union(*FITS.values()))


@requirement(
    "BUS-01",
    "MUST",
    reason="A handler acts on the event as it was published: its ids, its time, its trace.",
    advice="Carry every attribute and extension, and the data in its own form.",
)
async def test_an_event_arrives_unchanged(bus: Bus, harness: Harness) -> None:
    """Delivers an event with all its attributes, extensions and data unchanged."""
    taker = Taker()
    subscription = await bus.subscribe("*", taker)
    whole = Event(
        "order.created", {"é": [1, 2.5, None, True, {"🐎": "x"}]}, source="/shops/1", id="id-1", subject="order 7",
        time="2026-11-21T10:00:00Z", dataschema="https://example.com/order",
        extensions={"partitionkey": "7", "tenant": "a"},
    )  # fmt: skip
    await bus.publish(whole)
    await drained(harness, subscription)
    assert taker.events == [whole]


@requirement(
    "BUS-02",
    "MUST",
    reason="Two triggers on the same event are two reactions; neither may take it from the other.",
    advice="Keep a place for each subscription without a group.",
)
async def test_every_subscription_gets_each_event(bus: Bus, harness: Harness) -> None:
    """Delivers each event once to every subscription that is there when it is published, and bears that none is."""
    await bus.publish(make_event("nobody"))
    takers = [Taker(), Taker(), Taker()]
    subscriptions = [await bus.subscribe("suite.*", taker) for taker in takers]
    for number in range(5):
        await bus.publish(make_event(number, f"key {number}"))
    await drained(harness, *subscriptions)
    await quiet(harness)
    for taker in takers:
        assert sorted(set(taker.ids) - {"nobody"}) == ["0", "1", "2", "3", "4"]
        assert len(taker.ids) == len(set(taker.ids))


@requirement(
    "BUS-03",
    "MUST",
    reason="A trigger that fires for what it does not name acts on the wrong things.",
    advice="A pattern is a whole type, a prefix followed by '.*', or '*'; nothing else is a wildcard.",
)
async def test_patterns_choose_by_type(bus: Bus, harness: Harness) -> None:
    """Delivers to a pattern its own type, `prefix.*` what is that prefix or below it, `*` everything; no more."""
    takers = {pattern: Taker() for pattern in FITS}
    subscriptions = []
    for pattern, taker in takers.items():
        try:
            subscriptions.append(await bus.subscribe(pattern, taker))
        except UsageError:
            assert not FITS[pattern], pattern  # what can fit nothing may be refused
    for number, kind in enumerate(TYPES):
        await bus.publish(make_event(number, kind, type=kind))
    await drained(harness, *subscriptions)
    await quiet(harness)
    assert {pattern: {event.type for event in taker.events} for pattern, taker in takers.items()} == FITS


@requirement(
    "BUS-04",
    "MUST",
    reason="Workers share a load by a group; each event is one piece of work.",
    advice="Give each event of a group to one of its members, and to each group.",
)
async def test_a_group_shares_the_events(bus: Bus, harness: Harness) -> None:
    """Delivers each event once to each group, to one of its members, and to those without a group besides."""
    members, others, alone = [Taker(), Taker(), Taker()], [Taker(), Taker()], Taker()
    subscriptions = [await bus.subscribe("*", taker, group="one") for taker in members]
    subscriptions += [await bus.subscribe("suite.*", taker, group="two") for taker in others]
    subscriptions.append(await bus.subscribe("*", alone))
    names = [str(number) for number in range(30)]
    for name in names:
        await bus.publish(make_event(name, name))
    await drained(harness, *subscriptions)
    await quiet(harness)
    for takers in (members, others, [alone]):
        assert sorted((name for taker in takers for name in taker.ids), key=int) == names


@requirement(
    "BUS-05",
    "MUST",
    reason="'Created' handled after 'deleted' brings back what is gone.",
    advice="Hand over one event of a key at a time, in the order in which they were accepted.",
)
async def test_order_holds_for_each_key(bus: Bus, harness: Harness) -> None:
    """Delivers the events of one key in the order of publishing, one after the other, also to a group."""
    order: list[tuple[str, str]] = []
    busy: set[str] = set()

    async def handle(event: Event) -> Outcome | None:
        key = str(event.key)
        assert key not in busy
        busy.add(key)
        for _ in range(int(event.id) % 3):
            await checkpoint()
        order.append((key, event.id))
        busy.discard(key)
        return None

    subscriptions = [await bus.subscribe("*", handle, group="one") for _ in range(3)]
    for number in range(60):
        await bus.publish(make_event(number, f"key {number % 4}"))
    await drained(harness, *subscriptions)
    for key in range(4):
        found = [int(name) for where, name in order if where == f"key {key}"]
        assert found == list(range(key, 60, 4))


@requirement(
    "BUS-06",
    "MUST",
    reason="Who sets no key expects events as they were published.",
    advice="Take no key as one key that all such events share.",
)
async def test_events_without_a_key_are_in_order(bus: Bus, harness: Harness) -> None:
    """Delivers events without a key in the order of publishing, as those of one key."""
    taker = Taker()

    async def handle(event: Event) -> Outcome | None:
        for _ in range(int(event.id) % 3):
            await checkpoint()
        return await taker(event)

    subscription = await bus.subscribe("*", handle, max_in_flight=8)
    for number in range(0, 80, 2):
        await bus.publish(make_event(number))
    await drained(harness, subscription)
    assert taker.ids == [str(number) for number in range(0, 80, 2)]


@requirement(
    "BUS-07",
    "MUST",
    reason="One slow order must not hold up all others.",
    advice="Work on several keys at a time, up to the limit of the subscription.",
)
async def test_a_busy_key_does_not_hold_up_others(bus: Bus, harness: Harness) -> None:
    """Delivers events of other keys, and to other subscriptions, while the handler of one key is at work."""
    taker, beside = Taker(), Taker()
    with SlowTaker() as slow:

        async def handle(event: Event) -> Outcome | None:
            return await (slow if event.key == "slow" else taker)(event)

        subscription = await bus.subscribe("*", handle, max_in_flight=4)
        other = await bus.subscribe("*", beside)
        await bus.publish(make_event("held", "slow"))
        for number in range(6):
            await bus.publish(make_event(number, f"key {number}"))
        await until(harness, lambda: len(taker.ids) == 6 and len(beside.ids) == 7)
        assert slow.ids == []
        slow.gate.set()
        await drained(harness, subscription, other)
        assert slow.ids == ["held"]


@requirement(
    "BUS-08",
    "MUST",
    reason="A limit protects what the handlers use: connections, memory, a service.",
    advice="Count the handlers that run; refuse a limit below 1, with which nothing would ever be handled.",
)
async def test_no_more_handlers_run_than_allowed(bus: Bus, harness: Harness) -> None:
    """Runs at most `max_in_flight` handlers of a subscription at a time; refuses a limit below 1 with `UsageError`."""
    for limit in (1, 3):
        with SlowTaker() as taker:
            subscription = await bus.subscribe(f"limit.{limit}", taker, max_in_flight=limit)
            for number in range(7):
                await bus.publish(make_event(number, f"key {number}", type=f"limit.{limit}"))
            await until(harness, lambda taker=taker: taker.under_way > 0)  # type: ignore[misc]  # bound now
            await quiet(harness)
            assert taker.under_way <= limit
            taker.gate.set()
            await drained(harness, subscription)
            assert taker.most <= limit
            assert len(taker.ids) == 7
    for limit in (0, -1):
        with pytest.raises(UsageError):
            await bus.subscribe("*", Taker(), max_in_flight=limit)


@requirement(
    "BUS-09",
    "MUST",
    reason="Events come from outside: names in every script, no data at all, or a megabyte of it.",
    advice="Take the event's own encoding; check sizes before accepting, and say so by a typed error.",
)
async def test_any_event_is_carried(bus: Bus, harness: Harness) -> None:
    """Carries events of every script and size, or refuses to accept one by a typed error; others are not harmed."""
    taker = Taker()
    subscription = await bus.subscribe("*", taker)
    events = [
        Event("é.日本語", "text", id="🐎", source="/ü", extensions={"partitionkey": "ключ 🐎"}),
        Event("empty"), Event("bytes", b"\x00\xff" * 10), Event("list", []), Event("zero", 0), Event("no", False),
        Event("x" * 300, {"a": "x" * 1_000_000}), Event("deep", {"a": [[[[[[{}]]]]]]}, subject="\u202e x"),
        Event("key", "k", extensions={"partitionkey": "x" * 2_000}), Event("slash", {"": ""}, id="../../etc/passwd"),
        Event("quote", "'; DROP TABLE x; --", extensions={"partitionkey": "%s%n{0}"}),
    ]  # fmt: skip
    accepted = []
    for event in events:
        try:
            await bus.publish(event)
        except AgentFlowError:
            continue
        accepted.append(event)
    await bus.publish(make_event("last"))
    await drained(harness, subscription)
    assert len(accepted) >= len(events) // 2
    found = {event.type: event for event in taker.events}
    assert [found[event.type] for event in accepted] == accepted
    assert "last" in taker.ids


@requirement(
    "BUS-10",
    "MUST",
    reason="Everything in a process publishes: triggers, runs, sources, people.",
    advice="Let publishers come from any task at any time.",
)
async def test_a_hundred_publishers_at_once(bus: Bus, harness: Harness) -> None:
    """Delivers all that 100 tasks publish at the same time, in the order of each."""
    taker = Taker()
    subscription = await bus.subscribe("*", taker, max_in_flight=8)

    async def work(number: int) -> None:
        for turn in range(3):
            await bus.publish(make_event(f"{number}-{turn}", f"key {number}"))

    with anyio.fail_after(PATIENCE_S):
        async with anyio.create_task_group() as group:
            for number in range(PUBLISHERS):
                group.start_soon(work, number)
    await drained(harness, subscription)
    for number in range(PUBLISHERS):
        assert [name for name in taker.ids if name.startswith(f"{number}-")] == [
            f"{number}-{turn}" for turn in range(3)
        ]


@requirement(
    "BUS-11",
    "MUST",
    reason="Reactions lead to reactions; one that publishes must not wait for itself.",
    advice="Accept an event without waiting for handlers, as long as there is room.",
)
async def test_a_handler_may_publish_and_subscribe(bus: Bus, harness: Harness) -> None:
    """Lets handlers publish, to their own subscription too, and subscribe."""
    late = Taker()

    async def handle(event: Event) -> Outcome | None:
        number = int(event.id)
        if number < 20:
            await bus.publish(make_event(number + 1, type="chain.link"))
        elif number == 20:
            subscriptions.append(await bus.subscribe("late", late))
            await bus.publish(make_event("after", type="late"))
        return None

    subscriptions = [await bus.subscribe("chain.*", handle)]
    await bus.publish(make_event(0, type="chain"))
    await until(harness, lambda: late.ids == ["after"])
