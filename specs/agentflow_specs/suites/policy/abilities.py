"""An ability: what the suite sees a policy do, or the error that says that it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from agentflow_specs.members import with_members

if TYPE_CHECKING:
    from agentflow_kernel.testing import ClockHarness, FakeClock, Harness

ABILITIES: Final = {
    "repeats": "calls that failed are repeated, with waits by the harness's `clock`, a FakeClock that moves itself",
    "ends-late-calls": "a call that does not answer is ended with `Elapsed`; the harness opens it with half a second",
}
"""What a harness of this kind declares."""


def clock_of(harness: Harness) -> FakeClock:
    """The clock of the latest subject."""
    return cast("ClockHarness", with_members(harness, "clock")).clock
