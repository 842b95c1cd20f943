"""What a planner hears of an answer while it is written: in order, anew with each attempt, durable where it acts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
from engine_kit import DurableJournal, own

from agentflow_kernel import Agent, Kernel
from agentflow_kernel.contracts.planner import Action, Decision, End, Observation, Task
from agentflow_kernel.contracts.provider import Message, ModelReply
from agentflow_kernel.errors import PeerUnavailable, Unsupported
from agentflow_kernel.testing import FunctionToolset, InProcessJournal, ScriptedProvider

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

pytestmark = pytest.mark.anyio


class Hearing:
    """Asks for a stream, calls the tool with each line that is whole, and ends with all that it has observed.

    ``until`` is a line after which it has heard enough.
    """

    def __init__(self, until: str = "", *, gives_up: bool = False) -> None:
        self.until, self.gives_up = until, gives_up

    def begin(self, task: Task) -> dict[str, Any]:
        return {"seen": [], "text": "", "lines": [], "left": 0, "over": False}

    def step(self, state: dict[str, Any], observation: Observation) -> Decision:
        kind, value = observation.kind, observation.value
        if kind == "started":
            messages: Any = [{"role": "user", "text": "Go."}]
            return Decision([Action("ask", "model", arguments={"messages": messages, "stream": True})])
        state["seen"].append([kind, observation.action_id, value])
        if kind == "piece":
            return self._hear(state, value)
        state["left"] -= observation.action_id != "ask"
        state["over"] = state["over"] or observation.action_id == "ask"
        return Decision(end=End(state["seen"]) if state["over"] and not state["left"] else None)

    def _hear(self, state: dict[str, Any], value: Any) -> Decision:
        state["text"] = state["text"][: value["offset"]] + value["text"]
        whole = state["text"].split("\n")[:-1]
        if self.until in whole:
            return Decision(end=End(whole)) if self.gives_up else Decision(cancel=["ask"])
        fresh = [line for line in whole if line not in state["lines"]]
        state["lines"] += fresh
        state["left"] += len(fresh)
        return Decision([Action(line, "tool", "kit.do", {"line": line}) for line in fresh])

    def dump(self, state: dict[str, Any]) -> Any:
        return {**state, "seen": list(state["seen"]), "lines": list(state["lines"])}

    def load(self, task: Task, document: Any) -> dict[str, Any]:
        return dict(document)


class Writer:
    """Writes its pieces, one at a time; an event or an error among them is waited for or raised.

    Each attempt has pieces of its own, the last ones are written again and again.
    """

    def __init__(self, *attempts: Sequence[Any]) -> None:
        self.attempts = list(attempts)
        self.keys: list[str] = []
        self.open = 0

    async def complete(self, request: Any) -> ModelReply:
        raise AssertionError("it can stream")

    async def stream(self, request: Any) -> AsyncGenerator[str | ModelReply]:
        self.keys.append(request.key)
        self.open += 1
        said = ""
        try:
            for piece in self.attempts.pop(0) if len(self.attempts) > 1 else self.attempts[0]:
                if isinstance(piece, anyio.Event):
                    await piece.wait()
                elif isinstance(piece, Exception):
                    raise piece
                else:
                    said += piece
                    yield piece
                    await anyio.lowlevel.checkpoint()
            yield ModelReply(Message("assistant", said))
        finally:
            self.open -= 1


class Again:
    """A policy that asks once more."""

    def wrap(self, call: Any) -> Any:
        async def asked_again(request: Any) -> Any:
            try:
                return await call(request)
            except PeerUnavailable:
                return await call(request)

        return asked_again


def make(provider: Any, done: list[str], planner: Any = None, then: Any = None, **options: Any) -> Agent:
    """The agent; ``then`` is set once its tool was called."""

    async def do(arguments: Any) -> Any:
        done.append(arguments["line"])
        if then is not None:
            then.set()
        return arguments["line"].upper()

    kit = FunctionToolset()
    kit.add("do", do, effect="pure")
    return Agent("a", provider, planner or Hearing(), tools={"kit": kit}, **options)


@pytest.mark.keeps_memory("hears an answer once")
async def test_pieces_come_in_order_and_before_the_reply() -> None:
    """What a planner begins because of one runs while the answer is still written."""
    seen = anyio.Event()
    writer, done = Writer(["on", "e\ntw", seen, "o\n"]), list[str]()
    async with Kernel(journal=InProcessJournal()) as kernel:
        result: Any = await kernel.run(make(writer, done, then=seen))
    said = "".join(value["text"] for kind, _, value in result if kind == "piece")
    assert said == "one\ntwo\n"
    assert next(value["offset"] for kind, _, value in result if kind == "piece") == 0
    assert done == ["one", "two"]
    ended = [action for kind, action, _ in result if kind == "result"]
    assert ended.index("one") < ended.index("ask")


class Fronting:
    """Stands before a provider that cannot stream, and offers it all the same."""

    def __init__(self, real: Any) -> None:
        self.complete = real.complete

    async def stream(self, request: Any) -> AsyncGenerator[str | ModelReply]:
        raise Unsupported("Streaming", "the provider behind this one cannot.")
        yield


@pytest.mark.parametrize("fronted", [False, True])
async def test_a_provider_that_cannot_stream_gives_its_reply_alone(fronted: bool) -> None:
    done: list[str] = []
    provider: Any = ScriptedProvider(["one\n"])
    async with Kernel(journal=InProcessJournal()) as kernel:
        result: Any = await kernel.run(make(Fronting(provider) if fronted else provider, done))
    assert [kind for kind, _, _ in result] == ["result"]
    assert done == []


@pytest.mark.keeps_memory("counts attempts")
async def test_another_attempt_is_heard_from_its_beginning() -> None:
    """The offset 0 says so; the question keeps its key, and what was begun stays begun."""
    gone = PeerUnavailable("It broke off.", executed="maybe")
    writer, done = Writer(["one\n", gone], ["one\n", "two\n"]), list[str]()
    async with Kernel(journal=InProcessJournal()) as kernel:
        result: Any = await kernel.run(make(writer, done, policies=[Again()]))
    offsets = [value["offset"] for kind, _, value in result if kind == "piece"]
    assert offsets.count(0) == 2
    assert done == ["one", "two"]
    assert len(set(writer.keys)) == 1


async def test_what_a_piece_began_is_on_record_before_the_answer_ends() -> None:
    """A process that dies in the middle of an answer: what was done is not done again, the question is asked again."""
    never, seen, done = anyio.Event(), anyio.Event(), list[str]()
    journal = DurableJournal()
    async with Kernel(journal=journal) as first:
        first.add(make(Writer(["one\n", "tw", never]), done, then=seen))
        handle = await first.start("agent/a")
        await seen.wait()
        await anyio.wait_all_tasks_blocked()
    writer = Writer(["one\n", "two\n"])
    async with Kernel(journal=journal) as second:
        second.add(make(writer, done))
        result: Any = await (await second.resume(handle.run_id)).result()
    assert done == ["one", "two"]
    assert [action for kind, action, _ in result if kind == "result"][:1] == ["one"]
    assert len(set(writer.keys)) == 1


async def test_pieces_that_lead_to_nothing_are_not_put_on_record() -> None:
    """An answer of a thousand pieces has as many records as one that comes whole."""
    journal = InProcessJournal()
    async with Kernel(journal=journal) as kernel:
        handle = await kernel.start(make(Writer(["x"] * 1_000), []))
        await handle.result()
    types = [record.type for record in own(await journal.read(handle.run_id))]
    assert types == ["run.started", "step.completed", "step.completed", "run.ended"]


@pytest.mark.parametrize("gives_up", [False, True])
async def test_a_planner_that_has_heard_enough_closes_the_stream(gives_up: bool) -> None:
    """Cancelled, or left behind by the end of the planner; what is still said is not heard."""
    writer = Writer(["stop\n", "more\n", "more\n", anyio.Event()])
    async with Kernel(journal=InProcessJournal()) as kernel:
        result: Any = await kernel.run(make(writer, [], Hearing("stop", gives_up=gives_up)))
    assert writer.open == 0
    if gives_up:
        assert result[0] == "stop"
    else:
        assert result[-1] == ["cancelled", "ask", None]


async def test_a_stream_without_a_reply_is_an_error() -> None:
    class Mute(Writer):
        async def stream(self, request: Any) -> AsyncGenerator[str | ModelReply]:
            yield "one\n"

    async with Kernel(journal=InProcessJournal()) as kernel:
        result: Any = await kernel.run(make(Mute(), []))
    assert [value["code"] for kind, _, value in result if kind == "error"] == ["AF-PROTOCOL"]
