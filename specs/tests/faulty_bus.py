"""Buses that are faulty in one way each."""

from __future__ import annotations

import os
from collections import deque

import anyio
from faulty import mutants_in

from agentflow_kernel.contracts.bus import Ack, DeadLetter, Drop, Retry
from agentflow_kernel.errors import Unavailable
from agentflow_kernel.event import Event
from agentflow_kernel.inprocess.bus import InProcessBus, InProcessSubscription, matches
from agentflow_kernel.testing import InProcessBusHarness

mutant = mutants_in(globals(), InProcessBusHarness)


class Wrapping(InProcessBus):
    """One that does something to the events or outcomes of each handler."""

    def add(self, pattern, handler, **options):
        async def handle(event):
            return await self.around(handler, event)

        return super().add(pattern, handle, **options)


class Subscribing(InProcessBus):
    """One whose subscriptions are of another class."""

    made_of: type

    def add(self, pattern, handler, *, group="", max_in_flight=16):
        super().add(pattern, handler, group=group, max_in_flight=max_in_flight)
        subscription = self.made_of(self, pattern, handler, group, max_in_flight)
        self._subscriptions[-1] = subscription
        return subscription


def subscribing(asked):
    """A mutant whose fault is in its subscriptions."""

    def register(made_of):
        mutant(asked)(type(f"{made_of.__name__}Bus", (Subscribing,), {"made_of": made_of}))
        return made_of

    return register


@mutant("BUS-01")
class Flattening(Wrapping):
    async def around(self, handler, event):
        return await handler(Event(event.type, event.data, id=event.id, extensions=event.extensions))


@mutant("BUS-02")
class FirstOnly(InProcessBus):
    def _takers(self, event, key):
        return super()._takers(event, key)[:1]


@mutant("BUS-03")
class Prefixing(InProcessBus):
    def _takers(self, event, key):
        takers = super()._takers(event, key)
        more = [each for each in self._subscriptions if each.pattern.endswith("*") and each not in takers]
        return takers + [each for each in more if event.type.startswith(each.pattern[:-1].rstrip("."))]


@mutant("BUS-04")
class Groupless(InProcessBus):
    def _takers(self, event, key):
        return [each for each in self._subscriptions if matches(each.pattern, event.type)]


@mutant("BUS-05")
class TakingTurns(InProcessBus):
    def _takers(self, event, key):
        members = [each for each in self._subscriptions if each.group and matches(each.pattern, event.type)]
        alone = [each for each in super()._takers(event, key) if not each.group]
        self.turn = getattr(self, "turn", -1) + 1
        return alone + members[self.turn % len(members) :][:1] if members else alone


@mutant("BUS-06")
class Keyless(InProcessBus):
    async def publish(self, event):
        for subscription in self._takers(event, event.id):
            await subscription.put(event, event.key or event.id)


@mutant("BUS-07")
class OneQueue(InProcessBus):
    async def publish(self, event):
        for subscription in self._takers(event, ""):
            await subscription.put(event, "")


@mutant("BUS-08")
class Generous(InProcessBus):
    def add(self, pattern, handler, *, group="", max_in_flight=16):
        return super().add(pattern, handler, group=group, max_in_flight=max(max_in_flight, 2))


@mutant("BUS-09")
class Filing(Wrapping):
    async def around(self, handler, event):
        if "/" in event.id:
            return Drop("no such file")
        return await handler(event)


@mutant("BUS-10")
class Crowded(InProcessBus):
    publishers = 0

    async def publish(self, event):
        self.publishers += 1
        await anyio.lowlevel.checkpoint()
        if self.publishers <= 50:
            await super().publish(event)
        self.publishers -= 1


@mutant("BUS-11")
class Guarded(Wrapping):
    busy = False

    async def around(self, handler, event):
        self.busy = True
        try:
            return await handler(event)
        finally:
            self.busy = False

    async def publish(self, event):
        if self.busy:
            raise RuntimeError("a handler is at work")
        await super().publish(event)


@mutant("BUS-20")
class Forgetful(Wrapping):
    async def around(self, handler, event):
        outcome = await handler(event)
        return outcome or Retry(0.1)


@mutant("BUS-21")
class OnceOnly(Wrapping):
    async def around(self, handler, event):
        try:
            outcome = await handler(event)
        except RuntimeError:
            return Ack()
        return Ack() if isinstance(outcome, Retry) else outcome


@mutant("BUS-22")
class Hasty(Wrapping):
    async def around(self, handler, event):
        outcome = await handler(event)
        return Retry(0) if isinstance(outcome, Retry) else outcome


@mutant("BUS-23")
class PuttingBehind(Wrapping):
    async def around(self, handler, event):
        try:
            outcome = await handler(event)
        except RuntimeError:
            outcome = Retry(0.1)
        if isinstance(outcome, Retry):
            await self.publish(event)
            return Ack()
        return outcome


@mutant("BUS-24")
class TellingAll(Wrapping):
    told = False

    async def around(self, handler, event):
        try:
            return await handler(event)
        except RuntimeError:
            if not self.told:
                self.told = True
                await self.publish(event)
            raise


@subscribing("BUS-25")
class Endless(InProcessSubscription):
    async def _deliver(self, event):
        letters = self._bus.dead_letters
        before = len(letters)
        await super()._deliver(event)
        while len(letters) > before and not self._closed:
            letters.pop()
            await super()._deliver(event)


@mutant("BUS-26")
class Wordless(InProcessBus):
    def put_aside(self, event, reason):
        super().put_aside(event, "failed")


@mutant("BUS-30")
class Dropping(InProcessBus):
    async def publish(self, event):
        if all(each.held < self._capacity for each in self._subscriptions):
            await super().publish(event)


@subscribing("BUS-31")
class Reserving(InProcessSubscription):
    async def put(self, event, key):
        late = self.held >= self._bus._capacity
        if late:
            self._lanes.setdefault(key, deque()).append(event)
            self.held += 1
            await self._changed.wait()
        else:
            await super().put(event, key)


@mutant("BUS-32")
class Interrupted(InProcessBus):
    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.turn = anyio.Semaphore(2)

    async def publish(self, event):
        await self.turn.acquire()
        await anyio.lowlevel.checkpoint()
        await super().publish(event)
        self.turn.release()


@subscribing("BUS-40")
class Impatient(InProcessSubscription):
    async def drain(self):
        while self.held and not self._working:
            await self._changed.wait()


@subscribing("BUS-41")
class Leaving(InProcessSubscription):
    async def aclose(self):
        self._closed = True
        self._bus.forget(self)


@subscribing("BUS-42")
class Staying(InProcessSubscription):
    async def aclose(self):
        kept = list(self._bus._subscriptions)
        await super().aclose()
        if self.group:
            self._bus._subscriptions[:] = kept


@mutant("BUS-50")
class ClosedOnce(InProcessBus):
    async def aclose(self):
        if self._closed:
            raise Unavailable("The bus is closed.")
        await super().aclose()


@mutant("BUS-51")
class Open(InProcessBus):
    async def publish(self, event):
        if not self._closed:
            await super().publish(event)


@mutant("BUS-52")
class Abandoning(InProcessBus):
    async def aclose(self):
        self._closed = True


@mutant("BUS-53")
class Leaking(InProcessBus):
    async def publish(self, event):
        if not hasattr(self, "pipe"):
            self.pipe = os.pipe()
        await super().publish(event)


@mutant("BUS-54")
class Watching(Wrapping):
    async def around(self, handler, event):
        if not self._closed:
            self._group.start_soon(self.watch)
        return await handler(event)

    async def watch(self):
        while not self._closed:  # noqa: ASYNC110 -- a fault
            await anyio.sleep(0.05)


@mutant("BUS-99")
class Stuttering(Wrapping):
    async def around(self, handler, event):
        if event.type == "a" and event.key == "m":
            await handler(event)
        return await handler(event)


@mutant("BUS-99")
class Burying(Wrapping):
    async def around(self, handler, event):
        outcome = await handler(event)
        return DeadLetter(outcome.reason) if isinstance(outcome, Drop) else outcome
