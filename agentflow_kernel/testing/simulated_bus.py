"""A simulated bus: that of the process at work, which delivers events twice, late, and past events of other keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentflow_kernel.kernel.runs import KernelBus

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from agentflow_kernel.contracts.bus import Handler, Outcome
    from agentflow_kernel.contracts.clock import Clock
    from agentflow_kernel.event import Event
    from agentflow_kernel.inprocess.bus import InProcessSubscription
    from agentflow_kernel.testing.world import World

DELAY_S = 30.0
"""Up to how late an event is delivered. Events of its key wait behind it, as they must; others pass."""


class SimulatedBus(KernelBus):
    """What it may do is what at-least-once delivery in order per key allows, and every handler has to bear."""

    def __init__(self, group: TaskGroup, *, clock: Clock, world: World) -> None:
        super().__init__(group, clock=clock)
        self._world = world

    async def publish(self, event: Event) -> None:
        """Accept the event; the process may end before or after that."""
        await self._world.maybe_crash(f"publish {event.type}")
        await super().publish(event)
        await self._world.maybe_crash(f"published {event.type}")

    def add(self, pattern: str, handler: Handler, *, group: str = "", max_in_flight: int = 16) -> InProcessSubscription:
        """Start calling ``handler``, once or more for each event."""
        world = self._world

        async def handle(event: Event) -> Outcome | None:
            if world.strikes("delayed-event", event.type):
                await world.clock.sleep(DELAY_S * world.faults.dice.random())
            outcome = await handler(event)
            if world.strikes("duplicate-event", event.type):
                outcome = await handler(event)
            return outcome

        return super().add(pattern, handle, group=group, max_in_flight=max_in_flight)
