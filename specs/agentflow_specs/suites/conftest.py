"""What every suite gets: the event loops that the harness names, by default both."""

from __future__ import annotations

import pytest


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Each event loop; those that ``event_loops`` of the harness leaves out are not collected."""
    backend: str = request.param
    return backend
