"""The harness: what the conformance kit needs to test the provider against a server of chat completions."""

from __future__ import annotations

import json
from random import SystemRandom
from typing import TYPE_CHECKING, Any, ClassVar, Final

from agentflow_http.names import name_on_wire
from agentflow_http.testing import Answer, HttpProviderHarness, in_pieces
from agentflow_kernel.contracts.clock import SystemClock
from agentflow_kernel.contracts.plugin import PluginContext
from agentflow_kernel.errors import Unsupported
from agentflow_kernel.testing.provider_harness import RETRY_AFTER_S
from agentflow_openai.provider import OpenAIProvider
from agentflow_openai.settings import OpenAISettings
from agentflow_openai.testing import calls, chunk, event, refusal, says, streamed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Literal

    from agentflow_kernel.contracts.provider import ModelReply
    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.testing import ProviderFault

_STOPS: Final = {"end": "stop", "max_tokens": "length"}


class OpenAIHarness(HttpProviderHarness):
    """Opens a provider over the raw wire."""

    transport: ClassVar[Literal["wire", "sdk"]] = "wire"

    def make(self, url: str) -> OpenAIProvider:
        """A provider for the server."""
        settings: dict[str, Any] = {"api_key": self.secret, "model": "terra", "read_timeout_s": self.silence_s}
        made = OpenAISettings(base_url=f"{url}/v1", transport=self.transport, **settings)
        return OpenAIProvider(made, PluginContext("kit", clock=SystemClock(), random=SystemRandom()))

    def heard(self, body: Mapping[str, JSON]) -> str:
        """The text of the last turn, or of its last part."""
        turns = body["messages"]
        content = turns[-1]["content"] if isinstance(turns, list) and turns else ""
        if isinstance(content, list):
            content = content[-1].get("text", "")
        return str(content or "")

    def say(self, reply: ModelReply) -> Answer:
        """The chunks of a whole completion."""
        message = reply.message
        if reply.stop_reason == "refusal":
            refused = [event(chunk({"refusal": piece})) for piece in in_pieces(message.text)]
            return streamed(*refused, *says())
        if message.calls:
            wanted = [(call.id, name_on_wire(call.name), json.dumps(call.arguments)) for call in message.calls]
            texts = [event(chunk({"content": piece})) for piece in in_pieces(message.text)]
            return streamed(*texts, *calls(*wanted))
        return streamed(*says(*in_pieces(message.text), finish=_STOPS[reply.stop_reason]))

    def fail(self, fault: ProviderFault) -> Answer:
        """The vendor's error objects."""
        match fault:
            case "rate-limit":
                headers = {"retry-after": f"{RETRY_AFTER_S:g}"}
                return refusal(429, "Rate limit reached", "rate_limit_exceeded", headers=headers)
            case "credential":
                return refusal(401, f"Incorrect API key provided: {self.secret}", "invalid_api_key")
            case "unknown-model":
                return refusal(404, "The model 'gone' does not exist", "model_not_found")
            case "too-long":
                return refusal(400, "This model's maximum context length is 8 tokens", "context_length_exceeded")
            case "refusal":
                return refusal(400, "The prompt was filtered", "content_filter")
        raise Unsupported(f"The fault {fault!r}", "the harness has no answer for it.")


class OpenAISdkHarness(OpenAIHarness):
    """Opens a provider over the vendor's SDK."""

    transport: ClassVar[Literal["wire", "sdk"]] = "sdk"
