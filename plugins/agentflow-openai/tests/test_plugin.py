"""What the distribution registers, and its settings."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest
from pydantic import ValidationError

from agentflow_openai._plugin import agentflow_providers
from agentflow_openai.settings import OpenAISettings


def test_spec_names_a_factory_settings_and_models_that_exist() -> None:
    (spec,) = agentflow_providers()
    found = []
    for reference in (spec.factory, spec.settings, spec.models):
        module, _, name = reference.partition(":")
        found.append(getattr(importlib.import_module(module), name))
    factory, settings, models = found
    assert callable(factory)
    assert settings is OpenAISettings
    assert {model.name for model in models} >= {"gpt-4o"}


def test_spec_declares_the_abilities_that_the_provider_has() -> None:
    (spec,) = agentflow_providers()
    module, _, name = spec.factory.partition(":")
    factory = getattr(importlib.import_module(module), name)
    assert spec.capabilities == ("stream",)
    assert all(hasattr(factory, method) for method in ("complete", "stream", "aclose"))


def test_registering_imports_nothing_heavy() -> None:
    code = (
        "import sys, agentflow_kernel, agentflow_kernel.hookspecs, agentflow_kernel.contracts.plugin, pluggy;"
        "before = set(sys.modules); import agentflow_openai._plugin;"
        "print(' '.join(sorted(set(sys.modules) - before)))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert len(loaded) <= 15
    assert not {name.partition(".")[0] for name in loaded} & {
        "httpx2",
        "msgspec",
        "pydantic",
        "openai",
        "agentflow_http",
    }


def test_making_a_provider_imports_no_client_and_no_sdk() -> None:
    """Those wait for the first call."""
    code = (
        "import sys, random; from agentflow_kernel.contracts.clock import SystemClock;"
        "from agentflow_kernel.contracts.plugin import PluginContext;"
        "from agentflow_openai.provider import OpenAIProvider; from agentflow_openai.settings import OpenAISettings;"
        "context = PluginContext('x', clock=SystemClock(), random=random.Random());"
        "OpenAIProvider(OpenAISettings(transport='sdk'), context);"
        "print(' '.join(sys.modules))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {name.partition(".")[0] for name in loaded} & {"httpx2", "httpcore2", "openai"}


def test_settings_refuse_what_they_do_not_know() -> None:
    with pytest.raises(ValidationError, match="base_ur"):
        OpenAISettings(base_ur="http://localhost:8000/v1")


def test_the_vendors_key_and_model_are_defaults_for_the_vendor_only() -> None:
    """A server of one's own must not be sent the vendor's key by accident, and needs none."""
    own = OpenAISettings(base_url="http://localhost:8000/v1")
    assert (own.api_key_env, own.model) == ("", "")
    vendor = OpenAISettings(base_url="https://api.openai.com/v1/")
    assert (vendor.api_key_env, vendor.model) == ("OPENAI_API_KEY", "terra")
    named = OpenAISettings(base_url="http://localhost:8000/v1", api_key_env="LOCAL_KEY", model="llama3.2")
    assert (named.api_key_env, named.model) == ("LOCAL_KEY", "llama3.2")


def test_settings_do_not_show_the_key() -> None:
    settings = OpenAISettings(api_key="sk-very-secret")
    assert "very-secret" not in f"{settings!r} {settings} {settings.model_dump()}"
