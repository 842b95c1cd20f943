"""A leaf of a compiled tree: a function or object of Python, or one of those that every tree has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentflow_planner_bt._asking import info_of, items_of, seconds_of, timer_of, updated
from agentflow_planner_bt._run import RUN, Part, failed, raised, unset
from agentflow_planner_bt.leaf import Context, Leaf, Methods
from agentflow_planner_bt.status import CODES, FAILURE, IDLE, RUNNING, SKIPPED, STATUSES, SUCCESS, Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentflow_kernel.errors import PlanError
    from agentflow_planner_bt._run import Memory, Reset
    from agentflow_planner_bt._site import Site


def _idle(slot: int) -> Reset:
    def reset(m: Memory) -> None:
        m[slot] = IDLE

    return reset


def simple(site: Site, answer: Callable[[Memory], int]) -> Part:
    """A leaf that has nothing to halt."""
    slot = site.slot

    def tick(m: Memory) -> int:
        status = m[slot] = answer(m)
        return status

    return Part(slot, tick, _idle(slot))


def constant(site: Site, status: int) -> Part:
    """``always_success`` and its like."""
    return simple(site, lambda m: status)


def coded(path: str, answer: Any, *, skips: bool) -> int:
    """The number of what a leaf answered.

    Raises:
        PlanError: it is no status and no boolean, or IDLE, or SKIPPED in a tree of py_trees.
    """
    code = CODES.get(answer) if isinstance(answer, str) else None
    if code is None or code == IDLE or (code == SKIPPED and not skips):
        raise _nonsense(path, answer)
    return code


def _nonsense(path: str, answer: Any) -> PlanError:
    shown = repr(answer) if len(repr(answer)) <= 60 else f"{repr(answer)[:59]}…"
    what = f"the status {answer}" if isinstance(answer, Status) else shown
    return failed(path, ValueError(f"a leaf answers SUCCESS, FAILURE, RUNNING, SKIPPED, true or false, not {what}"))


def function(site: Site, leaf: Leaf) -> Part:
    """A function of Python, called at each tick."""
    slot, path, skips = site.slot, site.path, not site.keeps
    call = leaf.action
    info = info_of(site, leaf.ports)
    success, failure, running = Status.SUCCESS, Status.FAILURE, Status.RUNNING
    number = site.compiler.context(info) if leaf.takes_context else 0

    def tick(m: Memory) -> int:
        try:
            answer = call(m[0].contexts[number])  # RUN written out: this is the path of every leaf
        except Exception as error:
            raise raised(path, error) from error
        if answer is True or answer is success:
            m[slot] = SUCCESS
            return SUCCESS
        if answer is False or answer is failure:
            m[slot] = FAILURE
            return FAILURE
        status = coded(path, answer, skips=skips)
        m[slot] = status if status != SKIPPED else IDLE
        return status

    def tick_alone(m: Memory) -> int:
        try:
            answer = call()
        except Exception as error:
            raise raised(path, error) from error
        if answer is True or answer is success:
            m[slot] = SUCCESS
            return SUCCESS
        if answer is False or answer is failure:
            m[slot] = FAILURE
            return FAILURE
        if answer is running:
            m[slot] = RUNNING
            return RUNNING
        status = coded(path, answer, skips=skips)
        m[slot] = status if status != SKIPPED else IDLE
        return status

    return Part(slot, tick if leaf.takes_context else tick_alone, _idle(slot))


def stateful(site: Site, leaf: Leaf) -> Part:
    """An object of Python with a life: start, running, and halted or end."""
    slot, path, skips = site.slot, site.path, not site.keeps
    number = site.object(leaf)
    info = info_of(site, leaf.ports)

    def finish(m: Memory, methods: Methods, status: int) -> None:
        if methods.end is not None:
            methods.end(Context(m, info), STATUSES[status])

    def tick(m: Memory) -> int:
        methods: Methods = m[RUN].objects[number]
        context = Context(m, info)
        begins = m[slot] != RUNNING
        try:
            if begins:
                answer = methods.start(context)
            else:
                answer = methods.running(context) if methods.running is not None else Status.RUNNING
            answer = {True: Status.SUCCESS, False: Status.FAILURE}[answer] if type(answer) is bool else answer
            status = coded(path, answer, skips=skips)
            m[slot] = status if status != SKIPPED else IDLE
            if status != RUNNING:
                finish(m, methods, status)
        except Exception as error:
            m[slot] = IDLE
            raise raised(path, error) from error
        return status

    def reset(m: Memory) -> None:
        if m[slot] == RUNNING:
            m[slot] = IDLE
            methods: Methods = m[RUN].objects[number]
            try:
                if methods.halted is not None:
                    methods.halted(Context(m, info))
                finish(m, methods, IDLE)
            except Exception as error:
                raise raised(path, error) from error
        m[slot] = IDLE

    return Part(slot, tick, reset)


def scripted(site: Site) -> Part:
    """A leaf for tests: gives the listed statuses one after the other, tick by tick, and then from the first again."""
    at, path, skips = site.cell(0), site.path, not site.keeps
    statuses = [coded(path, item, skips=skips) for item in items_of(site, "statuses")]
    slot = site.slot

    def tick(m: Memory) -> int:
        at_now: int = m[at]
        status = statuses[at_now % len(statuses)]
        m[at] = at_now + 1
        m[slot] = status if status != SKIPPED else IDLE
        return status

    return Part(slot, tick, _idle(slot))


def script(site: Site) -> Part:
    """Makes assignments; SUCCESS."""
    execute = site.script("code")

    def answer(m: Memory) -> int:
        execute(m)
        return SUCCESS

    return simple(site, answer)


def check(site: Site) -> Part:
    """SUCCESS where a condition holds, otherwise FAILURE."""
    holds = site.test("if")
    return simple(site, lambda m: SUCCESS if holds(m) else FAILURE)


def set_entry(site: Site) -> Part:
    """Writes a value to an entry; SUCCESS."""
    value, write_to, path = site.deep("value"), site.writer("key"), site.path

    def answer(m: Memory) -> int:
        try:
            write_to(m, value(m))
        except (TypeError, LookupError) as error:
            raise failed(path, error) from None
        return SUCCESS

    return simple(site, answer)


def unset_entry(site: Site) -> Part:
    """Takes an entry away; SUCCESS."""
    scope, key = site.entry("key")

    def answer(m: Memory) -> int:
        unset(m, scope, key)
        return SUCCESS

    return simple(site, answer)


def sleep(site: Site) -> Part:
    """RUNNING for a time, then SUCCESS."""
    slot, due, seconds = site.slot, timer_of(site), seconds_of(site)

    def tick(m: Memory) -> int:
        now = m[RUN].now
        if m[slot] != RUNNING:
            m[slot] = RUNNING
            m[due] = now + seconds(m)
        if now < m[due]:
            return RUNNING
        m[due] = None
        m[slot] = SUCCESS
        return SUCCESS

    def reset(m: Memory) -> None:
        m[due] = None
        m[slot] = IDLE

    return Part(slot, tick, reset)


def was_updated(site: Site) -> Part:
    """SUCCESS where an entry was written since this was last asked, otherwise FAILURE."""
    changed = updated(site, "key")
    return simple(site, lambda m: SUCCESS if changed(m) else FAILURE)
