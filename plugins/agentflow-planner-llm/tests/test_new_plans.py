"""New plans while others run: what ends and what input comes in the meantime, and what may not be repeated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from dag_driver import Failure
from strategy_driver import compiling, executing, says, told, tool

from agentflow_kernel.contracts.planner import Observation

if TYPE_CHECKING:
    from dag_driver import Play

READS = '1. files.read({"path": "a"})\n2. join()'
MORE = '1. files.read({"path": "a"})\n2. files.read({"path": "b"})\n3. join()'


def approve(played: Play, number: int) -> None:
    played.finish(f"approve.{number}", f"approve {played.state.versions[-1]['hash'][:12]}")


def hear(played: Play, text: str = "more") -> None:
    played.give(Observation("signal", "input", text))


def asked_twice(*, reload: bool, **settings: Any) -> Play:
    """A run in which a step of the first plan is at work while a person is asked about the second."""
    played = compiling(reload=reload, approval=True, **settings)
    played.finish("plan.1", says(READS))
    approve(played, 1)
    hear(played)
    played.finish("plan.2", says(MORE))
    assert set(played.open) == {"s1", "approve.2"}
    return played


@pytest.mark.parametrize("reload", [False, True])
def test_a_step_that_ends_while_a_person_is_asked_keeps_its_result(reload: bool) -> None:
    """Nothing starts before the answer; then the plan goes on with it."""
    played = asked_twice(reload=reload)
    played.finish("s1", "text of a")
    assert list(played.open) == ["approve.2"]
    approve(played, 2)
    assert list(played.open) == ["s2"]
    played.finish("s2", "text of b")
    assert "text of a" in told(played)
    assert "text of b" in told(played)


@pytest.mark.parametrize("reload", [False, True])
def test_all_steps_may_end_while_a_person_is_asked(reload: bool) -> None:
    played = compiling(reload=reload, approval=True)
    played.finish("plan.1", says(MORE))
    approve(played, 1)
    hear(played)
    played.finish("plan.2", says(READS))
    played.finish("s1", Failure())
    approve(played, 2)
    assert list(played.open) == ["join.3"]


@pytest.mark.parametrize("reload", [False, True])
@pytest.mark.parametrize("on_error", ["fail", "replan"])
def test_a_failure_while_a_person_is_asked_is_seen_after_the_answer(on_error: str, reload: bool) -> None:
    played = executing(approval=True, listen=True, reload=reload)
    first = {"steps": [tool("s1", on_error=on_error)]}
    played.finish("plan.1", says(first))
    approve(played, 1)
    hear(played)
    played.finish("plan.2", says({"steps": [tool("s1", on_error=on_error), tool("s2")]}))
    played.finish("s1", Failure("it broke"))
    assert list(played.open) == ["approve.2"]
    approve(played, 2)
    assert list(played.open) == ["plan.3"]
    assert "it broke" in told(played)


def after_a_failure(*steps: Any, reload: bool = False) -> Play:
    """A run whose first plan was done in part: `s1` is done, `s2` has failed."""
    played = executing(max_replans=5, reload=reload)
    played.finish("plan.1", says({"steps": [tool("s1"), tool("s2", args={"n": 1}), *steps]}))
    played.finish("s1", "x")
    played.finish("s2", Failure())
    return played


@pytest.mark.parametrize("reload", [False, True])
def test_the_same_plan_is_the_same_when_a_part_of_it_is_done(reload: bool) -> None:
    played = after_a_failure(reload=reload)
    played.finish("plan.2", says({"steps": [tool("s1"), tool("s2", args={"n": 1})]}))
    assert played.end is not None
    assert played.end.code == "AF-PLAN-REPEATED"
    assert played.ids == ["plan.1", "s1", "s2", "plan.2"]


def test_the_same_plan_is_the_same_when_all_of_it_is_done() -> None:
    played = compiling()
    played.finish("plan.1", says(READS))
    played.finish("s1", "text")
    played.finish("join.2", says({"decision": "replan"}))
    played.finish("plan.3", says(READS))
    assert played.end is not None
    assert played.end.code == "AF-PLAN-REPEATED"


def test_a_plan_of_nothing_but_what_is_done_is_told_so() -> None:
    played = compiling()
    played.finish("plan.1", says(MORE))
    played.finish("s1", "text")
    played.finish("s2", "text")
    played.finish("join.2", says({"decision": "replan"}))
    played.finish("plan.3", says(READS))
    assert "Every step of this plan is done already" in told(played)
    assert told(played).count("[P0") == 1


def test_faults_are_told_at_their_places_in_the_plan_of_the_model() -> None:
    """Steps that are done count too."""
    played = after_a_failure()
    played.finish("plan.2", says({"steps": [tool("s1"), tool("s3", "nosuch"), tool("s4", "files.read")]}))
    assert "/steps/1/name: " in told(played)
    assert "/steps/2/args" in told(played)
    assert "/steps/0" not in told(played)


def test_an_effect_that_is_under_way_is_not_repeated_under_another_id() -> None:
    played = compiling()
    played.finish("plan.1", says('1. send({"x": 1})\n2. count({"x": $1})\n3. join()'))
    hear(played)
    played.finish("plan.2", says('5. send({"x": 1})\n6. join()'))
    assert "/steps/0: Step 's5' repeats 's1', which runs and may have its effect" in told(played)
    assert [action.id for action in played.started if action.kind == "tool"] == ["s1"]
    assert "s1" in played.open
    played.finish("plan.3", says('1. send({"x": 1})\n6. count({"x": $1})\n7. join()'))
    assert list(played.open) == ["s1"]


@pytest.mark.parametrize("reload", [False, True])
def test_input_while_the_first_plan_is_made_is_known_to_it(reload: bool) -> None:
    """The answer came too late: it is asked for again, and is no answer that had to be repaired."""
    played = compiling(reload=reload, repairs=0)
    hear(played, "send nothing")
    hear(played, "read b")
    played.finish("plan.1", says('1. send({"x": 1})\n2. join()'))
    assert list(played.open) == ["plan.2"]
    assert "send nothing" in told(played)
    assert "read b" in told(played)
    played.finish("plan.2", says(READS))
    assert list(played.open) == ["s1"]


@pytest.mark.parametrize("reload", [False, True])
def test_input_while_the_model_joins_leads_to_a_new_plan(reload: bool) -> None:
    played = compiling(reload=reload)
    played.finish("plan.1", says(READS))
    played.finish("s1", "text")
    hear(played, "read b too")
    played.finish("join.2", says({"decision": "finish", "answer": "42"}))
    assert list(played.open) == ["plan.3"]
    assert "read b too" in told(played)


def test_input_while_the_model_joins_ends_no_run_that_may_not_plan_again() -> None:
    played = compiling(max_replans=0)
    played.finish("plan.1", says(READS))
    played.finish("s1", "text")
    hear(played)
    played.finish("join.2", says({"decision": "finish", "answer": "42"}))
    assert played.output["text"] == "42"


@pytest.mark.parametrize("reload", [False, True])
def test_input_while_a_person_is_asked_leads_to_a_new_plan(reload: bool) -> None:
    """What was approved is not what is wanted any more: nothing of it starts."""
    played = compiling(reload=reload, approval=True)
    played.finish("plan.1", says('1. send({"x": 1})\n2. join()'))
    hear(played, "send nothing")
    approve(played, 1)
    assert list(played.open) == ["plan.2"]
    assert "send nothing" in told(played)
    played.finish("plan.2", says(READS))
    approve(played, 2)
    assert [action.name for action in played.started if action.kind == "tool"] == ["files.read"]
