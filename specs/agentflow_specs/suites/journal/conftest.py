"""What every test of the suite gets: a fresh journal."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from agentflow_kernel.contracts.journal import Journal
    from agentflow_kernel.testing import Harness


@pytest.fixture
async def journal(anyio_backend: str, harness: Harness) -> AsyncIterator[Journal]:
    """A fresh journal, closed at the end."""
    del anyio_backend
    async with harness.open() as subject:
        yield cast("Journal", subject)
