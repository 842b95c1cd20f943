"""The flows of the chaos tests: one table of cases that together use every feature and every type of record."""

from __future__ import annotations

from flows import agents, batches, durable, effects, ends, events, shapes
from flows.case import Case, Send, World

CASES: dict[str, Case] = {
    case.name: case for room in (shapes, batches, durable, effects, agents, events, ends) for case in room.CASES
}

__all__ = ("CASES", "Case", "Send", "World")
