"""The harness: what the conformance kit needs to test the provider against a server of the Messages API."""

from __future__ import annotations

from random import SystemRandom
from typing import TYPE_CHECKING, ClassVar, Final

from agentflow_anthropic.provider import create_provider
from agentflow_anthropic.settings import AnthropicSettings
from agentflow_anthropic.testing import answer, failure
from agentflow_http.names import name_on_wire
from agentflow_http.testing import Answer, HttpProviderHarness
from agentflow_kernel.contracts.clock import SystemClock
from agentflow_kernel.contracts.plugin import PluginContext
from agentflow_kernel.errors import Unsupported
from agentflow_kernel.testing.provider_harness import RETRY_AFTER_S

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Literal

    from agentflow_http.provider import HttpProvider
    from agentflow_kernel.contracts.provider import ModelReply
    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.testing import ProviderFault

_STOPS: Final = {"end": "end_turn", "tool_calls": "tool_use", "max_tokens": "max_tokens", "refusal": "refusal"}


class AnthropicHarness(HttpProviderHarness):
    """Opens a provider over the raw wire."""

    declared: ClassVar[Mapping[str, bool]] = {**HttpProviderHarness.declared, "refuses": False}
    transport: ClassVar[Literal["wire", "sdk"]] = "wire"

    def make(self, url: str) -> HttpProvider:
        """A provider for the server."""
        settings = AnthropicSettings(
            base_url=url, api_key=self.secret, transport=self.transport, read_timeout_s=self.silence_s
        )
        return create_provider(settings, PluginContext("kit", clock=SystemClock(), random=SystemRandom()))

    def heard(self, body: Mapping[str, JSON]) -> str:
        """The text at the end of the last turn."""
        turns = body["messages"]
        last = turns[-1]["content"][-1] if isinstance(turns, list) and turns else {}
        return str(last.get("text", ""))

    def say(self, reply: ModelReply) -> Answer:
        """The events of a whole message."""
        message, usage = reply.message, reply.usage
        calls = [
            {"type": "tool_use", "id": call.id, "name": name_on_wire(call.name), "input": call.arguments}
            for call in message.calls
        ]
        counted = {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}
        blocks = [message.text, *calls] if message.text else calls
        return answer(*blocks, stop_reason=_STOPS[reply.stop_reason], usage=counted)

    def fail(self, fault: ProviderFault) -> Answer:
        """The vendor's error answers; a policy that forbids a call is no error there."""
        match fault:
            case "rate-limit":
                return failure(429, "rate_limit_error", "Too many requests", retry_after=f"{RETRY_AFTER_S:g}")
            case "credential":
                return failure(401, "authentication_error", f"invalid x-api-key {self.secret}")
            case "unknown-model":
                return failure(404, "not_found_error", "model: claude-gone")
            case "too-long":
                return failure(400, "invalid_request_error", "prompt is too long: 9 tokens > 8 maximum")
        raise Unsupported(f"The fault {fault!r}", "the Messages API has no such error: its models refuse in an answer.")


class AnthropicSdkHarness(AnthropicHarness):
    """Opens a provider over the vendor's SDK."""

    transport: ClassVar[Literal["wire", "sdk"]] = "sdk"
