"""A cassette replays what was recorded, in any mode it is asked for, however the calls come."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from cassette_kit import CONTEXT, ask, contents, lookup, record, replay, reply, use

from agentflow_kernel.contracts.provider import Message, ModelReply, ModelRequest, ToolCall, ToolInfo
from agentflow_kernel.contracts.tool import ToolContext
from agentflow_kernel.errors import (
    PeerUnavailable,
    UsageError,
)
from agentflow_kernel.testing import (
    Cassette,
    CassetteUnplayed,
    ScriptedProvider,
)

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "calls.json"


async def test_replies_are_replayed_whole(path: Path) -> None:
    """Message, calls, parts, usage, stop reason and model; without the provider that gave them."""
    message = Message("assistant", "é", calls=[ToolCall("1", "a.b", {"z": 1, "a": None})], parts=[{"type": "x"}])
    turns = [ModelReply(message, stop_reason="tool_calls"), reply("done")]
    schema = {"type": "object", "properties": {"z": {"type": "integer"}}}
    request = ask("first", tools=[ToolInfo("a.b", "Does.", schema)], output_schema=schema, temperature=0.0)

    async def work(cassette: Cassette) -> list[ModelReply]:
        provider = cassette.provider(ScriptedProvider(turns) if cassette.mode == "record" else None)
        return [await provider.complete(request), await provider.complete(ask("second", max_tokens=5))]

    assert await record(path, work) == turns
    assert await replay(path, work) == turns


async def test_results_of_tools_are_replayed_with_the_tools_themselves(path: Path) -> None:
    """The order of fields in a result stays, for whoever writes it into a prompt."""
    table = {"a": {"z": 1, "b": [1, 2.5, None, True]}, "b": None}

    async def work(cassette: Cassette) -> Any:
        toolset = cassette.toolset(lookup(table) if cassette.mode == "record" else None, name="kit")
        return [str(await toolset.call("get", {"name": name}, CONTEXT)) for name in table], list(toolset.tools())

    recorded = await record(path, work)
    assert recorded == await replay(path, work)
    assert recorded[0][0] == "{'z': 1, 'b': [1, 2.5, None, True]}"


async def test_the_idempotency_key_and_the_run_do_not_count(path: Path) -> None:
    async def work(cassette: Cassette, key: str) -> Any:
        provider, toolset = cassette.provider(ScriptedProvider(["x"])), cassette.toolset(lookup({"a": 1}), name="kit")
        context = ToolContext(key, f"path-{key}", key, attempt=len(key))
        return await provider.complete(ask(key=key)), await toolset.call("get", {"name": "a"}, context)

    recorded = await record(path, lambda cassette: work(cassette, "one"))
    assert await replay(path, lambda cassette: work(cassette, "another")) == recorded


async def test_calls_at_the_same_time_may_come_in_any_order(path: Path) -> None:
    """They are found by what they ask; equal ones are answered in the order of recording."""

    class Counting(ScriptedProvider):
        async def complete(self, request: ModelRequest) -> ModelReply:
            await anyio.lowlevel.checkpoint()
            self.requests.append(request)
            return reply(f"{request.messages[0].text} is {len(self.requests)}")

    async def work(cassette: Cassette, order: list[str]) -> dict[str, list[str]]:
        provider, found = cassette.provider(Counting([])), {name: [] for name in "abc"}

        async def one(name: str) -> None:
            found[name].append((await provider.complete(ask(name))).message.text)

        async with anyio.create_task_group() as group:
            for name in order:
                group.start_soon(one, name)
        return {name: sorted(texts) for name, texts in found.items()}

    recorded = await record(path, lambda cassette: work(cassette, list("abacab")))
    assert await replay(path, lambda cassette: work(cassette, list("ccbbaaa")[1:])) == recorded


async def test_equal_calls_are_answered_in_the_order_of_recording(path: Path) -> None:
    await record(path, lambda cassette: use(cassette, ["1", "2", "3"], ["q", "q", "q"]))
    assert [each.message.text for each in await replay(path, lambda cassette: use(cassette, [], ["q"] * 3))] == list(
        "123"
    )


async def test_a_recorded_provider_refuses_calls_when_it_is_closed(path: Path) -> None:
    """And closes the real one, in both modes; the refused call is no part of the recording."""
    closed: list[str] = []

    class Closing(ScriptedProvider):
        async def aclose(self) -> None:
            closed.append("provider")
            await super().aclose()

    async def work(cassette: Cassette) -> None:
        provider, toolset = cassette.provider(Closing([])), cassette.toolset(lookup({}), name="kit")
        await provider.aclose()
        await toolset.aclose()
        with pytest.raises(PeerUnavailable, match="closed"):
            await provider.complete(ask())

    await record(path, work)
    await replay(path, work)
    assert closed == ["provider", "provider"]
    assert contents(path)["calls"] == []


async def test_auto_records_once_and_replays_from_then_on(path: Path) -> None:
    for turns in (["x"], []):
        async with Cassette.auto(path) as cassette:
            assert cassette.mode == ("record" if turns else "replay")
            assert (await use(cassette, turns, ["q"]))[0].message.text == "x"


@pytest.mark.parametrize(("mode", "text"), [("record", "new"), ("replay", "old"), ("auto", "old")])
async def test_the_environment_variable_decides_for_all_cassettes(
    path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, text: str
) -> None:
    await record(path, lambda cassette: use(cassette, ["old"], ["q"]))
    monkeypatch.setenv("AGENTFLOW_CASSETTE", mode)
    for make in (Cassette.record, Cassette.replay, Cassette.auto):
        async with make(path) as cassette:
            assert (await use(cassette, ["new"], ["q"]))[0].message.text == text


def test_an_unknown_mode_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTFLOW_CASSETTE", "rewind")
    with pytest.raises(UsageError, match="one of record, replay, auto, not 'rewind'"):
        Cassette.replay(path)


def test_without_an_event_loop_it_is_used_by_a_plain_with(path: Path) -> None:
    for make in (Cassette.record, Cassette.replay):
        with make(path) as cassette:
            assert anyio.run(use, cassette, ["x"] if cassette.mode == "record" else [], ["q"])[0].message.text == "x"


async def test_calls_that_were_not_made_are_listed(path: Path) -> None:
    """At the end of the block, or when the test asks."""
    await record(path, lambda cassette: use(cassette, ["1", "2", "3"], ["a", "b", "c"]))
    with pytest.raises(CassetteUnplayed, match=r"2 recorded calls were not made") as caught:
        await replay(path, lambda cassette: use(cassette, [], ["b"]))
    assert caught.value.calls == ("call 1: provider 'model', complete", "call 3: provider 'model', complete")

    async def asking(cassette: Cassette) -> None:
        await use(cassette, [], ["a", "b"])
        with pytest.raises(CassetteUnplayed, match="1 recorded call was not made"):
            cassette.assert_complete()
        await use(cassette, [], ["c"])
        cassette.assert_complete()

    await replay(path, asking)


def counted(collection: Any, seen: Counter[str]) -> Any:
    """The same list or dictionary, which counts every way in which its members are reached."""

    def count(name: str) -> Any:
        def method(self: Any, *arguments: Any) -> Any:
            seen[name] += 1
            return getattr(type(collection), name)(self, *arguments)

        return method

    names = ("__iter__", "__getitem__", "__contains__", "pop", "get", "items", "keys", "values", "index", "count")
    kind = type(collection)
    return type("Counted", (kind,), {name: count(name) for name in names if hasattr(kind, name)})(collection)


async def test_ten_thousand_calls_are_replayed_without_comparing_them(path: Path) -> None:
    """Each is one look into a table, also when all are asked in the reverse order."""
    questions = [f"question {number}" for number in range(10_000)]
    async with Cassette.record(path) as cassette:
        provider = cassette.provider(ScriptedProvider(["x"] * 10_000))
        for question in questions:
            await provider.complete(ask(question))
    async with Cassette.replay(path) as cassette:
        player = cassette._player
        assert player is not None
        seen: Counter[str] = Counter()
        player._unplayed = counted(player._unplayed, seen)
        player._keys = counted(player._keys, seen)
        provider = cassette.provider()
        for question in reversed(questions):
            await provider.complete(ask(question))
        assert player.comparisons == 0
        assert seen == {"pop": 10_000}


async def test_it_is_used_inside_its_block_and_once(path: Path) -> None:
    cassette = Cassette.record(path)
    with pytest.raises(UsageError, match="is not open"):
        cassette.provider(ScriptedProvider([]))
    async with cassette:
        with pytest.raises(UsageError, match="is open already"):
            await cassette.__aenter__()
        with pytest.raises(UsageError, match="give it the real provider 'model'"):
            cassette.provider()
        with pytest.raises(UsageError, match="give it the real toolset 'kit'"):
            cassette.toolset(name="kit")
    with pytest.raises(UsageError, match="is not open"):
        _ = cassette.mode
