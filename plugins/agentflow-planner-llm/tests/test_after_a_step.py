"""A plan that is done step by step: what is decided after a step, the loop of a step, answers that were cut off."""

from __future__ import annotations

from typing import Any

import pytest
from dag_driver import Failure, Play
from strategy_driver import compiling, executing, says, strategy_task, think, told, tool

from agentflow_planner_llm.strategies.adapt import Adapt
from agentflow_planner_llm.strategies.rewoo import Rewoo
from agentflow_planner_llm.strategy_settings import AdaptSettings, PlannedSettings


def observing(*, reload: bool, **settings: Any) -> Play:
    """A run whose plan is done in part; the model is asked what to do with the rest."""
    played = executing(observe=True, reload=reload, **settings)
    played.finish("plan.1", says({"steps": [tool("s1"), tool("s2", "send")]}))
    played.finish("s1", "one")
    assert list(played.open) == ["observe.2"]
    return played


@pytest.mark.parametrize("reload", [False, True])
def test_the_steps_left_are_refined_without_another_question(reload: bool) -> None:
    """The new steps are checked as a plan is, may refer to what is done, and are a version with its cause."""
    played = observing(reload=reload)
    played.finish("observe.2", says({"decision": "refine", "steps": [tool("s9", "unknown")]}))
    assert "P003" in told(played)
    refined = [tool("s3", args={"of": {"$ref": "s1.result"}}), tool("s4")]
    played.finish("observe.3", says({"decision": "refine", "steps": refined, "reason": "no need to send"}))
    assert list(played.open) == ["s3"]
    assert played.started[-1].arguments == {"of": "one"}
    played.finish("s3", "three")
    played.finish("observe.4", says({"decision": "finish", "answer": "done"}))
    assert [version["cause"] for version in played.output["plans"]] == ["first", "no need to send"]
    assert played.output["model_calls"] == 4


def test_refining_a_plan_to_itself_keeps_it() -> None:
    played = observing(reload=False)
    same = [tool("s1"), tool("s2", "send")]
    played.finish("observe.2", says({"decision": "refine", "steps": same}))
    assert list(played.open) == ["s2"]


def test_where_no_more_plans_may_be_made_none_is_offered() -> None:
    """The model chooses between going on and ending."""
    played = observing(reload=False, max_replans=0)
    question = played.started[-1].arguments
    schema: Any = question["output_schema"]
    assert schema["properties"]["decision"]["enum"] == ["keep", "finish"]
    assert "steps" not in schema["properties"]
    assert "replan" not in told(played)


def test_a_condition_that_a_result_does_not_meet_leads_to_a_new_plan() -> None:
    """The model says what it expects of a step."""
    played = executing()
    played.finish("plan.1", says({"steps": [tool("s1", expect="result > 3"), tool("s2")]}))
    played.finish("s1", 2)
    assert list(played.open) == ["plan.2"]
    assert "'result > 3' is false" in told(played)


def test_a_new_plan_is_told_of_an_effect_that_is_in_doubt() -> None:
    for name, doubtful in (("send", True), ("count", False)):
        played = executing()
        played.finish("plan.1", says({"steps": [tool("s1", name)]}))
        played.finish("s1", Failure("no answer", executed="maybe"))
        assert ("may have taken effect" in told(played)) == doubtful


@pytest.mark.parametrize("reload", [False, True])
def test_the_loop_of_a_step_keeps_its_own_time(reload: bool) -> None:
    """It is stopped when its time is over, and the step has failed; the run has time of its own."""
    played = executing(reload=reload, loop={"budgets": {"wall_s": 10}}, budgets={"wall_s": 60})
    played.finish("plan.1", says({"steps": [think("s1"), tool("s2")]}))
    assert played.timer == played.now + 10
    decision = played.ring()
    assert decision.cancel == ("s1.model-1",)
    assert list(played.open) == ["plan.2"]
    assert "budget.wall" in told(played)
    assert played.timer == played.now + 50


@pytest.mark.parametrize("reload", [False, True])
def test_the_loop_of_a_step_is_told_and_checked_as_its_arguments_say(reload: bool) -> None:
    """Its system prompt and its output schema hold for a step that is a loop as well."""
    played = executing(reload=reload)
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    step = think("s1")
    step["args"] |= {"system": "Count well.", "output_schema": schema}
    played.finish("plan.1", says({"steps": [step, tool("s2", args={"of": {"$ref": "s1.result.n"}})]}))
    asked: Any = played.started[-1].arguments
    assert "Count well." in asked["messages"][0]["text"]
    assert asked["output_schema"] == schema
    played.finish("s1.model-1", says({"n": "many"}))
    played.finish("s1.model-2", says({"n": 3}))
    assert played.started[-1].arguments == {"of": 3}


def cut(text: str) -> Any:
    """A turn that ended at its token limit."""
    return {**says(text), "stop_reason": "max_tokens"}


def test_half_a_plan_is_not_followed() -> None:
    """Also where all of its lines can be read."""
    played = compiling()
    played.finish("plan.1", cut('1. files.read({"path": "a"})'))
    assert list(played.open) == ["plan.2"]
    assert "cut off at its token limit" in told(played)


def test_the_reason_comes_first_where_a_cut_off_answer_is_no_json() -> None:
    played = executing()
    played.finish("plan.1", cut('{"steps": ['))
    assert "cannot be used: it was cut off at its token limit (max_tokens); it " in told(played)


def test_a_final_answer_that_was_cut_off_says_so() -> None:
    played = Play(Rewoo(PlannedSettings()), strategy_task(), "the task")
    played.finish("plan.1", says({"steps": [tool("E1")]}))
    played.finish("E1", 1)
    played.finish("solve.2", cut("It is 4"))
    assert (played.output["text"], played.output["stop_reason"]) == ("It is 4", "max_tokens")


def test_a_run_that_its_budget_ends_gives_what_is_done() -> None:
    """The results of the steps, of the last one where that is the answer, or of the parts of a task."""
    played = executing(budgets={"tool_calls": 1})
    played.finish("plan.1", says({"steps": [tool("s1"), tool("s2", args={"n": 2})]}))
    played.finish("s1", "one")
    assert (played.output["text"], played.output["stop_reason"]) == ("one", "budget.tool_calls")
    played = compiling(budgets={"model_calls": 1})
    played.finish("plan.1", says('1. files.read({"path": "a"})'))
    played.finish("s1", "one")
    assert (played.output["text"], played.output["stop_reason"]) == ('{"s1":"one"}', "budget.model_calls")
    played = Play(Adapt(AdaptSettings.model_validate({"budgets": {"model_calls": 3}})), strategy_task(), "the task")
    played.finish("try1.model-1", says({"succeeded": False, "answer": "too big"}))
    played.finish("split.1", says({"operator": "and", "subtasks": ["a", "b"]}))
    played.finish("try2.model-1", says({"succeeded": True, "answer": "done"}))
    assert played.output["text"] == '[{"task":"a","answer":"done"}]'
    assert played.output["stop_reason"] == "budget.model_calls"


def test_rewoo_takes_no_step_that_asks_for_another_plan() -> None:
    """It makes one plan: a step that asks for another is not of its form, and what fails is evidence."""
    played = Play(Rewoo(PlannedSettings()), strategy_task(), "the task")
    played.finish("plan.1", says({"steps": [tool("E1", on_error="replan")]}))
    assert "on_error" in told(played)
    played.finish("plan.2", says({"steps": [tool("E1", on_error="fail")]}))
    played.finish("E1", Failure("it broke"))
    assert list(played.open) == ["solve.3"]
    assert "it broke" in told(played)
