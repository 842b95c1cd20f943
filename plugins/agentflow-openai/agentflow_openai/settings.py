"""Settings of the provider `openai`: those of every service over HTTP, and where servers of the protocol differ."""

from __future__ import annotations

import os
from typing import Literal

from pydantic import Field, model_validator

from agentflow_http.settings import HttpSettings

VENDOR_URL = "https://api.openai.com/v1"
_KEY_ENV = "OPENAI_API_KEY"


class OpenAISettings(HttpSettings):
    """One server that speaks chat completions: the vendor's, unless `base_url` names another."""

    base_url: str = Field(default_factory=lambda: os.environ.get("OPENAI_BASE_URL") or VENDOR_URL)
    """Address of the service up to the version, as `http://localhost:8000/v1`; `https`, or `http` on this machine.
    Without it the variable OPENAI_BASE_URL, else the vendor's."""

    api_key_env: str = _KEY_ENV
    """Environment variable that holds the key, read at each call; empty for a server that wants no key. With a
    `base_url` of your own the default is empty, so that the vendor's key goes to nobody else."""

    model: str = "terra"
    """Model asked where an agent names none: the name that the server knows, or an alias of the plugin's table. With
    a `base_url` of your own there is no default."""

    transport: Literal["wire", "sdk"] = "wire"
    """`wire`, or the official SDK (`pip install agentflow-openai[sdk]`); both give the same replies and errors."""

    organization: str = ""
    """Header `OpenAI-Organization`: who pays, where a key belongs to several."""

    project: str = ""
    """Header `OpenAI-Project`: the project whose limits and bill count."""

    max_tokens: int | None = Field(default=None, ge=1)
    """Longest answer in tokens, thoughts included, where an agent names none; without it the server decides."""

    max_tokens_field: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
    """Field that carries the longest answer: older servers know only `max_tokens`."""

    system_role: Literal["system", "developer"] = "system"
    """Role of the system prompt: the vendor takes both, other servers mostly `system`."""

    structured: Literal["json_schema", "json_object", "prompt"] = "json_schema"
    """How JSON of a schema is asked for: `response_format` with the schema, or "some JSON object" with the schema in
    the prompt, or the prompt alone. The answer is checked in each case."""

    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    """How long reasoning models think; without it the model's default, and `none` with tools for the models that the
    table knows to refuse them otherwise."""

    echo_reasoning: bool = True
    """Whether what a server told of the model's thoughts goes back to it with the history."""

    stream_usage: bool = True
    """Whether the stream is asked to end with the usage; off for servers that refuse `stream_options`."""

    @model_validator(mode="before")
    @classmethod
    def _keep_defaults_at_home(cls, values: object) -> object:
        """The vendor's key and model are for the vendor."""
        if isinstance(values, dict) and str(values.get("base_url", VENDOR_URL)).rstrip("/") != VENDOR_URL:
            return {"api_key_env": "", "model": "", **values}
        return values
