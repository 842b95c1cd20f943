"""An ability: what the suite needs of a harness beside a bus, or the error that says it is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from agentflow_specs.members import with_members

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow_kernel.contracts.bus import Bus
    from agentflow_kernel.event import Event
    from agentflow_kernel.testing import BoundedBusHarness, ClockHarness, DeadLetterHarness, FakeClock, Harness

ABILITIES: Final = {
    "clock": "the suite moves the clock by which the bus waits before it delivers again",
    "bounded": "a bus that holds as many events as the harness says makes its publishers wait",
    "aside": "events that are put aside can be looked at, with the reason",
}
"""What a harness of this kind declares."""


def clock_of(harness: Harness) -> FakeClock:
    """The clock of the latest subject."""
    return cast("ClockHarness", with_members(harness, "clock")).clock


def capacity_of(harness: Harness) -> int:
    """How many events a subscription holds."""
    return cast("BoundedBusHarness", with_members(harness, "capacity")).capacity


async def dead_letters(harness: Harness, bus: Bus) -> Sequence[tuple[Event, str]]:
    """What was put aside."""
    return await cast("DeadLetterHarness", with_members(harness, "dead_letters")).dead_letters(bus)
