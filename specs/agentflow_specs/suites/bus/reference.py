"""A reference: what each subscription of a bus must have got, and a machine that does the same to a real one."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from anyio.from_thread import start_blocking_portal
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from agentflow_specs.suites.bus.abilities import dead_letters
from agentflow_specs.suites.bus.taker import Taker, drained, make_event

if TYPE_CHECKING:
    from agentflow_kernel.contracts.bus import Outcome
    from agentflow_kernel.event import Event
    from agentflow_kernel.testing import Harness

PATTERNS = {"*": {"a", "a.b", "c"}, "a.*": {"a", "a.b"}, "a.b": {"a.b"}, "c": {"c"}}
DEEDS = ("ack", "ack", "none", "drop", "dead", "retry", "raise")
MOST = 5
"""Subscriptions at a time."""


class Place:
    """Where events arrive: a subscription without a group, or a whole group."""

    def __init__(self) -> None:
        self.expected: list[tuple[str, str]] = []
        """Key and id of each delivery that must be, in the order of each key."""
        self.found: list[tuple[str, str]] = []
        """As they were."""

    def by_key(self, deliveries: list[tuple[str, str]]) -> dict[str, list[str]]:
        """The deliveries of each key, in order."""
        keys = {key for key, _ in deliveries}
        return {key: [name for where, name in deliveries if where == key] for key in keys}


class BusMachine(RuleBasedStateMachine):
    """Publishes, subscribes and closes, and compares what arrived with what must have."""

    def __init__(self, harness: Harness, backend: str) -> None:
        super().__init__()
        self.harness = harness
        self.stack = contextlib.ExitStack()
        self.portal = self.stack.enter_context(start_blocking_portal(backend))
        self.real: Any = self.stack.enter_context(self.portal.wrap_async_context_manager(harness.open()))
        self.subscriptions: list[tuple[Any, str, Place]] = []
        self.groups: dict[str, Place] = {}
        self.places: list[Place] = []
        self.dead: list[str] = []
        self.count = 0

    def teardown(self) -> None:
        """Compare a last time; close the bus and its event loop."""
        try:
            self.settle()
        finally:
            self.stack.close()

    @precondition(lambda self: len(self.subscriptions) < MOST)
    @rule(pattern=st.sampled_from(sorted(PATTERNS)), group=st.sampled_from(["", "", "g"]), limit=st.integers(1, 4))
    def subscribe(self, pattern: str, group: str, limit: int) -> None:
        """Begin to take events, once those before have come."""
        self.settle()
        place = self.groups.setdefault(group, Place()) if group else Place()
        self.places += [] if place in self.places else [place]
        taker = Taker()

        async def handle(event: Event) -> Outcome | None:
            place.found.append((str(event.key), event.id))
            return await taker(event)

        async def begin() -> Any:
            return await self.real.subscribe(pattern, handle, group=group, max_in_flight=limit)

        self.subscriptions.append((self.portal.call(begin), pattern, place))

    @rule(
        type=st.sampled_from(["a", "a.b", "c"]),
        key=st.sampled_from(["k", "k", "l", "m"]),
        deed=st.sampled_from(DEEDS),
    )
    def publish(self, type: str, key: str, deed: str) -> None:
        """Publish one event; each place that fits gets it, twice where its first handler fails."""
        self.count += 1
        name = str(self.count)
        for place in self.places:
            if any(where is place and type in PATTERNS[pattern] for _, pattern, where in self.subscriptions):
                place.expected += [(key, name)] * (2 if deed in {"retry", "raise"} else 1)
                self.dead += [name] if deed == "dead" else []
        self.portal.call(self.real.publish, make_event(name, key, type=type, deed=deed))

    @precondition(lambda self: bool(self.subscriptions))
    @rule(number=st.integers(0, MOST - 1))
    def close(self, number: int) -> None:
        """Take a subscription away, once its events have come."""
        self.settle()
        subscription, _, _ = self.subscriptions.pop(number % len(self.subscriptions))
        self.portal.call(subscription.aclose)

    @rule()
    def settle(self) -> None:
        """Wait for all that was published; every place has got what it must, in the order of each key."""
        self.portal.call(drained, self.harness, *(subscription for subscription, _, _ in self.subscriptions))
        for place in self.places:
            assert place.by_key(place.found) == place.by_key(place.expected)
        if self.harness.declared["aside"]:
            letters = self.portal.call(dead_letters, self.harness, self.real)
            assert sorted(event.id for event, _ in letters) == sorted(self.dead)
