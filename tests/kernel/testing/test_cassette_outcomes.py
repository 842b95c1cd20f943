"""However a call ended, its replay ends so: with a result, an error, a stream that broke, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
from cassette_kit import CONTEXT, Streaming, ask, contents, lookup, record, replay

from agentflow_kernel.errors import (
    AskModelAgain,
    CredentialRefused,
    Elapsed,
    PeerUnavailable,
    PlanFailed,
    RateLimited,
    StopFlow,
    ToolFailed,
    UnknownModel,
    UnknownName,
    Unsupported,
)
from agentflow_kernel.testing import (
    Cassette,
    CassetteMiss,
    CassetteRules,
    ScriptedProvider,
    settle,
)
from agentflow_kernel.testing.cassette_outcomes import ReplayedError

if TYPE_CHECKING:
    from pathlib import Path

    from agentflow_kernel.contracts.provider import ModelReply, ModelRequest

pytestmark = pytest.mark.anyio


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "calls.json"


async def test_streams_are_replayed_piece_by_piece(path: Path) -> None:
    async def work(cassette: Cassette) -> list[Any]:
        provider = cassette.provider(Streaming(["one two three"]))
        return [piece async for piece in provider.stream(ask())]

    recorded = await record(path, work)
    assert recorded[:3] == ["one ", "two ", "three "]
    assert await replay(path, work) == recorded
    assert contents(path)["calls"][0]["pieces"] == ["one ", "two ", "three "]


async def test_a_stream_breaks_where_it_broke(path: Path) -> None:
    async def work(cassette: Cassette) -> list[Any]:
        stream = cassette.provider(Streaming([PeerUnavailable("gone")])).stream(ask())
        pieces = [await anext(stream), await anext(stream)]
        with pytest.raises(PeerUnavailable, match="gone"):
            await anext(stream)
        return pieces

    assert await record(path, work) == ["so ", "far"]
    assert await replay(path, work) == ["so ", "far"]


async def test_a_stream_that_its_reader_closed_can_be_closed_there_again_and_not_read_on(path: Path) -> None:
    async def read(cassette: Cassette, count: int) -> list[Any]:
        pieces: list[Any] = []
        stream = cassette.provider(Streaming(["one two three"])).stream(ask())
        async for piece in stream:
            pieces.append(piece)
            if len(pieces) == count:
                break
        await stream.aclose()
        return pieces

    assert await record(path, lambda cassette: read(cassette, 2)) == ["one ", "two "]
    assert await replay(path, lambda cassette: read(cassette, 2)) == ["one ", "two "]
    with pytest.raises(CassetteMiss, match="closed the recorded stream after 2 pieces"):
        await replay(path, lambda cassette: read(cassette, 3))


async def test_closing_a_stream_that_is_recorded_closes_the_real_one(path: Path) -> None:
    """At once, so that its connection is not left open."""
    closed: list[str] = []

    class Closing(Streaming):
        async def stream(self, request: ModelRequest) -> Any:
            try:
                yield "one"
                yield "two"
            finally:
                closed.append("stream")

    async def work(cassette: Cassette) -> None:
        stream = cassette.provider(Closing([])).stream(ask())
        await anext(stream)
        await stream.aclose()
        assert closed == ["stream"]

    await record(path, work)


async def test_a_provider_without_streams_has_none_to_record(path: Path) -> None:
    async def work(cassette: Cassette) -> None:
        with pytest.raises(Unsupported, match=r"Streaming.*'model'"):
            [piece async for piece in cassette.provider(ScriptedProvider(["x"])).stream(ask())]

    await record(path, work)
    assert contents(path)["calls"] == []


ERRORS = [
    RateLimited("slow down", retry_after_s=2.5),
    PeerUnavailable("gone", executed="no"),
    PeerUnavailable("gone"),
    Elapsed("The model", 30.0),
    CredentialRefused("The key in MODEL_KEY is wrong."),
    UnknownModel("model", "large-2", ["large-1", "small"]),
    UnknownName("tool", "x", []),
    PlanFailed("helper", "AF-OWN", "no way"),
    ToolFailed("no such file"),
    AskModelAgain("name is empty"),
    StopFlow({"a": [1, 2]}),
    ValueError("a", 1),
    KeyError("name"),
    FileNotFoundError(2, "No such file", "a.txt"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_an_error_is_raised_again_as_the_same_class_with_the_same_fields(path: Path, error: Exception) -> None:
    async def work(cassette: Cassette) -> Exception:
        toolset = cassette.toolset(lookup({"a": error}), name="kit")
        with pytest.raises(type(error)) as caught:
            await toolset.call("get", {"name": "a"}, CONTEXT)
        return caught.value

    assert await record(path, work) is error
    replayed = await replay(path, work)
    assert (type(replayed), str(replayed)) == (type(error), str(error))
    assert vars(replayed).items() >= vars(error).items()
    for field in ("code", "executed", "retry_after_s", "resumable"):
        assert getattr(replayed, field, None) == getattr(error, field, None)


class OwnError(RateLimited):
    """A plugin's error."""

    code = "AF-OWN-LIMIT"


class ForeignError(Exception):
    """A library's error."""


async def test_the_error_of_a_plugin_becomes_the_nearest_one_of_the_kernel(path: Path) -> None:
    """No cassette imports code; the code of the error stays."""

    async def work(cassette: Cassette) -> None:
        toolset = cassette.toolset(lookup({"a": OwnError("mine", retry_after_s=1)}), name="kit")
        await toolset.call("get", {"name": "a"}, CONTEXT)

    with pytest.raises(OwnError):
        await record(path, work, CassetteRules(on_failure="write"))
    with pytest.raises(RateLimited, match="mine") as caught:
        await replay(path, work)
    assert (type(caught.value), caught.value.code, caught.value.retry_after_s) == (RateLimited, "AF-OWN-LIMIT", 1)


async def test_any_other_error_is_replayed_by_its_name_and_text(path: Path) -> None:
    """Both are what an engine writes into an observation."""

    async def work(cassette: Cassette) -> Exception:
        toolset = cassette.toolset(lookup({"a": ForeignError("broken")}), name="kit")
        with pytest.raises((ForeignError, ReplayedError)) as caught:
            await toolset.call("get", {"name": "a"}, CONTEXT)
        return caught.value

    for error in (await record(path, work), await replay(path, work)):
        assert (type(error).__name__, str(error)) == ("ForeignError", "broken")


async def test_a_call_that_was_cancelled_waits_to_be_cancelled_again(path: Path) -> None:
    """So a time limit strikes in the replay too."""

    class Slow(ScriptedProvider):
        async def complete(self, request: ModelRequest) -> ModelReply:
            await anyio.sleep_forever()
            return await super().complete(request)

    async def work(cassette: Cassette) -> bool:
        provider = cassette.provider(Slow([]))
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(provider.complete, ask())
                await settle()
                scope.cancel()
        return scope.cancelled_caught

    assert await record(path, work)
    assert contents(path)["calls"][0]["ended"] == "cancelled"
    assert await replay(path, work)
