"""A simulated call: one of a model, a tool or a function of a node, that goes wrong where the seed says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentflow_kernel.contracts.provider import ModelReply
from agentflow_kernel.errors import Elapsed, PeerUnavailable, ProtocolViolation, RateLimited, Unsupported
from agentflow_kernel.testing.faults import OF_CALLS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence

    from agentflow_kernel.contracts.provider import ModelRequest, Provider
    from agentflow_kernel.contracts.tool import Tool, ToolContext, Toolset
    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.errors import AgentFlowError
    from agentflow_kernel.testing.world import World

PATIENCE_S = 30.0
"""How long a call that times out is waited for."""
RETRY_AFTER_S = (None, 1.0, 20.0)
"""What a peer that turns a call away says of coming again; ``None`` is nothing."""


async def faulty_call(world: World, place: str, function: Callable[[], Awaitable[Any]]) -> Any:
    """What the function gives, unless a fault strikes: before the call, or after it, when it has had its effect.

    Raises what a provider or toolset would raise, with ``executed`` as it would be known.
    """
    await world.maybe_crash(f"call {place}")
    fault = next((name for name in OF_CALLS if world.strikes(name, place)), "")
    if not fault:
        result = await function()
        await world.maybe_crash(f"called {place}")
        return result
    if fault in {"timeout", "500", "half-stream", "malformed"} and world.faults.dice.random() < 0.5:
        await function()
    if fault == "timeout":
        await world.clock.sleep(PATIENCE_S)
    raise _error(world, fault, place)


def _error(world: World, fault: str, place: str) -> AgentFlowError:
    """The error of a contract that stands for this fault of the wire."""
    wait = world.faults.dice.choice(RETRY_AFTER_S)
    if fault == "timeout":
        return Elapsed(f"The simulated call {place!r}", PATIENCE_S)
    if fault == "429":
        return RateLimited(f"The simulated call {place!r} was turned away: too many.", retry_after_s=wait)
    if fault == "529":
        return PeerUnavailable(f"The simulated call {place!r} met an overload.", executed="no", retry_after_s=wait)
    if fault == "malformed":
        return ProtocolViolation(f"The simulated call {place!r} was answered by what is no answer.", executed="maybe")
    what = "failed with status 500" if fault == "500" else "ended in the middle of its answer"
    return PeerUnavailable(f"The simulated call {place!r} {what}.", executed="maybe")


class FaultyProvider:
    """A provider whose calls go wrong."""

    def __init__(self, world: World, real: Provider, name: str) -> None:
        self._world = world
        self._real = real
        self._name = name

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Ask the real provider, unless a fault strikes."""
        reply: ModelReply = await faulty_call(self._world, self._name, lambda: self._real.complete(request))
        return reply

    async def stream(self, request: ModelRequest) -> AsyncGenerator[str | ModelReply, None]:
        """Stream from the real provider; a half stream ends before its reply."""
        stream = getattr(self._real, "stream", None)
        if stream is None:
            raise Unsupported("Streaming", f"the provider {self._name!r} has no stream().")

        async def collect() -> list[str | ModelReply]:
            return [piece async for piece in stream(request)]

        if self._world.strikes("half-stream", self._name):
            pieces = [piece for piece in await collect() if not isinstance(piece, ModelReply)]
            for piece in pieces[: self._world.faults.dice.randint(0, len(pieces))]:
                yield piece
            raise _error(self._world, "half-stream", self._name)
        for piece in await faulty_call(self._world, self._name, collect):
            yield piece

    async def aclose(self) -> None:
        """Close the real provider."""
        await self._real.aclose()


class FaultyToolset:
    """A toolset whose calls go wrong."""

    def __init__(self, world: World, real: Toolset, name: str) -> None:
        self._world = world
        self._real = real
        self._name = name

    def tools(self) -> Sequence[Tool]:
        """The real tools."""
        return self._real.tools()

    async def call(self, name: str, arguments: Mapping[str, JSON], context: ToolContext) -> JSON:
        """Call the real tool, unless a fault strikes."""
        place = f"{self._name}.{name}"
        result: JSON = await faulty_call(self._world, place, lambda: self._real.call(name, arguments, context))
        return result

    async def aclose(self) -> None:
        """Close the real toolset."""
        await self._real.aclose()
