"""A complaint: what a server says went wrong, in the form of the vendor or of one that follows it.

Source: the vendor's guide to error codes and the error objects of vLLM, llama.cpp, Ollama and FastAPI, read 2026-11-21.
"""

from __future__ import annotations

import json
import re
from typing import Literal

from agentflow_kernel.contracts.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentflow_kernel.contracts.values import JSON

Kind = Literal["prompt", "model", "key", "quota", "policy", "limit", "busy", "other"]
"""What is wrong: too long a prompt, no such model, the key, the account's money, a content filter, a rate limit, the
server's load, or something else of which the status tells more."""

_CODES: dict[str, Kind] = {
    "context_length_exceeded": "prompt",
    "exceed_context_size_error": "prompt",
    "string_above_max_length": "prompt",
    "request_too_large": "prompt",
    "model_not_found": "model",
    "invalid_api_key": "key",
    "invalid_authentication": "key",
    "authentication_error": "key",
    "account_deactivated": "key",
    "insufficient_quota": "quota",
    "insufficient_balance": "quota",
    "billing_hard_limit_reached": "quota",
    "billing_not_active": "quota",
    "content_filter": "policy",
    "content_policy_violation": "policy",
    "unsupported_country_region_territory": "policy",
    "rate_limit_exceeded": "limit",
    "rate_limit_error": "limit",
    "requests": "limit",
    "tokens": "limit",
    "server_is_overloaded": "busy",
    "slow_down": "busy",
    "overloaded_error": "busy",
}
_PROMPT = re.compile(r"(?i)maximum context length|context (?:window|size|length)")
_MODEL = re.compile(r"(?i)\bmodel\b.*(?:not found|does ?n[o']t exist|not exist)")
_LARGER_THAN_THE_LIMIT = re.compile(r"(?i)^request too large")
_KEY = re.compile(r"(?i)(api key provided:? *|\b(?:sk|pk)-)[^\s'\"]+")
_MOST = 500


class Complaint(Value):
    """The server's words for it. ``code`` and ``type`` are stable names, ``message`` is for people."""

    __slots__ = ("message", "type", "code", "param")

    def __init__(self, message: str, type: str = "", code: str = "", param: str = "") -> None:
        self.message = message
        self.type = type
        self.code = code
        self.param = param

    def name(self) -> str:
        """The server's own name for it; some give the status once more as code."""
        return self.type if self.code.isdecimal() else self.code or self.type

    def kind(self) -> Kind:
        """What is wrong, by the stable names first, then by the words of servers that have no names for it."""
        kind = _CODES.get(self.code) or _CODES.get(self.type)
        if kind == "limit" and _LARGER_THAN_THE_LIMIT.search(self.message):
            return "prompt"  # one request is more than a whole minute's limit: waiting never helps
        if kind is not None:
            return kind
        if _PROMPT.search(self.message):
            return "prompt"
        return "model" if _MODEL.search(self.message) else "other"


def read_complaint(body: JSON) -> Complaint | None:
    """The complaint in a decoded answer; ``None`` where there is none, as in a chunk of a stream that goes well."""
    if isinstance(body, list) and body:
        body = body[0]
    if not isinstance(body, dict):
        return None
    error = body.get("error")
    if isinstance(error, dict):
        body = error
    elif isinstance(error, str) and error:
        return Complaint(_shorten(error))
    elif not isinstance(body.get("message"), str):
        detail = body.get("detail")
        return Complaint(_shorten(json.dumps(detail) if isinstance(detail, list) else str(detail))) if detail else None
    return Complaint(
        _shorten(_name(body.get("message"))), *(_name(body.get(name)) for name in ("type", "code", "param"))
    )


def _name(value: JSON) -> str:
    return "" if value is None or isinstance(value, (dict, list)) else str(value)


def _shorten(text: str) -> str:
    """The words without the key that some services repeat, with stars in its middle, and no longer than needed."""
    text = _KEY.sub(r"\1[hidden]", text)
    return text if len(text) <= _MOST else f"{text[:_MOST]}…"
