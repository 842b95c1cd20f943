"""The address of the service: the setting, else the variable, else the vendor's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentflow_anthropic.settings import VENDOR_URL, AnthropicSettings
from agentflow_kernel.loading import Catalogue, Plugins
from agentflow_kernel.settings import Settings

if TYPE_CHECKING:
    import pytest


def test_the_variable_is_read_where_the_setting_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_BASE_URL", raising=False)
    assert AnthropicSettings().base_url == VENDOR_URL
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "")
    assert AnthropicSettings().base_url == VENDOR_URL
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://localhost:1")
    assert AnthropicSettings().base_url == "http://localhost:1"
    assert AnthropicSettings(base_url="http://localhost:2").base_url == "http://localhost:2"


def test_traces_name_the_vendor(make_provider) -> None:
    """Not the library that the provider is made of."""
    assert make_provider("http://localhost:1").provider_name == "anthropic"


def test_a_password_in_the_address_is_a_finding_with_its_place() -> None:
    """As `validate` tells it, without the password."""
    found = Plugins(Catalogue(Settings())).check("provider", "anthropic", {"base_url": "http://user:hunter22@host"})
    assert [(each.path, "user or password" in each.problem) for each in found] == [("/base_url", True)]
    assert "hunter22" not in str(found[0])
