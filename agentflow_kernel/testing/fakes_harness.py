"""The harnesses of the scripted fakes: they keep the contracts of what they stand for."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, ClassVar

import anyio

from agentflow_kernel.errors import AskModelAgain, ToolFailed
from agentflow_kernel.testing.tools import FunctionToolset

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from agentflow_kernel.contracts.values import JSON

    Arguments = Mapping[str, JSON]


class FunctionToolsetHarness:
    """Opens toolsets of three functions."""

    kind: ClassVar[str] = "tool"
    declared: ClassVar[Mapping[str, bool]] = {"fails": True, "slow": True, "counts": False}
    known_deviations: ClassVar[Mapping[str, str]] = {}
    examples: ClassVar[Mapping[str, Arguments]] = {
        "echo": {"text": "é 🐎"},
        "wait": {"seconds": 0},
        "fail": {"how": ""},
    }
    failing: ClassVar[Sequence[tuple[str, Arguments, type[Exception]]]] = [
        ("fail", {"how": "again"}, AskModelAgain),
        ("fail", {"how": "good"}, ToolFailed),
    ]
    slow: ClassVar[tuple[str, Arguments]] = ("wait", {"seconds": 60})
    made_of: ClassVar[type[FunctionToolset]] = FunctionToolset
    """What is opened, so that variants of it can be tested."""

    @asynccontextmanager
    async def open(self) -> AsyncIterator[FunctionToolset]:
        """A fresh toolset."""
        toolset = self.made_of()
        toolset.add("echo", _echo, parameters=_takes("text", "string"))
        toolset.add("wait", _wait, parameters=_takes("seconds", "number"))
        toolset.add("fail", _fail, parameters=_takes("how", "string"))
        yield toolset
        await toolset.aclose()


def _takes(name: str, kind: str) -> dict[str, JSON]:
    return {"type": "object", "properties": {name: {"type": kind}}, "required": [name]}


async def _echo(arguments: Arguments) -> JSON:
    text = str(arguments["text"])
    return {"text": text.encode("utf-8", "replace").decode(), "length": len(text)}


async def _wait(arguments: Arguments) -> JSON:
    seconds = arguments["seconds"]
    await anyio.sleep(float(seconds) if isinstance(seconds, int | float) else 0)
    return None


async def _fail(arguments: Arguments) -> JSON:
    how = arguments["how"]
    if how == "again":
        raise AskModelAgain("Say it in another way.")
    if how == "good":
        raise ToolFailed("It cannot be done.")
    return "ok"
