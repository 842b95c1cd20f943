"""Streams: what one chunk of a model's answer costs, from the socket to the text.

The floor is httpx2 with its lines and json. Runs take turns and the best of each counts, since machines are shared.
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
from table import Row

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
SERVE = "import sys; sys.path.insert(0, {folder!r}); import anyio, stream; anyio.run(stream.serve)"


def rows(*, rounds: int) -> list[Row]:
    """One row: our provider beside httpx2 with json."""
    code = SERVE.format(folder=os.path.dirname(os.path.abspath(__file__)))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as server:
        try:
            url = server.stdout.readline().strip() if server.stdout is not None else ""
            best = anyio.run(measure, url, rounds)
        finally:
            server.terminate()
    value, floor = best["ours"], best["lines_and_json"]
    reached = value <= max(floor, 11.0)
    note = f"httpx2 and json {floor:.1f} µs"
    return [Row("streamed chunk, socket to text", value, "µs", note, value / floor, "≤ 11 µs or ≤ 1 x", reached)]


async def serve() -> None:
    """The other process: answers until it is ended."""
    *head, chunk, end, usage, stop = events([{"type": "text", "text": "12345678"}])
    lines = [*head, *[chunk] * CHUNKS, end, usage, stop]
    async with ScriptedServer([Answer.stream(*lines)] * 1_000) as server:
        print(server.url, flush=True)
        await anyio.sleep_forever()


async def measure(url: str, rounds: int) -> dict[str, float]:
    """CPU µs a chunk of each way to read the same answer."""
    best: dict[str, float] = {}
    context = PluginContext("claude", clock=SystemClock(), random=random.Random(0))
    provider = create_provider(AnthropicSettings(base_url=url, api_key="made-up"), context)
    async with httpx2.AsyncClient() as client:

        async def lines_and_json() -> int:
            async with client.stream("POST", url, json={}) as response:
                found = [json.loads(line[6:]) async for line in response.aiter_lines() if line.startswith("data: ")]
                return len([event["delta"]["text"] for event in found if event["type"] == "content_block_delta"])

        async def ours() -> int:
            return len([piece async for piece in provider.stream(ModelRequest([Message("user", "hi")]))])

        ways: list[Callable[[], Awaitable[int]]] = [lines_and_json, ours]
        for _ in range(rounds):
            for way in ways:
                began = time.process_time()
                assert await way() >= CHUNKS
                spent = (time.process_time() - began) / CHUNKS * 1e6
                best[way.__name__] = min(spent, best.get(way.__name__, spent))
    await provider.aclose()
    return best
