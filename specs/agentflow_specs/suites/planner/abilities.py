"""An ability: what the suite needs of a harness beside a planner, or the error that says it is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from agentflow_specs.members import with_members

if TYPE_CHECKING:
    from agentflow_kernel.testing import Harness, PlannerHarness, VersionedPlannerHarness

ABILITIES: Final = {
    "versions": "the harness makes of a stored state one of a newer version, which the planner must refuse",
}
"""What a harness of this kind declares."""


def scenes_of(harness: Harness) -> PlannerHarness:
    """The harness as one that names a task and how its actions end."""
    return cast("PlannerHarness", with_members(harness, "task", "answers"))


def versions_of(harness: Harness) -> VersionedPlannerHarness:
    """The harness as one that makes states of a newer version."""
    return cast("VersionedPlannerHarness", with_members(harness, "make_newer"))
