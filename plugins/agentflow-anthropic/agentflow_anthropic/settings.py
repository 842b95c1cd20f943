"""Settings of the provider `anthropic`."""

from __future__ import annotations

import os
from typing import Literal, Self

from pydantic import Field, model_validator

from agentflow_http.settings import HttpSettings

VENDOR_URL = "https://api.anthropic.com"


class AnthropicSettings(HttpSettings):
    """Where the Messages API is, which key opens it, and what requests ask for beyond what an agent says."""

    base_url: str = Field(default_factory=lambda: os.environ.get("ANTHROPIC_BASE_URL") or VENDOR_URL)
    """Address of the service, without `/v1/messages`; `https`, or `http` on this machine. Without it the variable
    ANTHROPIC_BASE_URL, else the vendor's."""

    api_key_env: str = "ANTHROPIC_API_KEY"
    """Environment variable that holds the key, read at each call; empty for a service that wants no key."""

    model: str = "sonnet"
    """Model asked where an agent names none: the vendor's name, or an alias of the plugin's table."""

    transport: Literal["wire", "sdk"] = "wire"
    """`wire` speaks to the service itself; `sdk` goes through the vendor's package, which must be installed."""

    max_tokens: int = Field(default=16_384, ge=1)
    """Most tokens of an answer, thinking included, where an agent sets no limit."""

    thinking: Literal["default", "adaptive", "disabled"] = "default"
    """Whether the model thinks first: as the model does by itself, as it sees fit, or not at all."""

    thinking_budget: int | None = Field(default=None, ge=1_024)
    """Most tokens of thinking, below `max_tokens`; only for models up to 4.6, later ones take `effort`."""

    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    """How much the model may spend on an answer; without it the model's own default."""

    cache_prompt: bool = False
    """Whether tools, system prompt and conversation so far are kept in the vendor's cache for five minutes."""

    @model_validator(mode="after")
    def _thinking_fits(self) -> Self:
        if self.thinking_budget is not None:
            if self.thinking != "default":
                message = "give 'thinking_budget' or 'thinking', not both"
                raise ValueError(message)
            if self.thinking_budget >= self.max_tokens:
                message = f"thinking_budget must be below max_tokens, here {self.max_tokens}"
                raise ValueError(message)
        return self
