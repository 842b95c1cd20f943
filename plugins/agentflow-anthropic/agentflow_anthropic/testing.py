"""The other side of the Messages API: answers for a scripted server, as the vendor's public description has them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from agentflow_http.testing import Answer, in_pieces

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from agentflow_kernel.contracts.values import JSON

    Object = Mapping[str, JSON]


def event(name: str, **fields: JSON) -> bytes:
    """One server-sent event, whose data repeats its name as ``type``."""
    data = json.dumps({"type": name, **fields}, ensure_ascii=False)
    return f"event: {name}\ndata: {data}\n\n".encode()


def events(
    blocks: Sequence[Object],
    *,
    stop_reason: str = "end_turn",
    model: str = "claude-sonnet-5-5",
    usage: Object | None = None,
) -> list[bytes]:
    """The events of a whole answer, each as its bytes; text, thinking and arguments of tools come in pieces.

    ``usage`` is that of the first event, but for ``output_tokens``, which the last ones bring.
    """
    given = dict(usage or {})
    begun = {"input_tokens": 25, **given, "output_tokens": 1}
    message: Object = {
        "id": "msg_01", "type": "message", "role": "assistant", "content": [], "model": model,
        "stop_reason": None, "stop_sequence": None, "usage": begun,
    }  # fmt: skip
    lines = [event("message_start", message=message), event("ping")]
    for index, block in enumerate(blocks):
        lines.extend(_block(index, block))
    counted = {"output_tokens": given.get("output_tokens", 15)}
    lines.append(event("message_delta", delta={"stop_reason": stop_reason, "stop_sequence": None}, usage=counted))
    lines.append(event("message_stop"))
    return lines


def answer(*blocks: Object | str, stop_reason: str = "end_turn", **more: JSON) -> Answer:
    """A streamed answer of these blocks; a text stands for a text block. ``usage`` and ``model`` as in `events`."""
    given = [{"type": "text", "text": block} if isinstance(block, str) else block for block in blocks]
    return Answer.stream(*events(given, stop_reason=stop_reason, **more))  # type: ignore[arg-type]  # named in `events`


def failure(status: int, type: str, message: str, **headers: str) -> Answer:
    """An error answer."""
    body: Object = {"type": "error", "error": {"type": type, "message": message}, "request_id": "req_01"}
    return Answer(status, body, headers={name.replace("_", "-"): value for name, value in headers.items()})


def _block(index: int, block: Object) -> Iterator[bytes]:
    """The events of one content block."""
    kind = block["type"]
    deltas: list[Object] = []
    begun: dict[str, JSON] = dict(block)
    if kind == "text":
        begun["text"] = ""
        deltas += [{"type": "text_delta", "text": piece} for piece in in_pieces(str(block["text"]))]
    elif kind == "thinking":
        begun |= {"thinking": "", "signature": ""}
        deltas += [{"type": "thinking_delta", "thinking": piece} for piece in in_pieces(str(block["thinking"]))]
        deltas.append({"type": "signature_delta", "signature": block["signature"]})
    elif kind == "tool_use":
        begun["input"] = {}
        given = block["input"]
        text = given if isinstance(given, str) else json.dumps(given)
        deltas += [{"type": "input_json_delta", "partial_json": piece} for piece in ["", *in_pieces(text)]]
    yield event("content_block_start", index=index, content_block=begun)
    for delta in deltas:
        yield event("content_block_delta", index=index, delta=delta)
    yield event("content_block_stop", index=index)
