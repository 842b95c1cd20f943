"""An ability: what the suite needs of a harness beside a toolset, or the error that says it is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from agentflow_specs.members import with_members

if TYPE_CHECKING:
    from agentflow_kernel.contracts.tool import ChecksOutcomes, Toolset
    from agentflow_kernel.testing import (
        CountingToolHarness,
        FailingToolHarness,
        Harness,
        SlowToolHarness,
        ToolHarness,
    )

ABILITIES: Final = {
    "fails": "the harness names calls that go wrong, with their errors",
    "slow": "the harness names a call that lasts until it is cancelled",
    "counts": "there are idempotent tools, and the harness counts how often they took effect",
    "checks": "the toolset says by its key whether a call with the effect `effect` has happened",
}
"""What a harness of this kind declares."""


def tools_of(harness: Harness) -> ToolHarness:
    """The harness as one that names calls which work."""
    return cast("ToolHarness", with_members(harness, "examples"))


def failing_of(harness: Harness) -> FailingToolHarness:
    """The harness as one that names calls which go wrong."""
    return cast("FailingToolHarness", with_members(harness, "failing"))


def slow_of(harness: Harness) -> SlowToolHarness:
    """The harness as one that names a call which lasts."""
    return cast("SlowToolHarness", with_members(harness, "slow"))


def counting_of(harness: Harness) -> CountingToolHarness:
    """The harness as one that counts effects."""
    return cast("CountingToolHarness", with_members(harness, "count_effects"))


def checking_of(toolset: Toolset) -> ChecksOutcomes:
    """The toolset as one that can be asked what became of a call."""
    return cast("ChecksOutcomes", with_members(toolset, "check"))
