"""The vendor's SDK as a way to the service; imported at the first call."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from agentflow_http.sdk import import_sdk

if TYPE_CHECKING:
    import httpx2

    from agentflow_http.sdk import Answer
    from agentflow_http.wire import WireCall

_LOADED_LATE = "anthropic.resources.messages"
"""What the SDK would import in the middle of its first call."""


class AnthropicSdk:
    """Fills :class:`~agentflow_http.sdk.Sdk`; the key goes into the header of the raw wire, not into the SDK."""

    def __init__(self) -> None:
        """Imports the SDK: a second. Raises :class:`UsageError` where the package is missing."""
        self.errors = import_sdk("anthropic", "agentflow-anthropic")
        importlib.import_module(_LOADED_LATE)

    async def open(self, http: httpx2.AsyncClient, base_url: str, call: WireCall) -> Answer:
        """Send the request; the SDK takes time-outs and connections from the client."""
        sdk = self.errors.AsyncAnthropic(
            api_key="-",
            base_url=base_url,
            # of the client, not of the request, whose headers the SDK logs
            default_headers={"authorization": self.errors.Omit(), **call.headers},
            http_client=http,
            timeout=http.timeout,
            max_retries=0,
        )
        # the body a second time, whole: a version of the SDK may lack a parameter that older models take
        answer: Answer = await sdk.messages.create(
            **{name: call.body[name] for name in ("model", "max_tokens", "messages", "stream")},
            extra_body=call.body,
        )
        return answer
