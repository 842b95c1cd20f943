"""An answer: the events of a stream, or one whole message, made into the model's turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from agentflow_anthropic._blocks import Block, build_message
from agentflow_anthropic._faults import read_error_event
from agentflow_http.dialect import Fault, Faulted
from agentflow_http.names import ToolNames
from agentflow_kernel.contracts.provider import ModelReply, Usage
from agentflow_kernel.errors import ProtocolViolation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow_kernel.contracts.provider import StopReason, ToolInfo

_STOP_REASONS: dict[str, StopReason] = {
    "end_turn": "end",
    "pause_turn": "end",
    "tool_use": "tool_calls",
    "max_tokens": "max_tokens",
    "model_context_window_exceeded": "max_tokens",
    "stop_sequence": "stop_sequence",
    "refusal": "refusal",
}


class _Delta(msgspec.Struct):
    type: str
    text: str = ""
    partial_json: str = ""
    thinking: str = ""
    signature: str = ""
    citation: Any = None


class _BlockDelta(msgspec.Struct):
    index: int
    delta: _Delta


class _BlockStart(msgspec.Struct):
    index: int
    content_block: dict[str, Any]


class _Tokens(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None


class _Message(msgspec.Struct):
    model: str = ""
    content: list[dict[str, Any]] = []
    stop_reason: str | None = None
    usage: _Tokens | None = None


class _MessageStart(msgspec.Struct):
    message: _Message


class _Change(msgspec.Struct):
    stop_reason: str | None = None


class _MessageDelta(msgspec.Struct):
    delta: _Change = msgspec.field(default_factory=_Change)
    usage: _Tokens | None = None


class _Named(msgspec.Struct):
    type: str


_decode_block_delta = msgspec.json.Decoder(_BlockDelta).decode
_decode_block_start = msgspec.json.Decoder(_BlockStart).decode
_decode_message_start = msgspec.json.Decoder(_MessageStart).decode
_decode_message_delta = msgspec.json.Decoder(_MessageDelta).decode
_decode_message = msgspec.json.Decoder(_Message).decode
_decode_name = msgspec.json.Decoder(_Named).decode


class AnswerDecoder:
    """Fills :class:`~agentflow_http.dialect.Decoder` for one stream of the Messages API."""

    __slots__ = ("done", "_names", "_blocks", "_begun", "_model", "_stop_reason", "_tokens")

    def __init__(self, tools: Sequence[ToolInfo]) -> None:
        self.done = False
        self._names = ToolNames(tools)
        self._blocks: dict[int, Block] = {}
        self._begun = False
        self._model = ""
        self._stop_reason: str | None = None
        self._tokens = _Tokens()

    def feed(self, name: bytes, data: bytes) -> str:
        """The text that one event brings."""
        if name == b"content_block_delta":
            event = _decode_block_delta(data)
            block = self._blocks.get(event.index)
            if block is None:
                raise ProtocolViolation(f"Anthropic sent content of a block {event.index} that it had not begun.")
            delta = event.delta
            if delta.type == "text_delta":
                block.text.append(delta.text)
                return delta.text
            self._grow(block, delta)
            return ""
        return self._feed_seldom(name or _decode_name(data).type.encode(), data, named=bool(name))

    def reply(self) -> ModelReply:
        """The whole turn."""
        if not self._begun:
            raise ProtocolViolation("Anthropic ended a message that it had not begun.")
        blocks = [self._blocks[index] for index in sorted(self._blocks)]
        return _build(blocks, self._names, self._stop_reason, self._tokens, self._model)

    def _grow(self, block: Block, delta: _Delta) -> None:
        """A delta that is no text."""
        if delta.type == "input_json_delta":
            block.json.append(delta.partial_json)
        elif delta.type == "thinking_delta":
            block.add("thinking", delta.thinking)
        elif delta.type == "signature_delta":
            block.add("signature", delta.signature)
        elif delta.type == "citations_delta":
            block.add("citations", delta.citation)

    def _feed_seldom(self, name: bytes, data: bytes, *, named: bool) -> str:
        """The events that come a few times in an answer; unknown ones are read past."""
        match name:
            case b"content_block_start":
                start = _decode_block_start(data)
                block = self._blocks[start.index] = Block(start.content_block)
                return block.begin_text()
            case b"message_start":
                message = _decode_message_start(data).message
                self._begun, self._model, self._tokens = True, message.model, message.usage or _Tokens()
            case b"message_delta":
                change = _decode_message_delta(data)
                self._stop_reason = change.delta.stop_reason or self._stop_reason
                self._tokens = _later(self._tokens, change.usage or _Tokens())
            case b"message_stop":
                self.done = True
            case b"error":
                raise Faulted(read_error_event(data))
            case b"content_block_delta" if not named:
                return self.feed(name, data)
        return ""


def decode_message(body: bytes, tools: Sequence[ToolInfo]) -> ModelReply:
    """The turn in a message that came whole; some gateways give an error with status 200, too."""
    kind = _decode_name(body).type
    if kind == "error":
        raise Faulted(read_error_event(body))
    if kind != "message":
        raise Faulted(Fault("protocol", f"expected a message, found JSON of the type {kind!r}"))
    message = _decode_message(body)
    blocks = [Block(document) for document in message.content]
    for block in blocks:
        block.begin_text()
    return _build(blocks, ToolNames(tools), message.stop_reason, message.usage or _Tokens(), message.model)


def _build(
    blocks: Sequence[Block], names: ToolNames, stop_reason: str | None, tokens: _Tokens, model: str
) -> ModelReply:
    message = build_message(blocks, names)
    reason = _STOP_REASONS.get(stop_reason or "", "tool_calls" if message.calls else "end")
    read, written = tokens.cache_read_input_tokens or 0, tokens.cache_creation_input_tokens or 0
    usage = Usage(
        (tokens.input_tokens or 0) + read + written,
        tokens.output_tokens or 0,
        cached_tokens=read,
        cache_write_tokens=written,
    )
    return ModelReply(message, stop_reason=reason, usage=usage, model=model)


def _later(before: _Tokens, now: _Tokens) -> _Tokens:
    """The counts so far; they are cumulative, and those that are left out have not changed."""
    return _Tokens(
        *(
            old if new is None else new
            for old, new in zip(msgspec.structs.astuple(before), msgspec.structs.astuple(now), strict=True)
        )
    )
