"""The passes: each changes a program before it is shared, and can be left out without the others.

What they may take for granted: calls of tools that are declared pure change nothing and may be made in any order among
each other; nothing else may be reordered, and no two calls with effects are merged.
"""

from __future__ import annotations

from agentflow_planner_llm.execution.program import batch_of
from agentflow_planner_llm.optimisation.merging import merge_calls
from agentflow_planner_llm.optimisation.needs import drop_needs
from agentflow_planner_llm.optimisation.ranks import rank_steps
from agentflow_planner_llm.plan.scope import matches

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from agentflow_planner_llm.execution.program import Program

    Change = Callable[[Program, Sequence[str]], None]


def optimise(program: Program, passes: Collection[str], cache: Sequence[str] = ()) -> Program:
    """The program after the named passes, in the order of :data:`PASSES`; ``cache`` are the tools of that pass."""
    for name, change in PASSES.items():
        if name in passes:
            change(program, cache)
    program.seal()
    return program


def _drop_needs(program: Program, _cache: Sequence[str]) -> None:
    drop_needs(program)


def _rank_steps(program: Program, _cache: Sequence[str]) -> None:
    rank_steps(program)


def _merge_calls(program: Program, _cache: Sequence[str]) -> None:
    merge_calls(program)


def prune(program: Program, _cache: Sequence[str]) -> None:
    """O4: leave out calls without effects whose results nobody uses and which nothing waits for.

    A step that checks its result is kept: its failure is what it is for. What is left out cannot fail the plan either.
    """
    graph = program.graph
    kept = set(program.last) if "output" not in program.plan.source else set()
    kept.update(graph.index[reference.root] for reference in graph.output_references if reference.root in graph.index)
    pruned: list[int] = []
    for number in reversed(graph.topological):  # what uses a step comes before it in this order
        if number not in kept and program.effects[number] == "pure" and _is_idle(program, number):
            pruned.append(number)
        else:
            kept |= graph.data[number]
            kept |= graph.declared[number]
            kept |= graph.soft[number]
    if pruned:
        program.seal()
        for number in pruned:
            program.step_aside(number)
        program.pruned = frozenset(pruned)
        program.after = [needs - program.pruned for needs in program.after]


def _is_idle(program: Program, number: int) -> bool:
    """Whether all that a step does is to give its result."""
    step = program.steps[number]
    if step.kind != "tool" or step.writes or step.routes or step.returns is not None or step.expect is not None:
        return False
    shared = number in program.twin_of or number in program.twins
    return not (step.post or shared or number in program.graph.routed)


def hoist(program: Program, _cache: Sequence[str]) -> None:
    """O5: do a call without effects once in a loop, where nothing that the loop does again can change what it gives."""
    if not program.graph.loops:
        return
    program.seal()
    keys = {number: program.graph.reads(number) for loop in program.graph.loops for number in loop.body}
    for loop in sorted(program.graph.loops, key=lambda loop: len(loop.body)):
        if any(program.effects[number] != "pure" for number in loop.body):
            continue
        written = {key for number in loop.body for key in program.steps[number].writes}
        changing = set(loop.body)
        for number in program.graph.topological:
            step = program.steps[number]
            if number not in loop.body or number == loop.source or step.kind != "tool":
                continue
            if step.routes or step.writes or keys[number] & written:
                continue
            looked_at = program.graph.data[number] | program.graph.soft[number] | program.hard[number]
            if looked_at.isdisjoint(changing) and number not in program.graph.routed:
                changing.discard(number)
        loop.kept = loop.kept | (loop.body - changing)
        for number in program.graph.topological:
            if number in loop.kept:
                program.step_aside(number)  # what follows still waits for what is done again before it


def cache(program: Program, tools: Sequence[str]) -> None:
    """O6: make equal calls of the named tools once in a run, also where their arguments are known only then."""
    if not tools:
        return
    names = {step.name for step in program.steps if step.kind == "tool"}
    named = {name for name in names if matches(name, tools)}
    if named:
        program.cached = frozenset(
            number
            for number, step in enumerate(program.steps)
            if step.name in named and step.kind == "tool" and program.effects[number] == "pure"
        )


def batch(program: Program, _cache: Sequence[str]) -> None:
    """O7: make calls that are ready at the same time and differ in one argument as one call, where the tool has a form.

    Calls with effects, and such that have a time of their own, are made one by one.
    """
    names = {step.name for step in program.steps if step.kind == "tool"}
    forms = {name: form for name in names if (form := batch_of(name, program)) is not None}
    if not forms:
        return
    for number, step in enumerate(program.steps):
        form = forms.get(step.name) if step.kind == "tool" else None
        if form is None or form.parameter not in step.args or step.timeout is not None:
            continue
        if program.effects[number] == "pure" and not program.is_sequential(number):
            program.batches[number] = form


PASSES: Mapping[str, Change] = {
    "needs": _drop_needs,
    "merge": _merge_calls,
    "prune": prune,
    "hoist": hoist,
    "cache": cache,
    "batch": batch,
    "order": _rank_steps,
}
"""The passes by their names, in the order in which they are made: O1, O3, O4, O5, O6, O7, O2."""
