"""The provider `openai`: the shared provider over HTTP, speaking the dialect of chat completions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentflow_http.provider import HttpProvider, make_http_wire
from agentflow_openai._dialect import ChatDialect
from agentflow_openai._ending import EndingWire

if TYPE_CHECKING:
    from agentflow_http.peer import Peer
    from agentflow_http.settings import HttpSettings
    from agentflow_http.wire import Wire
    from agentflow_kernel.contracts.clock import Clock
    from agentflow_kernel.contracts.plugin import PluginContext
    from agentflow_openai.settings import OpenAISettings


class OpenAIProvider(HttpProvider):
    """One server that speaks chat completions; nothing of it is opened before the first call."""

    def __init__(self, settings: OpenAISettings, context: PluginContext) -> None:
        make_wire = _make_sdk_wire if settings.transport == "sdk" else _make_raw_wire
        super().__init__(ChatDialect(settings), settings, context, make_wire)


def _make_raw_wire(settings: HttpSettings, peer: Peer, clock: Clock) -> Wire:
    return EndingWire(make_http_wire(settings, peer, clock))


def _make_sdk_wire(settings: HttpSettings, peer: Peer, clock: Clock) -> Wire:
    from agentflow_openai._sdk import make_sdk_wire  # lazy: the SDK takes 0.4 s, and need not be installed

    return EndingWire(make_sdk_wire(settings, peer, clock))
