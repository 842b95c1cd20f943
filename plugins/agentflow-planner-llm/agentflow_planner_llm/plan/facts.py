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
    truth = _Truth(graph)
    for number, step in enumerate(graph.steps):
        for place, fact in enumerate(step.pre):
            why = truth.why_not_before(number, fact) or truth.why_not_again(number, fact)
            if why:
                text = f"Step {step.id!r} presupposes {fact!r}, but {why}."
                where = ("steps", places[step.id], "pre", place)
                found.append(PlanFinding(CONDITION, text, *where, step=step.id, suggestion=truth.advice(fact, number)))
    for place, fact in enumerate(plan.goals):
        why = truth.why_not_at_end(fact)
        if why:
            text = f"The plan is to end with {fact!r}, but {why}."
            found.append(PlanFinding(CONDITION, text, "goals", place, suggestion=truth.advice(fact)))


class _Truth:
    """What is known of the facts along a plan: who makes each of them, and which steps come before it for certain.

    ``before`` and ``after`` are what has ended before a step begins and what begins after its end; ``always`` are the
    steps that succeed whenever the plan goes on, ``lasting`` those that do so where they run, and ``behind`` what must
    have run for a step to run. All are bit sets.
    """

    __slots__ = ("graph", "before", "after", "makers", "always", "lasting", "behind")

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.before = ancestors_of(graph)
        self.after = _followers(self.before)
        self.makers: dict[str, list[int]] = {}
        for number, step in enumerate(graph.steps):
            for fact in step.post:
                self.makers.setdefault(fact, []).append(number)
        self.always, self.lasting = _certain(graph)
        self.behind = _needed(graph)

    def why_not_before(self, number: int, fact: str) -> str:
        """Why a fact does not hold for certain when a step runs for the first time; ``""`` if it does."""
        others = ~(self.after[number] | 1 << number)
        threats = [each for each in self._threats(fact) if others >> each & 1]
        certain = self.before[number] & (self.always | self.behind[number] & self.lasting)
        return self._why_not(fact, threats, certain)

    def why_not_again(self, number: int, fact: str) -> str:
        """Why it does not when a loop comes to the step again: something in it undoes the fact and nothing mends it.

        What makes it so again stands before the step in the loop, or in the round before after all that undoes it.
        """
        graph, before = self.graph, self.before
        for loop in graph.loops:
            threats = [each for each in self._threats(fact) if each in loop.body] if number in loop.body else ()
            if not threats:
                continue
            supports = [each for each in self.makers.get(fact, ()) if each in loop.body]
            undone = bits_of(threats)
            now = undone & ~(self.after[number] | 1 << number)
            certain = before[number] & (self.always | self.behind[number] & self.lasting)
            mended = any(certain >> each & 1 and not now & ~before[each] for each in supports)
            ended = self.always | self.behind[loop.source] & self.lasting | 1 << loop.source
            kept = not now and any(ended >> each & 1 and not undone & ~before[each] for each in supports)
            if not mended and not kept:
                names = ", ".join(repr(graph.steps[each].id) for each in threats)
                return f"{names} may undo it before the loop of {graph.steps[loop.source].id!r} comes to it again"
        return ""

    def why_not_at_end(self, fact: str) -> str:
        """Why it does not hold for certain when the plan has ended."""
        return self._why_not(fact, self._threats(fact), self.always)

    def advice(self, fact: str, number: int = -1) -> str:
        """What may help."""
        those = [each for each in self.makers.get(fact, ()) if each != number]
        if not those:
            return "Add a step whose post says it, or put it among the facts of the plan."
        if number >= 0 and self.before[number] >> those[0] & 1:
            return "Let a step that makes it so stand between."
        return f"Let it need {self.graph.steps[those[0]].id!r}."

    def _threats(self, fact: str) -> list[int]:
        return self.makers.get(fact[1:] if fact.startswith("!") else f"!{fact}", [])

    def _why_not(self, fact: str, threats: list[int], certain: int) -> str:
        """Why a fact does not hold: none of the certain steps makes it so, or something may undo it after that."""
        undone = bits_of(threats)
        positive = not fact.startswith("!")
        given = (fact in self.graph.plan.facts) if positive else (fact[1:] not in self.graph.plan.facts)
        if given and not undone:
            return ""
        supports = [each for each in self.makers.get(fact, ()) if certain >> each & 1]
        if any(not undone & ~self.before[each] for each in supports):
            return ""
        if not given and not supports:
            return "no step before it makes it so for certain"
        return f"{', '.join(repr(self.graph.steps[each].id) for each in threats)} may undo it"


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
