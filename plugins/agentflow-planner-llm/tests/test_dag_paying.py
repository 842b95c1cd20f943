"""Budgets of plans whose steps run side by side: what one step may still use is kept for it."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from dag_driver import Play, play
from plans import TOOLS, plan, step
from strategy_driver import says, strategy_task, tool

from agentflow_kernel import Agent, Kernel, Parts, Plan
from agentflow_kernel.contracts.planner import Observation, PlanScope
from agentflow_kernel.contracts.provider import Message, ModelReply, Usage
from agentflow_kernel.errors import RunFailed
from agentflow_kernel.testing import InProcessJournal, ScriptedProvider
from agentflow_planner_llm.dag import Dag
from agentflow_planner_llm.plan_settings import PlanSettings
from agentflow_planner_llm.strategies.plan_and_execute import PlanAndExecute
from agentflow_planner_llm.strategy_settings import PlanAndExecuteSettings
from agentflow_planner_llm.tool_loop import ToolLoop

USED = {"model_calls": 3, "input_tokens": 80, "output_tokens": 20, "cost_usd": 0.5}


def agent(name: str, **fields: Any) -> dict[str, Any]:
    return {"id": name, "kind": "agent", "name": "helper", "args": {"input": "hi"}, **fields}


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
    agents = plan(agent("a"), agent("b"))
    run = play(agents, budgets={"model_calls": 0})
    assert run.end is not None
    assert run.end.stop_reason == "budget.model_calls"
    assert run.started == []
    assert play(agents, budgets={"model_calls": 2}).until_end().end.error is None  # type: ignore[union-attr]


@pytest.mark.parametrize("reload", [False, True])
@pytest.mark.parametrize("kind", ["result", "error", "cancelled"])
@pytest.mark.parametrize("budget", [{"model_calls": 3}, {"tokens": 100}, {"cost_usd": 0.5}])
def test_what_an_agent_used_counts_before_the_next_step(budget: dict[str, float], kind: Any, reload: bool) -> None:
    """However it ended, and over a restart: the next one is not begun where its calls, tokens or dollars are gone."""
    for less, ends in ((0, True), (1, False)):
        chain = plan(agent("a", on_error="continue"), agent("b", needs=["a"]))
        limits = {name: amount + less for name, amount in budget.items()}
        run = play(chain, budgets=limits, reload=reload)
        value = {"code": "AF-X", "message": "no", "executed": "yes"} if kind == "error" else "done"
        run.give(Observation(kind, "a", value, used=USED))
        assert (run.end is not None) == ends
        if run.end is not None:
            assert run.end.stop_reason == f"budget.{next(iter(budget))}"


def test_flows_and_plans_count_as_much_as_their_models_used() -> None:
    """Calls, tokens and dollars; a call without a price leaves a budget of cost nothing to go by."""
    inner = [{"id": kind, "kind": kind, "name": name} for kind, name in (("flow", "triage"), ("plan", "inner"))]
    for limits, ends in (({"model_calls": 6}, True), ({"model_calls": 7}, False), ({"cost_usd": 9}, True)):
        run = play(plan(*inner, agent("a", needs=["flow", "plan"])), budgets=limits)
        run.give(Observation("result", "flow", 1, used={**USED, "unpriced_calls": 1}))
        run.give(Observation("result", "plan", 1, used=USED))
        assert (run.end is not None) == ends


def test_a_flow_that_is_said_to_ask_models_is_paid_like_one() -> None:
    """It is not begun where the budget is gone; one of which nothing is said is."""
    for said, ends in (({"tokens": 10}, True), ({"seconds": 10}, False)):
        flow = {"id": "f", "kind": "flow", "name": "triage", "needs": ["a"], "cost_estimate": said}
        run = play(plan(agent("a"), flow), budgets={"tokens": 100})
        run.give(Observation("result", "a", 1, used=USED))
        assert (run.end is not None) == ends


@pytest.mark.anyio
async def test_a_resumed_plan_knows_what_its_agents_used() -> None:
    """The agent worked before the process ended; the one after it is not begun."""
    document = plan(
        agent("a"),
        {"id": "go", "kind": "wait", "args": {"type": "signal", "name": "go"}, "needs": ["a"]},
        agent("b", needs=["go"]),
    )
    journal = InProcessJournal()
    reply = ModelReply(Message("assistant", "hi"), usage=Usage(80, 20))

    def subject(replies: list[Any]) -> Plan:
        helper = Agent("helper", ScriptedProvider(replies), ToolLoop())
        planner = Dag(PlanSettings.model_validate({"budgets": {"tokens": 100}}))
        return Plan("p", planner, document, parts=Parts(agents={"helper": helper}))

    async with Kernel(journal=journal) as first:
        first.add(subject([reply]))
        handle = await first.start("plan/p")
        await anyio.wait_all_tasks_blocked()
    async with Kernel(journal=journal) as second:
        second.add(subject([]))
        resumed = await second.resume(handle.run_id)
        await resumed.signal("go", None)
        with pytest.raises(RunFailed, match="'tokens' is used up before step 'b'"):
            await resumed.result()


def test_an_agent_that_a_new_plan_gave_up_has_used_something() -> None:
    """A strategy counts it, though nobody waits for it any more."""
    planner = PlanAndExecute(PlanAndExecuteSettings(listen=True, observe=False))
    scope = PlanScope(tools=TOOLS, agents={"helper": ""}, flows={}, plans={})
    run = Play(planner, strategy_task(scope=scope), "the task")
    run.finish("plan.1", says({"steps": [agent("a")]}))
    run.give(Observation("signal", "input", "more"))
    assert run.finish("plan.2", says({"steps": [tool("b")]})).cancel == ("a",)
    run.give(Observation("cancelled", "a", used=USED))
    run.finish("b", "done")
    asked = 2 * 15
    assert run.output["usage"]["input_tokens"] + run.output["usage"]["output_tokens"] == asked + 100
    assert run.output["model_calls"] == 2 + USED["model_calls"]
