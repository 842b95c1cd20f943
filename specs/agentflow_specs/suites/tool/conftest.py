"""What every test of the suite gets: a fresh toolset."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

if TYPE_CHECKING:
    from agentflow_kernel.contracts.tool import Toolset


@pytest.fixture
def toolset(subject: object) -> Toolset:
    """A fresh toolset, closed at the end."""
    return cast("Toolset", subject)
