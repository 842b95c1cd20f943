"""The hooks of this distribution."""

from __future__ import annotations

from agentflow_kernel.contracts.plugin import ProviderSpec
from agentflow_kernel.hookspecs import hookimpl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


@hookimpl
def agentflow_providers() -> Sequence[ProviderSpec]:
    """The provider `openai`."""
    return (
        ProviderSpec(
            "openai",
            "agentflow_openai.provider:OpenAIProvider",
            "agentflow_openai.settings:OpenAISettings",
            models="agentflow_openai.models:MODELS",
            capabilities=("stream",),
            summary="Speaks the OpenAI chat-completions protocol, with the vendor or with any server that follows it.",
        ),
    )
