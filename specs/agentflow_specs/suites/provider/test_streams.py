"""Streams: the text as it is written, its end, readers that go away, and many at once."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

import anyio
import pytest
from anyio.lowlevel import checkpoint

from agentflow_kernel.contracts.provider import Message, ModelReply, ToolCall, Usage
from agentflow_kernel.errors import AgentFlowError, PeerUnavailable
from agentflow_specs.leaks import count_tasks, wait_for_tasks
from agentflow_specs.requirement import requirement
from agentflow_specs.suites.provider.abilities import PATIENCE_S, TOOLS, ask, failing, pieces_of, read, scripted, slow

if TYPE_CHECKING:
    from agentflow_kernel.contracts.provider import Provider
    from agentflow_kernel.testing import Harness

pytestmark = pytest.mark.anyio

LONG = "".join(f"word {number}, é 🐎; " for number in range(200))
READERS = 50


@requirement(
    "PROVIDER-30",
    "MUST",
    needs="stream",
    reason="People read along, and the run goes on with the reply at the end: both must be the same answer.",
    advice="Yield each text as it comes, then the reply whose text is all of them.",
)
async def test_a_stream_is_pieces_and_one_reply(provider: Provider) -> None:
    """Yields pieces of text in order, none of them empty, then the reply that `complete` gives, and ends."""
    for text in ("short", LONG):
        *pieces, reply = await read(provider, ask(text))
        assert all(type(piece) is str and piece for piece in pieces)
        assert isinstance(reply, ModelReply)
        assert "".join(map(str, pieces)) == reply.message.text == text
        assert reply == await provider.complete(ask(text))


@requirement(
    "PROVIDER-31",
    "MUST",
    needs="stream",
    reason="An agent that streams calls tools too.",
    advice="Collect calls beside the text; they come with the reply.",
)
async def test_a_stream_with_calls_ends_with_them(provider: Provider, harness: Harness) -> None:
    """Yields the text of a turn with calls of tools, and the calls in the reply alone."""
    call = ToolCall("call-1", "files.read", {"path": "é"})
    for text in ("Let me look.", ""):
        told = ModelReply(Message("assistant", text, calls=[call]), stop_reason="tool_calls", usage=Usage(3, 2))
        scripted(harness).answer_next(provider, told)
        *pieces, reply = await read(provider, ask(tools=TOOLS))
        assert "".join(map(str, pieces)) == text
        assert isinstance(reply, ModelReply)
        assert list(reply.message.calls) == [call]


@requirement(
    "PROVIDER-32",
    "MUST",
    needs="stream",
    reason="A person who has seen enough goes away; the connection must not be read to its end for nobody.",
    advice="Give back the connection in a finally of the generator.",
)
async def test_a_reader_may_go_away(provider: Provider, anyio_backend: str) -> None:
    """Bears that a stream is closed after its first piece, or before: it goes on with others and leaves no task."""
    await provider.complete(ask())
    before = count_tasks(anyio_backend)
    for _ in range(8):
        async with aclosing(pieces_of(provider, ask(LONG))) as pieces:
            first = await anext(pieces)
            assert isinstance(first, str)
            assert LONG.startswith(first)
        await pieces_of(provider, ask("never begun")).aclose()
    await wait_for_tasks(anyio_backend, before + 2)  # a far side in this process has one for each connection
    assert (await provider.complete(ask("next"))).message.text == "next"


@requirement(
    "PROVIDER-33",
    "MUST",
    needs="stream",
    reason="Many people read along at the same time.",
    advice="One decoder for each stream.",
)
async def test_many_streams_do_not_mix(provider: Provider) -> None:
    """Gives each of 50 streams that are read by turns the pieces of its own answer."""
    await read(provider, ask())
    texts: dict[int, str] = {}

    async def work(number: int) -> None:
        found = []
        async with aclosing(pieces_of(provider, ask(f"{number}: {LONG[:400]}"))) as pieces:
            async for piece in pieces:
                found.append(piece)
                await checkpoint()
        texts[number] = "".join(piece for piece in found if isinstance(piece, str))

    with anyio.fail_after(PATIENCE_S * 2):
        async with anyio.create_task_group() as group:
            for number in range(READERS):
                group.start_soon(work, number)
    assert texts == {number: f"{number}: {LONG[:400]}" for number in range(READERS)}


@requirement(
    "PROVIDER-34",
    "MUST",
    needs="stream",
    reason="Half an answer that ends without an error is taken for a whole one.",
    advice="Raise once the connection is gone before the end that the protocol asks for.",
)
async def test_a_broken_stream_raises(provider: Provider, harness: Harness) -> None:
    """Raises in a stream what `complete` raises where the far side breaks off or is broken, and gives no reply."""
    await read(provider, ask())
    for fault in ("cut", "outage"):
        raised: list[AgentFlowError] = []
        failing(harness).fail_next(provider, fault)
        with pytest.raises(AgentFlowError) as refused:
            await provider.complete(ask(LONG))
        raised.append(refused.value)
        failing(harness).fail_next(provider, fault)
        found: list[object] = []
        with pytest.raises(AgentFlowError) as refused:
            async with aclosing(pieces_of(provider, ask(LONG))) as pieces:
                found += [piece async for piece in pieces]
        raised.append(refused.value)
        assert not any(isinstance(piece, ModelReply) for piece in found)
        assert len({(type(error), error.executed, error.retry_after_s) for error in raised}) == 1


@requirement(
    "PROVIDER-35",
    "MUST",
    needs="stream",
    reason="A stream that is read while its provider is closed must not wait for ever.",
    advice="End streams under way with PeerUnavailable, those that are closed by their readers in silence.",
)
async def test_streams_end_with_their_provider(provider: Provider, harness: Harness) -> None:
    """Ends a stream that is held back with `PeerUnavailable` when the provider is closed, and refuses new ones."""
    await read(provider, ask())
    raised: list[PeerUnavailable] = []

    async def work() -> None:
        try:
            await read(provider, ask())
        except PeerUnavailable as error:
            raised.append(error)

    held = harness.declared["slow"]
    with anyio.fail_after(PATIENCE_S):
        if held:
            slow(harness).hold_next(provider)
            async with anyio.create_task_group() as group:
                group.start_soon(work)
                await anyio.sleep(0.5)
                await provider.aclose()
        else:
            await provider.aclose()
        await work()
    assert len(raised) == 1 + held
    assert raised[-1].executed == "no"
