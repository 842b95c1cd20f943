"""The planner `dag` in a real kernel: tools, flows and waits at work side by side, resumed where a run broke off."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from plans import plan, ref, step

from agentflow_kernel import Event, Flow, Kernel, Parts, Plan
from agentflow_kernel.errors import PlanInvalid, RunFailed, RunSuspended
from agentflow_kernel.testing import FakeClock, FunctionToolset, InProcessJournal, ScriptedProvider
from agentflow_planner_llm.dag import Dag
from agentflow_planner_llm.plan_settings import PlanSettings

pytestmark = pytest.mark.anyio


class Calls:
    """A toolset that notes each call."""

    def __init__(self) -> None:
        self.made: list[Any] = []
        self.kit = FunctionToolset()
        self.kit.add("double", self._double)
        self.kit.add("fail", self._fail)

    async def _double(self, arguments: Any) -> Any:
        self.made.append(arguments["value"])
        return arguments["value"] * 2

    async def _fail(self, arguments: Any) -> Any:
        self.made.append("fail")
        raise ValueError("as it always does")


def subject(document: dict[str, Any], calls: Calls, **options: Any) -> Plan:
    return Plan("p", Dag(PlanSettings()), document, tools={"kit": calls.kit}, **options)


async def run(plan_: Plan, value: Any = None, **kernel: Any) -> Any:
    async with Kernel(journal=InProcessJournal(), **kernel) as engine:
        return await engine.run(plan_, value)


def tripled(value: int) -> int:
    return value * 3


async def test_plan_of_tools_a_flow_and_a_model_runs_in_a_kernel() -> None:
    """Results pass from step to step, through all that the engine does for a plan."""
    calls = Calls()
    document = plan(
        step("one", "kit.double", args={"value": ref("input.n")}),
        step("two", "kit.double", args={"value": 10}),
        {"id": "three", "kind": "flow", "name": "triple", "args": {"input": ref("one.result")}},
        {"id": "said", "kind": "model", "args": {"prompt": "Name it:", "with": ref("three.result")}},
        output={"said": ref("said.result"), "numbers": [ref("one.result"), ref("two.result"), ref("three.result")]},
    )
    provider = ScriptedProvider(["eighteen"])
    parts = Parts(flows={"triple": Flow("triple").step(tripled)})
    result = await run(subject(document, calls, provider=provider, parts=parts), {"n": 3})
    assert result == {"said": "eighteen", "numbers": [6, 20, 18]}
    assert sorted(calls.made) == [3, 10]


async def test_failure_of_a_step_is_the_failure_of_the_run() -> None:
    """The tool's error is told with the step, and what needs it does not run."""
    calls = Calls()
    document = plan(step("bad", "kit.fail"), step("next", "kit.double", args={"value": ref("bad.result")}))
    with pytest.raises(RunFailed, match=r"'bad'.*as it always does"):
        await run(subject(document, calls))
    assert calls.made == ["fail"]


async def test_plan_with_findings_does_not_begin() -> None:
    """The kernel has the planner check the document against the tools that the plan was given."""
    calls = Calls()
    with pytest.raises(PlanInvalid, match=r"Did you mean 'kit\.double'"):
        await run(subject(plan(step("a", "kit.duble")), calls))
    assert calls.made == []


async def test_retry_waits_for_the_timer_of_the_engine() -> None:
    """A step that fails is tried again when the engine's clock says so, and not before."""
    calls, clock, tries = Calls(), FakeClock(), []

    async def flaky(arguments: Any) -> Any:
        tries.append(clock.now())
        if len(tries) < 3:
            raise ValueError("not yet")
        return len(tries)

    calls.kit.add("flaky", flaky)
    document = plan(step("a", "kit.flaky", on_error="retry"), step("b", "kit.double", args={"value": ref("a.result")}))
    async with Kernel(journal=InProcessJournal(), clock=clock) as kernel:
        handle = await kernel.start(subject(document, calls))
        for seconds in (1, 2):
            await anyio.wait_all_tasks_blocked()
            await clock.advance(seconds)
        assert await handle.result() == {"b": 6}
    assert [at - tries[0] for at in tries] == [0, 1, 3]


@pytest.mark.parametrize("edit", ["another step", "no step", "no tool"])
async def test_run_whose_plan_is_edited_goes_on_when_it_is_put_back(edit: str) -> None:
    """Neither another plan nor one that cannot run ends the run or does a step of it."""
    calls, other, journal = Calls(), Calls(), InProcessJournal()
    other.kit = FunctionToolset()
    waits = {"id": "wait", "kind": "wait", "args": {"type": "signal", "name": "go"}, "needs": ["one"]}
    one = step("one", "kit.double", args={"value": 1})
    document = plan(one, waits, step("last", "kit.double", args={"value": ref("wait.result")}))
    edited = {
        "another step": subject(plan(*document["steps"], step("more", "kit.fail")), calls),
        "no step": subject(plan(one, waits, step("last", "kit.double", args={"value": ref("gone.result")})), calls),
        "no tool": subject(document, other),
    }
    async with Kernel(journal=journal) as first:
        handle = await first.start(subject(document, calls))
        await anyio.wait_all_tasks_blocked()
    async with Kernel(journal=journal) as second:
        second.add(edited[edit])
        with pytest.raises((RunSuspended, PlanInvalid), match=r"another one than the run began|is not valid"):
            await (await second.resume(handle.run_id)).result()
    async with Kernel(journal=journal) as third:
        third.add(subject(document, calls))
        resumed = await third.resume(handle.run_id)
        await resumed.signal("go", 5)
        assert await resumed.result() == {"last": 10}
    assert calls.made == [1, 5]


async def test_run_goes_on_where_another_kernel_left_it() -> None:
    """Steps that are on record are not done again; the plan goes on with those that were left."""
    calls, journal = Calls(), InProcessJournal()
    document = plan(
        step("one", "kit.double", args={"value": 1}),
        {"id": "wait", "kind": "wait", "args": {"type": "signal", "name": "go"}, "needs": ["one"]},
        step("last", "kit.double", args={"value": ref("wait.result")}),
    )
    async with Kernel(journal=journal) as first:
        first.add(subject(document, calls))
        handle = await first.start("plan/p")
        await anyio.wait_all_tasks_blocked()
    assert calls.made == [1]
    async with Kernel(journal=journal) as second:
        second.add(subject(document, calls))
        resumed = await second.resume(handle.run_id)
        await resumed.signal("go", 5)
        assert await resumed.result() == {"last": 10}
    assert calls.made == [1, 5]


async def test_step_may_wait_for_an_event() -> None:
    """The first event that its condition lets pass is its result."""
    calls = Calls()
    document = plan(
        {"id": "paid", "kind": "wait", "args": {"type": "event", "event": "order.paid", "if": "event.data.n > 1"}},
        step("last", "kit.double", args={"value": ref("paid.result.data.n")}),
    )
    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(subject(document, calls))
        await anyio.wait_all_tasks_blocked()
        for n in (1, 4):
            await kernel.publish(Event(type="order.paid", source="shop", data={"n": n}))
        assert await handle.result() == {"last": 8}
