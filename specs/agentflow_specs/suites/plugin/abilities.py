"""An ability: what the suite needs of a distribution beside its metadata, or the error that says it is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agentflow_kernel.errors import Unsupported

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentflow_specs.distribution import Distribution

ABILITIES: Final = {"harness": "the distribution offers the harness of one of its plugins, for the suite of its kind"}
"""What is found out, not declared: whether there is an entry point in the group `agentflow.harnesses`."""


def harnesses_of(distribution: Distribution) -> Mapping[str, str]:
    """Name and target of each harness that the distribution offers."""
    found = {entry.name: entry.value for entry in distribution.harnesses}
    if not found:
        raise Unsupported(f"{distribution.name}: harnesses", "there is no entry point in agentflow.harnesses.")
    return found
