"""What every test of the suite gets: a fresh provider."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

if TYPE_CHECKING:
    from agentflow_kernel.contracts.provider import Provider


@pytest.fixture
def provider(subject: object) -> Provider:
    """A fresh provider, closed at the end."""
    return cast("Provider", subject)
