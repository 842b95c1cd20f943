"""O2: of steps that are ready, those that the longest chain waits for begin first."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentflow_planner_llm.execution.program import Program


def rank_steps(program: Program) -> None:
    """Rank the steps by the length of what follows them, in estimated seconds or else in steps.

    Two calls with effects keep the order of the document among each other, however long what follows them is.
    """
    size = len(program.steps)
    lengths = [0.0] * size
    for number in reversed(program.graph.topological):
        cost = program.steps[number].cost_estimate
        lengths[number] += 1.0 if cost is None or cost.seconds is None else cost.seconds
        own = lengths[number]
        for need in program.after[number]:
            lengths[need] = max(lengths[need], own)
    most = 0.0
    for number in range(size - 1, -1, -1):
        if program.effects[number] != "pure":
            most = lengths[number] = max(lengths[number], most)
    order = sorted(range(size), key=lengths.__getitem__, reverse=True)  # which keeps the order of equal ones
    ranks = [0] * size
    for place, number in enumerate(order):
        ranks[number] = place
    program.rank = ranks
