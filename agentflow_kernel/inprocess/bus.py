"""The in-process bus: events handed to handlers of the same process, in order per key, with retry and dead letters."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import anyio

from agentflow_kernel.contracts.bus import DeadLetter, Drop, Retry
from agentflow_kernel.contracts.clock import SystemClock
from agentflow_kernel.errors import Unavailable, UsageError
from agentflow_kernel.run.beginning import until_begun

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio.abc import TaskGroup

    from agentflow_kernel.contracts.bus import Handler
    from agentflow_kernel.contracts.clock import Clock
    from agentflow_kernel.event import Event

CAPACITY = 2000
"""Events one subscription holds before ``publish`` waits."""
MAX_TRIES = 3
"""Deliveries of one event whose handler raises, before it becomes a dead letter."""
RETRY_DELAY_S = 0.1
"""Pause before the second delivery; doubled for the third."""


class InProcessBus:
    """Works in the task group it is given; ends with it. Publishing is accepted in order."""

    def __init__(self, group: TaskGroup, *, clock: Clock | None = None, capacity: int = CAPACITY) -> None:
        self._group = group
        self._clock = clock or SystemClock()
        self._capacity = capacity
        self._subscriptions: list[InProcessSubscription] = []
        self._turns: dict[str, int] = {}
        self._closed = False
        self.dead_letters: deque[tuple[Event, str]] = deque(maxlen=1000)
        """The latest events put aside, each with the reason."""
        self.dropped = 0
        self.on_dead_letter: Callable[[Event, str], None] = lambda event, reason: None
        """Called for each event put aside."""

    async def publish(self, event: Event) -> None:
        """Return when every matching subscription has room for the event and holds it."""
        if self._closed:
            raise Unavailable("The in-process bus is closed.", executed="no")
        key = str(event.extensions.get("partitionkey", ""))
        for subscription in self._takers(event, key):
            await subscription.put(event, key)
            if self._closed:
                raise Unavailable("The in-process bus was closed before it had room for the event.", executed="maybe")

    def _takers(self, event: Event, key: str) -> list[InProcessSubscription]:
        """Who gets the event: of a group, the member that works on its key, or else the one whose turn it is."""
        takers: list[InProcessSubscription] = []
        groups: dict[str, list[InProcessSubscription]] = {}
        for subscription in self._subscriptions:
            if matches(subscription.pattern, event.type):
                if subscription.group:
                    groups.setdefault(subscription.group, []).append(subscription)
                else:
                    takers.append(subscription)
        for name, members in groups.items():
            taker = next((member for member in members if member.holds(key)), None)
            if taker is None:
                turn = self._turns[name] = self._turns.get(name, -1) + 1
                taker = members[turn % len(members)]
            takers.append(taker)
        return takers

    async def subscribe(
        self, pattern: str, handler: Handler, *, group: str = "", max_in_flight: int = 16
    ) -> InProcessSubscription:
        """Start calling ``handler``."""
        return self.add(pattern, handler, group=group, max_in_flight=max_in_flight)

    def add(self, pattern: str, handler: Handler, *, group: str = "", max_in_flight: int = 16) -> InProcessSubscription:
        """As :meth:`subscribe`, at once."""
        if self._closed:
            raise Unavailable("The in-process bus is closed.", executed="no")
        if max_in_flight < 1:
            raise UsageError(f"max_in_flight must be at least 1, not {max_in_flight}.")
        subscription = InProcessSubscription(self, pattern, handler, group, max_in_flight)
        self._subscriptions.append(subscription)
        return subscription

    def forget(self, subscription: InProcessSubscription) -> None:
        """Take a subscription off the list."""
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)

    def put_aside(self, event: Event, reason: str) -> None:
        """Keep a dead letter, log it, and tell whoever wants to know."""
        from agentflow_kernel.telemetry import get_logger  # only where something went wrong

        self.dead_letters.append((event, reason))
        get_logger("agentflow.bus").warning("event.dead_lettered", type=event.type, id=event.id, reason=reason)
        self.on_dead_letter(event, reason)

    @property
    def holds_events(self) -> bool:
        """Whether an event is waiting or being handled."""
        return any(subscription.held for subscription in self._subscriptions)

    async def drain(self) -> None:
        """Return when every event accepted so far has been handled, put aside or dropped."""
        for subscription in list(self._subscriptions):
            await subscription.drain()

    async def aclose(self) -> None:
        """Close every subscription; what they still hold is forgotten."""
        self._closed = True
        for subscription in list(self._subscriptions):
            await subscription.aclose()


class InProcessSubscription:
    """A subscription: a queue per key, worked off by at most ``max_in_flight`` tasks that live only while needed."""

    def __init__(self, bus: InProcessBus, pattern: str, handler: Handler, group: str, max_in_flight: int) -> None:
        self.pattern = pattern
        self.group = group
        self._bus = bus
        self._handler = handler
        self._max_in_flight = max_in_flight
        self._lanes: dict[str, deque[Event]] = {}
        self._ready: deque[str] = deque()
        self.held = 0
        self._working = 0
        self._unbegun = 0
        """Tasks of these that have not had their first turn."""
        self._given_up = False
        """Whether such tasks are waited for no more; one that begins all the same does nothing."""
        self._pauses: set[anyio.CancelScope] = set()
        """Deliveries that wait for their next attempt."""
        self._changed = anyio.Event()
        self._closed = False

    def holds(self, key: str) -> bool:
        """Whether an event of this key waits here or is being handled."""
        return key in self._lanes

    async def put(self, event: Event, key: str) -> None:
        """Hold the event; waits while the subscription is full."""
        while self.held >= self._bus._capacity and not self._closed:  # noqa: SLF001 -- its own bus
            await self._changed.wait()
        if self._closed:
            return
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = deque()
            self._ready.append(key)
        lane.append(event)
        self.held += 1
        if self._working < self._max_in_flight and self._ready:
            self._working += 1
            self._unbegun += 1
            self._bus._group.start_soon(self._work)  # noqa: SLF001 -- its own bus

    async def _work(self) -> None:
        """Take keys that are ready, one event of one key at a time, until there is nothing to do."""
        if self._given_up:
            return
        self._unbegun -= 1
        try:
            while self._ready and not self._closed:
                key = self._ready.popleft()
                lane = self._lanes[key]
                await self._deliver(lane[0])
                lane.popleft()
                self.held -= 1
                if lane:
                    self._ready.append(key)
                else:
                    del self._lanes[key]
                self._signal()
        finally:
            self._working -= 1
            self._signal()

    async def _deliver(self, event: Event) -> None:
        """Call the handler until the event is handled, put aside or dropped."""
        delay = RETRY_DELAY_S
        for attempt in range(1, MAX_TRIES + 1):
            try:
                outcome = await self._handler(event)
            except Exception as error:  # noqa: BLE001 -- any error of a handler is a retry, then a dead letter
                outcome = Retry(delay) if attempt < MAX_TRIES else DeadLetter(f"{type(error).__name__}: {error}")
            if isinstance(outcome, Retry) and attempt == MAX_TRIES:
                outcome = DeadLetter(f"the handler asked for a retry {MAX_TRIES} times")
            if isinstance(outcome, Retry):
                await self._pause(outcome.after_s)
                if self._closed:
                    return
                delay *= 2
                continue
            if isinstance(outcome, DeadLetter):
                self._bus.put_aside(event, outcome.reason)
            elif isinstance(outcome, Drop):
                self._bus.dropped += 1
            return

    async def _pause(self, seconds: float) -> None:
        """Wait before the next attempt; ends early when the subscription is closed."""
        with anyio.CancelScope() as scope:
            self._pauses.add(scope)
            try:
                await self._bus._clock.sleep(seconds)  # noqa: SLF001 -- its own bus
            finally:
                self._pauses.discard(scope)

    def _signal(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    async def drain(self) -> None:
        """Return when nothing is held any more."""
        while self.held and not self._closed:
            await self._changed.wait()

    async def aclose(self) -> None:
        """Stop taking events; returns when the handlers under way have ended, without further attempts."""
        self._closed = True
        self._bus.forget(self)
        for scope in self._pauses:
            scope.cancel()
        self._signal()
        if self._unbegun:
            await until_begun()
            self._given_up = True
            self._working, self._unbegun = self._working - self._unbegun, 0
        while self._working:
            await self._changed.wait()


def matches(pattern: str, event_type: str) -> bool:
    """Whether an event type fits a pattern: itself, ``prefix.*`` (the prefix and what is below it) or ``*``."""
    if pattern in {"*", event_type}:
        return True
    return pattern.endswith(".*") and (event_type == pattern[:-2] or event_type.startswith(pattern[:-1]))
