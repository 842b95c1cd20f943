"""Ways without event and guard that go round for ever are found before a run (P006); what may end is left alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from random_charts import random_document

from agentflow_kernel.contracts.planner import PlanScope
from agentflow_kernel.errors import PlanLoopError
from agentflow_kernel.manifest import load_yaml
from agentflow_planner_fsm._endless import find_endless
from agentflow_planner_fsm.machine import Machine, load_chart
from agentflow_planner_fsm.planner import Statechart

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow_kernel.contracts.finding import PlanFinding


def chart_of(text: str) -> Any:
    return load_yaml(f"states: {{{text}}}", "chart")


def found(document: Any) -> Sequence[PlanFinding]:
    if isinstance(document, str):
        document = chart_of(document)
    return [each for each in Statechart().check(document, PlanScope()) if each.code == "P006"]


def test_a_circle_is_one_finding_that_shows_the_way() -> None:
    (finding,) = found(
        "s: {transitions: [{event: go, target: b}]}, a: {transitions: [{target: b}]},"
        " b: {transitions: [{event: x, target: s}, {target: c}]}, c: {transitions: [{target: a}]}"
    )
    assert str(finding) == (
        "Without event and guard a → b → c → a goes round for ever, and no event is taken any more."
        " Give one of these transitions an event or a guard. [P006]"
    )
    assert (finding.step, finding.where, finding.warning) == ("a", ("states", "a", "transitions", 0), False)


CIRCLES = {
    "to itself": "a: {transitions: [{target: a}]}",
    "a guard that always holds": "a: {transitions: [{when: 1 < 2, do: [{log: x}]}]}",
    "true as a guard": "a: {transitions: [{when: true, target: a}]}",
    "through what holds it": "a: {transitions: [{event: e, target: b}, {target: a2}], states: {a1: {}, a2: {}}}, b: {}",
    "into its own beginning": "a: {states: {b: {states: {c: {transitions: [{target: a}]}}}}}",
    "in a region": "p: {parallel: true, states: {x: {states: {a: {transitions: [{target: b}]},"
    " b: {transitions: [{target: a}]}}}, y: {transitions: [{event: e, target: y}]}}}",
    "beside a circle in another region": "p: {parallel: true, states: {x: {states: {a: {transitions: [{target: a}]}}},"
    " y: {states: {b: {transitions: [{when: In('a'), target: b}]}}}}}",
    "out of a parallel state and back": "p: {parallel: true, states: {x: {states: {a: {transitions: [{target: q}]}}},"
    " y: {}}}, q: {transitions: [{target: p}]}",
    "preempting what holds it": "p: {transitions: [{target: z}], states: {a: {transitions: [{target: a}]}}}, z: {}",
}


@pytest.mark.parametrize("name", CIRCLES)
def test_circles_that_nothing_can_end_are_found(name: str) -> None:
    """The machine is the proof: it does not come to rest."""
    assert len(found(CIRCLES[name])) == 1
    with pytest.raises(PlanLoopError):
        Machine.load(chart_of(CIRCLES[name]))


ENDING = {
    "a guard": "a: {transitions: [{when: In('b'), target: b}, {target: b}]}, b: {transitions: [{target: a}]}",
    "a guard on the way up": "p: {transitions: [{target: p}], states: {a: {transitions: [{when: In('z'),"
    " target: z}]}}}, z: {}",
    "an event on the way": "a: {transitions: [{target: b}]}, b: {transitions: [{event: e, target: a}]}",
    "a final state": "a: {transitions: [{target: b}]}, b: {final: true}",
    "history": "p: {states: {h: {history: deep, default: a}, a: {transitions: [{target: h}]}}}",
    "a region before it that leaves": "p: {parallel: true, states: {x: {transitions: [{target: z}]},"
    " y: {states: {a: {transitions: [{target: a}]}}}}}, z: {}",
    "what holds it, where it only acts": "p: {parallel: true, transitions: [{target: z}], states: {y: {}, x: {states:"
    " {a: {transitions: [{when: true, do: [{log: x}]}]}}}}}, z: {}",
    "a region beside it where it leaves": "p: {parallel: true, states: {x: {states: {c: {transitions: [{target: d}]},"
    " d: {}}}, y: {states: {a: {transitions: [{target: q}]}}}}}, q: {transitions: [{target: p}]}",
    "a state that nothing leads to": "s: {}, a: {transitions: [{target: a}]}",
}


@pytest.mark.parametrize("name", ENDING)
def test_what_may_end_is_no_finding(name: str) -> None:
    assert not found(ENDING[name])


def test_circles_in_invoked_machines_have_their_place() -> None:
    (finding,) = found("s: {invoke: {chart: {states: {k: {transitions: [{target: k}]}}}}}")
    assert finding.where[:4] == ("states", "s", "invoke", "chart")


def test_random_charts_that_begin_in_a_circle_never_come_to_rest() -> None:
    """So there is no false alarm, whatever regions, guards and history there are beside it."""
    begun = 0
    for seed in range(300):
        document = random_document(seed, always=0.3, guarded=0.3)
        chart = load_chart(document)
        for circle in find_endless(chart, range(len(chart.states))):
            for leaf, _ in circle:
                begun += 1
                with pytest.raises(PlanLoopError):
                    Machine.load({**document, "initial": leaf.id}, max_microsteps=60)
    assert begun > 50


def test_a_large_chart_is_looked_through_in_bounded_work() -> None:
    """Each of many leaves would enter all of them."""
    leaves: dict[str, Any] = {f"l{at}": {} for at in range(2_000)}
    inner: dict[str, Any] = {f"r{at}": {"states": {f"a{at}": {}}} for at in range(2_000)}
    document = {
        "states": {
            "c": {"transitions": [{"target": "p"}], "states": leaves},
            "p": {"parallel": True, "states": inner, "transitions": [{"target": "c"}]},
        }
    }
    assert len(found(document)) == 1
