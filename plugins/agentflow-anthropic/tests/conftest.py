"""A provider with a made-up key, over the raw wire or the vendor's SDK, against a scripted server.

Makes the table of faults beside the tests importable: test folders are no packages.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agentflow_anthropic.provider import create_provider
from agentflow_anthropic.settings import AnthropicSettings
from agentflow_kernel.contracts.clock import SystemClock
from agentflow_kernel.contracts.plugin import PluginContext
from agentflow_kernel.contracts.provider import Message, ModelRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentflow_http.provider import HttpProvider

sys.path.insert(0, str(Path(__file__).parent))

KEY = "sk-ant-api03-test-0123456789-abcdefgh"


@pytest.fixture(params=["wire", "sdk"])
def transport(request: pytest.FixtureRequest) -> str:
    """Both ways to the service."""
    way: str = request.param
    return way


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    """The key, in its usual variable; nothing else that the SDK reads."""
    for name in ("ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL", "ANTHROPIC_CUSTOM_HEADERS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    return KEY


@pytest.fixture
def make_provider(key: str) -> Callable[..., HttpProvider]:
    """Makes the provider `claude` for a server; further settings by name."""

    def make(url: str, *, clock: Any = None, **settings: Any) -> HttpProvider:
        context = PluginContext("claude", clock=clock or SystemClock(), random=random.Random(0))
        return create_provider(AnthropicSettings(base_url=url, **settings), context)

    return make


@pytest.fixture
def ask() -> ModelRequest:
    return ModelRequest([Message("system", "Be brief."), Message("user", "Why is the sky blue?")], key="run-1")
