"""What the tests of the provider share: a provider for a server on this machine."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from agentflow_kernel.contracts.clock import SystemClock
from agentflow_kernel.contracts.plugin import PluginContext
from agentflow_openai.provider import OpenAIProvider
from agentflow_openai.settings import OpenAISettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

sys.path.insert(0, str(Path(__file__).parent))  # for what the tests share

KEY = "sk-test-0123456789abcdef"


@pytest.fixture
async def make_provider(
    anyio_backend: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Callable[..., OpenAIProvider]]:
    """Makes a provider for an address, with its key in the vendor's variable; closes all of them at the end."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    made: list[OpenAIProvider] = []

    def make(url: str, **settings: Any) -> OpenAIProvider:
        given = {"api_key_env": "OPENAI_API_KEY", "model": "terra", **settings}
        context = PluginContext("desk", clock=SystemClock(), random=random.Random(0))
        made.append(OpenAIProvider(OpenAISettings(base_url=f"{url}/v1", **given), context))
        return made[-1]

    yield make
    for provider in made:
        await provider.aclose()
