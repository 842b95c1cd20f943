"""The triggers: what starts a run when an event arrives, from a source or from the bus."""

from __future__ import annotations

from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

import anyio
import anyio.to_thread

from agentflow_kernel.contracts.bus import Ack
from agentflow_kernel.contracts.journal import TERMINAL
from agentflow_kernel.errors import RunEnded, Unavailable, UnknownName, UsageError
from agentflow_kernel.flow.reference import Template
from agentflow_kernel.kernel.cursors import CursorStore
from agentflow_kernel.run.handle import at_rest
from agentflow_kernel.telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    from agentflow_kernel.contracts.bus import Handler
    from agentflow_kernel.contracts.source import Source
    from agentflow_kernel.event import Event
    from agentflow_kernel.inprocess.bus import InProcessBus, InProcessSubscription
    from agentflow_kernel.kernel.runs import Runs
    from agentflow_kernel.kernel.wiring import Wiring
    from agentflow_kernel.manifest import Resource
    from agentflow_kernel.run.handle import RunHandle

    Starter = Callable[[Event], Awaitable[RunHandle]]

MAX_RUNS = 16
"""Runs of one firing at work at a time, where the trigger names no ``max_runs``: the source waits for one to stop."""
LISTED = 10_000
"""Suspended runs that are looked at for those of a trigger, the newest."""
KEPT_HANDLES = 1000
"""Handles of a firing that goes on for ever: the latest ones; of a source that ends all are kept."""


def subscribe(wiring: Wiring, runs: Runs) -> None:
    """Start a run for each event of the bus that a trigger of the manifest waits for (``on:``)."""
    if wiring.manifest is None or wiring.bus is None:
        return
    for resource in wiring.manifest.of("Trigger"):
        if "on" in resource.spec:
            wiring.bus.add(str(resource.spec["on"]), _acknowledging(_starter(runs, resource)))


async def fire(wiring: Wiring, runs: Runs, name: str, overrides: Mapping[str, object] | None) -> Sequence[RunHandle]:
    """Send a source's events over the bus, start a run for each, and return the handles when the source has ended.

    A source that says ``continues = True`` is given the cursor of its last event whose run is durable, where there is
    a state folder; the cursor is on disk before the next item is asked for. A crash in between sends that event again,
    and its key finds its run.
    """
    bus, manifest = wiring.bus, wiring.composition.manifest
    if bus is None:
        raise UsageError("Only an open kernel can fire a trigger.")
    resource = manifest.resolve(name)
    if resource.kind != "Trigger":
        raise UnknownName("trigger", name, [f"trigger/{trigger.name}" for trigger in manifest.of("Trigger")])
    if "on" in resource.spec:
        raise UsageError(f"Trigger {resource.name!r} waits for events on the bus; it has no source to read.")
    source = wiring.composition.source(resource.name, overrides)
    continues = bool(getattr(source, "continues", False))
    limit = int(cast("int", resource.spec.get("max_runs", MAX_RUNS)))
    firing = _Firing(bus, _starter(runs, resource), limit, KEPT_HANDLES if continues else None)
    try:
        async with _cursors(wiring.state if continues else None, resource.name) as store:
            cursor = None if store is None else await anyio.to_thread.run_sync(store.load)
            if cursor is not None:
                await _tell_of_runs_left(runs, resource)
            await firing.read(source, cursor, store)
    finally:
        with anyio.CancelScope(shield=True):
            await source.aclose()
            await firing.aclose()
    return list({handle.run_id: handle for handle in firing.handles}.values())


async def _tell_of_runs_left(runs: Runs, resource: Resource) -> None:
    """Say that runs of earlier firings can be resumed: their events lie before the cursor and are not read again."""
    left = [info for info in await runs.infos(status="suspended", limit=LISTED) if info.name == resource.spec["start"]]
    if left:
        get_logger("agentflow.kernel").warning(
            "runs.resumable",
            trigger=resource.name,
            runs=len(left),
            newest=left[0].run_id,
            advice="Their events are not read again: `agentflow resume` goes on with them.",
        )


class _Firing:
    """One reading of a source: each item published, its run started, its cursor saved, before the next is asked for."""

    def __init__(self, bus: InProcessBus, start: Starter, max_runs: int, kept: int | None) -> None:
        self.handles: deque[RunHandle] = deque(maxlen=kept)
        self._bus = bus
        self._start = start
        self._max_runs = max_runs
        self._expected: set[str] = set()
        self._outcomes: list[RunHandle | Exception] = []
        """What became of the event that was published last, once it was handled."""
        self._at_work: list[RunHandle] = []
        self._subscription: InProcessSubscription = bus.add("*", self._collect, max_in_flight=1)

    async def read(self, source: Source, cursor: object, store: CursorStore | None) -> None:
        """Work through the source; its iterator is closed however this ends."""
        items = source.events(cast("None", cursor))
        try:
            async for item in items:
                handle = await self._take(item.event)
                if store is not None and handle.durable:
                    await anyio.to_thread.run_sync(store.save, item.cursor)
                await self._wait_for_room()
        finally:
            close = getattr(items, "aclose", None)
            if close is not None:
                with anyio.CancelScope(shield=True):
                    await close()

    async def _take(self, event: Event) -> RunHandle:
        """Publish an event; returns its run, once that has started."""
        self._expected.add(event.id)
        await self._bus.publish(event)
        await self._subscription.drain()
        if not self._outcomes:
            raise Unavailable("The kernel was closed before the run of an event had started.", executed="maybe")
        outcome = self._outcomes.pop()
        if isinstance(outcome, Exception):
            raise outcome
        if outcome not in self._at_work:
            self.handles.append(outcome)
            self._at_work.append(outcome)
        return outcome

    async def _collect(self, event: Event) -> Ack:
        """The handler for the source's events; an error is kept for the caller, a retry would meet it again."""
        if event.id in self._expected:
            self._expected.discard(event.id)
            try:
                self._outcomes.append(await self._start(event))
            except Exception as error:  # noqa: BLE001 -- raised by whoever takes the event
                self._outcomes.append(error)
        return Ack()

    async def _wait_for_room(self) -> None:
        """Return when fewer runs are at work than may be; one that is suspended or rests is not at work."""
        while True:
            self._at_work = [handle for handle in self._at_work if handle.status == "running"]
            busy = [handle for handle in self._at_work if not at_rest(handle)]
            if len(busy) < self._max_runs:
                return
            await _first_at_rest(busy)

    async def aclose(self) -> None:
        """Take no more events; returns when a start under way has ended."""
        await self._subscription.aclose()


@asynccontextmanager
async def _cursors(state: str | None, trigger: str) -> AsyncIterator[CursorStore | None]:
    """The trigger's cursor, locked for this process; ``None`` where none is kept."""
    if state is None:
        yield None
        return
    store = CursorStore(state, trigger)
    await anyio.to_thread.run_sync(store.__enter__)
    try:
        yield store
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(store.__exit__, None, None, None)


async def _first_at_rest(handles: Sequence[RunHandle]) -> None:
    """Return when one of the runs has stopped, however it did, or rests."""
    async with anyio.create_task_group() as group:

        async def wait(handle: RunHandle) -> None:
            await handle.rested()
            group.cancel_scope.cancel()

        for handle in handles:
            group.start_soon(wait, handle)


def _starter(runs: Runs, resource: Resource) -> Starter:
    """What starts the trigger's run for an event, and returns once ``run.started`` is durable.

    A second delivery of an event finds the run of the first one: the run's key is the trigger's, else the event's
    source and id. With ``signal`` each event is also sent to the run of its key as a signal of that name, once; one
    that comes after the run's end has no effect.
    """
    spec = resource.spec
    fill_input = _filler(spec, "input", lambda event: event.data)
    fill_key = _filler(spec, "key", lambda event: f"{event.source} {event.id}")

    async def start(event: Event) -> RunHandle:
        key = f"{resource.name} {fill_key(event)}"
        return await runs.start(cast("str", spec["start"]), fill_input(event), key=key)

    if "signal" not in spec:
        return start
    fill_signal = _filler(spec, "signal", lambda event: event.type)

    async def start_and_signal(event: Event) -> RunHandle:
        handle = await start(event)
        try:
            await handle.signal(str(fill_signal(event)), fill_input(event), signal_id=f"{event.source} {event.id}")
        except RunEnded:
            if handle.status not in TERMINAL:
                raise  # it is suspended: whoever sends the event again finds it
        return handle

    return start_and_signal


def _acknowledging(start: Starter) -> Handler:
    """A handler of the bus that starts a run and acknowledges the event."""

    async def handle(event: Event) -> Ack:
        await start(event)
        return Ack()

    return handle


def _filler(spec: Mapping[str, object], field: str, default: Callable[[Event], object]) -> Callable[[Event], object]:
    """What the trigger makes of an event: its own template, else the default."""
    if field not in spec:
        return default
    template = Template(spec[field])
    return lambda event: template.fill({"event": event_as_json(event)})


def event_as_json(event: Event) -> dict[str, object]:
    """The attributes of an event as references may name them: ``event.data.path``, ``event.subject``."""
    attributes = {name: getattr(event, name) for name in ("id", "source", "type", "subject", "time", "data")}
    return {**attributes, **event.extensions}
