"""A recorded subject: a provider or toolset that stands for a real one, and records its calls or replays them."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import anyio
import anyio.lowlevel

from agentflow_kernel.contracts.provider import ModelReply
from agentflow_kernel.contracts.tool import Tool
from agentflow_kernel.errors import PeerUnavailable, Unsupported
from agentflow_kernel.testing.cassette_failures import CassetteMiss
from agentflow_kernel.testing.cassette_outcomes import error_from_json, request_json, tool_json

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from agentflow_kernel.contracts.provider import ModelRequest, Provider
    from agentflow_kernel.contracts.tool import Effect, ToolContext, Toolset
    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.testing.cassette_file import Entry
    from agentflow_kernel.testing.cassette_player import Player
    from agentflow_kernel.testing.cassette_recorder import Recorder


async def outcome_of(entry: Entry) -> JSON:
    """End as the recorded call did: return its result, raise its error, or wait to be cancelled as it was."""
    await anyio.lowlevel.checkpoint()
    if entry.error is not None:
        raise error_from_json(entry.error)
    if entry.ended == "cancelled":
        await anyio.sleep_forever()
    return entry.result


class RecordingProvider:
    """Asks the real provider and records what it answers."""

    def __init__(self, recorder: Recorder, name: str, real: Provider) -> None:
        self._recorder = recorder
        self._name = name
        self._real = real
        self._closed = False
        recorder.add_provider(name, class_of(real))

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Ask the real provider."""
        if self._closed:  # it refuses the call, as the replaying one does without a recording
            return await self._real.complete(request)
        with self._recorder.take("provider", self._name, "complete", request_json(request)) as take:
            reply = await self._real.complete(request)
            take.result(reply.to_json())
        self._recorder.add_model(self._name, reply.model or request.model)
        return reply

    async def stream(self, request: ModelRequest) -> AsyncGenerator[str | ModelReply, None]:
        """Stream from the real provider; raises :class:`Unsupported` where it cannot."""
        stream = getattr(self._real, "stream", None)
        if stream is None:
            raise Unsupported("Streaming", f"the provider {self._name!r} has no stream().")
        with self._recorder.take("provider", self._name, "stream", request_json(request)) as take:
            pieces = stream(request)
            try:
                async for piece in pieces:
                    if isinstance(piece, ModelReply):
                        take.result(piece.to_json())
                        self._recorder.add_model(self._name, piece.model or request.model)
                    else:
                        take.piece(piece)
                    yield piece
            finally:
                if hasattr(pieces, "aclose"):
                    await pieces.aclose()

    async def aclose(self) -> None:
        """Close the real provider."""
        self._closed = True
        await self._real.aclose()


class ReplayingProvider:
    """Answers as recorded; the real provider, if there is one, is only closed."""

    def __init__(self, player: Player, name: str, real: Provider | None) -> None:
        player.check_provider(name, None if real is None else class_of(real))
        self._player = player
        self._name = name
        self._real = real
        self._closed = False

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Play the recorded call; raises :class:`CassetteMiss`."""
        return _reply(await outcome_of(self._play("complete", request)))

    async def stream(self, request: ModelRequest) -> AsyncGenerator[str | ModelReply, None]:
        """Play the recorded stream, piece by piece."""
        entry = self._play("stream", request)
        for piece in entry.pieces:
            await anyio.lowlevel.checkpoint()
            yield piece
        if entry.ended == "nothing":
            return
        if entry.ended == "closed":
            why = f"its reader closed the recorded stream after {len(entry.pieces)} pieces, and now wants more."
            raise self._player.fail(CassetteMiss(self._player.path, str(entry), why))
        yield _reply(await outcome_of(entry))

    def _play(self, call: str, request: ModelRequest) -> Entry:
        if self._closed:
            raise PeerUnavailable(f"The recorded provider {self._name!r} is closed.", executed="no")
        return self._player.play("provider", self._name, call, request_json(request))

    async def aclose(self) -> None:
        """Refuse further calls."""
        self._closed = True
        if self._real is not None:
            await self._real.aclose()


class RecordingToolset:
    """Calls the real tools and records what they give."""

    def __init__(self, recorder: Recorder, name: str, real: Toolset) -> None:
        self._recorder = recorder
        self._name = name
        self._real = real
        recorder.add_toolset(name, offer_of(real))

    def tools(self) -> Sequence[Tool]:
        """The real tools."""
        return self._real.tools()

    async def call(self, name: str, arguments: Mapping[str, JSON], context: ToolContext) -> JSON:
        """Call the real tool."""
        with self._recorder.take("tool", self._name, name, arguments) as take:
            result = await self._real.call(name, arguments, context)
            take.result(result)
        return result

    async def aclose(self) -> None:
        """Close the real toolset."""
        await self._real.aclose()


class ReplayingToolset:
    """Gives what was recorded; the real toolset, if there is one, is compared with the recorded one and closed."""

    def __init__(self, player: Player, name: str, real: Toolset | None) -> None:
        recorded = player.tools_of(name, None if real is None else offer_of(real))
        self._player = player
        self._name = name
        self._real = real
        self._tools = [] if real is not None else _tools_from(cast("Mapping[str, Mapping[str, JSON]]", recorded))

    def tools(self) -> Sequence[Tool]:
        """The tools as recorded, which are the real ones if there are any."""
        return self._tools if self._real is None else self._real.tools()

    async def call(self, name: str, arguments: Mapping[str, JSON], context: ToolContext) -> JSON:
        """Play the recorded call; raises :class:`CassetteMiss`."""
        return await outcome_of(self._player.play("tool", self._name, name, arguments))

    async def aclose(self) -> None:
        """Close the real toolset, if there is one."""
        if self._real is not None:
            await self._real.aclose()


def class_of(provider: object) -> str:
    """The class of a provider by name: modules move, and those of manifests are called differently everywhere."""
    return type(provider).__name__


def offer_of(toolset: Toolset) -> dict[str, JSON]:
    """The tools of a set by local name."""
    return {tool.name: tool_json(tool) for tool in toolset.tools()}


def _tools_from(documents: Mapping[str, Mapping[str, JSON]]) -> list[Tool]:
    return [
        Tool(
            name,
            str(each["description"]),
            cast("Mapping[str, JSON]", each["parameters"]),
            effect=cast("Effect", each["effect"]),
            sequential=bool(each["sequential"]),
        )
        for name, each in documents.items()
    ]


def _reply(document: JSON) -> ModelReply:
    return ModelReply.from_json(cast("Mapping[str, JSON]", document))
