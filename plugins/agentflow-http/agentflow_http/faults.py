"""Faults: what status codes, headers and broken connections mean in the kernel's errors."""

from __future__ import annotations

import math
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentflow_http.dialect import Executed, FaultKind

_KINDS: dict[int, FaultKind] = {
    401: "credential",
    402: "credential",
    403: "credential",
    404: "usage",
    408: "unavailable",
    409: "unavailable",
    413: "prompt",
    425: "unavailable",
    429: "rate",
}


def kind_of_status(status: int) -> FaultKind:
    """The kind of fault that a status of 400 or more stands for, where the vendor says nothing better."""
    return "unavailable" if status >= 500 else _KINDS.get(status, "usage")


def executed_at_status(status: int) -> Executed:
    """Whether the peer may have done the work: certainly not below 500; a server error leaves it open."""
    return "no" if status < 500 else "maybe"


def read_retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """The seconds that ``Retry-After`` asks for, from a number or an HTTP date; ``None`` where it says nothing sound.

    ``now`` is wall time. A date that has passed is 0. Source: RFC 9110, section 10.2.3.
    """
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - now
        except (ValueError, OverflowError):
            return None
        return max(seconds, 0.0)
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
