"""The provider `anthropic`: the Messages API made into the kernel's contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentflow_anthropic._dialect import AnthropicDialect
from agentflow_http.provider import HttpProvider, make_http_wire

if TYPE_CHECKING:
    from agentflow_anthropic.settings import AnthropicSettings
    from agentflow_http.peer import Peer
    from agentflow_http.settings import HttpSettings
    from agentflow_http.wire import Wire
    from agentflow_kernel.contracts.clock import Clock
    from agentflow_kernel.contracts.plugin import PluginContext


def create_provider(settings: AnthropicSettings, context: PluginContext) -> HttpProvider:
    """A provider with these settings; nothing is opened and no SDK imported before the first call."""
    make_wire = make_http_wire if settings.transport == "wire" else _make_sdk_wire
    return HttpProvider(AnthropicDialect(settings), settings, context, make_wire)


def _make_sdk_wire(settings: HttpSettings, peer: Peer, clock: Clock) -> Wire:
    from agentflow_anthropic._sdk import AnthropicSdk  # lazy: the SDK takes a second, at the first call
    from agentflow_http.sdk import SdkWire  # lazy: as above

    return SdkWire(settings, peer, clock, AnthropicSdk())
