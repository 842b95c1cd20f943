"""The vendor's SDK as another way to the service: it sends the encoded request, the answer is read as always."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from agentflow_http.sdk import SdkWire, import_sdk

if TYPE_CHECKING:
    from agentflow_http.peer import Peer
    from agentflow_http.sdk import Answer
    from agentflow_http.settings import HttpSettings
    from agentflow_http.wire import WireCall
    from agentflow_kernel.contracts.clock import Clock

_LOADED_LATE = ("openai.resources.chat.completions", "openai.lib._client_auth")
"""What the SDK would import in the middle of its first call."""
_FROM_THE_ENVIRONMENT = ("Authorization", "OpenAI-Organization", "OpenAI-Project")
"""Headers that the SDK takes from variables; ours come from the settings alone."""


class ChatSdk:
    """Fills :class:`~agentflow_http.sdk.Sdk` with the package ``openai``, its retries off."""

    def __init__(self) -> None:
        """Imports the SDK: 0.4 s. Raises :class:`UsageError` where it is not installed."""
        self.errors = import_sdk("openai", "agentflow-openai")
        for name in _LOADED_LATE:
            importlib.import_module(name)

    async def open(self, http: Any, base_url: str, call: WireCall) -> Answer:
        """Send the request through this client."""
        openai = self.errors
        given = {name.lower() for name in call.headers}
        left_out = {name: openai.Omit() for name in _FROM_THE_ENVIRONMENT if name.lower() not in given}
        sdk = openai.AsyncOpenAI(api_key="-", base_url=base_url, http_client=http, timeout=http.timeout, max_retries=0)
        named = {name: call.body[name] for name in ("model", "messages", "stream")}
        # the rest of the body as it is: a version of the SDK may lack a parameter that a server takes
        headers = {**call.headers, **left_out}
        answer: Answer = await sdk.chat.completions.create(**named, extra_body=call.body, extra_headers=headers)
        return answer


def make_sdk_wire(settings: HttpSettings, peer: Peer, clock: Clock) -> SdkWire:
    """The wire of ``transport: sdk``; called at the first call."""
    return SdkWire(settings, peer, clock, ChatSdk())
