"""What every test of the suite gets: a fresh source."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

if TYPE_CHECKING:
    from agentflow_kernel.contracts.source import Source


@pytest.fixture
def source(subject: object) -> Source:
    """A fresh source, closed at the end."""
    return cast("Source", subject)
