"""The triggers: what starts a run when an event arrives, from a source or from the bus."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from agentflow_kernel.contracts.bus import Ack
from agentflow_kernel.errors import UnknownName, UsageError
from agentflow_kernel.flow.reference import Template

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from agentflow_kernel.contracts.bus import Handler
    from agentflow_kernel.event import Event
    from agentflow_kernel.kernel.runs import Runs
    from agentflow_kernel.kernel.wiring import Wiring
    from agentflow_kernel.manifest import Resource
    from agentflow_kernel.run.handle import RunHandle


def subscribe(wiring: Wiring, runs: Runs) -> None:
    """Start a run for each event of the bus that a trigger of the manifest waits for (``on:``)."""
    if wiring.manifest is None or wiring.bus is None:
        return
    for resource in wiring.manifest.of("Trigger"):
        if "on" in resource.spec:
            wiring.bus.add(str(resource.spec["on"]), _starter(runs, resource, None))


async def fire(wiring: Wiring, runs: Runs, name: str, overrides: Mapping[str, object] | None) -> Sequence[RunHandle]:
    """Send a source's events over the bus, start a run for each, and return the handles when the source has ended."""
    bus, manifest = wiring.bus, wiring.composition.manifest
    if bus is None:
        raise UsageError("Only an open kernel can fire a trigger.")
    resource = manifest.resolve(name)
    if resource.kind != "Trigger":
        raise UnknownName("trigger", name, [f"trigger/{trigger.name}" for trigger in manifest.of("Trigger")])
    if "on" in resource.spec:
        raise UsageError(f"Trigger {resource.name!r} waits for events on the bus; it has no source to read.")
    handles: list[RunHandle] = []
    failures: list[Exception] = []
    ours: set[str] = set()
    subscription = bus.add("*", _collector(_starter(runs, resource, handles), ours, failures), max_in_flight=1)
    source = wiring.composition.source(resource.name, overrides)
    try:
        async for item in source.events():
            ours.add(item.event.id)
            await bus.publish(item.event)
            if failures:
                break
        await subscription.drain()
    finally:
        await source.aclose()
        await subscription.aclose()
    if failures:
        raise failures[0]
    return handles


def _starter(runs: Runs, resource: Resource, handles: list[RunHandle] | None) -> Handler:
    """A handler that starts the trigger's run and acknowledges once ``run.started`` is durable.

    A second delivery of an event finds the run of the first one: the run's key is the trigger's, else the event's
    source and id.
    """
    spec = resource.spec
    fill_input = _filler(spec, "input", lambda event: event.data)
    fill_key = _filler(spec, "key", lambda event: f"{event.source} {event.id}")

    async def start(event: Event) -> Ack:
        key = f"{resource.name} {fill_key(event)}"
        handle = await runs.start(cast("str", spec["start"]), fill_input(event), key=key)
        if handles is not None:
            handles.append(handle)
        return Ack()

    return start


def _filler(spec: Mapping[str, object], field: str, default: Callable[[Event], object]) -> Callable[[Event], object]:
    """What the trigger makes of an event: its own template, else the default."""
    if field not in spec:
        return default
    template = Template(spec[field])
    return lambda event: template.fill({"event": event_as_json(event)})


def _collector(handler: Handler, ours: set[str], failures: list[Exception]) -> Handler:
    """The handler for the events of one source; its error is kept for the caller, a retry would meet it again."""

    async def collect(event: Event) -> Ack:
        try:
            if event.id in ours:
                await handler(event)
        except Exception as error:  # noqa: BLE001 -- raised by fire()
            failures.append(error)
        return Ack()

    return collect


def event_as_json(event: Event) -> dict[str, object]:
    """The attributes of an event as references may name them: ``event.data.path``, ``event.subject``."""
    attributes = {name: getattr(event, name) for name in ("id", "source", "type", "subject", "time", "data")}
    return {**attributes, **event.extensions}
