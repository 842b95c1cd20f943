"""A bound: how much JSON a document may hold, counted as often as it is copied, and what is no JSON."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from agentflow_planner_bt.port import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_VALUES = 500_000
"""Values of a document. One that stands in several places of it counts in each: it is copied for each."""
MAX_LEVELS = 64
"""Lists and mappings one inside the other in the value of a port or an entry, as in manifests."""
LONGEST = sys.float_info.max
"""Seconds of a time: what is more, also as a whole number, is no time that can be added to another."""


def is_too_large(document: Any) -> bool:
    """Whether it holds more than :data:`MAX_VALUES`; also true of a document that holds itself."""
    count, todo = 1, [document]
    while todo:
        item = todo.pop()
        if isinstance(item, dict | list | tuple):
            count += len(item)
            if count > MAX_VALUES:
                return True
            todo += item.values() if isinstance(item, dict) else item
    return False


def not_json(value: Any) -> str:
    """What keeps a value from being JSON that is nested no deeper than :data:`MAX_LEVELS`; nothing where it is."""
    return next(_faults(value, 0), "")


def _faults(value: Any, level: int) -> Iterator[str]:
    kind = KINDS.get(type(value))
    if kind is None:
        yield f"a Python {type(value).__name__} is no JSON"
    elif kind == "number" and not -float("inf") < value < float("inf"):
        yield f"{value!r} is no number of JSON"
    elif kind in {"array", "object"}:
        if level == MAX_LEVELS:
            yield f"it is nested more than {MAX_LEVELS} levels deep"
            return
        if kind == "object" and any(type(key) is not str for key in value):
            yield "a mapping of JSON has keys of text only"
            return
        for item in value.values() if kind == "object" else value:
            yield from _faults(item, level + 1)
