"""A node by the rules of py_trees: nothing is SKIPPED; what is done keeps its status until it begins again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentflow_planner_bt._asking import one_of, selected_by
from agentflow_planner_bt._decorators import framed
from agentflow_planner_bt._run import Part
from agentflow_planner_bt.status import FAILURE, IDLE, RUNNING, SUCCESS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentflow_planner_bt._run import Memory, Reset
    from agentflow_planner_bt._site import Site


def _stop(m: Memory, parts: Iterable[Part]) -> None:
    """Make these nodes and all below them IDLE."""
    for part in parts:
        if m[part.slot] != IDLE:
            part.reset(m)


def _reset(slot: int, parts: tuple[Part, ...]) -> Reset:
    def reset(m: Memory) -> None:
        _stop(m, parts)
        m[slot] = IDLE

    return reset


def sequence(site: Site) -> Part:
    """``sequence``: with memory it goes on at the child that was RUNNING, without it starts at the first each tick."""
    slot, parts, at = site.slot, site.parts, site.cell(0)
    count, remembers = len(parts), site.literal("memory")

    def tick(m: Memory) -> int:
        index = 0
        if m[slot] != RUNNING:
            _stop(m, parts)
            m[slot] = RUNNING
        elif remembers:
            index = m[at]
        while index < count:
            status = parts[index].tick(m)
            if status != SUCCESS:
                m[at] = index
                if not remembers:
                    _stop(m, parts[index + 1 :])
                m[slot] = status
                return status
            index += 1
        m[slot] = SUCCESS
        return SUCCESS

    return Part(slot, tick, _reset(slot, parts))


def fallback(site: Site) -> Part:
    """``fallback``, the selector: a child that does not fail stops those behind it, unless it was chosen before."""
    slot, parts, chosen = site.slot, site.parts, site.cell(0)
    remembers = site.literal("memory")

    def tick(m: Memory) -> int:
        if m[slot] != RUNNING:
            m[slot] = RUNNING
            m[chosen] = 0
        before = m[chosen]
        first = before if remembers else 0
        _stop(m, parts[:first])
        for index in range(first, len(parts)):
            status = parts[index].tick(m)
            if status != FAILURE:
                m[chosen] = index
                if index != before:
                    _stop(m, parts[index + 1 :])
                m[slot] = status
                return status
        m[chosen] = len(parts) - 1
        m[slot] = FAILURE
        return FAILURE

    return Part(slot, tick, _reset(slot, parts))


def parallel(site: Site) -> Part:
    """``parallel``: ticks all first, then one FAILURE is a FAILURE, else the policy decides."""
    slot, parts = site.slot, site.parts
    policy = one_of(site, "policy", ("all", "one", "selected"))
    selected = selected_by(site) if policy == "selected" else tuple(part.slot for part in parts)
    synchronise = bool(site.literal("synchronise")) and policy != "one"

    def decided(m: Memory) -> int:
        if any(m[part.slot] == FAILURE for part in parts):
            return FAILURE
        successes = [m[child] == SUCCESS for child in selected]
        return SUCCESS if (any(successes) if policy == "one" else all(successes)) else RUNNING

    def tick(m: Memory) -> int:
        if m[slot] != RUNNING:
            _stop(m, parts)
            m[slot] = RUNNING
        for part in parts:
            if not synchronise or m[part.slot] != SUCCESS:
                part.tick(m)
        status = decided(m)
        if status != RUNNING:
            _stop(m, [part for part in parts if m[part.slot] == RUNNING])
        m[slot] = status
        return status

    return Part(slot, tick, _reset(slot, parts))


def looping(site: Site, goes_on: int, ends: int) -> Part:
    """``repeat`` and ``retry``: one turn a tick, RUNNING in between."""
    count, times = site.cell(0), site.reader("times")

    def start(m: Memory) -> None:
        m[count] = 0

    def update(m: Memory, status: int) -> int:
        if status == ends:
            return ends
        if status == goes_on:
            m[count] += 1
            if m[count] == times(m):
                return goes_on
        return RUNNING

    return framed(site, update, start)
