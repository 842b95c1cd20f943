"""A guard: what stands round a node: conditions before it, scripts after it, errors that count as FAILURE, a trace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentflow_planner_bt._run import RUN, Part
from agentflow_planner_bt.status import FAILURE, IDLE, RUNNING, SKIPPED, SUCCESS

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentflow_planner_bt._run import Memory
    from agentflow_planner_bt._site import Site


def guarded(site: Site, inner: Part) -> Part:
    """The node with all that the document puts round it; the node itself where that is nothing."""
    modifiers = site.node.modifiers
    part = inner
    if (site.node.errors or site.compiler.errors) == "failure":
        part = _forgiving(site, part)
    if any(name in modifiers for name in ("on_success", "on_failure", "on_halted", "post")):
        part = _followed(site, part)
    if any(name in modifiers for name in ("failure_if", "success_if", "skip_if", "while")):
        part = _conditional(site, part)
    return part


def _conditional(site: Site, inner: Part) -> Part:
    """Conditions before: the first three only where the node is IDLE, ``while`` also where it is RUNNING."""
    slot, modifiers = site.slot, site.node.modifiers
    before = [
        (site.condition(modifiers[name]), answer)
        for name, answer in (("failure_if", FAILURE), ("success_if", SUCCESS), ("skip_if", SKIPPED))
        if name in modifiers
    ]
    goes_on = site.condition(modifiers["while"]) if "while" in modifiers else None
    after = _after(site)

    def tick(m: Memory) -> int:
        status = m[slot]
        if status == IDLE:
            for holds, answer in before:
                if holds(m):
                    if answer != SKIPPED:
                        m[slot] = answer
                        after(m, answer)
                    return answer
            if goes_on is not None and not goes_on(m):
                return SKIPPED
        elif status == RUNNING and goes_on is not None and not goes_on(m):
            inner.reset(m)
            return SKIPPED
        return inner.tick(m)

    return Part(slot, tick, inner.reset)


def _after(site: Site) -> Callable[[Memory, int], None]:
    """What a node does when it is done: the script for its status, then the one for both."""
    modifiers = site.node.modifiers
    scripts: dict[int, list[Callable[[Memory], None]]] = {SUCCESS: [], FAILURE: []}
    for name, statuses in (("on_success", [SUCCESS]), ("on_failure", [FAILURE]), ("post", [SUCCESS, FAILURE])):
        if name in modifiers:
            execute = site.execute(modifiers[name])
            for status in statuses:
                scripts[status].append(execute)

    def after(m: Memory, status: int) -> None:
        for execute in scripts[status]:
            execute(m)

    return after


def _followed(site: Site, inner: Part) -> Part:
    """Scripts after: of a node that is done, and of one that is halted."""
    slot, after = site.slot, _after(site)
    halted = site.execute(site.node.modifiers["on_halted"]) if "on_halted" in site.node.modifiers else None

    def tick(m: Memory) -> int:
        status = inner.tick(m)
        if status in {SUCCESS, FAILURE}:
            after(m, status)
        return status

    def reset(m: Memory) -> None:
        runs = m[slot] == RUNNING
        inner.reset(m)
        if runs and halted is not None:
            halted(m)

    return Part(slot, tick, reset)


def _forgiving(site: Site, inner: Part) -> Part:
    """``errors: failure``: an error in the node or below it halts what runs there and counts as FAILURE."""
    slot = site.slot

    def tick(m: Memory) -> int:
        try:
            return inner.tick(m)
        except Exception as error:  # noqa: BLE001 -- whatever it is, it has been asked to count as FAILURE
            inner.reset(m)
            m[RUN].errors.append((slot, str(error)))
            m[slot] = FAILURE
            return FAILURE

    return Part(slot, tick, inner.reset)


def traced(site: Site, inner: Part, number: int) -> Part:
    """The node, noting each status that it gives."""
    tick_inner = inner.tick

    def tick(m: Memory) -> int:
        status = tick_inner(m)
        m[RUN].trace.append((number, status))
        return status

    return Part(site.slot, tick, inner.reset)
