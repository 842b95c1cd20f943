"""A rate limit, as the headers of an answer tell it: how long until a further call has a chance."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_STEP = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_KINDS = ("requests", "tokens")


def read_reset(headers: Mapping[str, str]) -> float | None:
    """Seconds until the limit that was met is free again, from ``x-ratelimit-reset-*``; ``None`` where none says.

    A limit of which nothing remains was met. Where none is at zero, it is that on tokens: what remains of it is too
    little for the request. Keys of ``headers`` are in small letters.
    Source: "Rate limits in headers" of the vendor's guide to rate limits, read 2026-11-21.
    """
    waits = {kind: read_duration(headers.get(f"x-ratelimit-reset-{kind}", "")) for kind in _KINDS}
    met = [kind for kind in _KINDS if headers.get(f"x-ratelimit-remaining-{kind}", "").strip() == "0"]
    told = [wait for kind in met or ("tokens",) if (wait := waits[kind]) is not None]
    return max(told, default=waits["requests"])


def read_duration(text: str) -> float | None:
    """Seconds of ``12ms``, ``6m0s``, ``1h2m3.5s`` or a bare number; ``None`` for anything else."""
    text = text.strip()
    steps = _STEP.findall(text)
    if steps and "".join(number + unit for number, unit in steps) == text:
        return sum(float(number) * _SECONDS[unit] for number, unit in steps)
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if 0 <= seconds < _SECONDS["d"] else None
