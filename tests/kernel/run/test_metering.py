"""What a planner is told of the models below its agents, flows and plans: what they used, also after a crash."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from engine_kit import DurableJournal, ProcessDied
from plan_kit import InTurn
from planner_kit import make_agent

from agentflow_kernel import Flow, Kernel, Parts, Plan
from agentflow_kernel.contracts.planner import Action, Decision, End
from agentflow_kernel.contracts.provider import Message, ModelReply, ToolCall, Usage
from agentflow_kernel.errors import OutputInvalid, RunError
from agentflow_kernel.run.figures import figures_of
from agentflow_kernel.testing import FunctionToolset, InProcessJournal

if TYPE_CHECKING:
    from agentflow_kernel.contracts.planner import Observation

pytestmark = pytest.mark.anyio

ONCE = {"model_calls": 1, "input_tokens": 10, "output_tokens": 5, "cached_tokens": 2, "cost_usd": 0.25}
TWICE = {name: 2 * amount for name, amount in ONCE.items()}


class Noting(InTurn):
    """Keeps of each action what was used for it, not what came of it."""

    def step(self, state: dict[str, Any], observation: Observation) -> Decision:
        observation.value = observation.used if observation.kind != "started" else observation.value
        observation.kind = "result" if observation.kind == "error" else observation.kind
        return super().step(state, observation)


class AtOnce(Noting):
    """Begins everything at once and gives up what is still at work when the first has ended."""

    def step(self, state: dict[str, Any], observation: Observation) -> Decision:
        if observation.kind == "started":
            return Decision(state["steps"])
        state["results"].append([observation.kind, observation.used])
        if observation.kind == "result":
            return Decision(cancel=[step.id for step in state["steps"] if step.id != observation.action_id])
        return Decision(end=End(state["results"]))


def says(text: str, *calls: ToolCall) -> ModelReply:
    stop = "tool_calls" if calls else "end"
    return ModelReply(Message("assistant", text, calls=calls), stop_reason=stop, usage=Usage(10, 5, 2, 0.25))  # type: ignore[arg-type]


def toolset() -> FunctionToolset:
    async def look(arguments: Any) -> Any:
        return "sun"

    kit = FunctionToolset()
    kit.add("look", look, effect="pure")
    return kit


def helper() -> Any:
    """An agent that asks its model twice, with a call of a tool in between."""
    return make_agent([says("", ToolCall("c", "kit.look", {})), says("The sun.")], toolset())


def subject(planner: InTurn | None = None) -> Plan:
    """An agent, a flow with an agent in it, a plan with both in it, and a tool."""
    inner = Plan(
        "inner",
        InTurn(),
        {"steps": [{"id": "x", "kind": "agent", "name": "helper"}, {"id": "y", "kind": "flow", "name": "asks"}]},
    )
    flow = Flow("asks").step(helper(), name="ask").step(str, name="tell")
    parts = inner.parts = Parts(agents={"helper": helper()}, flows={"asks": flow}, plans={"inner": inner})
    steps = [
        {"id": "a", "kind": "agent", "name": "helper"},
        {"id": "b", "kind": "flow", "name": "asks"},
        {"id": "c", "kind": "plan", "name": "inner"},
        {"id": "d", "kind": "tool", "name": "kit.look"},
    ]
    return Plan("p", planner or Noting(), {"steps": steps}, parts=parts, tools={"kit": toolset()})


EXPECTED = [TWICE, TWICE, {name: 4 * amount for name, amount in ONCE.items()}, None]


async def test_a_planner_is_told_what_the_models_below_an_action_used() -> None:
    async with Kernel(journal=InProcessJournal()) as kernel:
        assert await kernel.run(subject()) == EXPECTED


async def test_without_a_journal_it_is_told_the_same() -> None:
    assert await Flow("f").step(subject()).run(None) == EXPECTED


async def test_it_is_told_the_same_when_the_process_died() -> None:
    """What was used before counts as well, and nothing counts twice; so it is with the figures of the whole run."""
    moment, died = 0, True
    while died:
        moment += 1
        first = DurableJournal(dies_at=moment, applied=moment % 2 == 0)
        async with Kernel(journal=first) as kernel:
            kernel.add(subject())
            with contextlib.suppress(ProcessDied, RunError):
                await kernel.run("plan/p", key="k")
        died = first.dead
        async with Kernel(journal=DurableJournal(first.survivor)) as kernel:
            kernel.add(subject())
            assert await kernel.run("plan/p", key="k") == EXPECTED
        (info,) = await first.survivor.runs()
        figures = figures_of(await first.survivor.read(info.run_id))
        assert {name: figures[name] for name in ONCE} == {name: 8 * amount for name, amount in ONCE.items()}
    assert moment > 15


async def test_of_a_call_that_failed_the_price_is_not_known() -> None:
    """It may have cost something; one that was surely not made has not."""

    class Odd:
        executed = "yes"

        async def complete(self, request: Any) -> Any:
            raise OutputInvalid("It says nothing that fits.", executed=self.executed)

    steps = [{"id": "m", "kind": "model", "arguments": {"messages": []}}, {"id": "n", "kind": "call"}]
    odd: Any = Odd()
    parts = Parts(plans={"inner": Plan("inner", InTurn(), {"steps": steps}, provider=odd)})
    plan = Plan("p", Noting(), {"steps": [{"id": "a", "kind": "plan", "name": "inner"}]}, parts=parts)
    journal = InProcessJournal()
    async with Kernel(journal=journal) as kernel:
        handle = await kernel.start(plan)
        assert await handle.result() == [{"model_calls": 1, "unpriced_calls": 1}]
        assert figures_of(await journal.read(handle.run_id))["unpriced_calls"] == 1
        odd.executed = "no"
        assert await kernel.run(plan) == [{}]


async def test_what_was_given_up_has_used_something_too() -> None:
    """An agent that is cancelled in its second call has had its first."""
    begun = anyio.Event()

    class Slow:
        async def complete(self, request: Any) -> Any:
            if len(request.messages) == 1:
                return says("", ToolCall("c", "kit.look", {}))
            begun.set()
            return await anyio.Event().wait()

    async def wait(arguments: Any) -> Any:
        await begun.wait()

    slow, kit = helper(), toolset()
    slow.provider = Slow()
    kit.add("wait", wait)
    steps = [Action("a", "agent", "helper").to_json(), Action("b", "tool", "kit.wait").to_json()]
    plan = Plan("p", AtOnce(), {"steps": steps}, parts=Parts(agents={"helper": slow}), tools={"kit": kit})
    async with Kernel(journal=InProcessJournal()) as kernel:
        assert await kernel.run(plan) == [["result", None], ["cancelled", ONCE]]
