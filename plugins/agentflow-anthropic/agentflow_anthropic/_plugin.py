"""The hooks of this distribution: which providers it offers."""

from __future__ import annotations

from agentflow_kernel.contracts.plugin import ProviderSpec
from agentflow_kernel.hookspecs import hookimpl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


@hookimpl
def agentflow_providers() -> Sequence[ProviderSpec]:
    """The Messages API."""
    return (
        ProviderSpec(
            "anthropic",
            "agentflow_anthropic.provider:create_provider",
            "agentflow_anthropic.settings:AnthropicSettings",
            models="agentflow_anthropic.models:MODELS",
            capabilities=("stream", "tools", "images", "thinking", "structured", "cache"),
            summary="The Anthropic Messages API: Claude models over the raw wire or the vendor's SDK.",
        ),
    )
