"""Ways: what lies before each step of a graph, how long the chains are, and which choices lead to a step."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentflow_planner_llm.plan.graph import Graph


def ancestors_of(graph: Graph) -> list[int]:
    """For each step, everything that ends before it begins, as a bit set of indexes."""
    found = [0] * len(graph.steps)
    for number in graph.topological:
        bits = 0
        for need in graph.waits[number]:
            bits |= found[need] | (1 << need)
        found[number] = bits
    return found


def bits_of(numbers: Iterable[int]) -> int:
    """A bit set of indexes."""
    bits = 0
    for number in numbers:
        bits |= 1 << number
    return bits


def guards_of(graph: Graph) -> list[frozenset[tuple[int, int]]]:
    """For each step the choices without which it does not run, each as a step with routes and the step it chose."""
    found: list[frozenset[tuple[int, int]]] = [frozenset()] * len(graph.steps)
    if not graph.routed:
        return found
    for number in graph.topological:
        guards: frozenset[tuple[int, int]] = frozenset()
        for need in graph.data[number] | graph.declared[number]:
            guards |= found[need]
        sources = graph.routed.get(number)
        if sources:
            ways = [found[source] | {(source, number)} for source, _ in sources]
            guards |= frozenset.intersection(*ways)
        found[number] = guards
    return found


def contradicts(one: frozenset[tuple[int, int]], other: frozenset[tuple[int, int]]) -> bool:
    """Whether two sets of choices cannot both be made: one step would go on in two ways."""
    if not one or not other:
        return False
    chosen = dict(one)
    return any(chosen.get(source, target) != target for source, target in other)


def levels_of(graph: Graph) -> list[int]:
    """For each step the length of the longest chain that ends with it, 1 for a step that waits for nothing."""
    levels = [1] * len(graph.steps)
    for number in graph.topological:
        needs = graph.waits[number]
        if needs:
            levels[number] = 1 + max([levels[need] for need in needs])
    return levels
