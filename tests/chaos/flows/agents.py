"""Agents: a scripted model and its tools, which are pure, idempotent or effects; also one tool as a node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio.lowlevel

from agentflow_kernel import Agent, Flow
from agentflow_kernel.agent import ToolStep
from agentflow_kernel.contracts.provider import Message, ModelReply, ToolCall, Usage
from agentflow_kernel.errors import PeerUnavailable
from agentflow_kernel.testing import FunctionToolset
from agentflow_planner_llm.tool_loop import ToolLoop
from flows.case import Case, paths

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow_kernel.contracts.policy import Call, Request
    from agentflow_kernel.contracts.provider import ModelRequest
    from flows.case import World

    Turn = str | list[tuple[str, dict[str, Any]]]


class Script:
    """A model that answers by how far the conversation is, so that the next process goes on where this one died."""

    def __init__(self, turns: Sequence[Turn], world: World, *, down: int = 0) -> None:
        self.turns = turns
        self.world = world
        self.down = down
        """How often it is not there before it answers for the first time."""

    async def complete(self, request: ModelRequest) -> ModelReply:
        """The turn that follows."""
        await anyio.lowlevel.checkpoint()
        if self.world.answers.get("model", 0) < self.down:
            self.world.count("model")
            raise PeerUnavailable("The model is down.", executed="no")
        number = sum(message.role == "assistant" for message in request.messages)
        turn = self.turns[number]
        if isinstance(turn, str):
            return ModelReply(Message("assistant", turn), usage=Usage(1, 1))
        calls = [ToolCall(f"call-{number}-{place}", *call) for place, call in enumerate(turn)]
        return ModelReply(Message("assistant", calls=calls), stop_reason="tool_calls", usage=Usage(1, 1))

    async def aclose(self) -> None:
        """There is nothing to give back."""


class Told:
    """A policy that puts each call on the ledger."""

    def __init__(self, world: World) -> None:
        self.world = world

    def wrap(self, call: Call) -> Call:
        """The call, told first."""

        async def told(request: Request) -> object:
            self.world.called(request)
            await anyio.lowlevel.checkpoint()
            return await call(request)

        return told


def _toolset() -> FunctionToolset:
    toolset = FunctionToolset()

    async def answer(arguments: Any) -> Any:
        await anyio.lowlevel.checkpoint()
        return {"text": f"of {arguments['what']}"}

    toolset.add("read", answer)
    toolset.add("write", answer, effect="idempotent")
    toolset.add("send", answer, effect="effect")
    return toolset


def _agent(world: World, turns: Sequence[Turn], **options: Any) -> Agent:
    script = Script(turns, world, **options)
    return Agent("helper", script, ToolLoop(), tools={"kit": _toolset()}, policies=[Told(world)])


TEXT = {"$ref": "helper.result.text"}


def agent_tools(world: World) -> Flow:
    """Turns with tools that may be repeated, one of them with two side by side, between plain steps."""
    turns: list[Turn] = [
        [("kit.read", {"what": "a"})], [("kit.read", {"what": "b"}), ("kit.write", {"what": "c"})], "done",
    ]  # fmt: skip
    flow = Flow("agent_tools").step(world.noted(), name="before").step(_agent(world, turns))
    return flow.step(world.noted(), name="after", input=TEXT)


def agent_effect(world: World) -> Flow:
    """A tool that must not be called twice."""
    agent = _agent(world, [[("kit.send", {"what": "mail"})], "sent"])
    return Flow("agent_effect").step(agent).step(world.noted(), name="after", input=TEXT)


def agent_down(world: World) -> Flow:
    """A model that is down suspends the run, which goes on when it is taken up again."""
    agent = _agent(world, [[("kit.read", {"what": "a"})], "done"], down=1)
    return Flow("agent_down").step(agent).step(world.noted(), name="after", input=TEXT)


def agent_batch(world: World) -> Flow:
    """A batch of agents."""
    agent = _agent(world, [[("kit.read", {"what": "a"})], "seen"])
    flow = Flow("agent_batch").step(agent, each={"$ref": "input"}, concurrency=2)
    return flow.step(world.noted(lambda found: [each["text"] for each in found]), name="after")


def agent_alone(world: World) -> Agent:
    """An agent that is run by its own name."""
    return _agent(world, [[("kit.write", {"what": "a"})], "done"])


def tool_node(world: World) -> Flow:
    """Tools as nodes: one may be repeated, one is an effect."""
    toolset = _toolset()
    flow = Flow("tool_node", policies=[Told(world)])
    flow.step(ToolStep("kit.write", toolset, "write"), name="write", input={"what": {"$ref": "input"}})
    return flow.step(ToolStep("kit.send", toolset, "send"), name="send", input={"what": {"$ref": "write.result.text"}})


ALONE = {
    "text": "done", "output": None, "stop_reason": "end", "iterations": 2, "model_calls": 2, "tool_calls": 1,
    "usage": {"input_tokens": 2, "output_tokens": 2, "cached_tokens": 0, "cost_usd": None},
}  # fmt: skip
STUCK = [("stuck", "AF-NON-DETERMINISM")]
CASES = (
    Case(
        "agent_tools", agent_tools, "question", output="done",
        effects=paths(
            "before helper/model-1 helper/tool-1-0 helper/model-2 helper/tool-2-0 helper/tool-2-1 helper/model-3 after"
        ),
    ),
    Case(
        "agent_effect", agent_effect, "question", output="sent",
        effects=paths("helper/model-1 helper/tool-1-0 helper/model-2 after"), otherwise=STUCK,
    ),
    Case(
        "agent_down", agent_down, "question", output="done", resumes=1,
        effects=paths("helper/model-1 helper/tool-1-0 helper/model-2 after"),
        retried=paths("helper/model-1 helper/model-2"),
    ),
    Case(
        "agent_batch", agent_batch, ["x", "y"], output=["seen", "seen"],
        effects=paths(
            "helper[0]/model-1 helper[0]/tool-1-0 helper[0]/model-2",
            "helper[1]/model-1 helper[1]/tool-1-0 helper[1]/model-2 after",
        ),
    ),
    Case(
        "agent_alone", agent_alone, "question", output=ALONE,
        effects=paths("helper/model-1 helper/tool-1-0 helper/model-2"),
    ),
    Case("tool_node", tool_node, "x", output={"text": "of of x"}, effects=paths("write send"), otherwise=STUCK),
)  # fmt: skip
