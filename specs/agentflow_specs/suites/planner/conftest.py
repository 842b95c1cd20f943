"""What every test of the suite gets: a fresh planner, which needs no event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agentflow_specs.suites.planner.engine import open_planner

if TYPE_CHECKING:
    from agentflow_kernel.contracts.planner import Planner
    from agentflow_kernel.testing import Harness


@pytest.fixture
def planner(harness: Harness) -> Planner:
    """A fresh planner; it holds nothing that its harness would have to close."""
    return open_planner(harness)
