"""O3: identical calls are made once; both steps keep their ids."""

from __future__ import annotations

from typing import cast

from agentflow_planner_llm.plan.document import canonical
from agentflow_planner_llm.plan.ways import bits_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from agentflow_kernel.contracts.values import JSON
    from agentflow_planner_llm.execution.program import Program


def merge_calls(program: Program) -> None:
    """Let a call end with an earlier one that is the same: same tool, same arguments, same rules for failure.

    Only calls without effects, or that may be repeated without harm, and only where no call with effects stands
    between the two: both have the same such calls before and after them.
    """
    groups: dict[tuple[object, ...], list[int]] = {}
    apart = {*program.graph.routed, *program.graph.stateful}
    for number in program.graph.topological:
        step = program.steps[number]
        if step.kind != "tool" or program.effects[number] == "effect" or number in apart:
            continue
        if not (step.writes or step.routes or step.post or step.reads):
            groups.setdefault(_key(program, number), []).append(number)
    several = [group for group in groups.values() if len(group) > 1]
    if not several:
        return
    before, after = _effects_around(program)
    for group in several:
        chosen: dict[tuple[int, int, AbstractSet[int]], int] = {}
        others = ~bits_of(number for number in group if program.effects[number] != "pure")
        for number in group:
            place = (before[number] & others, after[number] & others, program.hard[number])
            first = chosen.setdefault(place, number)
            if first != number and first not in program.hard[number]:
                program.twin_of[number] = first
                program.twins[first] = (*program.twins.get(first, ()), number)
    if not program.twin_of:
        return
    program.seal()
    for number in sorted(program.twin_of, key=program.position.__getitem__, reverse=True):
        program.step_aside(number)  # it may end before what it waited for


def _same(args: Mapping[str, JSON]) -> object:
    """What equal arguments have in common: texts are compared as they are, which is a third of the work."""
    for value in args.values():
        if value.__class__ is not str:
            return canonical(cast("JSON", args))
    return frozenset(args.items())


def _key(program: Program, number: int) -> tuple[object, ...]:
    """What two calls must have in common."""
    step = program.steps[number]
    ruled = step.retry is not None or step.returns is not None
    rules = canonical([step.source.get("retry"), step.returns]) if ruled else ""
    around = program.graph.loops
    loops = tuple(place for place, loop in enumerate(around) if number in loop.body) if around else ()
    return step.name, _same(step.args), step.when, step.on_error, step.timeout, step.expect, loops, rules


def _effects_around(program: Program) -> tuple[list[int], list[int]]:
    """For each step the calls with effects before and after it, as bit sets."""
    size = len(program.steps)
    before = [0] * size
    after = [0] * size
    own = [0 if effect == "pure" else 1 << number for number, effect in enumerate(program.effects)]
    if not any(own):
        return before, after
    for number in program.graph.topological:
        bits = 0
        for need in program.after[number]:
            bits |= before[need] | own[need]
        before[number] = bits
    for number in reversed(program.graph.topological):
        bits = after[number] | own[number]
        if bits:
            for need in program.after[number]:
                after[need] |= bits
    return before, after
