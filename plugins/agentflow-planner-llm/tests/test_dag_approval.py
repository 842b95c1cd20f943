"""Approval of plans: when a person is asked, what the person sees, and that no step passes for the question."""

from __future__ import annotations

from typing import Any

import pytest
from dag_driver import Play, dag, play, task_of
from plans import TOOLS, plan, ref, step
from strategy_driver import says, strategy_task

from agentflow_kernel.contracts.planner import PlanScope
from agentflow_kernel.contracts.tool import Tool
from agentflow_planner_llm.strategies.compiler import Compiler
from agentflow_planner_llm.strategy_settings import PlannedSettings


@pytest.mark.parametrize("reload", [False, True])
def test_no_step_has_the_id_of_the_question(reload: bool) -> None:
    """A step may be called `approve`: its action is another one than the question, whose answer stays what it was."""
    document = plan(step("approve"), step("b", args={"x": ref("approve.result")}), approval=True)
    run = play(document, reload=reload)
    (ask,) = run.started
    run.finish(ask.id, ask.arguments["choices"][0])  # type: ignore[index,call-overload]
    assert list(run.open) == ["approve"]
    run.until_end()
    assert run.output == {"b": "result of b"}
    refused = play(document, reload=reload)
    refused.finish("approve", f"approve {refused.state.hash[:12]}")
    assert refused.end is None
    refused.finish(ask.id, "reject")
    assert refused.end is not None
    assert (refused.end.code, refused.ids) == ("AF-APPROVAL-REFUSED", [ask.id])


def test_tool_that_needs_approval_asks_for_the_whole_plan() -> None:
    """`permissions.approved` is a question to a person, not only a check that there is one."""
    permissions: Any = {"approved": ["shell.*"]}
    document = plan(step("a"), step("b", "shell.run", args={"command": "rm"}))
    run = play(document, permissions=permissions)
    assert [action.kind for action in run.started] == ["ask"]
    run.finish("approve.plan", "reject")
    assert run.end is not None
    assert run.end.code == "AF-APPROVAL-REFUSED"
    assert play(plan(step("a")), permissions=permissions).ids == ["a"]


def test_tool_that_needs_approval_asks_for_a_plan_of_a_model() -> None:
    """The plan that a model made waits for a person as one from a document does."""
    subject = Compiler(PlannedSettings.model_validate({"permissions": {"approved": ["send"]}}))
    run = Play(subject, strategy_task(), "task")
    run.finish("plan.1", says("1. send({})\n2. join()"))
    assert list(run.open) == ["approve.1"]


def test_person_sees_what_is_approved() -> None:
    """The question is about the document itself: names of tools say nothing about what is done with them."""
    document = plan(step("a", "shell.run", args={"command": "rm -rf /"}, when="input == 1"), approval=True)
    assert play(document).started[0].arguments["about"] == document


def test_batch_form_that_was_not_granted_is_not_called() -> None:
    """The tool of a batch form is a tool: where it is denied or needs approval, each call is made alone."""
    form = {"type": "object", "x-batch": {"tool": "many", "parameter": "x", "list": "xs"}}
    tools = {
        **TOOLS,
        "one": Tool("one", "", form, effect="pure"),
        "many": Tool("many", "", {"type": "object"}, effect="pure"),
    }
    document = plan(step("a", "one", args={"x": 1}), step("b", "one", args={"x": 2}))

    def names(permissions: Any) -> list[str]:
        subject = dag(optimise=["batch"], permissions=permissions)
        assert subject.check(document, PlanScope(tools=tools)) == []
        return [action.name for action in Play(subject, task_of(subject, document, tools)).started]

    assert names({}) == ["many"]
    assert names({"denied": ["man*"]}) == ["one", "one"]
    assert names({"approved": ["many"]}) == ["one", "one"]
