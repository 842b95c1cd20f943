"""How a call is stopped, both ways to the service."""

from __future__ import annotations

from contextlib import aclosing

import anyio
import pytest

from agentflow_anthropic.testing import events
from agentflow_http.testing import Answer, ScriptedServer, Wait
from agentflow_kernel.errors import PeerUnavailable

pytestmark = pytest.mark.anyio

LINES = events([{"type": "text", "text": "Rayleigh scattering."}])


def held() -> Answer:
    """An answer that stops after its first text."""
    return Answer.stream(*LINES[:4], Wait(anyio.Event()))


async def test_closing_a_stream_closes_the_connection(make_provider, ask, transport) -> None:
    async with ScriptedServer([held()]) as server:
        provider = make_provider(server.url, transport=transport)
        async with aclosing(provider.stream(ask)) as pieces:
            assert await anext(pieces) == "Rayleigh"
        with anyio.fail_after(30):
            await server.gone.wait()
        await provider.aclose()


async def test_cancelling_closes_the_connection(make_provider, ask, transport) -> None:
    async with ScriptedServer([held()]) as server:
        provider = make_provider(server.url, transport=transport)
        async with anyio.create_task_group() as group:
            group.start_soon(provider.complete, ask)
            await server.began.wait()
            group.cancel_scope.cancel()
        with anyio.fail_after(30):
            await server.gone.wait()
        await provider.aclose()


async def test_closing_the_provider_ends_a_call_under_way(make_provider, ask, transport) -> None:
    async with ScriptedServer([held()]) as server:
        provider = make_provider(server.url, transport=transport)
        pieces = provider.stream(ask)
        assert await anext(pieces) == "Rayleigh"
        await provider.aclose()
        await provider.aclose()
        with anyio.fail_after(30), pytest.raises(PeerUnavailable, match="'claude' was closed"):
            await anext(pieces)
        with anyio.fail_after(30):
            await server.gone.wait()


async def test_calls_at_the_same_time_do_not_mix(make_provider, ask, transport) -> None:
    """Twenty at once, each with an answer of its own."""
    script = [Answer.stream(*events([{"type": "text", "text": f"answer {number}"}])) for number in range(20)]
    texts = []
    async with ScriptedServer(script) as server:
        provider = make_provider(server.url, transport=transport)

        async def call() -> None:
            reply = await provider.complete(ask)
            texts.append(reply.message.text)

        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(call)
        await provider.aclose()
    assert sorted(texts) == sorted(f"answer {number}" for number in range(20))
