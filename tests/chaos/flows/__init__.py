"""The flows of the chaos tests: one table of cases that together use every feature and every type of record."""

from __future__ import annotations

from flows import agents, batches, bounds, durable, effects, ends, events, pauses, sagas, scopes, shapes
from flows.case import Case, Send, World

ROOMS = (shapes, batches, durable, effects, agents, events, ends, pauses, sagas, bounds, scopes)
CASES: dict[str, Case] = {case.name: case for room in ROOMS for case in room.CASES}

__all__ = ("CASES", "Case", "Send", "World")
