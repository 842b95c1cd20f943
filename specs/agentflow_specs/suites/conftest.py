"""What every suite gets: a fresh subject, and the event loops that the harness names, by default both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from agentflow_kernel.testing import Harness


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Each event loop; those that ``event_loops`` of the harness leaves out are not collected."""
    backend: str = request.param
    return backend


@pytest.fixture
async def subject(anyio_backend: str, harness: Harness) -> AsyncIterator[object]:
    """A fresh subject, closed at the end."""
    del anyio_backend
    async with harness.open() as opened:
        yield opened
