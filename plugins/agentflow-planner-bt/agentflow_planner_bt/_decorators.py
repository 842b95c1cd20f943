"""A decorator: a node with one child that changes what it gives, or when and how often it is ticked.

:func:`framed` holds what most have in common and serves both semantics: after a child is done, BehaviorTree.CPP makes
it IDLE, py_trees leaves its status standing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentflow_planner_bt._asking import one_of, seconds_of, timer_of, updated
from agentflow_planner_bt._kinds import CONVERTERS
from agentflow_planner_bt._run import RUN, Part, clear, failed
from agentflow_planner_bt.status import CODES, FAILURE, IDLE, RUNNING, SKIPPED, STATUSES, SUCCESS

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentflow_planner_bt._run import Memory, Reset
    from agentflow_planner_bt._site import Site

    Update = Callable[[Memory, int], int]
    """What the decorator gives when its child has given a status."""


def reset_of(site: Site, also: Reset | None = None) -> Reset:
    """Halts the child of a RUNNING decorator, or in py_trees clears the child of any; then does what else is wanted."""
    slot, parts, keeps = site.slot, site.parts, site.keeps

    def reset(m: Memory) -> None:
        if m[slot] == RUNNING and not keeps:
            clear(m, parts)
        elif keeps and m[parts[0].slot] != IDLE:
            parts[0].reset(m)
        m[slot] = IDLE
        if also is not None:
            also(m)

    return reset


def framed(site: Site, update: Update, start: Reset | None = None) -> Part:
    """A decorator that ticks its child at each tick and turns its status into its own."""
    slot, (child,), keeps = site.slot, site.parts, site.keeps

    def tick(m: Memory) -> int:
        if m[slot] != RUNNING:
            m[slot] = RUNNING
            if start is not None:
                start(m)
        before = m[child.slot]
        status = child.tick(m)
        answer = update(m, status)
        if answer == RUNNING:
            if status != RUNNING:
                if before == RUNNING:
                    m[RUN].more = True
                else:
                    m[RUN].again = True
                if not keeps:
                    m[child.slot] = IDLE
            return RUNNING
        if status == RUNNING:
            child.reset(m)
        elif not keeps:
            m[child.slot] = IDLE
        m[slot] = IDLE if answer == SKIPPED else answer
        return answer

    return Part(slot, tick, reset_of(site))


def converting(site: Site) -> Part:
    """Those that are a table of statuses: ``inverter``, ``force_success``, ``failure_is_running`` and their like."""
    answers = [IDLE, RUNNING, SUCCESS, FAILURE, SKIPPED]
    kind = site.node.kind.name
    if kind == "inverter":
        answers[SUCCESS], answers[FAILURE] = FAILURE, SUCCESS
    elif kind in {"force_success", "force_failure"}:
        answers[SUCCESS] = answers[FAILURE] = SUCCESS if kind == "force_success" else FAILURE
    elif kind == "keep_running_until_failure":
        answers[SUCCESS] = answers[SKIPPED] = RUNNING
    elif kind != "pass_through":
        first, second = CONVERTERS[kind]
        answers[CODES[first]] = CODES[second]
    return framed(site, lambda m, status: answers[status])


def looping(site: Site, goes_on: int, ends: int) -> Part:
    """``repeat`` and ``retry``: gives way after each turn that was done at once, and the tree is ticked again."""
    slot, (child,), count = site.slot, site.parts, site.cell(0)
    times = site.reader("times")

    def tick(m: Memory) -> int:
        wanted = times(m)
        done = m[count]
        m[slot] = RUNNING
        while done < wanted or wanted == -1:
            before = m[child.slot]
            status = child.tick(m)
            if status == RUNNING:
                return RUNNING
            m[child.slot] = IDLE
            if status == goes_on:
                done += 1
                m[count] = done
                wanted = times(m)
                if before == IDLE and (done < wanted or wanted == -1):
                    m[RUN].wake()
                    return RUNNING
                continue
            if status == ends:
                m[count] = 0
                m[slot] = ends
                return ends
            m[slot] = IDLE
            return SKIPPED
        m[count] = 0
        m[slot] = goes_on
        return goes_on

    def forget(m: Memory) -> None:
        m[count] = 0

    return Part(slot, tick, reset_of(site, forget))


def run_once(site: Site) -> Part:
    """The child once in the life of the tree, then SKIPPED, or with ``then_skip: false`` what it gave."""
    slot, (child,), given = site.slot, site.parts, site.cell(IDLE)
    skips = site.reader("then_skip")

    def tick(m: Memory) -> int:
        if m[given] != IDLE:
            answer = SKIPPED if skips(m) else m[given]
            m[slot] = IDLE if answer == SKIPPED else answer
            return int(answer)
        m[slot] = RUNNING
        status = child.tick(m)
        if status == RUNNING:
            return RUNNING
        m[child.slot] = IDLE
        if status != SKIPPED:
            m[given] = status
        m[slot] = IDLE if status == SKIPPED else status
        return status

    return Part(slot, tick, reset_of(site))


def one_shot(site: Site) -> Part:
    """The child until it is done, or with the policy ``success`` until it succeeds; then that status for ever."""
    final = site.cell(IDLE)
    only_success = one_of(site, "policy", ("completion", "success")) == "success"
    slot = site.slot

    def update(m: Memory, status: int) -> int:
        if status == SUCCESS or (status == FAILURE and not only_success):
            m[final] = status
        return status

    inner = framed(site, update)

    def tick(m: Memory) -> int:
        if m[final] == IDLE:
            return inner.tick(m)
        m[slot] = m[final]
        return int(m[slot])

    return Part(slot, tick, inner.reset)


def delay(site: Site) -> Part:
    """The child, after a time."""
    slot, (child,), due = site.slot, site.parts, timer_of(site)
    seconds = seconds_of(site)

    def tick(m: Memory) -> int:
        now = m[RUN].now
        if m[slot] != RUNNING:
            m[slot] = RUNNING
            m[due] = now + seconds(m)
        if now < m[due]:
            return RUNNING
        status = child.tick(m)
        if status == RUNNING:
            return RUNNING
        m[due] = None
        m[child.slot] = IDLE
        m[slot] = IDLE if status == SKIPPED else status
        return status

    def forget(m: Memory) -> None:
        m[due] = None

    return Part(slot, tick, reset_of(site, forget))


def timeout(site: Site) -> Part:
    """The child for at most a time; BehaviorTree.CPP: looked at before the child is ticked, so a tie is lost.

    py_trees: looked at afterwards and only once the time is exceeded. No limit for 0 seconds in BehaviorTree.CPP.
    """
    slot, (child,), due, keeps = site.slot, site.parts, timer_of(site), site.keeps
    seconds = seconds_of(site)

    def tick(m: Memory) -> int:
        now = m[RUN].now
        if m[slot] != RUNNING:
            m[slot] = RUNNING
            limit = seconds(m)
            m[due] = now + limit if limit > 0 or keeps else None
        elif not keeps and m[due] is not None and now >= m[due]:
            status = FAILURE
            clear(m, site.parts)
            m[due] = None
            m[slot] = FAILURE
            return FAILURE
        status = child.tick(m)
        if status == RUNNING:
            if not keeps or now <= m[due]:
                return RUNNING
            child.reset(m)
            status = FAILURE
        m[due] = None
        if not keeps:
            m[child.slot] = IDLE
        m[slot] = IDLE if status == SKIPPED else status
        return status

    def forget(m: Memory) -> None:
        m[due] = None

    return Part(slot, tick, reset_of(site, forget))


def for_each(site: Site) -> Part:
    """The child once for each item of a list, one item a tick; then the status ``if_empty``."""
    slot, (child,), rest = site.slot, site.parts, site.cell(None)
    queue, set_value, path = site.reader("queue"), site.writer("value"), site.path
    empty = CODES[site.literal("if_empty")]

    def tick(m: Memory) -> int:
        if m[slot] != RUNNING:
            m[slot] = RUNNING
            m[rest] = list(queue(m))
        if m[child.slot] != RUNNING:
            if not m[rest]:
                m[slot] = IDLE if empty == SKIPPED else empty
                return empty
            try:
                set_value(m, m[rest][0])
                m[rest] = m[rest][1:]
            except TypeError as error:
                raise failed(path, error) from None
        status = child.tick(m)
        if status != RUNNING:
            m[child.slot] = IDLE
            m[RUN].more = True
        if status == FAILURE:
            m[slot] = FAILURE
            return FAILURE
        return RUNNING

    return Part(slot, tick, reset_of(site))


def precondition(site: Site) -> Part:
    """The child if a condition holds when it is to begin, otherwise the status ``else``."""
    slot, (child,) = site.slot, site.parts
    holds = site.test("if")
    otherwise = CODES[site.literal("else")]

    def tick(m: Memory) -> int:
        if m[child.slot] != RUNNING and not holds(m):
            m[slot] = IDLE if otherwise == SKIPPED else otherwise
            m[RUN].again = m[RUN].again or otherwise == RUNNING
            return otherwise
        m[slot] = RUNNING
        status = child.tick(m)
        if status == RUNNING:
            return RUNNING
        m[child.slot] = IDLE
        m[slot] = IDLE if status == SKIPPED else status
        return status

    return Part(slot, tick, reset_of(site))


def if_updated(site: Site, otherwise: int) -> Part:
    """The child, if an entry was written since it was last looked at; otherwise SKIPPED or RUNNING."""
    slot, (child,) = site.slot, site.parts
    changed = updated(site, "key")

    def tick(m: Memory) -> int:
        if m[child.slot] != RUNNING and not changed(m):
            m[slot] = IDLE if otherwise == SKIPPED else otherwise
            return otherwise
        m[slot] = RUNNING
        status = child.tick(m)
        if status == RUNNING:
            return RUNNING
        m[child.slot] = IDLE
        m[slot] = IDLE if status == SKIPPED else status
        return status

    return Part(slot, tick, reset_of(site))


def eternal_guard(site: Site) -> Part:
    """The child while a condition holds, looked at each tick; otherwise the child is halted and it is a FAILURE."""
    slot, parts, keeps = site.slot, site.parts, site.keeps
    holds = site.test("if")
    inner = framed(site, lambda m, status: status)

    def tick(m: Memory) -> int:
        if holds(m):
            return inner.tick(m)
        if m[parts[0].slot] == RUNNING or not keeps:
            clear(m, parts)
        m[slot] = FAILURE
        return FAILURE

    return Part(slot, tick, inner.reset)


def condition(site: Site) -> Part:
    """SUCCESS once the child gives a certain status, until then RUNNING."""
    wanted = CODES[site.literal("status")]
    return framed(site, lambda m, status: SUCCESS if status == wanted else RUNNING)


def count(site: Site) -> Part:
    """Counts what its child gives: an object of five numbers, in an entry of the blackboard if one is named."""
    cell, path = site.cell(None), site.path
    set_count = site.writer("key") if site.given("key") else None
    names = {status: name.lower() for status, name in enumerate(STATUSES)}

    def note(m: Memory, *what: str) -> None:
        counts = dict(m[cell] or {"total": 0, "running": 0, "success": 0, "failure": 0, "interrupted": 0})
        for name in what:
            counts[name] = counts.get(name, 0) + 1
        m[cell] = counts
        if set_count is not None:
            try:
                set_count(m, counts)
            except TypeError as error:
                raise failed(path, error) from None

    def update(m: Memory, status: int) -> int:
        note(m, "total", names[status])
        return status

    inner = framed(site, update)
    slot = site.slot

    def reset(m: Memory) -> None:
        if m[slot] == RUNNING:
            note(m, "interrupted")
        inner.reset(m)

    return Part(slot, inner.tick, reset)


def status_to_blackboard(site: Site) -> Part:
    """Writes the status of its child to an entry, as a text such as ``RUNNING``."""
    set_status, path = site.writer("key"), site.path

    def update(m: Memory, status: int) -> int:
        try:
            set_status(m, STATUSES[status].value)
        except TypeError as error:
            raise failed(path, error) from None
        return status

    return framed(site, update)
