"""The harnesses of the scripted fakes: they keep the contracts of what they stand for."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final, cast

import anyio

from agentflow_kernel.contracts.tool import ToolOutcome
from agentflow_kernel.errors import (
    AskModelAgain,
    Elapsed,
    PeerUnavailable,
    PromptTooLong,
    ProtocolViolation,
    RateLimited,
    Refused,
    ToolFailed,
    UnknownModel,
    Unsupported,
)
from agentflow_kernel.testing.provider import ScriptedProvider
from agentflow_kernel.testing.provider_harness import RETRY_AFTER_S
from agentflow_kernel.testing.tools import FunctionToolset

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence

    from agentflow_kernel.contracts.provider import ModelReply, Provider
    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.testing.provider_harness import ProviderFault

    Arguments = Mapping[str, JSON]


class FunctionToolsetHarness:
    """Opens toolsets of four functions."""

    kind: ClassVar[str] = "tool"
    declared: ClassVar[Mapping[str, bool]] = {"fails": True, "slow": True, "counts": False, "checks": True}
    known_deviations: ClassVar[Mapping[str, str]] = {}
    examples: ClassVar[Mapping[str, Arguments]] = {
        "echo": {"text": "é 🐎"},
        "wait": {"seconds": 0},
        "fail": {"how": ""},
        "send": {"text": "é 🐎"},
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
        check = partial(_has_sent, toolset)
        toolset.add("send", _echo, parameters=_takes("text", "string"), effect="effect", check=check)
        yield toolset
        await toolset.aclose()


def _takes(name: str, kind: str) -> dict[str, JSON]:
    return {"type": "object", "properties": {name: {"type": kind}}, "required": [name]}


async def _echo(arguments: Arguments) -> JSON:
    text = str(arguments["text"])
    return {"text": text.encode("utf-8", "replace").decode(), "length": len(text)}


async def _has_sent(toolset: FunctionToolset, key: str) -> ToolOutcome:
    for name, arguments, context in toolset.calls:
        if (name, context.key) == ("send", key):
            return ToolOutcome("yes", await _echo(arguments))
    return ToolOutcome("no")


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


class ScriptedModelHarness:
    """Opens scripted providers that repeat what they are told, unless something else is next."""

    kind: ClassVar[str] = "provider"
    declared: ClassVar[Mapping[str, bool]] = {
        "scripted": True,
        "stream": False,
        "tools": True,
        "structured": True,
        "service": True,
        "credentials": False,
        "models": True,
        "refuses": True,
        "slow": False,
    }
    known_deviations: ClassVar[Mapping[str, str]] = {}
    made_of: ClassVar[type[ScriptedProvider]] = ScriptedProvider
    """What is opened, so that variants of it can be tested."""

    def __init__(self) -> None:
        self.next: list[ModelReply | Exception] = []
        """What the latest subject answers before it repeats again."""

    @asynccontextmanager
    async def open(self) -> AsyncIterator[ScriptedProvider]:
        """A fresh provider."""
        told = self.next = []

        def turns() -> Iterator[ModelReply | Exception | str]:
            while True:
                last = provider.requests[-1].messages[-1:]
                yield told.pop(0) if told else "".join(message.text for message in last)

        provider = self.made_of(turns())
        yield provider
        await provider.aclose()

    def answer_next(self, provider: Provider, reply: ModelReply) -> None:
        """The next turn of the script."""
        self.next.append(reply)

    def fail_next(self, provider: Provider, fault: ProviderFault) -> None:
        """The next turn of the script raises."""
        if fault not in _FAULTS:
            raise Unsupported(f"The fault {fault!r}", "a script has no key.")
        self.next.append(_FAULTS[fault]())

    def count_requests(self, provider: Provider) -> int:
        """As the fake remembers them."""
        return len(cast("ScriptedProvider", provider).requests)


_FAULTS: Final[Mapping[ProviderFault, Callable[[], Exception]]] = {
    "rate-limit": lambda: RateLimited("Not so fast.", retry_after_s=RETRY_AFTER_S),
    "outage": lambda: PeerUnavailable("It is broken.", executed="maybe"),
    "cut": lambda: PeerUnavailable("It broke off.", executed="maybe"),
    "silence": lambda: Elapsed("The script", 1.0),
    "garbage": lambda: ProtocolViolation("It is no answer.", executed="maybe"),
    "unknown-model": lambda: UnknownModel("model", "gone", ["here"]),
    "too-long": lambda: PromptTooLong("here", "9 tokens are more than 8"),
    "refusal": lambda: Refused("Not that."),
}
