"""Makes the kits of the engine and the cassettes importable, and keeps the caller's mode of cassettes out."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import structlog  # noqa: F401 -- the engine would import it at its first warning, on the event loop

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "run")]


@pytest.fixture(autouse=True)
def no_mode_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AGENTFLOW_CASSETTE", raising=False)
