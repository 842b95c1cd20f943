"""Several actions of one planner at a time: side by side, cancelled on its word, woken by a timer, none left behind."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest
from engine_kit import DurableJournal
from planner_kit import make_agent

from agentflow_kernel import Flow, Kernel
from agentflow_kernel.contracts.planner import Action, Decision, End, Observation
from agentflow_kernel.errors import NonDeterminism, RunError, RunSuspended
from agentflow_kernel.testing import FakeClock, FunctionToolset, InProcessJournal, settle

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio


def tool(name: str) -> Action:
    """A call of the tool ``kit.<name>``, with its name as its id."""
    return Action(name, "tool", f"kit.{name}")


class Rules:
    """A planner written down as rules: what to decide at each observation; remembers what it saw."""

    def __init__(self, rules: Callable[[list[list[Any]], Observation], Decision]) -> None:
        self.rules = rules

    def begin(self, task: Any) -> list[list[Any]]:
        return []

    def step(self, state: Any, observation: Observation) -> Decision:
        state.append([observation.kind, observation.action_id])
        return self.rules(state, observation)

    def dump(self, state: Any) -> Any:
        return list(state)

    def load(self, task: Any, document: Any) -> Any:
        return list(document)


class Tools:
    """Tools that wait until they are let go, and count what happens in them."""

    def __init__(self, *names: str) -> None:
        self.toolset = FunctionToolset()
        self.inside: dict[str, anyio.Event] = {}
        self.go: dict[str, anyio.Event] = {}
        self.began: list[str] = []
        self.cancelled: list[str] = []
        for name in names:
            self.inside[name], self.go[name] = anyio.Event(), anyio.Event()
            self.toolset.add(name, self._function(name), effect="idempotent")

    def _function(self, name: str) -> Any:
        async def wait(arguments: Any) -> str:
            self.began.append(name)
            self.inside[name].set()
            try:
                await self.go[name].wait()
            except anyio.get_cancelled_exc_class():
                self.cancelled.append(name)
                raise
            return name

        return wait


async def test_actions_begun_together_run_side_by_side() -> None:
    """Each waits here until the other one is inside."""
    tools = Tools("a", "b")

    def rules(seen: list[list[Any]], observation: Observation) -> Decision:
        if observation.kind == "started":
            return Decision([tool("a"), tool("b")])
        return Decision(end=End(seen)) if len(seen) == 3 else Decision()

    agent = make_agent([], tools.toolset, planner=Rules(rules))
    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(agent)
        await tools.inside["a"].wait()
        await tools.inside["b"].wait()
        tools.go["b"].set()
        await settle()
        tools.go["a"].set()
        assert await handle.result() == [["started", ""], ["result", "b"], ["result", "a"]]


async def test_the_planner_sees_one_observation_at_a_time_in_order_of_arrival() -> None:
    """``step`` is never entered twice at once."""
    inside: list[int] = []

    def rules(seen: list[list[Any]], observation: Observation) -> Decision:
        assert not inside
        inside.append(1)
        try:
            if observation.kind == "started":
                return Decision([Action(f"t{number}", "tool", "kit.quick") for number in range(50)])
            return Decision(end=End(len(seen))) if len(seen) == 51 else Decision()
        finally:
            inside.pop()

    toolset = FunctionToolset()

    async def quick(arguments: Any) -> int:
        await anyio.lowlevel.checkpoint()
        return 1

    toolset.add("quick", quick)
    assert await Flow("f").step(make_agent([], toolset, planner=Rules(rules))).run() == 51


async def test_an_action_that_the_planner_cancels_is_stopped_and_observed_before_anything_new_begins() -> None:
    """``cancelled`` comes as an observation; the new action starts after the old one has ended."""
    tools = Tools("slow", "quick", "next")
    order: list[Any] = []

    def rules(seen: list[list[Any]], observation: Observation) -> Decision:
        order.append((observation.kind, observation.action_id, list(tools.began), list(tools.cancelled)))
        if observation.kind == "started":
            return Decision([tool("slow"), tool("quick")])
        if observation.action_id == "quick":
            return Decision([tool("next")], cancel=["slow", "unknown"])
        return Decision(end=End("done")) if observation.action_id == "next" else Decision()

    agent = make_agent([], tools.toolset, planner=Rules(rules))
    tools.go["next"].set()
    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(agent)
        await tools.inside["slow"].wait()
        tools.go["quick"].set()
        assert await handle.result() == "done"
    assert order[2][:2] == ("cancelled", "slow")
    assert "next" not in order[2][2]
    assert order[2][3] == ["slow"]


async def test_an_action_that_the_planner_cancelled_before_the_process_ended_is_not_done_again() -> None:
    """The wish is on record with the decision; the next process tells the planner and begins nothing before that."""

    def rules(seen: list[list[Any]], observation: Observation) -> Decision:
        if observation.kind == "started":
            return Decision([tool("slow"), tool("other"), tool("quick")])
        if observation.action_id == "quick":
            return Decision([tool("next")], cancel=["slow", "other"])
        return Decision(end=End(seen)) if observation.action_id == "next" else Decision()

    survivor, began = InProcessJournal(), []
    for dies_at in (2, 0):  # the decision to cancel is the last that the first process puts on record
        tools = Tools("slow", "other", "quick", "next")
        tools.go["quick"].set()
        tools.go["next"].set()
        agent = make_agent([], tools.toolset, planner=Rules(rules))
        async with Kernel(journal=DurableJournal(survivor, dies_at=dies_at, applied=True)) as kernel:
            handle = await kernel.start(agent, key="k")
            with suppress(RunError) if dies_at else nullcontext():
                output = await handle.result()
        began.append(tools.began)
    assert began[1] == ["next"]
    assert output == [
        ["started", ""], ["result", "quick"], ["cancelled", "slow"], ["cancelled", "other"], ["result", "next"],
    ]  # fmt: skip


@pytest.mark.keeps_memory("two answers wait in memory")
async def test_an_action_cancelled_before_it_began_never_begins() -> None:
    """Two answers arrive at once: the first starts an action, the second takes it back."""
    tools = Tools("a", "b", "never")

    def rules(seen: list[list[Any]], observation: Observation) -> Decision:
        if observation.kind == "started":
            return Decision([tool("a"), tool("b")])
        answers = [kind for kind, _ in seen if kind == "result"]
        if observation.kind == "result":
            return Decision([tool("never")]) if len(answers) == 1 else Decision(cancel=["never"])
        return Decision(end=End([kind for kind, _ in seen]))

    agent = make_agent([], tools.toolset, planner=Rules(rules))
    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(agent)
        await tools.inside["a"].wait()
        await tools.inside["b"].wait()
        tools.go["a"].set()
        tools.go["b"].set()
        assert await handle.result() == ["started", "result", "result", "cancelled"]
    assert "never" not in tools.began


async def test_the_result_of_an_action_that_was_quicker_than_its_cancellation_stands() -> None:
    """It is observed once, with its result, and is on record."""
    toolset = FunctionToolset()

    async def quick(arguments: Any) -> str:
        return "quick"

    toolset.add("quick", quick)

    def rules(seen: list[list[Any]], observation: Observation) -> Decision:
        if observation.kind == "started":
            return Decision([Action("a", "tool", "kit.quick"), Action("b", "tool", "kit.quick")])
        if len(seen) == 2:
            other = "b" if observation.action_id == "a" else "a"
            return Decision(cancel=[other])
        return Decision(end=End(sorted(seen)))

    output = await Flow("f").step(make_agent([], toolset, planner=Rules(rules))).run()
    assert output == [["result", "a"], ["result", "b"], ["started", ""]]


@pytest.mark.keeps_memory("the tools list the order in which one life cancels them")
async def test_what_a_cancellation_makes_the_planner_cancel_is_cancelled_too() -> None:
    """Its decision about a cancelled action counts like any other."""
    tools = Tools("a", "b", "c")

    def rules(seen: list[list[Any]], observation: Observation) -> Decision:
        if observation.kind == "started":
            return Decision([tool("a"), tool("b"), tool("c")])
        if observation.action_id == "a":
            return Decision(cancel=["b"])
        if observation.action_id == "b":
            return Decision(cancel=["c"])
        return Decision(end=End([action_id for kind, action_id in seen if kind == "cancelled"]))

    agent = make_agent([], tools.toolset, planner=Rules(rules))
    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(agent)
        for name in "abc":
            await tools.inside[name].wait()
        tools.go["a"].set()
        assert await handle.result() == ["b", "c"]
    assert tools.cancelled == ["b", "c"]


async def test_actions_that_are_open_when_the_planner_ends_are_cancelled_and_awaited() -> None:
    """Nothing outlives the agent."""
    tools = Tools("slow", "quick")

    def rules(seen: list[list[Any]], observation: Observation) -> Decision:
        if observation.kind == "started":
            return Decision([tool("slow"), tool("quick")])
        return Decision(end=End("done"))

    agent = make_agent([], tools.toolset, planner=Rules(rules))
    tools.go["quick"].set()
    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(agent)
        assert await handle.result() == "done"
        assert set(tools.began) - {"quick"} == set(tools.cancelled)


async def test_a_contradiction_in_one_action_cancels_the_others_and_parks_the_run() -> None:
    """It is no observation."""
    tools = Tools("slow")

    async def stuck(arguments: Any) -> None:
        await tools.inside["slow"].wait()
        raise NonDeterminism("run", "x", "history and code disagree")

    tools.toolset.add("stuck", stuck)

    def rules(seen: list[list[Any]], observation: Observation) -> Decision:
        return Decision([tool("slow"), tool("stuck")])

    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(make_agent([], tools.toolset, planner=Rules(rules)))
        with pytest.raises(RunSuspended, match=r"is stuck: .*history and code disagree"):
            await handle.result()
    assert tools.cancelled == ["slow"]


def waits_30_s(seen: list[list[Any]], observation: Observation) -> Decision:
    """Starts one action with a time limit of its own."""
    if observation.kind == "started":
        return Decision([tool("slow")], waits=[{"type": "timer", "after_s": 30}])
    return Decision(end=End(observation.kind))


@pytest.mark.parametrize(("advance", "kind"), [(29.9, "result"), (30, "timer")])
async def test_a_timer_wakes_the_planner_by_the_kernels_clock(advance: float, kind: str) -> None:
    """Not before its time, and not at all once the planner has ended."""
    clock, tools = FakeClock(), Tools("slow")
    async with Kernel(journal=InProcessJournal(), clock=clock) as kernel:
        handle = await kernel.start(make_agent([], tools.toolset, planner=Rules(waits_30_s)))
        await tools.inside["slow"].wait()
        await clock.advance(advance)
        tools.go["slow"].set()
        assert await handle.result() == kind


async def test_a_planner_may_wait_for_nothing_but_a_timer() -> None:
    """It is not taken for stalled."""
    clock = FakeClock()

    def rules(seen: list[list[Any]], observation: Observation) -> Decision:
        if len(seen) < 3:
            return Decision(waits=[{"type": "timer", "after_s": 10}])
        return Decision(end=End(seen))

    async with Kernel(journal=InProcessJournal(), clock=clock) as kernel:
        handle = await kernel.start(make_agent([], planner=Rules(rules)))
        await settle()
        await clock.advance(20)
        assert await handle.result() == [["started", ""], ["timer", ""], ["timer", ""]]
    assert clock.slept == [10, 10]


async def test_a_timer_stays_over_later_decisions_until_another_takes_its_place() -> None:
    """A limit for the whole run is stated once."""
    clock, tools = FakeClock(), Tools("a", "b", "c")

    def rules(seen: list[list[Any]], observation: Observation) -> Decision:
        if observation.kind == "started":
            return Decision([tool("a")], waits=[{"type": "timer", "after_s": 30}])
        if observation.action_id == "a":
            return Decision([tool("b")])
        if observation.action_id == "b":
            return Decision([tool("c")], waits=[{"type": "timer", "after_s": 100}])
        return Decision(end=End(seen))

    async with Kernel(journal=InProcessJournal(), clock=clock) as kernel:
        handle = await kernel.start(make_agent([], tools.toolset, planner=Rules(rules)))
        for name in "ab":
            await tools.inside[name].wait()
            tools.go[name].set()
        await tools.inside["c"].wait()
        await clock.advance(99)
        assert handle.status == "running"
        await clock.advance(1)
        assert (await handle.result())[-1] == ["timer", ""]  # type: ignore[index]  # a list


@pytest.mark.parametrize(("passed", "left"), [(0, 30), (20, 10), (45, 0)])
async def test_a_resumed_planner_waits_only_for_what_is_left_of_its_timer(passed: float, left: float) -> None:
    """An overdue one fires at once."""
    clock, journal = FakeClock(), InProcessJournal()

    def rules(seen: list[list[Any]], observation: Observation) -> Decision:
        if observation.kind == "started":
            return Decision([tool("a")], waits=[{"type": "timer", "after_s": 30}])
        if observation.action_id == "a":
            return Decision([tool("slow")])
        return Decision(end=End(observation.kind))

    async def live(tools: Tools, run_id: str | None) -> Any:
        async with Kernel(journal=journal, clock=clock) as kernel:
            agent = make_agent([], tools.toolset, planner=Rules(rules))
            kernel.add(agent)
            handle = await (kernel.start("agent/helper") if run_id is None else kernel.resume(run_id))
            await tools.inside["slow"].wait()
            if run_id is None:
                return handle.run_id
            await settle()
            if left:
                await clock.advance(left - 0.1)
                assert handle.status == "running"
                await clock.advance(0.1)
            return await handle.result()

    first = Tools("a", "slow")
    first.go["a"].set()
    run_id = await live(first, None)
    clock.jump(passed)
    assert await live(Tools("a", "slow"), run_id) == "timer"
