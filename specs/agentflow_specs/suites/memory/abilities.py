"""An ability: what the suite needs of a harness beside a memory, or the error that says it is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from agentflow_specs.members import with_members

if TYPE_CHECKING:
    from agentflow_kernel.testing import ClockHarness, FakeClock, Harness, MemoryStoreHarness

ABILITIES: Final = {
    "clock": "the suite moves the clock by which entries expire",
    "durable": "what was written outlives the object, and others on the same store see it at once",
}
"""What a harness of this kind declares."""


def clock_of(harness: Harness) -> FakeClock:
    """The clock of the latest subject."""
    return cast("ClockHarness", with_members(harness, "clock")).clock


def store_of(harness: Harness) -> MemoryStoreHarness:
    """The harness as one that finds a store again."""
    return cast("MemoryStoreHarness", with_members(harness, "attach"))
