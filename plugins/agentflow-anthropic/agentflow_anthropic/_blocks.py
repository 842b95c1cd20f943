"""Content blocks: the parts of the vendor's turns, to and fro, in an order that is kept.

A turn of text, then tool calls, is all that a message needs to say. A turn with anything else in it, such as thinking,
keeps all its blocks in ``Message.parts``: unchanged, but for tool calls, of which only the place is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from agentflow_http.arguments import arguments_on_wire, read_arguments
from agentflow_http.names import past_name_on_wire
from agentflow_kernel.contracts.provider import Message, ToolCall

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agentflow_http.names import ToolNames
    from agentflow_kernel.contracts.values import JSON

_PLACE: dict[str, JSON] = {"type": "tool_use"}
"""Where the next call of the message belongs."""


class Block:
    """One block of an answer as it grows."""

    __slots__ = ("document", "text", "json", "_pieces")

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.text: list[str] = []
        self.json: list[str] = []
        self._pieces: dict[str, list[Any]] | None = None

    def add(self, field: str, piece: object) -> None:
        """Another piece of a field that is no text of the answer; all are put together when the block is whole."""
        if self._pieces is None:
            self._pieces = {}
        self._pieces.setdefault(field, []).append(piece)

    def begin_text(self) -> str:
        """The text that the block began with."""
        begun = str(self.document.get("text") or "") if self.document.get("type") == "text" else ""
        if begun:
            self.text.append(begun)
        return begun

    def finish(self) -> dict[str, Any]:
        """The whole block."""
        document = self.document
        for field, pieces in (self._pieces or {}).items():
            begun = document.get(field)
            whole = "".join([str(begun or ""), *pieces]) if isinstance(pieces[0], str) else [*(begun or ()), *pieces]
            document = {**document, field: whole}
        if document.get("type") == "text":
            return {**document, "text": "".join(self.text)}
        if self.json and document.get("type") != "tool_use":
            return {**document, "input": read_arguments("".join(self.json))}
        return document


def build_message(blocks: Sequence[Block], names: ToolNames) -> Message:
    """The model's turn."""
    texts: list[str] = []
    calls: list[ToolCall] = []
    parts: list[dict[str, JSON]] = []
    plain = True
    for block in blocks:
        document = block.finish()
        kind = document.get("type")
        if kind == "text":
            plain = plain and not texts and not calls and document.keys() <= {"type", "text"}
            texts.append(document["text"])
            parts.append(document)
        elif kind == "tool_use":
            calls.append(_read_call(block, names))
            parts.append(dict(_PLACE))
        else:
            plain = False
            parts.append(document)
    return Message("assistant", "".join(texts), calls=calls, parts=() if plain else parts)


def encode_turn(message: Message) -> list[dict[str, JSON]]:
    """The blocks of an assistant's turn, in their order; text that was changed since replaces what was said."""
    calls = iter(message.calls)
    blocks: list[dict[str, JSON]] = []
    said = "".join(str(part.get("text", "")) for part in message.parts if part.get("type") == "text")
    kept = said == message.text
    if not kept and message.text:
        blocks.append({"type": "text", "text": message.text})
    for part in message.parts:
        kind = part.get("type")
        if kind == "tool_use":
            blocks.extend(_next(calls))
        elif kind != "text" or (kept and part.get("text")):
            blocks.append(dict(part))
    blocks.extend(_write_call(call) for call in calls)
    return blocks


def _next(calls: Iterator[ToolCall]) -> list[dict[str, JSON]]:
    return [_write_call(call) for call in [next(calls, None)] if call is not None]


def _read_call(block: Block, names: ToolNames) -> ToolCall:
    document = block.document
    given = cast("dict[str, JSON]", document.get("input") or {})
    arguments = read_arguments("".join(block.json)) if block.json else given
    return ToolCall(str(document.get("id", "")), names.read(str(document.get("name", ""))), arguments)


def _write_call(call: ToolCall) -> dict[str, JSON]:
    return {
        "type": "tool_use",
        "id": call.id,
        "name": past_name_on_wire(call.name),
        "input": arguments_on_wire(call.arguments),
    }
