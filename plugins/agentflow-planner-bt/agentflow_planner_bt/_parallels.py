"""A parallel: a composite that ticks all its children, by the rules of BehaviorTree.CPP 4.

Which children are done is not counted but read: a child that is done keeps its status until the parallel resets it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentflow_planner_bt._run import Part, clear, failed
from agentflow_planner_bt.status import FAILURE, IDLE, RUNNING, SKIPPED, SUCCESS

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentflow_planner_bt._run import Memory
    from agentflow_planner_bt._site import Site


def threshold(given: int, children: int) -> int:
    """How many children a threshold means: a negative one counts from their number, -1 for all.

    Raises:
        ValueError: it can never be reached, or always is.
    """
    wanted = given if given >= 0 else children + given + 1
    if not 1 <= wanted <= children:
        raise ValueError(f"a threshold of {given} with {children} children: it must mean 1 to {children} of them")
    return wanted


def _threshold(site: Site, port: str) -> Callable[[Memory], int]:
    """The threshold at run time, worked out now where it is a literal."""
    count, read, path = len(site.parts), site.reader(port), site.path
    if site.literal(port) is not None:
        known = threshold(site.literal(port), count)
        return lambda m: known

    def wanted(m: Memory) -> int:
        try:
            return threshold(read(m), count)
        except ValueError as error:
            raise failed(path, error) from None

    return wanted


def parallel(site: Site) -> Part:
    """``parallel``: thresholds are looked at after each child, so later ones may not be ticked any more."""
    slot, parts = site.slot, site.parts
    count = len(parts)
    successes, failures = _threshold(site, "success"), _threshold(site, "failure")
    given = site.reader("success")

    def tick(m: Memory) -> int:
        enough, too_many = successes(m), failures(m)
        skips_count = given(m) < 0
        m[slot] = RUNNING
        won = lost = skipped = 0
        for part in parts:
            won += m[part.slot] == SUCCESS
            lost += m[part.slot] == FAILURE
        status = RUNNING
        for part in parts:
            if m[part.slot] not in {SUCCESS, FAILURE}:
                answer = part.tick(m)
                won += answer == SUCCESS
                lost += answer == FAILURE
                skipped += answer == SKIPPED
            if skipped == count:
                status = SKIPPED
            elif won >= enough or (skips_count and won + skipped >= enough):
                status = SUCCESS
            elif lost == too_many or count - lost < enough:
                status = FAILURE
            if status != RUNNING:
                clear(m, parts)
                m[slot] = IDLE if status == SKIPPED else status
                return status
        return RUNNING

    return Part(slot, tick, _reset(site))


def parallel_all(site: Site) -> Part:
    """``parallel_all``: ticks all that are not done, and decides when all are done or skipped."""
    slot, parts = site.slot, site.parts
    failures = _threshold(site, "max_failures")

    def tick(m: Memory) -> int:
        too_many = failures(m)
        m[slot] = RUNNING
        lost = skipped = 0
        done = True
        for part in parts:
            status = m[part.slot]
            if status not in {SUCCESS, FAILURE}:
                status = part.tick(m)
                if status == RUNNING:
                    done = False
                skipped += status == SKIPPED
            lost += status == FAILURE
        if not done:
            return RUNNING
        clear(m, parts)
        if skipped == len(parts):
            m[slot] = IDLE
            return SKIPPED
        m[slot] = FAILURE if lost >= too_many else SUCCESS
        return int(m[slot])

    return Part(slot, tick, _reset(site))


def _reset(site: Site) -> Callable[[Memory], None]:
    slot, parts = site.slot, site.parts

    def reset(m: Memory) -> None:
        if m[slot] == RUNNING:
            clear(m, parts)
        m[slot] = IDLE

    return reset
