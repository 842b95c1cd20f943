"""O1: needs that only keep pure calls apart are dropped, so that these run side by side."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from agentflow_planner_llm.execution.program import Program

_MOST = 64
"""Pure calls that are remembered as apart; where there are more, the next one waits for all of them."""
_GROWTH = 4
"""Where keeping the order of all else would need more than so many times the present needs, all stays as it is."""

_NONE: frozenset[int] = frozenset()


def drop_needs(program: Program) -> None:
    """Drop what is declared between two pure calls, and keep every other order that followed from it.

    A need stays where data passes, where the first step may be skipped or its failure matters to the second, and where
    a loop holds one of the two. What was before a dropped need stays before everything with effects that came after it.
    """
    graph = program.graph
    size = len(program.steps)
    pure = [program.effects[n] == "pure" and program.steps[n].kind == "tool" for n in range(size)]
    if sum(pure) < 2:
        return
    looped = frozenset().union(*(loop.body for loop in graph.loops)) if graph.loops else frozenset()
    droppable = {each for each in _surely_run(program) - looped if pure[each] and not program.steps[each].routes}
    dropped_of: dict[int, frozenset[int]] = {}
    for number, needs in enumerate(program.after):
        if pure[number] and number not in looped and number not in graph.routed and not droppable.isdisjoint(needs):
            bound = graph.data[number].union(graph.soft[number], graph.by_state.get(number, ()))
            dropped = frozenset((needs & droppable) - bound)
            if dropped:
                dropped_of[number] = dropped
    if not dropped_of:
        return
    after = list(program.after)
    hard = list(program.hard)
    before: list[AbstractSet[int]] = [_NONE] * size
    """For a pure step the nearest steps with effects before it."""
    pending: dict[int, AbstractSet[int]] = {}
    """For a pure step the pure ones that came before it in the plan and that nothing keeps before it any more."""
    budget = _GROWTH * sum(map(len, after)) + size
    for number in graph.topological:
        needs = after[number]
        if not needs:
            continue
        if pure[number]:
            behind = [before[need] if pure[need] else (need,) for need in needs]
            before[number] = _NONE.union(*behind) if any(behind) else _NONE
        dropped = dropped_of.get(number, _NONE)
        held = [pending[need] for need in needs if need in pending] if pending else ()
        if dropped or held:
            waiting: AbstractSet[int] = dropped.union(*held)
            kept = needs - dropped
            for need in dropped:
                kept = kept | before[need]  # a new set: the present one is not ours
            if pure[number] and len(waiting) <= _MOST:
                pending[number] = waiting - kept
            else:
                kept = kept | waiting
            hard[number] = hard[number] & kept
            after[number] = kept
        budget -= len(after[number])
        if budget < 0:
            return
    program.after = after
    program.hard = hard


def _surely_run(program: Program) -> set[int]:
    """Steps that run and whose failure ends the plan or does not matter: nothing is skipped because of them."""
    graph = program.graph
    sure: set[int] = set()
    for number in graph.topological:
        step = program.steps[number]
        skipped = step.when is not None or number in graph.routed or step.on_error not in {"fail", "retry"}
        if not skipped and program.hard[number] <= sure:
            sure.add(number)
    return sure
