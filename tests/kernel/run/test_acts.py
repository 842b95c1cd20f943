"""What a planner has done besides model and tool: agents, flows and plans in its run, events, waits and questions."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from engine_kit import DurableJournal, check_history
from plan_kit import InTurn
from planner_kit import Script, make_agent
from span_kit import Listening

from agentflow_kernel import Context, Event, Flow, Kernel, Parts, Plan
from agentflow_kernel.contracts.planner import Decision, End
from agentflow_kernel.errors import PlanInvalid, RunFailed, UsageError
from agentflow_kernel.testing import FakeClock, FunctionToolset, InProcessJournal, settle

pytestmark = pytest.mark.anyio


def plan(*steps: dict[str, Any], name: str = "p", **options: Any) -> Plan:
    return Plan(name, InTurn(), {"steps": list(steps)}, **options)


def double(value: int) -> int:
    return value * 2


def doubling() -> FunctionToolset:
    async def twice(arguments: Any) -> Any:
        return arguments["value"] * 2

    kit = FunctionToolset()
    kit.add("double", twice)
    return kit


def broken(value: object) -> object:
    raise KeyError("no such order")


async def run(subject: Plan, value: Any = None) -> Any:
    async with Kernel(journal=InProcessJournal()) as kernel:
        return await kernel.run(subject, value)


async def test_a_flow_an_agent_and_a_plan_run_as_actions() -> None:
    parts = Parts(
        agents={"helper": make_agent(["It is done."])},
        flows={"double": Flow("double").step(double)},
        plans={"inner": plan({"id": "s", "kind": "flow", "name": "double", "arguments": {"input": 4}}, name="inner")},
    )
    parts.plans["inner"].parts = parts  # type: ignore[attr-defined]  # a plan, made above
    subject = plan(
        {"id": "a", "kind": "flow", "name": "double", "arguments": {"input": 3}},
        {"id": "b", "kind": "agent", "name": "helper", "arguments": {"input": "Do it."}},
        {"id": "c", "kind": "plan", "name": "inner"},
        parts=parts,
    )

    assert await run(subject) == [6, "It is done.", [8]]


async def test_the_paths_of_the_run_show_how_things_are_nested() -> None:
    inner = plan({"id": "s", "kind": "flow", "name": "double", "arguments": {"input": 4}}, name="inner")
    inner.parts = Parts(flows={"double": Flow("double").step(double)})
    outer = plan({"id": "c", "kind": "plan", "name": "inner"}, parts=Parts(plans={"inner": inner}))
    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(outer)
        assert await handle.result() == [[8]]
        records = await kernel.history(handle.run_id)

    check_history(records)
    done = [record.path for record in records if record.type == "step.completed"]
    assert done == ["p/c/s/double", "p/c/s", "p/c", "p"]


async def test_what_a_flow_raises_is_an_observation() -> None:
    subject = plan(
        {"id": "a", "kind": "flow", "name": "broken"}, parts=Parts(flows={"broken": Flow("broken").step(broken)})
    )

    assert await run(subject) == ["AF-TOOL-FAILED"]


async def test_an_agent_that_cannot_reach_its_model_suspends_the_run_of_the_plan() -> None:
    """The run is resumable, as it is where the agent stands alone."""
    from agentflow_kernel.errors import PeerUnavailable, RunSuspended

    class Away(Script):
        async def complete(self, request: Any) -> Any:
            raise PeerUnavailable("The model's service")

    agent = make_agent([])
    agent.provider = Away([])
    subject = plan({"id": "a", "kind": "agent", "name": "helper"}, parts=Parts(agents={"helper": agent}))
    async with Kernel(journal=DurableJournal()) as kernel:
        with pytest.raises(RunSuspended):
            await kernel.run(subject)


@pytest.mark.parametrize("kind", ["agent", "flow", "plan"])
async def test_a_part_that_is_not_there_is_an_observation(kind: str) -> None:
    assert await run(plan({"id": "a", "kind": kind, "name": "other"})) == ["AF-UNKNOWN-NAME"]


async def test_a_kind_that_planners_do_not_have_is_an_observation() -> None:
    assert await run(plan({"id": "a", "kind": "call", "name": "f"})) == ["AF-INPUT-INVALID"]


async def test_a_plan_without_a_model_says_so() -> None:
    step = {"id": "a", "kind": "model", "arguments": {"messages": [{"role": "user", "text": "Hello."}]}}

    assert await run(plan(step)) == ["AF-UNSUPPORTED"]


async def test_an_event_goes_out_when_it_is_on_record() -> None:
    seen: list[Event] = []
    async with Kernel(journal=InProcessJournal()) as kernel:

        @kernel.on("order.paid")
        async def paid(event: Event) -> None:
            seen.append(event)

        subject = plan(
            {"id": "a", "kind": "emit", "name": "order.paid", "arguments": {"data": {"id": 7}, "subject": "order/7"}},
            {"id": "b", "kind": "wait", "arguments": {"type": "timer", "seconds": 0.001}},
        )
        handle = await kernel.start(subject)
        assert await handle.result() == [None, None]
        await settle()
        records = await kernel.history(handle.run_id)
    (event,) = seen
    assert (event.type, event.data, event.subject) == ("order.paid", {"id": 7}, "order/7")
    (emitted,) = [record for record in records if record.type == "event.emitted"]
    assert event.id == f"{handle.run_id}/{emitted.seq}"


async def test_the_event_of_the_last_action_goes_out_too() -> None:
    seen: list[Any] = []
    async with Kernel(journal=InProcessJournal()) as kernel:

        @kernel.on("order.paid")
        async def paid(event: Event) -> None:
            seen.append(event.data)

        await kernel.run(plan({"id": "a", "kind": "emit", "name": "order.paid", "arguments": {"data": 1}}))
        await settle()
    assert seen == [1]


async def test_a_wait_ends_with_the_signals_value() -> None:
    async with Kernel(journal=InProcessJournal()) as kernel:
        wait = {"type": "signal", "name": "go", "schema": {"type": "object"}}
        handle = await kernel.start(plan({"id": "a", "kind": "wait", "arguments": wait}))
        await handle.signal("go", {"fast": True})
        assert await handle.result() == [{"fast": True}]


async def test_a_wait_whose_time_is_over_is_an_observation() -> None:
    step = {"id": "a", "kind": "wait", "arguments": {"type": "signal", "name": "go", "timeout_s": 0.001}}

    assert await run(plan(step)) == ["AF-ELAPSED"]


async def test_a_question_ends_with_the_answer() -> None:
    async with Kernel(journal=InProcessJournal()) as kernel:
        ask = {"question": "Deploy?", "choices": ["yes", "no"], "about": {"version": 3}}
        handle = await kernel.start(plan({"id": "a", "kind": "ask", "arguments": ask}))
        await settle()
        (question,) = handle.questions
        assert question["wait"] == "p/a!ask"
        assert question["ask"] == {"question": "Deploy?", "about": {"version": 3}}
        await handle.answer("p/a!ask", "yes", by="ops")
        assert await handle.result() == ["yes"]


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        ("wait", {}),
        ("wait", {"type": "timer"}),
        ("wait", {"type": "timer", "seconds": -1}),
        ("wait", {"type": "timer", "seconds": 1, "name": "x"}),
        ("wait", {"type": "signal", "name": "a!b"}),
        ("wait", {"type": "moon"}),
        ("ask", {}),
        ("ask", {"question": " "}),
        ("ask", {"question": "x", "colour": "red"}),
        ("emit", {"data": 1}),
    ],
)
async def test_arguments_that_do_not_fit_the_kind_are_an_observation(kind: str, arguments: dict[str, Any]) -> None:
    assert await run(plan({"id": "a", "kind": kind, "arguments": arguments})) == ["AF-INPUT-INVALID"]


async def test_plans_cannot_be_nested_without_end() -> None:
    subject = plan({"id": "a", "kind": "plan", "name": "p"})
    subject.parts = Parts(plans={"p": subject})
    found = await run(subject)
    depth = 0
    while isinstance(found, list):
        (found,) = found
        depth += 1
    assert (found, depth) == ("AF-PLAN-ERROR", 32)


async def test_a_planner_is_told_the_time_of_the_kernels_clock() -> None:
    clock = FakeClock()
    seen: list[Any] = []

    class Looks(InTurn):
        def step(self, state: Any, observation: Any) -> Any:
            seen.append(observation.at)
            return super().step(state, observation)

    subject = Plan("p", Looks(), {"steps": [{"id": "a", "kind": "wait", "arguments": {"type": "timer", "seconds": 5}}]})
    async with Kernel(journal=InProcessJournal(), clock=clock) as kernel:
        handle = await kernel.start(subject)
        await settle()
        await clock.advance(5)
        await handle.result()
    assert seen[1] - seen[0] == 5


async def test_a_document_with_faults_is_refused_before_the_run() -> None:
    """With all findings; nothing is on record."""
    kit = doubling()
    subject = plan({"id": "a", "kind": "tool", "name": "kit.triple"}, tools={"kit": kit})
    async with Kernel(journal=InProcessJournal()) as kernel:
        with pytest.raises(PlanInvalid, match=r"Plan 'p' is not valid: Unknown tool 'kit.triple'. \[P003\]"):
            await kernel.start(subject)
        assert await kernel.runs() == []


async def test_an_input_that_does_not_fit_is_refused() -> None:
    with pytest.raises(RunFailed, match="The input of plan 'p'"):
        await run(plan(input_schema={"type": "object"}), 3)


async def test_a_planner_without_documents_is_no_planner_of_plans() -> None:
    with pytest.raises(UsageError, match="follows no document"):
        Plan("p", make_agent([]).planner, {})


async def test_a_plan_is_a_step_of_a_flow() -> None:
    inner = plan(
        {"id": "s", "kind": "tool", "name": "kit.double", "arguments": {"value": 4}},
        name="inner",
        tools={"kit": doubling()},
    )
    flow = Flow("f").step(inner, name="work").step(lambda value: value[0] + 1, name="add")
    async with Kernel(journal=InProcessJournal()) as kernel:
        assert await kernel.run(flow, None) == 9


async def test_a_compensation_inside_a_part_is_called_when_the_run_fails() -> None:
    undone: list[Any] = []

    async def book(value: int) -> str:
        return f"booking {value}"

    async def cancel(value: Any, context: Context) -> None:
        undone.append(value["result"])

    trip = Flow("trip").step(book, compensate=cancel)

    def fail(value: object) -> object:
        raise ValueError("no")

    outer = plan(
        {"id": "a", "kind": "flow", "name": "trip", "arguments": {"input": 7}}, parts=Parts(flows={"trip": trip})
    )
    flow = Flow("f").step(outer, name="plan").step(fail, name="fail")
    async with Kernel(journal=InProcessJournal()) as kernel:
        with pytest.raises(RunFailed):
            await kernel.run(flow, None)
    assert undone == ["booking 7"]


@pytest.mark.keeps_memory("looks at every span")
async def test_a_plan_has_a_span_round_what_its_actions_do(monkeypatch: pytest.MonkeyPatch) -> None:
    listening = Listening(monkeypatch)
    subject = plan(
        {"id": "a", "kind": "flow", "name": "double", "arguments": {"input": 3}},
        {"id": "b", "kind": "agent", "name": "helper", "arguments": {"input": "Do it."}},
        parts=Parts(flows={"double": Flow("double").step(double)}, agents={"helper": make_agent(["It is done."])}),
    )
    await run(subject)

    below = ["node double", ("invoke_agent helper", ["chat"])]
    assert listening.tree() == [("run p", [("node p", [("plan p", below)])])]
    span = listening.one("plan p")
    assert dict(span.attributes) == {"agentflow.plan.name": "p", "agentflow.path": "p"}


@pytest.mark.parametrize("fails", [False, True])
async def test_a_large_state_at_the_end_is_kept_beside_the_record_of_it(fails: bool) -> None:
    class Wordy(InTurn):
        def step(self, state: dict[str, Any], observation: Any) -> Any:
            return Decision(end=End(error="It is over.") if fails else End("done"))

        def dump(self, state: dict[str, Any]) -> Any:
            return {"at": 1, "text": "€" * 100_000}

    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(Plan("p", Wordy(), {"steps": []}), None)
        with suppress(RunFailed):
            await handle.result()
        records = {record.type: record for record in await kernel.history(handle.run_id)}
        whole = {record.type: record for record in await kernel.history(handle.run_id, whole=True)}
    last = "run.ended" if fails else "decision"
    assert records[last].ref
    assert len(str(records[last].payload)) < 1000
    assert whole[last].payload["state"]["text"] == "€" * 100_000  # type: ignore[call-overload, index]  # an object
