"""A provider that is sound in everything that the suite of providers asks for, in memory."""

from __future__ import annotations

from contextlib import asynccontextmanager

import anyio

from agentflow_kernel.contracts.provider import Message, ModelReply
from agentflow_kernel.errors import CredentialRefused, PeerUnavailable
from agentflow_kernel.testing import ScriptedModelHarness, ScriptedProvider

SECRET = "sk-sound-0123456789"


class Held(ModelReply):
    """An answer that does not come; `gone` is set when nobody waits for it any more."""

    __slots__ = ("gone",)

    def __init__(self):
        super().__init__(Message("assistant", "So much"))
        self.gone = anyio.Event()


class Sound(ScriptedProvider):
    """Streams by words, and waits where an answer is held."""

    def __init__(self, turns):
        super().__init__(turns)
        self.closing = anyio.Event()

    async def complete(self, request):
        reply = await super().complete(request)
        if isinstance(reply, Held):
            await self.hold(reply)
        return reply

    async def hold(self, held):
        try:
            await self.closing.wait()
        finally:
            held.gone.set()
        raise PeerUnavailable("It was closed.", executed="maybe")

    async def stream(self, request):
        reply = await self.complete(request)
        for piece in self.pieces(reply.message.text):
            await anyio.lowlevel.checkpoint()
            yield piece
        yield reply

    def pieces(self, text):
        return [text[start : start + 7] for start in range(0, len(text), 7)]

    async def aclose(self):
        await super().aclose()
        self.closing.set()


class SoundHarness(ScriptedModelHarness):
    declared = dict.fromkeys(ScriptedModelHarness.declared, True)
    made_of = Sound
    secret = SECRET

    @asynccontextmanager
    async def open(self):
        async with super().open() as provider:
            self.held = Held()
            yield provider

    def fail_next(self, provider, fault):
        if fault == "credential":
            self.next.append(CredentialRefused("The key is wrong."))
        else:
            super().fail_next(provider, fault)

    def hold_next(self, provider):
        self.next.append(self.held)

    async def wait_gone(self, provider):
        await self.held.gone.wait()
