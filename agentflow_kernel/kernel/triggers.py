"""The triggers: what starts a run when an event arrives, from a source or from the bus."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from agentflow_kernel.contracts.bus import Ack
from agentflow_kernel.errors import UnknownName, UsageError
from agentflow_kernel.flow.reference import Template

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentflow_kernel.contracts.bus import Handler
    from agentflow_kernel.event import Event
    from agentflow_kernel.kernel.runs import Runs
    from agentflow_kernel.kernel.wiring import Wiring
    from agentflow_kernel.manifest import Resource
    from agentflow_kernel.run.handle import RunHandle


async def fire(
    wiring: Wiring, runs: Runs, name: str, overrides: Mapping[str, object] | None
) -> Sequence[RunHandle]:
    """Send a source's events over the bus, start a run for each, and return the handles when the source has ended."""
    bus, manifest = wiring.bus, wiring.composition.manifest
    if bus is None:
        raise UsageError("Only an open kernel can fire a trigger.")
    resource = manifest.resolve(name)
    if resource.kind != "Trigger":
        known = [f"trigger/{trigger.name}" for trigger in manifest.of("Trigger")]
        raise UnknownName("trigger", name, known)
    if "on" in resource.spec:
        raise UsageError(f"Trigger {resource.name!r} waits for events on the bus; it has no source to read.")
    handles: list[RunHandle] = []
    failures: list[Exception] = []
    topic = f"dev.agentflow.trigger.{resource.name}"
    subscription = await bus.subscribe(topic, _starter(runs, resource, handles, failures), max_in_flight=1)
    source = wiring.composition.source(resource.name, overrides)
    try:
        async for item in source.events():
            await bus.publish(item.event.replace(type=topic))
            if failures:
                break
        await subscription.drain()
    finally:
        await source.aclose()
        await subscription.aclose()
    if failures:
        raise failures[0]
    return handles


def _starter(
    runs: Runs, resource: Resource, handles: list[RunHandle], failures: list[Exception]
) -> Handler:
    """A handler that starts the trigger's run and acknowledges once ``run.started`` is durable."""
    template = Template(resource.spec["input"]) if "input" in resource.spec else None

    async def start(event: Event) -> Ack:
        value = event.data
        try:
            if template is not None:
                value = template.fill({"event": event_as_json(event)})
            handles.append(await runs.start(cast("str", resource.spec["start"]), value))
        except Exception as error:  # noqa: BLE001 -- raised by fire(); a second try would not help a wrong manifest
            failures.append(error)
        return Ack()

    return start


def event_as_json(event: Event) -> dict[str, object]:
    """The attributes of an event as references may name them: ``event.data.path``, ``event.subject``."""
    attributes = {name: getattr(event, name) for name in ("id", "source", "type", "subject", "time", "data")}
    return {**attributes, **event.extensions}
