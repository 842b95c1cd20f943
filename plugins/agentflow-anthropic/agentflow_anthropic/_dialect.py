"""The Messages API as a dialect: no I/O, only what goes onto the wire and what its answers mean.

Source: https://platform.claude.com/docs/en/build-with-claude/streaming, https://docs.claude.com/en/api/errors and the
vendor's published types of requests and events, read through stored copies on 2026-11-21.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentflow_anthropic._answer import AnswerDecoder, decode_message
from agentflow_anthropic._faults import read_fault
from agentflow_anthropic._request import encode_request
from agentflow_anthropic.models import MODELS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentflow_anthropic.settings import AnthropicSettings
    from agentflow_http.dialect import Fault
    from agentflow_kernel.contracts.provider import ModelReply, ModelRequest
    from agentflow_kernel.contracts.values import JSON

VERSION = "2023-06-01"
"""Of the protocol. The vendor keeps the parameters of a version as they are; 2026-10-21 is newer and takes fewer, such
as no temperature. Source: https://platform.claude.com/docs/en/api/versioning, read on 2026-11-21."""


class AnthropicDialect:
    """Fills :class:`~agentflow_http.dialect.Dialect`."""

    vendor = "Anthropic"
    path = "/v1/messages"
    models = MODELS

    def __init__(self, settings: AnthropicSettings) -> None:
        self._settings = settings

    def headers(self, key: str) -> Mapping[str, str]:
        """The key and the version of the protocol."""
        version = {"anthropic-version": VERSION}
        return {"x-api-key": key, **version} if key else version

    def encode(self, request: ModelRequest, model: str) -> dict[str, JSON]:
        """The body of ``POST /v1/messages``."""
        return encode_request(request, model, self._settings)

    def decoder(self, request: ModelRequest) -> AnswerDecoder:
        """A decoder for one stream."""
        return AnswerDecoder(request.tools)

    def decode(self, request: ModelRequest, body: bytes) -> ModelReply:
        """The turn in a message that was not streamed."""
        return decode_message(body, request.tools)

    def fault(self, status: int, headers: Mapping[str, str], body: bytes) -> Fault:
        """What an error answer means."""
        return read_fault(status, body)
