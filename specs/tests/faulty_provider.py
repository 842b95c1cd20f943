"""Providers that are faulty in one way each."""

from __future__ import annotations

import os
import threading

import anyio
from anyio.lowlevel import checkpoint
from faulty import mutants_in
from sound_provider import SECRET, Sound, SoundHarness

from agentflow_kernel.contracts.provider import Message, ModelReply, ToolCall, Usage
from agentflow_kernel.errors import (
    AgentFlowError,
    CredentialRefused,
    Elapsed,
    PeerUnavailable,
    ProtocolViolation,
    RateLimited,
    Refused,
    UnknownModel,
    UsageError,
)

mutant = mutants_in(globals(), SoundHarness)


class Changing(Sound):
    """One whose replies are changed on the way."""

    async def complete(self, request):
        return self.change(await super().complete(request), request)


class Failing(Sound):
    """One whose errors are changed on the way."""

    async def complete(self, request):
        try:
            return await super().complete(request)
        except AgentFlowError as error:
            raise self.other(error) from None


@mutant("PROVIDER-01")
class Userly(Changing):
    def change(self, reply, request):
        return ModelReply(Message("user", reply.message.text), usage=reply.usage)


@mutant("PROVIDER-02")
class Typed(Changing):
    def change(self, reply, request):
        return ModelReply(Message("assistant", reply.message.text, parts=[{"type": "at", "at": (1, 2)}]))


@mutant("PROVIDER-03")
class Miscounting(Changing):
    def change(self, reply, request):
        return ModelReply(reply.message, usage=Usage(3, 2, cached_tokens=4))


@mutant("PROVIDER-04")
class Consuming(Changing):
    def change(self, reply, request):
        request.max_tokens = 16_384 if request.max_tokens else None
        return reply


@mutant("PROVIDER-05")
class Latin(Changing):
    def change(self, reply, request):
        return ModelReply(Message("assistant", reply.message.text.encode("latin-1", "replace").decode("latin-1")))


@mutant("PROVIDER-06")
class Trusting(Sound):
    async def complete(self, request):
        request.key.encode("ascii")
        return await super().complete(request)


@mutant("PROVIDER-07")
class Forgetful(Changing):
    def change(self, reply, request):
        if any(message.role == "assistant" for message in request.messages):
            raise UsageError("This provider knows one turn.")
        return reply


@mutant("PROVIDER-08")
class Mixing(Sound):
    async def complete(self, request):
        self.latest = request
        await checkpoint()
        return await super().complete(self.latest)


@mutant("PROVIDER-09")
class AlwaysAtTheEnd(Changing):
    def change(self, reply, request):
        return ModelReply(reply.message, usage=reply.usage)


@mutant("PROVIDER-20")
class Toolless(Changing):
    def change(self, reply, request):
        if request.tools:
            raise UsageError("There are no tools.")
        return reply


@mutant("PROVIDER-21")
class Wirelike(Changing):
    def change(self, reply, request):
        calls = [ToolCall(call.id, call.name.replace(".", "__"), call.arguments) for call in reply.message.calls]
        return ModelReply(Message("assistant", reply.message.text, calls=calls), stop_reason=reply.stop_reason)


@mutant("PROVIDER-22")
class Picky(Changing):
    def change(self, reply, request):
        if any(message.role == "tool" and not message.text for message in request.messages):
            raise UsageError("A result must not be empty.")
        return reply


@mutant("PROVIDER-25")
class Fencing(Changing):
    def change(self, reply, request):
        text = reply.message.text
        return ModelReply(Message("assistant", f"```json\n{text}\n```" if request.output_schema else text))


@mutant("PROVIDER-26")
class Parsing(Changing):
    def change(self, reply, request):
        if request.output_schema and "age" not in reply.message.text:
            raise KeyError("age")
        return reply


@mutant("PROVIDER-30")
class Losing(Sound):
    def pieces(self, text):
        return super().pieces(text)[:40]


@mutant("PROVIDER-31")
class Silent(Sound):
    async def stream(self, request):
        async for piece in super().stream(request):
            calls = getattr(getattr(piece, "message", None), "calls", ())
            yield ModelReply(Message("assistant", piece.message.text)) if calls else piece


@mutant("PROVIDER-32")
class Holding(Sound):
    def __init__(self, turns):
        super().__init__(turns)
        self.free = 3

    async def stream(self, request):
        if self.free == 0:
            raise RuntimeError("no connection")
        self.free -= 1
        async for piece in super().stream(request):
            yield piece
        self.free += 1


@mutant("PROVIDER-33")
class Sharing(Sound):
    async def stream(self, request):
        reply = await self.complete(request)
        self.left = self.pieces(reply.message.text)
        while self.left:
            yield self.left.pop(0)
            await checkpoint()
        yield reply


@mutant("PROVIDER-34")
class Ending(Sound):
    async def stream(self, request):
        try:
            async for piece in super().stream(request):
                yield piece
        except PeerUnavailable:
            yield ModelReply(Message("assistant", "So much"))


@mutant("PROVIDER-35")
class Streaming(Sound):
    async def stream(self, request):
        self._closed = False
        async for piece in super().stream(request):
            yield piece


@mutant("PROVIDER-40")
class Hasty(Failing):
    def other(self, error):
        return RateLimited(str(error)) if isinstance(error, RateLimited) else error


@mutant("PROVIDER-41")
class Broad(Failing):
    def other(self, error):
        return ProtocolViolation(str(error)) if str(error) == "It is broken." else error


@mutant("PROVIDER-42")
class Sure(Failing):
    def other(self, error):
        return PeerUnavailable(str(error), executed="no") if str(error) == "It broke off." else error


@mutant("PROVIDER-43")
class Untimely(Failing):
    def other(self, error):
        return PeerUnavailable(str(error)) if isinstance(error, Elapsed) else error


@mutant("PROVIDER-44")
class Crashing(Failing):
    def other(self, error):
        return ValueError("Expecting value") if isinstance(error, ProtocolViolation) else error


@mutant("PROVIDER-45")
class Insistent(Sound):
    async def complete(self, request):
        try:
            return await super().complete(request)
        except RateLimited as error:
            self.requests.append(request)
            raise error from None


@mutant("PROVIDER-46")
class Vague(Failing):
    def other(self, error):
        return Refused(str(error)) if isinstance(error, CredentialRefused) else error


@mutant("PROVIDER-47")
class Chatty(Sound):
    async def complete(self, request):
        headers = {"authorization": f"Bearer {SECRET}"}
        reply = await super().complete(request)
        return reply if headers else None


@mutant("PROVIDER-48")
class Modelless(Failing):
    def other(self, error):
        return UsageError(str(error)) if isinstance(error, UnknownModel) else error


@mutant("PROVIDER-50")
class Hopeful(Failing):
    def other(self, error):
        return PeerUnavailable(str(error)) if type(error) is Refused else error


@mutant("PROVIDER-51")
class Wearing(Sound):
    faults = 0

    async def complete(self, request):
        if self.faults > 5:
            return ModelReply(Message("assistant", "next"))
        try:
            return await super().complete(request)
        except AgentFlowError:
            self.faults += 1
            raise


@mutant("PROVIDER-60")
class Locked(Sound):
    def __init__(self, turns):
        super().__init__(turns)
        self.turn = anyio.Semaphore(3)

    async def complete(self, request):
        await self.turn.acquire()
        await checkpoint()
        reply = await super().complete(request)
        self.turn.release()
        return reply


@mutant("PROVIDER-61")
class Shielded(Sound):
    async def hold(self, held):
        with anyio.CancelScope(shield=True):
            await anyio.sleep(6)
        await super().hold(held)


@mutant("PROVIDER-62")
class OneAtATime(Sound):
    def __init__(self, turns):
        super().__init__(turns)
        self.turn = anyio.Lock()

    async def complete(self, request):
        async with self.turn:
            return await super().complete(request)


@mutant("PROVIDER-70")
class ClosedOnce(Sound):
    async def aclose(self):
        await super().aclose()
        del self.closing


@mutant("PROVIDER-71")
class Undead(Sound):
    async def complete(self, request):
        self._closed = False
        return await super().complete(request)


@mutant("PROVIDER-72")
class Pulled(Sound):
    async def complete(self, request):
        for _ in range(3):
            await checkpoint()
        if self._closed:
            raise OSError("Bad file descriptor")
        return await super().complete(request)


@mutant("PROVIDER-73")
class Waiting(Sound):
    async def hold(self, held):
        await anyio.sleep(6)
        await super().hold(held)


@mutant("PROVIDER-74")
class Leaking(Sound):
    async def complete(self, request):
        if not hasattr(self, "pipe"):
            self.pipe = os.pipe()
            threading.Thread(target=os.read, args=(self.pipe[0], 1), daemon=True).start()
        return await super().complete(request)
