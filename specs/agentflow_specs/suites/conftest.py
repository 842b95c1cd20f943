"""What every suite gets: the event loops that the harness names, by default both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from agentflow_kernel.testing import Harness


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest, harness: Harness) -> str:
    """Each event loop, or those in ``event_loops`` of the harness."""
    backend: str = request.param
    if backend not in getattr(harness, "event_loops", (backend,)):
        pytest.skip(f"The harness says that the plugin does not know {backend}.")
    return backend
