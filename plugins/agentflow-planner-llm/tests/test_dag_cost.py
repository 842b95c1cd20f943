"""What plans cost, counted in function calls, which no load of the machine changes."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING, Any

import pytest
from dag_driver import dag, task_of
from plans import TOOLS, plan, ref, step

from agentflow_kernel.contracts.planner import Observation
from agentflow_planner_llm.execution.program import Program
from agentflow_planner_llm.optimisation import PASSES, optimise
from agentflow_planner_llm.plan import Scope, check_plan

if TYPE_CHECKING:
    from collections.abc import Callable

NEARLY_LINEAR = 4.6
"""Four times the steps may cost so many times the calls."""


CALLS_OF_A_STEP = 118
"""Function calls for the check and all passes, for each step of a wide plan; 111 when this was written, once 230."""


def count_calls(action: Callable[[], object], room: str = "") -> int:
    """All function calls while `action` runs, also those of built-in functions; of one package where it is named.

    What the garbage collector ends is not counted.
    """
    counted = 0

    def count(frame: Any, event: str, _argument: object) -> None:
        nonlocal counted
        counted += event in {"call", "c_call"} and room in frame.f_code.co_filename

    before = sys.getprofile()
    gc.disable()
    sys.setprofile(count)
    try:
        action()
    finally:
        sys.setprofile(before)
        gc.enable()
    return counted


def wide(steps: int) -> dict[str, Any]:
    """Reads that each use the one ten before, every seventh followed by an effect, some with needs and conditions."""
    documents = []
    for number in range(steps):
        args: dict[str, Any] = {"n": number % 50}
        if number >= 10:
            args["x"] = ref(f"s{number - 10}.result")
        fields: dict[str, Any] = {"needs": [f"s{number - 3}"]} if number % 5 == 4 else {}
        if number % 20 == 19:
            fields["when"] = f's{number - 3}.status == "done"'
        documents.append(step(f"s{number}", "send" if number % 7 == 3 else "count", args=args, **fields))
    return plan(*documents)


def linear(steps: int) -> dict[str, Any]:
    """One step after the other, most of them pure."""
    return plan(
        *(step(f"s{n}", "send" if n % 40 == 39 else "count", args={"n": n}) for n in range(steps)), form="linear"
    )


def work(document: dict[str, Any]) -> None:
    graph, found = check_plan(document, Scope(TOOLS))
    assert found == []
    optimise(Program(graph, TOOLS), PASSES, ["count"])


@pytest.fixture(autouse=True, scope="module")
def _warm() -> None:
    """What is imported or worked out only once is not counted, whichever test is the first."""
    work(wide(100))
    work(linear(100))


def test_cost_of_check_and_optimisation_grows_with_the_steps_and_no_faster() -> None:
    """Four times the steps cost about four times the calls, in both forms."""
    for make in (wide, linear):
        small, large = (count_calls(lambda n=n, make=make: work(make(n))) for n in (250, 1_000))
        assert large <= NEARLY_LINEAR * small, make.__name__


def test_cost_of_check_and_optimisation_is_bounded_for_a_step() -> None:
    document = wide(1_000)
    assert count_calls(lambda: work(document)) <= 1_000 * CALLS_OF_A_STEP


def test_cost_of_schemas_does_not_grow_with_the_steps() -> None:
    """What a tool takes is worked out once: no schema is walked for a step whose arguments surely fit."""
    assert count_calls(lambda: work(wide(400)), "agentflow_kernel/schema") == 0


def test_cost_of_tools_that_a_plan_does_not_call_is_nothing() -> None:
    """A model may be offered hundreds; the plan that it writes calls a few."""
    document, many = wide(20), {**TOOLS, **{f"tool{n}": TOOLS["files.write"] for n in range(500)}}
    check_plan(document, Scope(TOOLS))  # what abstract classes know of others is worked out anew now and then
    few = count_calls(lambda: check_plan(document, Scope(TOOLS)))
    assert count_calls(lambda: check_plan(document, Scope(many))) == few


def test_cost_of_a_step_of_a_run_does_not_grow_with_the_plan() -> None:
    """The end of one step looks at what waits for it, and at nothing else."""
    costs = []
    for steps in (100, 400):
        subject = dag()
        chain = plan(*(step(f"s{n}", args={"x": ref(f"s{n - 1}.status")} if n else {}) for n in range(steps)))
        state = subject.begin(task_of(subject, chain))
        subject.step(state, Observation("started"))
        for number in range(20):
            subject.step(state, Observation("result", f"s{number}", number))
        costs.append(
            count_calls(lambda subject=subject, state=state: subject.step(state, Observation("result", "s20", 1)))
        )
    assert costs[1] <= costs[0] * 1.05
