"""What every test of the suite gets: a fresh bus."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

if TYPE_CHECKING:
    from agentflow_kernel.contracts.bus import Bus


@pytest.fixture
def bus(subject: object) -> Bus:
    """A fresh bus, closed at the end."""
    return cast("Bus", subject)
