"""The harnesses of cassettes: a provider that is recorded or replayed keeps the contract of a provider."""

from __future__ import annotations

import tempfile
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from anyio import to_thread

from agentflow_kernel.errors import AgentFlowError, NotSerialisable, PeerUnavailable
from agentflow_kernel.testing.cassette import Cassette
from agentflow_kernel.testing.fakes_harness import ScriptedModelHarness

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from agentflow_kernel.contracts.provider import ModelReply, ModelRequest, Provider
    from agentflow_kernel.testing.provider import ScriptedProvider


class RecordedModelHarness(ScriptedModelHarness):
    """Opens scripted providers that are recorded; the cassette is written at the end of each."""

    def __init__(self) -> None:
        super().__init__()
        self._real: dict[int, ScriptedProvider] = {}

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Provider]:  # type: ignore[override]  # what is recorded stands before it
        """A provider on a cassette of its own."""
        folder = await to_thread.run_sync(tempfile.TemporaryDirectory)
        try:
            async with super().open() as real:
                cassette = await Cassette.record(f"{folder.name}/cassette.yaml").__aenter__()
                provider = self._subject(cassette, real, folder.name)
                self._real[id(provider)] = real
                yield provider
                await provider.aclose()
                del self._real[id(provider)]
                with suppress(NotSerialisable):  # what no record can hold was refused by its call already
                    await cassette.__aexit__(None, None, None)
        finally:
            await to_thread.run_sync(folder.cleanup)

    def count_requests(self, provider: Provider) -> int:
        """As the provider that is recorded remembers them."""
        return len(self._real[id(provider)].requests)

    def _subject(self, cassette: Cassette, real: ScriptedProvider, folder: str) -> Provider:
        del folder
        return cassette.provider(real)


class ReplayedModelHarness(RecordedModelHarness):
    """Opens scripted providers each of whose calls is recorded and then replayed; what counts is the replay."""

    def _subject(self, cassette: Cassette, real: ScriptedProvider, folder: str) -> Provider:
        cassette.provider(real)
        return _ReplayedProvider(real, folder)


class _ReplayedProvider:
    """Records each call on a cassette of its own, and answers as that is replayed."""

    def __init__(self, real: ScriptedProvider, folder: str) -> None:
        self._real = real
        self._folder = folder
        self._calls = 0
        self._closed = False

    async def complete(self, request: ModelRequest) -> ModelReply:
        """What the replay gives."""
        if self._closed:
            raise PeerUnavailable("The replayed provider is closed.", executed="no")
        self._calls += 1
        path = f"{self._folder}/{self._calls}.yaml"
        async with Cassette.record(path) as recorded:
            with suppress(AgentFlowError):  # it is on record, and raised by the replay
                await recorded.provider(self._real).complete(request)
        async with Cassette.replay(path) as replayed:
            return await replayed.provider().complete(request)

    async def aclose(self) -> None:
        """Refuse further calls."""
        self._closed = True
        await self._real.aclose()
