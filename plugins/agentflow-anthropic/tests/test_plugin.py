"""What the distribution registers, and what that costs."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from agentflow_anthropic._plugin import agentflow_providers
from agentflow_anthropic.models import MODELS
from agentflow_anthropic.settings import AnthropicSettings
from agentflow_http.testing import ScriptedServer
from agentflow_kernel.contracts.provider import Usage
from agentflow_kernel.errors import UsageError

HEAVY = ("httpx2", "msgspec", "pydantic", "anthropic", "anyio", "agentflow_http")


def test_the_spec_names_what_exists() -> None:
    (spec,) = agentflow_providers()
    for reference in (spec.factory, spec.settings, spec.models):
        module, _, name = reference.partition(":")
        assert hasattr(importlib.import_module(module), name)
    assert spec.name == "anthropic"


def test_registering_loads_few_modules_and_nothing_heavy() -> None:
    """As seen by a fresh interpreter that has loaded the kernel's part already."""
    code = f"""
import sys, agentflow_kernel.contracts.plugin, agentflow_kernel.hookspecs
before = set(sys.modules)
import agentflow_anthropic._plugin as plugin
plugin.agentflow_providers()
added = set(sys.modules) - before
print(len(added), *[name for name in {HEAVY!r} if name in sys.modules])
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert int(told[0]) <= 15
    assert told[1:] == []


def test_making_a_provider_loads_neither_the_wire_nor_the_sdk() -> None:
    code = """
import sys, random
from agentflow_anthropic.provider import create_provider
from agentflow_anthropic.settings import AnthropicSettings
from agentflow_kernel.contracts.clock import SystemClock
from agentflow_kernel.contracts.plugin import PluginContext
for transport in ("wire", "sdk"):
    context = PluginContext("claude", clock=SystemClock(), random=random.Random())
    create_provider(AnthropicSettings(transport=transport), context)
print(*[name for name in ("httpx2", "anthropic") if name in sys.modules])
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert told == []


@pytest.mark.anyio
async def test_a_missing_sdk_is_named_with_the_line_that_installs_it(make_provider, ask, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "anthropic", None)
    async with ScriptedServer() as server:
        provider = make_provider(server.url, transport="sdk")
        with pytest.raises(UsageError, match=r"pip install 'agentflow-anthropic\[sdk\]'"):
            await provider.complete(ask)
        await provider.aclose()


@pytest.mark.parametrize(
    "wrong",
    [
        {"modell": "opus"},
        {"transport": "carrier pigeon"},
        {"max_tokens": 0},
        {"read_timeout_s": float("inf")},
        {"thinking_budget": 1_023},
        {"thinking_budget": 16_384},
        {"thinking_budget": 2_048, "thinking": "adaptive"},
        {"repair_turns": 2},
    ],
    ids=str,
)
def test_settings_refuse_what_cannot_be_meant(wrong) -> None:
    with pytest.raises(ValidationError):
        AnthropicSettings(**wrong)


def test_every_setting_says_what_it_is() -> None:
    assert all(setting.description for setting in AnthropicSettings.model_fields.values())


def test_every_setting_and_capability_is_in_the_readme() -> None:
    (spec,) = agentflow_providers()
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    assert all(f"| `{name}` |" in readme for name in AnthropicSettings.model_fields)
    assert all(f"`{name}`" in readme.partition("## Capabilities")[2] for name in spec.capabilities)


def test_names_and_aliases_of_models_are_told_apart_and_prices_have_a_date() -> None:
    names = [name for model in MODELS for name in (model.name, *model.aliases)]
    assert len(set(names)) == len(names)
    assert {"fable", "opus", "sonnet", "haiku"} <= set(names)
    assert all(model.prices.as_of and model.prices.source.startswith("https://") for model in MODELS)


def test_a_long_prompt_has_the_higher_price_for_the_whole_call() -> None:
    (haiku,) = [model for model in MODELS if "haiku" in model.aliases]
    assert haiku.prices.cost_of(Usage(100_000, 1_000)) == pytest.approx((100_000 * 0.1 + 1_000 * 0.5) / 1e6)
    assert haiku.prices.cost_of(Usage(100_001, 1_000)) == pytest.approx((100_001 * 0.5 + 1_000 * 2.5) / 1e6)
    long = Usage(200_000, 0, cached_tokens=150_000, cache_write_tokens=50_000)
    assert haiku.prices.cost_of(long) == pytest.approx((150_000 * 0.05 + 50_000 * 0.625) / 1e6)
