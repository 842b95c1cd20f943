"""Calls that go wrong: what a policy may retry is retried, what may have happened is not guessed, nothing is lost."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from agentflow_kernel import Context, Flow
from agentflow_kernel.contracts.plugin import PluginContext
from agentflow_kernel.contracts.provider import Message, ModelReply, ModelRequest
from agentflow_kernel.contracts.tool import ToolContext
from agentflow_kernel.testing import FunctionToolset, ScriptedProvider, simulate
from agentflow_kernel.testing.faults import OF_CALLS
from agentflow_resilience.retry import Retry, RetrySettings

if TYPE_CHECKING:
    from agentflow_kernel.testing import World

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]

RETRIED = [name for name in OF_CALLS if name != "malformed"]
"""What a retry can help against."""


def patient(world: World) -> Flow:
    """Asks a peer, with enough attempts to outlast every fault."""
    context = PluginContext("retry", clock=world.clock, random=random.Random(1), emit=lambda name, fields: None)
    retry = Retry(RetrySettings(attempts=30), context)

    async def ask(value: int, context: Context) -> Any:
        async def answer() -> int:
            world.ledger.note(context)
            return value * 2

        return await world.call("peer", answer)

    return Flow("patient").step(ask, policies=[retry], effect="idempotent").step(lambda value: value + 1, name="last")


@pytest.mark.parametrize("fault", RETRIED)
def test_a_retry_policy_outlasts_a_faulty_peer(fault: str) -> None:
    struck = 0
    for seed in range(30):
        simulation = simulate(patient, 4, seed=seed, faults=[fault, "crash"])
        assert (simulation.status, simulation.result) == ("completed", 9), simulation.error
        simulation.check()
        struck += sum(strike.name == fault for strike in simulation.strikes)
    assert struck > 3


def test_without_a_policy_a_run_is_suspended_until_the_peer_is_back_and_fails_on_what_is_no_answer() -> None:
    def build(world: World) -> Flow:
        async def node(value: int) -> Any:
            async def answer() -> int:
                return value

            return await world.call("peer", answer)

        return Flow("f").step(node, effect="pure")

    ends = set()
    for seed in range(60):
        simulation = simulate(build, 1, seed=seed, faults=OF_CALLS)
        simulation.check()
        ends.add(simulation.error.split(":")[0] or simulation.status)
    assert ends == {"completed", "AF-PROTOCOL"}


class Streaming(ScriptedProvider):
    """Yields the letters of its answer before the reply."""

    async def stream(self, request: ModelRequest) -> Any:
        reply = await self.complete(request)
        for letter in reply.message.text:
            yield letter
        yield reply


def test_a_half_stream_ends_without_a_reply() -> None:
    """Its pieces are the beginning of the answer."""
    seen: list[tuple[str, bool]] = []

    def build(world: World) -> Flow:
        async def node(value: Any, context: Context) -> None:
            pieces = []
            try:
                stream = world.provider(Streaming(["answer"])).stream(ModelRequest([Message("user", "?")]))
                async for piece in stream:
                    pieces.append(piece)  # noqa: PERF401 -- those before an error count
            finally:  # a half stream raises, and the run goes on when the peer is back
                whole = bool(pieces) and isinstance(pieces[-1], ModelReply)
                seen.append(("".join(piece for piece in pieces if isinstance(piece, str)), whole))

        return Flow("f").step(node)

    statuses = {simulate(build, seed=seed, faults=["half-stream"]).status for seed in range(60)}
    assert statuses == {"completed"}
    assert all("answer".startswith(text) and (text == "answer" or not whole) for text, whole in seen)
    assert len({text for text, _ in seen}) > 2


def test_tools_and_models_go_wrong_where_the_seed_says_so() -> None:
    def build(world: World) -> Flow:
        tools = FunctionToolset()

        async def look(arguments: Any) -> int:
            return 1

        tools.add("look", look)
        kit, model = world.toolset(tools, "kit"), world.provider(ScriptedProvider(["yes"]))

        async def node(value: Any, context: Context) -> str:
            assert [tool.name for tool in kit.tools()] == ["look"]
            await kit.call("look", {}, ToolContext())
            return (await model.complete(ModelRequest([Message("user", "?")]))).message.text

        return Flow("f").step(node)

    places = {strike.place for seed in range(60) for strike in simulate(build, seed=seed, faults=["500"]).strikes}
    assert places == {"kit.look", "model"}
