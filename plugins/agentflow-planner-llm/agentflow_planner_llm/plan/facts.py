"""Facts: that what a step presupposes holds when it runs, whatever the order of the steps beside it (P013).

Source: the truth criterion for partially ordered plans, Chapman 1987, without white knights that come after a threat
other than by declared order.
"""

from __future__ import annotations

from agentflow_kernel.contracts.finding import PlanFinding
from agentflow_planner_llm.plan.finding import CONDITION
from agentflow_planner_llm.plan.ways import ancestors_of, bits_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentflow_planner_llm.plan.graph import Graph


def check_facts(graph: Graph, places: Mapping[str, int], found: list[PlanFinding]) -> None:
    """P013 for every step with ``pre``, and for the goals of the plan."""
    plan = graph.plan
    if not plan.goals and not any(step.pre for step in graph.steps):
        return
    before = ancestors_of(graph)
    makers: dict[str, list[int]] = {}
    for number, step in enumerate(graph.steps):
        for fact in step.post:
            makers.setdefault(fact, []).append(number)
    after = _followers(before)
    always, lasting = _certain(graph)
    behind = _needed(graph)
    for number, step in enumerate(graph.steps):
        for place, fact in enumerate(step.pre):
            others = ~(after[number] | 1 << number)
            threats = [each for each in makers.get(_negated(fact), ()) if others >> each & 1]
            certain = always | behind[number] & lasting
            supports = [each for each in makers.get(fact, ()) if before[number] & certain >> each & 1]
            why = _why_not(graph, before, fact, threats, supports)
            if why:
                text = f"Step {step.id!r} presupposes {fact!r}, but {why}."
                where = ("steps", places[step.id], "pre", place)
                found.append(
                    PlanFinding(CONDITION, text, *where, step=step.id, suggestion=_advice(graph, makers, fact))
                )
    for place, fact in enumerate(plan.goals):
        sure = [each for each in makers.get(fact, ()) if always >> each & 1]
        why = _why_not(graph, before, fact, makers.get(_negated(fact), []), sure)
        if why:
            text = f"The plan is to end with {fact!r}, but {why}."
            found.append(PlanFinding(CONDITION, text, "goals", place, suggestion=_advice(graph, makers, fact)))


def _why_not(graph: Graph, before: list[int], fact: str, threats: list[int], supports: list[int]) -> str:
    """Why a fact does not hold for certain: nothing makes it, or something may undo it; ``""`` if it does."""
    undone = bits_of(threats)
    positive = not fact.startswith("!")
    given = (fact in graph.plan.facts) if positive else (fact[1:] not in graph.plan.facts)
    if given and not undone:
        return ""
    if any(not undone & ~before[each] for each in supports):
        return ""
    if not given and not supports:
        return "no step before it makes it so for certain"
    return f"{', '.join(repr(graph.steps[each].id) for each in threats)} may undo it"


def _certain(graph: Graph) -> tuple[int, int]:
    """The steps that succeed whenever the plan goes on, and those that do so where they run at all, as bit sets."""
    always = lasting = passed = 0
    for number in graph.topological:
        step = graph.steps[number]
        runs = step.when is None and number not in graph.routed
        runs = runs and all(passed >> need & 1 for need in graph.data[number] | graph.declared[number])
        done = step.on_error not in {"skip", "continue"}
        lasting |= (step.on_error != "continue") << number
        always |= (runs and done) << number
        passed |= (runs and step.on_error != "skip") << number
    return always, lasting


def _needed(graph: Graph) -> list[int]:
    """For each step all that must have run for it to run, as a bit set."""
    found = [0] * len(graph.steps)
    for number in graph.topological:
        for need in graph.data[number] | graph.declared[number]:
            found[number] |= found[need] | 1 << need
    return found


def _followers(before: list[int]) -> list[int]:
    """For each step everything that begins after it has ended, as a bit set."""
    found = [0] * len(before)
    for number, bits in enumerate(before):
        left = bits
        while left:
            low = left & -left
            found[low.bit_length() - 1] |= 1 << number
            left ^= low
    return found


def _negated(fact: str) -> str:
    return fact[1:] if fact.startswith("!") else f"!{fact}"


def _advice(graph: Graph, makers: Mapping[str, list[int]], fact: str) -> str:
    those = makers.get(fact)
    if not those:
        return "Add a step whose post says it, or put it among the facts of the plan."
    return f"Let it need {graph.steps[those[0]].id!r}."
