"""An agent that is resumed goes on with its conversation: no completed call is made again, no effect is guessed."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from engine_kit import DurableJournal, check_history, completed
from planner_kit import Loop, make_agent

from agentflow_kernel import Agent, Flow, Kernel
from agentflow_kernel.contracts.provider import Message, ModelReply, ModelRequest
from agentflow_kernel.errors import (
    CredentialRefused,
    PeerUnavailable,
    PromptTooLong,
    RunError,
    RunSuspended,
    UnknownModel,
)
from agentflow_kernel.testing import FunctionToolset, InProcessJournal

pytestmark = pytest.mark.anyio


class Counted:
    """A toolset of one tool that counts its calls by key."""

    def __init__(self, effect: Any = "idempotent", *, hangs: bool = False) -> None:
        self.toolset = FunctionToolset()
        self.inside = anyio.Event()
        self.hangs = hangs
        self.toolset.add("do", self._do, effect=effect)

    async def _do(self, arguments: Any) -> str:
        self.inside.set()
        if self.hangs:
            await anyio.sleep_forever()
        return "done"

    @property
    def keys(self) -> list[str]:
        return [context.key for _, _, context in self.toolset.calls]


TURNS: list[Any] = [[("kit.do", {"n": 1})], "the end"]


@pytest.mark.parametrize(
    "fault",
    [
        PeerUnavailable("down"),
        CredentialRefused("The key of model 'm' went down."),
        PromptTooLong("m", "down by 5 tokens"),
        UnknownModel("model", "down", ["up"]),
    ],
    ids=lambda fault: type(fault).__name__,
)
async def test_a_tool_that_is_done_is_not_repeated_when_the_next_model_call_fails(fault: Exception) -> None:
    """The surroundings were not right, the run suspended; resumed, it asks the model again and nothing else."""
    journal, counted = DurableJournal(), Counted("effect")
    agent = make_agent([TURNS[0], fault, "the end"], counted.toolset)
    async with Kernel(journal=journal) as kernel:
        handle = await kernel.start(agent, "q")
        with pytest.raises(RunSuspended, match="down"):
            await handle.result()
    again = make_agent(TURNS, counted.toolset)
    async with Kernel(journal=journal) as kernel:
        kernel.add(again)
        assert await (await kernel.resume(handle.run_id)).result() == "the end"
        records = await kernel.history(handle.run_id)
    assert len(counted.keys) == 1
    assert len(again.provider.requests) == 1
    assert [message.role for message in again.provider.requests[0].messages] == ["user", "assistant", "tool"]
    assert completed(records) == ["helper/model1", "helper/tool1-0", "helper/model2", "helper"]
    check_history(records)


class Narrow:
    """A provider whose context window holds so many characters of a prompt."""

    def __init__(self, window: int) -> None:
        self.window = window
        self.asked: list[str] = []

    async def complete(self, request: ModelRequest) -> ModelReply:
        text = request.messages[-1].text
        self.asked.append(text)
        if len(text) > self.window:
            raise PromptTooLong("narrow", f"{len(text)} characters")
        return ModelReply(Message("assistant", text.upper()))

    async def aclose(self) -> None:
        pass


def assess_each(model: Narrow, choice: str) -> Flow:
    return Flow("f").step(Agent("helper", model, Loop()), each=["a", "too long", "b"], on_item_error=choice)


@pytest.mark.keeps_memory("counts the calls of one life")
async def test_a_prompt_too_long_in_a_collecting_batch_loses_nothing() -> None:
    """The other items are done and kept, the run is suspended; with a wider model only what is missing is asked."""
    journal, narrow, wide = DurableJournal(), Narrow(3), Narrow(30)
    async with Kernel(journal=journal) as kernel:
        handle = await kernel.start(assess_each(narrow, "collect"), None)
        with pytest.raises(RunSuspended, match=r"context window of model 'narrow': 8 characters"):
            await handle.result()
        assert completed(await kernel.history(handle.run_id))[-1] == "helper[2]"
    async with Kernel(journal=journal) as kernel:
        kernel.add(assess_each(wide, "collect"))
        assert await (await kernel.resume(handle.run_id)).result() == ["A", "TOO LONG", "B"]
    assert narrow.asked == ["a", "too long", "b"]
    assert wide.asked == ["too long"]


async def test_a_prompt_too_long_is_left_out_where_the_flow_says_so() -> None:
    async with Kernel(journal=DurableJournal()) as kernel:
        assert await (await kernel.start(assess_each(Narrow(3), "skip"), None)).result() == ["A", "B"]


async def test_a_prompt_too_long_is_collected_where_nothing_is_kept() -> None:
    """Without a journal no run could go on."""
    results = await assess_each(Narrow(3), "collect").run(None)
    assert (results[0], results[2]) == ("A", "B")
    assert "context window of model 'narrow': 8 characters" in results[1]["error"]["message"]


async def test_started_is_observed_once_a_run_and_never_on_resume() -> None:
    """A resumed planner is loaded with what it had dumped."""
    kinds: list[str] = []

    class Watched(Loop):
        def step(self, state: Any, observation: Any) -> Any:
            kinds.append(observation.kind)
            return super().step(state, observation)

    survivor = InProcessJournal()
    for dies_at in (4, 0):
        journal = DurableJournal(survivor, dies_at=dies_at)
        agent = make_agent(TURNS, Counted().toolset, planner=Watched())
        async with Kernel(journal=journal) as kernel:
            handle = await kernel.start(agent, "q", key="k")
            try:
                await handle.result()
            except RunError:
                assert journal.dead
    assert kinds.count("started") == 1


async def test_an_effect_that_was_begun_and_not_completed_parks_the_run() -> None:
    """Nobody knows whether it took place; it is not repeated."""
    journal, counted = DurableJournal(), Counted("effect", hangs=True)
    async with Kernel(journal=journal) as kernel:
        handle = await kernel.start(make_agent(TURNS, counted.toolset), "q")
        await counted.inside.wait()
    async with Kernel(journal=journal) as kernel:
        kernel.add(make_agent(TURNS, counted.toolset))
        resumed = await kernel.resume(handle.run_id)
        with pytest.raises(RunSuspended, match=r"is stuck: at 'helper/tool1-0': tool 'kit\.do' was begun before"):
            await resumed.result()
        (head,) = await kernel.runs(status="stuck")
    assert (head.cause, len(counted.keys)) == ("AF-NON-DETERMINISM", 1)


@pytest.mark.parametrize("effect", ["pure", "idempotent"])
async def test_what_may_be_repeated_is_repeated_with_the_same_key(effect: str) -> None:
    """At least once, with one key."""
    journal, first = DurableJournal(), Counted(effect, hangs=True)
    async with Kernel(journal=journal) as kernel:
        handle = await kernel.start(make_agent(TURNS, first.toolset), "q")
        await first.inside.wait()
    second = Counted(effect)
    async with Kernel(journal=journal) as kernel:
        kernel.add(make_agent(TURNS, second.toolset))
        assert await (await kernel.resume(handle.run_id)).result() == "the end"
    assert first.keys == second.keys
    assert len(first.keys) == 1


@pytest.mark.keeps_memory("counts appends")
async def test_each_turn_is_one_append() -> None:
    """A completion and the decision that follows from it are durable together; the last one goes with the step."""
    journal = DurableJournal()
    async with Kernel(journal=journal) as kernel:
        await kernel.run(make_agent(TURNS, Counted("pure").toolset), "q")
    assert journal.appended == [
        ("run.started",),
        ("step.completed", "decision"),
        ("step.completed", "decision"),
        ("step.completed", "step.completed"),
        ("run.ended",),
    ]


@pytest.mark.keeps_memory("counts appends")
async def test_an_effect_costs_one_append_more() -> None:
    """Its intent, before it begins."""
    journal = DurableJournal()
    async with Kernel(journal=journal) as kernel:
        await kernel.run(make_agent(TURNS, Counted("effect").toolset), "q")
    assert journal.appended[2:4] == [("step.intent",), ("step.completed", "decision")]
    assert len(journal.appended) == 6


async def test_a_conversation_above_the_limit_is_stored_by_reference() -> None:
    """The state of the planner as well as the answers."""
    from agentflow_kernel.contracts.journal import INLINE_LIMIT_BYTES

    large = "x" * (INLINE_LIMIT_BYTES + 1)
    survivor = InProcessJournal()
    for dies_at in (6, 0):
        journal = DurableJournal(survivor, dies_at=dies_at)
        async with Kernel(journal=journal) as kernel:
            handle = await kernel.start(make_agent(TURNS, Counted("pure").toolset), large, key="k")
            try:
                assert await handle.result() == "the end"
            except RunError:
                assert journal.dead
    records = await survivor.read(handle.run_id)
    assert {record.type for record in records if record.ref} == {"run.started", "decision"}
    assert all(len(str(record.payload)) < 2000 for record in records)
