"""What every test of the suite gets: the distribution under test."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

if TYPE_CHECKING:
    from agentflow_kernel.testing import Harness
    from agentflow_specs.distribution import Distribution, DistributionHarness


@pytest.fixture(scope="session")
def distribution(harness: Harness) -> Distribution:
    """The distribution; it is registered once for all tests."""
    return cast("DistributionHarness", harness).distribution
