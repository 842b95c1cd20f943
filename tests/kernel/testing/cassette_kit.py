"""Providers and tools to be recorded, and the shortest way to record and replay a piece of work."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anyio.lowlevel

from agentflow_kernel.contracts.provider import Message, ModelReply, ModelRequest, Usage
from agentflow_kernel.contracts.tool import ToolContext
from agentflow_kernel.testing import Cassette, FunctionToolset, ScriptedProvider

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from agentflow_kernel.testing import CassetteRules

CONTEXT = ToolContext("run", "path", "key")


def ask(text: str = "q", **options: Any) -> ModelRequest:
    return ModelRequest([Message("user", text)], **options)


def reply(text: str) -> ModelReply:
    return ModelReply(Message("assistant", text), usage=Usage(3, 4, cost_usd=0.5), model="large-1")


class Streaming(ScriptedProvider):
    """Streams the words of its turn; a turn that is an exception is raised after the words ``so`` and ``far``."""

    async def stream(self, request: ModelRequest) -> AsyncIterator[str | ModelReply]:
        await anyio.lowlevel.checkpoint()
        try:
            answer = await self.complete(request)
        except Exception:
            yield "so "
            yield "far"
            raise
        for word in answer.message.text.split(" "):
            yield f"{word} "
        yield answer


def lookup(table: dict[str, Any]) -> FunctionToolset:
    """A toolset with the tool ``get``, which gives what the table has for ``name``, or raises it."""

    async def get(arguments: Any) -> Any:
        found = table[arguments["name"]]
        if isinstance(found, BaseException):
            raise found
        return found

    toolset = FunctionToolset()
    parameters = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    toolset.add("get", get, description="Look a name up.", parameters=parameters)
    return toolset


async def use(cassette: Cassette, turns: list[Any], questions: list[str]) -> list[ModelReply]:
    """The replies to the questions; the turns are needed to record only."""
    provider = cassette.provider(ScriptedProvider(turns))
    return [await provider.complete(ask(question)) for question in questions]


async def record(path: Path, work: Callable[[Cassette], Awaitable[Any]], rules: CassetteRules | None = None) -> Any:
    async with Cassette.record(path, rules) as cassette:
        return await work(cassette)


async def replay(path: Path, work: Callable[[Cassette], Awaitable[Any]], rules: CassetteRules | None = None) -> Any:
    async with Cassette.replay(path, rules) as cassette:
        return await work(cassette)


def written(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def rewrite(path: Path, old: str, new: str) -> None:
    """Change a file by hand."""
    text = written(path)
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def contents(path: Path) -> dict[str, Any]:
    return json.loads(written(path))
