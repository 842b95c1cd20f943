"""The other side of the protocol: chunks, streams and refusals for a scripted server, as the vendor describes them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from agentflow_http.testing import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentflow_http.testing import Cut, Delay, Reset, Wait

DONE = b"data: [DONE]\n\n"
USAGE = {
    "prompt_tokens": 1_200,
    "completion_tokens": 350,
    "total_tokens": 1_550,
    "prompt_tokens_details": {"cached_tokens": 1_024, "audio_tokens": 0, "cache_write_tokens": 100},
    "completion_tokens_details": {"reasoning_tokens": 300, "audio_tokens": 0},
}


def chunk(delta: Mapping[str, Any] | None = None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    """A chunk with one choice."""
    return {
        "id": "chatcmpl-9Q7fSvbZ4DwxYz1aBcDeFgHiJkLm",
        "object": "chat.completion.chunk",
        "created": 1_763_717_000,
        "model": "gpt-6.1-terra",
        "system_fingerprint": "fp_44709d6fcb",
        "choices": [{"index": 0, "delta": delta or {}, "logprobs": None, "finish_reason": finish}],
        "usage": None,
        **more,
    }


def usage_chunk() -> dict[str, Any]:
    """The last chunk of a stream with ``include_usage``: no choices, all tokens."""
    return {**chunk(), "choices": [], "usage": USAGE}


def event(document: Any) -> bytes:
    """One event of a stream."""
    return b"data: " + json.dumps(document, ensure_ascii=False).encode() + b"\n\n"


def says(*pieces: str, finish: str = "stop") -> list[bytes]:
    """The events of a whole answer of text, up to the usage, without the end."""
    first = chunk({"role": "assistant", "content": "", "refusal": None})
    return [
        event(document)
        for document in (first, *(chunk({"content": piece}) for piece in pieces), chunk({}, finish), usage_chunk())
    ]


def streamed(*steps: bytes | Wait | Delay | Cut | Reset) -> Answer:
    """A stream of these steps, then its end."""
    return Answer.stream(*steps, DONE)


def calls(*wanted: tuple[str, str, str]) -> list[bytes]:
    """The events of an answer with parallel calls (id, name on the wire, arguments in two fragments)."""
    events = []
    for index, (call_id, name, arguments) in enumerate(wanted):
        begin = {"index": index, "id": call_id, "type": "function", "function": {"name": name, "arguments": ""}}
        half = len(arguments) // 2
        events.append(event(chunk({"tool_calls": [begin]})))
        events += [
            event(chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]}))
            for piece in (arguments[:half], arguments[half:])
        ]
    return [*events, event(chunk({}, "tool_calls")), event(usage_chunk())]


def refusal(
    status: int,
    message: str,
    code: str | None = None,
    *,
    type: str = "invalid_request_error",
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """An error object with a status."""
    error = {"message": message, "type": type, "param": None, "code": code}
    return Answer(status, {"error": error}, headers=headers)
