"""The address of the service: the setting, else the variable, else the vendor's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentflow_openai.settings import VENDOR_URL, OpenAISettings

if TYPE_CHECKING:
    import pytest


def test_the_variable_is_read_where_the_setting_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    assert OpenAISettings().base_url == VENDOR_URL
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:1/v1")
    assert OpenAISettings().base_url == "http://localhost:1/v1"
    assert OpenAISettings().api_key_env == "OPENAI_API_KEY"
    assert OpenAISettings(base_url="http://localhost:2/v1").base_url == "http://localhost:2/v1"
