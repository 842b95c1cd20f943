"""What every test of the suite gets: a fresh policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

if TYPE_CHECKING:
    from agentflow_kernel.contracts.policy import Policy


@pytest.fixture
def policy(subject: object) -> Policy:
    """A fresh policy."""
    return cast("Policy", subject)
