"""Errors of the vendor: their types and messages as faults.

Source: https://docs.claude.com/en/api/errors, read through a stored copy on 2026-11-21.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from agentflow_http.dialect import Fault
from agentflow_http.faults import kind_of_status

if TYPE_CHECKING:
    from agentflow_http.dialect import FaultKind

_KINDS: dict[str, FaultKind] = {
    "authentication_error": "credential",
    "permission_error": "credential",
    "billing_error": "credential",
    "rate_limit_error": "rate",
    "request_too_large": "prompt",
    "api_error": "unavailable",
    "timeout_error": "unavailable",
    "overloaded_error": "unavailable",
    "conflict_error": "unavailable",
}
_TOO_LONG = re.compile(r"prompt is too long|exceeds? (?:the )?context (?:limit|window)", re.IGNORECASE)
_NO_CREDIT = re.compile(r"credit balance|spend(?:ing)? limit|API usage limits", re.IGNORECASE)
_MODEL = re.compile(r"\s*model\b", re.IGNORECASE)


class _Error(msgspec.Struct):
    type: str = ""
    message: str = ""


class ErrorBody(msgspec.Struct):
    """The body of an error answer, and the data of an ``error`` event."""

    error: _Error


_decode = msgspec.json.Decoder(ErrorBody).decode


def read_fault(status: int, body: bytes) -> Fault:
    """What an answer with an error status means."""
    try:
        error = _decode(body).error
    except (msgspec.MsgspecError, UnicodeDecodeError):  # a gateway's page
        return Fault(kind_of_status(status), body.decode("utf-8", "replace"))
    fault = _fault(error, kind_of_status(status))
    if error.type == "overloaded_error":
        fault.executed = "no"  # turned away for want of capacity, before any work
    return fault


def read_error_event(data: bytes) -> Fault:
    """What an ``error`` event inside a stream means."""
    return _fault(_decode(data).error, "unavailable")


def _fault(error: _Error, otherwise: FaultKind) -> Fault:
    kind: FaultKind = _KINDS.get(error.type, otherwise)
    if error.type == "not_found_error" and _MODEL.match(error.message):
        kind = "model"
    elif error.type == "rate_limit_error" and _NO_CREDIT.search(error.message):
        kind = "credential"  # no waiting helps
    elif error.type == "invalid_request_error":
        if _TOO_LONG.search(error.message):
            kind = "prompt"
        elif _NO_CREDIT.search(error.message):
            kind = "credential"
        elif otherwise == "unavailable":
            kind = "usage"
    return Fault(kind, error.message, type=error.type)
