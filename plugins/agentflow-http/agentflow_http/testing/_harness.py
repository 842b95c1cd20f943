"""The harness of a provider over HTTP: a scripted server that speaks its protocol and repeats what it is told."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, ClassVar, Final

import anyio

from agentflow_http.testing._server import Answer, Cut, ScriptedServer, Wait
from agentflow_kernel.contracts.provider import Message, ModelReply, Usage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from agentflow_http.provider import HttpProvider
    from agentflow_http.testing._server import Received
    from agentflow_kernel.contracts.provider import Provider
    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.testing import ProviderFault

SECRET: Final = "sk-kit-0123456789abcdef"  # noqa: S105 -- of no service
_HALF = ModelReply(Message("assistant", "So much was said, and no more than that."), usage=Usage(3, 2))
_PIECES = 50


class HttpProviderHarness(ABC):
    """Derive from it what one vendor's protocol differs in; the rest of the conformance kit's harness is here."""

    kind: ClassVar[str] = "provider"
    declared: ClassVar[Mapping[str, bool]] = {
        "scripted": True,
        "stream": True,
        "tools": True,
        "structured": True,
        "service": True,
        "credentials": True,
        "models": True,
        "refuses": True,
        "slow": True,
    }
    known_deviations: ClassVar[Mapping[str, str]] = {}
    secret: ClassVar[str] = SECRET
    silence_s: ClassVar[float] = 4.0
    """How long its providers wait for the next byte; a hundred calls at once, on a busy machine, take less."""

    def __init__(self) -> None:
        self._servers: dict[int, tuple[ScriptedServer, list[Callable[[], Answer]]]] = {}

    @abstractmethod
    def make(self, url: str) -> HttpProvider:
        """A provider for this address, with :attr:`secret` as its key and silence of at most :attr:`silence_s`."""

    @abstractmethod
    def heard(self, body: Mapping[str, JSON]) -> str:
        """The text of the last message of a request."""

    @abstractmethod
    def say(self, reply: ModelReply) -> Answer:
        """The stream that means this turn."""

    @abstractmethod
    def fail(self, fault: ProviderFault) -> Answer:
        """The vendor's answer for ``rate-limit``, ``credential``, ``unknown-model``, ``too-long`` and ``refusal``.

        Raises :class:`Unsupported` for what the protocol has no word for. That to ``credential`` repeats the key.
        """

    @asynccontextmanager
    async def open(self) -> AsyncIterator[HttpProvider]:
        """A provider and a server of its own."""
        told: list[Callable[[], Answer]] = []

        def respond(received: Received) -> Answer:
            if told:
                return told.pop(0)()
            text = self.heard(received.json())
            return self.say(ModelReply(Message("assistant", text), usage=Usage(25, 15)))

        async with ScriptedServer(respond) as server:
            provider = self.make(server.url)
            self._servers[id(provider)] = server, told
            try:
                yield provider
            finally:
                await provider.aclose()
                del self._servers[id(provider)]

    def answer_next(self, provider: Provider, reply: ModelReply) -> None:
        """The next request is answered with this turn."""
        self._servers[id(provider)][1].append(lambda: self.say(reply))

    def fail_next(self, provider: Provider, fault: ProviderFault) -> None:
        """The next request meets this."""
        told = self._servers[id(provider)][1]
        if fault == "outage":
            told.append(lambda: Answer(503, b"<html>Bad gateway</html>", headers={"content-type": "text/html"}))
        elif fault == "garbage":
            told.append(lambda: Answer(200, b"<html>Hello</html>", headers={"content-type": "text/html"}))
        elif fault == "cut":
            told.append(lambda: self._begin(Cut()))
        elif fault == "silence":
            self.hold_next(provider)
        else:
            answer = self.fail(fault)
            told.append(lambda: answer)

    def count_requests(self, provider: Provider) -> int:
        """As the server has seen them."""
        return len(self._servers[id(provider)][0].requests)

    def hold_next(self, provider: Provider) -> None:
        """The next answer stops in its middle."""
        self._servers[id(provider)][1].append(lambda: self._begin(Wait(anyio.Event())))

    async def wait_gone(self, provider: Provider) -> None:
        """Return when the server has seen a connection closed within its answer."""
        await self._servers[id(provider)][0].gone.wait()

    def _begin(self, then: Cut | Wait) -> Answer:
        """Half an answer, then this."""
        steps = self.say(_HALF).steps or ()
        return Answer.stream(*steps[: len(steps) // 2], then)


def in_pieces(text: str) -> list[str]:
    """A text as models write it, in pieces of a few characters, but never in more than some dozens."""
    size = max(8, len(text) // _PIECES)
    return [text[start : start + size] for start in range(0, len(text), size)]
