"""The flows of the chaos tests: one table of cases that together use every feature and every type of record."""

from __future__ import annotations

from flows import (
    agents,
    batches,
    bounds,
    copies,
    durable,
    effects,
    ends,
    events,
    folded,
    pauses,
    plans,
    sagas,
    scopes,
    shapes,
    triggered,
)
from flows.case import Case, Copy, Send, World

ROOMS = (
    shapes, batches, durable, effects, agents, events, ends, pauses, plans, sagas, bounds, scopes, folded, copies,
    triggered,
)  # fmt: skip
CASES: dict[str, Case] = {case.name: case for room in ROOMS for case in room.CASES}

__all__ = ("CASES", "Case", "Copy", "Send", "World")
