"""Outcomes: what becomes of an event by what its handler answers, and of those behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agentflow_specs.requirement import requirement
from agentflow_specs.suites.bus.abilities import clock_of, dead_letters
from agentflow_specs.suites.bus.taker import RETRY_S, Taker, drained, make_event, pass_time, quiet, until

if TYPE_CHECKING:
    from agentflow_kernel.contracts.bus import Bus
    from agentflow_kernel.testing import Harness

pytestmark = pytest.mark.anyio

MOST_TRIES = 20


@requirement(
    "BUS-20",
    "MUST",
    reason="What was handled and comes again is done twice.",
    advice="Acknowledge after the handler has ended, and only then.",
)
async def test_handled_events_do_not_come_again(bus: Bus, harness: Harness) -> None:
    """Delivers no more what was answered with `Ack`, `None`, `Drop` or `DeadLetter`."""
    taker = Taker()
    subscription = await bus.subscribe("*", taker)
    for deed in ("ack", "none", "drop", "dead"):
        await bus.publish(make_event(deed, deed, deed=deed))
    await drained(harness, subscription)
    await quiet(harness)
    assert sorted(taker.ids) == ["ack", "dead", "drop", "none"]


@requirement(
    "BUS-21",
    "MUST",
    reason="A handler asks for a retry because it cannot do it now.",
    advice="Keep the event, wait as long as was asked, deliver it again.",
)
async def test_a_retry_comes_again(bus: Bus, harness: Harness) -> None:
    """Delivers an event again, unchanged, whose handler asked for it or raised."""
    taker = Taker()
    subscription = await bus.subscribe("*", taker)
    for deed in ("retry", "raise"):
        await bus.publish(make_event(deed, deed, deed=deed))
    await drained(harness, subscription)
    assert sorted(taker.ids) == ["raise", "raise", "retry", "retry"]
    assert all(event == other for event in taker.events for other in taker.events if event.id == other.id)


@requirement(
    "BUS-22",
    "MUST",
    needs="clock",
    reason="What is asked for again too early fails again, and loads what is already in trouble.",
    advice="Count the pause by the clock of the bus, from the end of the handler.",
)
async def test_a_retry_does_not_come_too_early(bus: Bus, harness: Harness) -> None:
    """Delivers an event that was asked for again not before the time, and soon after it."""
    clock, taker = clock_of(harness), Taker()
    await bus.subscribe("*", taker)
    await bus.publish(make_event("late", deed="retry"))
    await until_first(harness, taker)
    await clock.advance(RETRY_S * 0.9)
    assert taker.ids == ["late"]
    await clock.advance(RETRY_S * 0.2)
    assert taker.ids == ["late", "late"]


@requirement(
    "BUS-23",
    "MUST",
    reason="Order that does not hold over retries holds only while nothing goes wrong.",
    advice="Keep the later events of the key behind the one that is tried again; let other keys pass.",
)
async def test_order_holds_over_retries(bus: Bus, harness: Harness) -> None:
    """Delivers the later events of a key after the one that is tried again, those of other keys meanwhile."""
    for deed in ("retry", "raise"):
        taker = Taker()
        subscription = await bus.subscribe("*", taker)
        for name in ("first", "second", "third"):
            await bus.publish(make_event(name, "key", deed=deed if name == "second" else "ack"))
        await bus.publish(make_event("other", "other"))
        if harness.declared["clock"]:
            await pass_time(harness, 0)
            await until(harness, lambda taker=taker: "other" in taker.ids)  # type: ignore[misc]  # bound now
        await drained(harness, subscription)
        assert [name for name in taker.ids if name != "other"] == ["first", "second", "second", "third"]
        await subscription.aclose()


@requirement(
    "BUS-24",
    "MUST",
    reason="One reaction's trouble is its own.",
    advice="Try again for the subscription that failed, not for all that match.",
)
async def test_a_failing_handler_harms_no_other(bus: Bus, harness: Harness) -> None:
    """Delivers an event once to others, whatever becomes of it in one subscription or group."""
    bad, good, member = Taker(), Taker(), Taker()
    good.answer = member.answer = lambda event, *, first: None  # type: ignore[method-assign]  # they take everything
    subscriptions = [await bus.subscribe("*", bad), await bus.subscribe("*", good)]
    subscriptions.append(await bus.subscribe("*", member, group="one"))
    for number, deed in enumerate(("raise", "retry", "poison", "dead", "drop")):
        await bus.publish(make_event(number, deed=deed))
    await drained(harness, *subscriptions)
    await quiet(harness)
    assert good.ids == member.ids == ["0", "1", "2", "3", "4"]
    assert len(bad.ids) > 5


@requirement(
    "BUS-25",
    "MUST",
    reason="One event that can never be handled must not stop its key for ever, nor burn a processor.",
    advice="Count the tries; put the event aside after a few, and go on.",
)
async def test_a_poisonous_event_comes_to_an_end(bus: Bus, harness: Harness) -> None:
    """Tries an event that always fails at least twice, at most 20 times, and goes on with the next of its key."""
    for deed in ("poison", "again"):
        taker = Taker()
        subscription = await bus.subscribe("*", taker)
        await bus.publish(make_event("bad", "key", deed=deed))
        await bus.publish(make_event("next", "key"))
        await until(harness, lambda taker=taker: "next" in taker.ids)  # type: ignore[misc]  # bound now
        await drained(harness, subscription)
        assert 2 <= taker.ids.count("bad") <= MOST_TRIES
        assert taker.ids[-1] == "next"
        await subscription.aclose()


@requirement(
    "BUS-26",
    "MUST",
    needs="aside",
    reason="What was put aside is looked at by people, and tried again when its cause is mended.",
    advice="Keep the event as it was, with the reason of the handler or the text of its error.",
)
async def test_what_is_put_aside_can_be_found(bus: Bus, harness: Harness) -> None:
    """Keeps each event that was put aside, unchanged and with the reason: asked for, or given up; no others."""
    taker = Taker()
    subscription = await bus.subscribe("*", taker)
    deeds = ("ack", "none", "drop", "dead", "retry", "raise", "poison", "again")
    events = {deed: make_event(deed, deed, deed=deed) for deed in deeds}
    for event in events.values():
        await bus.publish(event)
    await drained(harness, subscription)
    found = {event.id: (event, reason) for event, reason in await dead_letters(harness, bus)}
    assert set(found) == {"dead", "poison", "again"}
    assert all(event == events[name] for name, (event, _) in found.items())
    assert "not to be read" in found["dead"][1]
    assert "cannot take poison" in found["poison"][1]
    assert found["again"][1].strip()


async def until_first(harness: Harness, taker: Taker) -> None:
    """Wait for the first delivery without moving the clock."""
    for _ in range(1_000):
        if taker.ended:
            break
        await pass_time(harness, 0)
    assert taker.ended == 1
