"""Budgets: each is checked before the action it pays for, and ends the run with a partial result."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
from tool_loop_driver import Play, answers, call, calls, pending, planner, play, says, task

from agentflow_kernel.contracts.planner import Observation
from agentflow_kernel.contracts.provider import Usage

if TYPE_CHECKING:
    from collections.abc import Iterator


def endless(usage: Usage | None = None, *, width: int = 1) -> Iterator[dict[str, Any]]:
    """Turns of a model that never stops calling, each time with other arguments."""
    for turn in itertools.count():
        wanted = [call(f"c{turn}-{index}", path=f"{turn}-{index}") for index in range(width)]
        yield calls(*wanted, text=f"turn {turn}", usage=usage)


def endless_run(usage: Usage | None = None, *, width: int = 1, **settings: Any) -> Play:
    turns = list(itertools.islice(endless(usage, width=width), 50))
    return play(*turns, **settings)


def test_the_iterations_end_a_model_that_never_stops() -> None:
    """The last turn is offered no tools; what it calls all the same is not run."""
    run = endless_run(max_iterations=4)
    assert run.output["stop_reason"] == "budget.iterations"
    assert (run.output["iterations"], run.output["model_calls"], run.output["tool_calls"]) == (4, 4, 3)


def test_model_calls_are_counted_before_they_are_made() -> None:
    """The call beyond the budget is not made; the last one within it is asked for the final answer."""
    run = endless_run(budgets={"model_calls": 3})
    assert run.output["stop_reason"] == "budget.model_calls"
    assert len(run.requests) == 3
    assert run.requests[2]["tools"] == []
    assert run.output["text"] == "turn 2"


def test_the_last_model_call_may_still_answer() -> None:
    """A model that answers with the last call it has ends the run well."""
    run = play(calls(call("c1")), says("Done."), budgets={"model_calls": 2})
    assert (run.output["text"], run.output["stop_reason"]) == ("Done.", "end")


@pytest.mark.parametrize("budget", ["model_calls", "tokens", "cost_usd"])
def test_a_budget_of_nothing_ends_before_the_first_call(budget: str) -> None:
    """With a budget of 0 nothing is started."""
    run = Play(planner(budgets={budget: 0, "wall_s": 60}), task())
    assert run.started == []
    assert run.output["stop_reason"] == f"budget.{budget}"
    assert (run.output["text"], run.output["iterations"]) == ("", 0)
    assert run.decisions[0].waits == ()


def test_the_calls_of_one_turn_are_paid_for_together() -> None:
    """A turn that does not fit into the tool budget starts none of its calls, and each has its result."""
    run = endless_run(width=2, budgets={"tool_calls": 3})
    assert run.output["stop_reason"] == "budget.tool_calls"
    assert run.output["tool_calls"] == len(run.tool_actions) == 2
    assert [is_error for _, _, is_error in answers(run)] == [False, False, True, True]
    assert run.output["text"] == "turn 1"


def test_a_turn_that_fits_exactly_is_run() -> None:
    """The budget itself may be used up."""
    run = play(calls(call("c1"), call("c2", path="b")), says("Done."), budgets={"tool_calls": 2})
    assert (run.output["stop_reason"], run.output["tool_calls"]) == ("end", 2)


def test_calls_that_are_not_run_cost_nothing() -> None:
    """An unknown tool does not count against the tool budget."""
    run = play(calls(call("c1"), call("c2", "no.such")), says("Done."), budgets={"tool_calls": 1})
    assert (run.output["stop_reason"], run.output["tool_calls"]) == ("end", 1)


def test_tokens_are_input_and_output_of_all_calls() -> None:
    """No further call is made once the tokens used reach the budget; cached ones are not counted twice."""
    run = endless_run(Usage(30, 20, cached_tokens=25), budgets={"tokens": 100})
    assert run.output["stop_reason"] == "budget.tokens"
    assert len(run.requests) == 2
    assert run.output["usage"] == {
        "input_tokens": 60,
        "output_tokens": 40,
        "cached_tokens": 50,
        "cost_usd": None,
    }


def test_cost_is_the_sum_of_all_calls() -> None:
    """No further call is made once the cost reaches the budget, rounding of sums aside."""
    run = endless_run(Usage(1, 1, 0, 0.1), budgets={"cost_usd": 0.8})
    assert run.output["stop_reason"] == "budget.cost_usd"
    assert len(run.requests) == 8


def test_a_call_without_a_price_uses_up_a_budget_of_cost() -> None:
    """What has no price cannot be counted: with a budget of cost the loop stops, it does not guess zero."""
    run = endless_run(Usage(1, 1), budgets={"cost_usd": 100})
    assert run.output["stop_reason"] == "budget.cost_usd"
    assert len(run.requests) == 1
    assert run.output["usage"]["cost_usd"] is None


def test_without_a_budget_of_cost_a_price_is_not_needed() -> None:
    """Providers without prices can be used; the total is then unknown."""
    run = play(says("Done.", usage=Usage(1, 1)))
    assert (run.output["stop_reason"], run.output["usage"]["cost_usd"]) == ("end", None)


def test_wall_time_is_a_timer_of_the_engine() -> None:
    """The planner has no clock: the first decision asks for a timer, later ones do not ask again."""
    run = play(calls(call("c1")), says("Done."), budgets={"wall_s": 2.5})
    assert [decision.waits for decision in run.decisions] == [({"type": "timer", "after_s": 2.5},), (), (), ()]


def test_without_wall_time_no_timer_is_asked_for() -> None:
    """No budget, no timer."""
    assert all(decision.waits == () for decision in play(says("Done.")).decisions)


def test_the_timer_ends_a_run_whose_model_is_thinking() -> None:
    """The model call is cancelled and the run ends with what there is."""
    run = Play(planner(budgets={"wall_s": 1}), task())
    decision = run.give(Observation("timer"))
    assert decision.cancel == ("model-1",)
    assert run.output["stop_reason"] == "budget.wall"


def test_the_timer_ends_a_run_whose_tools_are_running() -> None:
    """Running calls are cancelled, waiting ones are not begun, and each has its result in call order."""
    run = pending(call("c0"), call("c1"), call("c2"), parallel_tools=2, budgets={"wall_s": 1})
    run.finish("tool-1-1", "done in time")
    decision = run.give(Observation("timer"))
    assert decision.cancel == ("tool-1-0", "tool-1-2")
    assert run.output["stop_reason"] == "budget.wall"
    assert [(call_id, is_error) for call_id, _, is_error in answers(run)] == [("c0", True), ("c1", False), ("c2", True)]
    assert run.give(Observation("cancelled", "tool-1-0")).end is None


def test_a_budget_is_never_an_error() -> None:
    """An exceeded budget ends with an output, not with an error."""
    for budgets in ({"model_calls": 1}, {"tool_calls": 0}, {"tokens": 1}, {"cost_usd": 0.01}):
        run = endless_run(Usage(5, 5, 0, 0.02), budgets=budgets)
        assert run.end is not None
        assert run.end.error is None
        assert run.end.stop_reason == run.output["stop_reason"] == f"budget.{next(iter(budgets))}"


def test_a_repair_is_paid_for_like_any_other_call() -> None:
    """A repair beyond the budget is not asked for; the answer so far is the partial result."""
    run = play(says("not json"), of=task(output_schema={"type": "object"}), budgets={"model_calls": 1})
    assert run.output["stop_reason"] == "budget.model_calls"
    assert (run.output["text"], run.output["output"]) == ("not json", None)
