"""A message on the wire: one turn of a conversation in the form that chat completions take."""

from __future__ import annotations

import json

from agentflow_http.arguments import arguments_on_wire
from agentflow_http.names import past_name_on_wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentflow_kernel.contracts.provider import Message, ToolCall
    from agentflow_kernel.contracts.values import JSON

REASONING = ("reasoning_content", "reasoning", "reasoning_details")
"""Fields in which servers send what the model thought; a part of a message has such a field's name as its type."""
_IMAGE = "image"


def encode_messages(
    messages: Sequence[Message], *, system_role: str = "system", echo_reasoning: bool = True
) -> list[dict[str, JSON]]:
    """The turns in order. ``system_role`` is ``system`` or ``developer``.

    With ``echo_reasoning`` a reasoning part goes back in the field that it came in; other parts of an assistant's
    turn belong to another vendor and are left out.
    """
    wire = []
    for message in messages:
        if message.role == "assistant":
            wire.append(_encode_assistant(message, echo_reasoning=echo_reasoning))
        elif message.role == "tool":
            wire.append(_encode_result(message))
        else:
            role = system_role if message.role == "system" else "user"
            wire.append({"role": role, "content": _content(message.text, message.parts)})
    return wire


def _encode_assistant(message: Message, *, echo_reasoning: bool) -> dict[str, JSON]:
    wire: dict[str, JSON] = {"role": "assistant", "content": message.text}
    if message.calls:
        wire["content"] = message.text or None
        wire["tool_calls"] = [_encode_call(call) for call in message.calls]
    if echo_reasoning:
        for part in message.parts:
            kind = part.get("type")
            if kind in REASONING and kind in part:
                wire[str(kind)] = part[str(kind)]
    return wire


def _encode_call(call: ToolCall) -> dict[str, JSON]:
    """A call of the past."""
    arguments = json.dumps(arguments_on_wire(call.arguments), ensure_ascii=False)
    name = past_name_on_wire(call.name)
    return {"id": call.id, "type": "function", "function": {"name": name, "arguments": arguments}}


def _encode_result(message: Message) -> dict[str, JSON]:
    """The answer to one call. The protocol has no field for an error, so the text says it."""
    text = message.text
    if message.is_error and not text.lower().startswith("error"):
        text = f"Error: {text}"
    return {"role": "tool", "tool_call_id": message.call_id or "", "content": _content(text, message.parts)}


def _content(text: str, parts: Sequence[Mapping[str, JSON]]) -> JSON:
    """Plain text, or a list of parts where there are any: the text first, then the parts in order."""
    if not parts:
        return text
    content: list[Mapping[str, JSON]] = [{"type": "text", "text": text}] if text else []
    content += [_encode_image(part) if part.get("type") == _IMAGE else part for part in parts]
    return content


def _encode_image(part: Mapping[str, JSON]) -> Mapping[str, JSON]:
    """An ``image`` part of the other vendor as ``image_url``; bytes travel in a data URL (RFC 2397)."""
    source = part.get("source")
    if not isinstance(source, dict):
        return part
    if source.get("type") == "base64":
        url = f"data:{source.get('media_type')};base64,{source.get('data')}"
    elif source.get("type") == "url":
        url = str(source.get("url"))
    else:
        return part
    return {"type": "image_url", "image_url": {"url": url}}
