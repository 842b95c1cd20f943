"""What every test of the suite gets: a fresh memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

if TYPE_CHECKING:
    from agentflow_kernel.contracts.memory import Memory


@pytest.fixture
def memory(subject: object) -> Memory:
    """A fresh memory, closed at the end."""
    return cast("Memory", subject)
