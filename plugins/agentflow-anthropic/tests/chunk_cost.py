"""What one streamed chunk costs, from the socket to the text: run as a script it prints CPU µs a chunk.

The floor is httpx2 with its lines and json; the other figures are httpx2's bytes alone and its own EventSource.
Runs take turns and the best of each counts, since machines are shared.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import anyio
import httpx2

from agentflow_anthropic.provider import create_provider
from agentflow_anthropic.settings import AnthropicSettings
from agentflow_anthropic.testing import events
from agentflow_http.testing import Answer, ScriptedServer
from agentflow_kernel.contracts.clock import SystemClock
from agentflow_kernel.contracts.plugin import PluginContext
from agentflow_kernel.contracts.provider import Message, ModelRequest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

CHUNKS = 20_000
ROUNDS = 8


async def serve() -> None:
    """The other process: answers until it is ended."""
    lines = events([{"type": "text", "text": "12345678" * CHUNKS}])
    async with ScriptedServer([Answer.stream(*lines)] * 1_000) as server:
        print(server.url, flush=True)
        await anyio.sleep_forever()


async def measure(url: str) -> dict[str, float]:
    """CPU µs a chunk of each way to read the same answer."""
    best: dict[str, float] = {}
    context = PluginContext("claude", clock=SystemClock(), random=random.Random(0))
    provider = create_provider(AnthropicSettings(base_url=url, api_key="made-up"), context)
    async with httpx2.AsyncClient() as client:

        async def raw() -> int:
            async with client.stream("POST", url, json={}) as response:
                return len([chunk async for chunk in response.aiter_raw()])

        async def lines_and_json() -> int:
            async with client.stream("POST", url, json={}) as response:
                found = [json.loads(line[6:]) async for line in response.aiter_lines() if line.startswith("data: ")]
                return len([event["delta"]["text"] for event in found if event["type"] == "content_block_delta"])

        async def event_source() -> int:
            async with client.stream("POST", url, json={}) as response:
                found = [json.loads(event.data) async for event in httpx2.EventSource(response)]
                return len([event["delta"]["text"] for event in found if event["type"] == "content_block_delta"])

        async def ours() -> int:
            return len([piece async for piece in provider.stream(ModelRequest([Message("user", "hi")]))])

        ways: list[Callable[[], Awaitable[int]]] = [raw, lines_and_json, event_source, ours]
        for _ in range(ROUNDS):
            for way in ways:
                began = time.process_time()
                assert await way() >= CHUNKS
                spent = (time.process_time() - began) / CHUNKS * 1e6
                best[way.__name__] = min(spent, best.get(way.__name__, spent))
    await provider.aclose()
    return best


def main() -> None:
    """Measure on both event loops."""
    with subprocess.Popen([sys.executable, __file__, "serve"], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        try:
            for backend in ("asyncio", "trio"):
                best = anyio.run(measure, url, backend=backend)
                figures = ", ".join(f"{name} {value:.2f}" for name, value in best.items())
                print(f"{backend}: {figures}; ours / lines_and_json = {best['ours'] / best['lines_and_json']:.2f}")
        finally:
            server.terminate()


if __name__ == "__main__":
    os.environ.pop("ANTHROPIC_API_KEY", None)
    if sys.argv[1:] == ["serve"]:
        anyio.run(serve)
    else:
        main()
