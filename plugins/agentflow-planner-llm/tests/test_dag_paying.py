"""Budgets of plans whose steps run side by side: what one step may still use is kept for it."""

from __future__ import annotations

from typing import Any

import pytest
from dag_driver import play
from plans import plan, step
from strategy_driver import says


def model(name: str, **fields: Any) -> dict[str, Any]:
    return {"id": name, "kind": "model", "args": {"prompt": "?"}, **fields}


@pytest.mark.parametrize("budgets", [{"tokens": 20}, {"cost_usd": 0.15}])
def test_without_estimates_one_step_at_a_time_asks_a_model(budgets: dict[str, float]) -> None:
    """The budget may be overrun by one step, not by as many as there is room for; other steps run beside it."""
    run = play(plan(step("z"), *(model(f"m{n}") for n in range(5))), budgets=budgets)
    assert [action.kind for action in run.open.values()].count("model") == 1
    run.until_end(lambda action: says("x"))
    assert run.end is not None
    assert run.end.stop_reason.startswith("budget.")
    assert [action.kind for action in run.started].count("model") == 2


def test_estimates_of_what_runs_are_kept_for_it() -> None:
    """Steps run side by side as far as the budget bears all their estimates."""
    priced = [model(f"m{n}", cost_estimate={"tokens": 40, "usd": 1}) for n in range(3)]
    run = play(plan(*priced), budgets={"tokens": 100})
    assert list(run.open) == ["m0", "m1"]
    run.finish("m0", says("x"))
    assert list(run.open) == ["m1", "m2"]
    assert list(play(plan(*priced), budgets={"tokens": 100, "cost_usd": 1}).open) == ["m0"]
    assert len(play(plan(*priced), budgets={"model_calls": 3}).open) == 3
    assert len(play(plan(*priced)).open) == 3


def test_an_agent_counts_as_a_call_of_a_model() -> None:
    agents = plan(*({"id": name, "kind": "agent", "name": "helper", "args": {"input": "hi"}} for name in "ab"))
    run = play(agents, budgets={"model_calls": 0})
    assert run.end is not None
    assert run.end.stop_reason == "budget.model_calls"
    assert run.started == []
    assert play(agents, budgets={"model_calls": 2}).until_end().end.error is None  # type: ignore[union-attr]
