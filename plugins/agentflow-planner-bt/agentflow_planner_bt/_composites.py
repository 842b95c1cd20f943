"""A composite: a node that ticks several children one after the other, by the rules of BehaviorTree.CPP 4.

Sequence and fallback are one function each, told which status goes on to the next child and which one ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentflow_planner_bt._asking import case_of
from agentflow_planner_bt._run import RUN, Part, clear
from agentflow_planner_bt.status import FAILURE, IDLE, RUNNING, SKIPPED, SUCCESS

if TYPE_CHECKING:
    from agentflow_planner_bt._run import Memory, Reset
    from agentflow_planner_bt._site import Site


def _reset(slot: int, parts: tuple[Part, ...]) -> Reset:
    def reset(m: Memory) -> None:
        if m[slot] == RUNNING:
            clear(m, parts)
        m[slot] = IDLE

    return reset


def remembering(site: Site, goes_on: int, ends: int) -> Part:
    """``sequence`` and ``fallback``: go on at the child that was RUNNING; start anew after the end."""
    slot, parts, at, skips = site.slot, site.parts, site.cell(0), site.cell(0)
    ticks = tuple(part.tick for part in parts)
    count = len(ticks)

    def tick(m: Memory) -> int:
        if m[slot] == RUNNING:
            index, skipped = m[at], m[skips]
        else:
            m[slot] = RUNNING
            index = skipped = 0
        while index < count:
            status = ticks[index](m)
            if status == goes_on:
                index += 1
            elif status == RUNNING:
                m[at], m[skips] = index, skipped
                return RUNNING
            elif status == ends:
                clear(m, parts)
                m[slot] = ends
                return ends
            else:
                index += 1
                skipped += 1
        clear(m, parts)
        if skipped == count:
            m[slot] = IDLE
            return SKIPPED
        m[slot] = goes_on
        return goes_on

    return Part(slot, tick, _reset(slot, parts))


def yielding(site: Site, goes_on: int, ends: int) -> Part:
    """The same, but RUNNING after each child that was done at once, so that parents may look in between."""
    slot, parts, at, skips = site.slot, site.parts, site.cell(0), site.cell(0)
    last = len(parts) - 1

    def tick(m: Memory) -> int:
        if m[slot] == RUNNING:
            index, skipped = m[at], m[skips]
        else:
            m[slot] = RUNNING
            index = skipped = 0
        while index <= last:
            part = parts[index]
            before = m[part.slot]
            status = part.tick(m)
            if status == RUNNING or (status == goes_on and before == IDLE and index < last):
                m[at], m[skips] = index + (status != RUNNING), skipped
                if status != RUNNING:
                    m[RUN].wake()
                return RUNNING
            if status == ends:
                clear(m, parts)
                m[slot] = ends
                return ends
            index += 1
            skipped += status == SKIPPED
        clear(m, parts)
        m[slot] = IDLE if skipped > last else goes_on
        return SKIPPED if skipped > last else goes_on

    return Part(slot, tick, _reset(slot, parts))


def resuming(site: Site) -> Part:
    """``sequence_resume``: neither a FAILURE nor a halt sends it back to its first child."""
    slot, parts, at, skips = site.slot, site.parts, site.cell(0), site.cell(0)
    count = len(parts)

    def tick(m: Memory) -> int:
        if m[slot] != RUNNING:
            m[slot] = RUNNING
            m[skips] = 0
        for index in range(m[at], count):
            status = parts[index].tick(m)
            if status == RUNNING:
                m[at] = index
                return RUNNING
            if status == FAILURE:
                m[at] = index
                clear(m, parts[index:])
                m[slot] = FAILURE
                return FAILURE
            m[skips] += status == SKIPPED
        clear(m, parts)
        m[at] = 0
        if m[skips] == count:
            m[slot] = IDLE
            return SKIPPED
        m[slot] = SUCCESS
        return SUCCESS

    return Part(slot, tick, _reset(slot, parts))


def reactive(site: Site, goes_on: int, ends: int) -> Part:
    """``reactive_sequence`` and ``reactive_fallback``: every tick starts at the first child."""
    slot, parts = site.slot, site.parts
    count = len(parts)
    ticks = tuple(part.tick for part in parts)
    others = tuple((*parts[:index], *parts[index + 1 :]) for index in range(count)) if count <= 64 else None

    def tick(m: Memory) -> int:
        m[slot] = RUNNING
        skipped = index = 0
        for child in ticks:
            status = child(m)
            if status == RUNNING:
                clear(m, others[index] if others is not None else (*parts[:index], *parts[index + 1 :]))
                return RUNNING
            if status == ends:
                clear(m, parts)
                m[slot] = ends
                return ends
            if status == SKIPPED:
                skipped += 1
            index += 1  # noqa: SIM113 -- counted by hand: enumerate would make a tuple for each child
        clear(m, parts)
        if skipped == count:
            m[slot] = IDLE
            return SKIPPED
        m[slot] = goes_on
        return goes_on

    return Part(slot, tick, _reset(slot, parts))


def if_then_else(site: Site) -> Part:
    """The condition until it is decided, then only the branch. A skipped condition skips the whole node."""
    slot, parts, at = site.slot, site.parts, site.cell(0)

    def tick(m: Memory) -> int:
        index = m[at] if m[slot] == RUNNING else 0
        m[slot] = RUNNING
        status = parts[index].tick(m)
        if index == 0 and (status == SUCCESS or (status == FAILURE and len(parts) == 3)):
            index = m[at] = 1 if status == SUCCESS else 2
            status = parts[index].tick(m)
        if status == RUNNING:
            m[at] = index
            return RUNNING
        clear(m, parts)
        m[slot] = IDLE if status == SKIPPED else status
        return status

    return Part(slot, tick, _reset(slot, parts))


def while_do_else(site: Site) -> Part:
    """The condition at every tick; changing to the other branch halts the one that runs."""
    slot, parts = site.slot, site.parts
    condition = parts[0]

    def tick(m: Memory) -> int:
        m[slot] = RUNNING
        status = condition.tick(m)
        if status == RUNNING:
            return RUNNING
        if status == SUCCESS:
            clear(m, parts[2:])
            status = parts[1].tick(m)
        elif status == FAILURE:
            clear(m, parts[1:2])
            status = parts[2].tick(m) if len(parts) == 3 else FAILURE
        if status == RUNNING:
            return RUNNING
        clear(m, parts)
        m[slot] = IDLE if status == SKIPPED else status
        return status

    return Part(slot, tick, _reset(slot, parts))


def switch(site: Site) -> Part:
    """The child of the first case that equals the variable, otherwise the last child."""
    slot, parts, running = site.slot, site.parts, site.cell(-1)
    chosen = case_of(site)

    def tick(m: Memory) -> int:
        index = chosen(m)
        before = m[running] if m[slot] == RUNNING else -1
        m[slot] = RUNNING
        if before not in {-1, index}:
            clear(m, parts[before : before + 1])
        status = parts[index].tick(m)
        if status == RUNNING:
            m[running] = index
            return RUNNING
        clear(m, parts)
        m[slot] = IDLE if status == SKIPPED else status
        return status

    return Part(slot, tick, _reset(slot, parts))


def try_catch(site: Site) -> Part:
    """All children but the last as a sequence; after a FAILURE the last one, and FAILURE whatever it gives."""
    slot, parts, at, skips, catching = site.slot, site.parts, site.cell(0), site.cell(0), site.cell(0)
    tries, catch = parts[:-1], parts[-1]
    catches_halt = site.reader("catch_on_halt")

    def tick(m: Memory) -> int:
        if m[slot] != RUNNING:
            m[slot] = RUNNING
            m[at] = m[skips] = m[catching] = 0
        while not m[catching] and m[at] < len(tries):
            status = tries[m[at]].tick(m)
            if status == RUNNING:
                return RUNNING
            if status == FAILURE:
                clear(m, tries)
                m[catching] = 1
                break
            m[at] += 1
            m[skips] += status == SKIPPED
        if m[catching]:
            if catch.tick(m) == RUNNING:
                return RUNNING
            clear(m, parts)
            m[slot] = FAILURE
            return FAILURE
        clear(m, parts)
        skipped = m[skips] == len(tries)
        m[slot] = IDLE if skipped else SUCCESS
        return SKIPPED if skipped else SUCCESS

    def reset(m: Memory) -> None:
        if m[slot] == RUNNING:
            if not m[catching] and catches_halt(m):
                clear(m, tries)
                catch.tick(m)
            clear(m, parts)
        m[slot] = IDLE

    return Part(slot, tick, reset)
