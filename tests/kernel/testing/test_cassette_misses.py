"""A call that was not recorded fails the test, shows the nearest recorded one, and cannot be swallowed."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from cassette_kit import CONTEXT, ask, lookup, record, replay, reply, rewrite, use, written
from planner_kit import Loop

from agentflow_kernel import Agent, Flow, Kernel
from agentflow_kernel.contracts.provider import Message, ModelReply, ToolCall
from agentflow_kernel.errors import AgentFlowError, ControlFlow, RunFailed
from agentflow_kernel.testing import (
    Cassette,
    CassetteFailure,
    CassetteMiss,
    CassetteRules,
    InProcessJournal,
    ScriptedProvider,
    replace_text,
)
from agentflow_kernel.testing.cassette_failures import NOTHING, Difference, differences

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "calls.json"


async def test_the_nearest_unplayed_call_is_shown_with_what_differs(path: Path) -> None:
    """Place, recorded and asked; how to record anew."""
    await record(path, lambda cassette: use(cassette, ["1", "2", "3"], ["the red house", "the blue house", "a"]))
    with pytest.raises(CassetteMiss) as caught:
        await replay(path, lambda cassette: use(cassette, [], ["the red house", "the blue mouse"]))
    miss, call = caught.value, "provider 'model', complete"
    assert miss.nearest == 2
    assert miss.differences == (Difference("request.messages[0].text", "the blue house", "the blue mouse"),)
    assert str(miss).splitlines() == [
        f"Cassette {str(path)!r} has no answer for {call}: nearest is call 2 of 3 ({call}).",
        "  request.messages[0].text",
        '    recorded: "the blue house"',
        '    asked:    "the blue mouse"',
        "If the change is meant, record anew: set AGENTFLOW_CASSETTE=record and run the test with the real thing.",
    ]


async def test_the_call_with_the_fewest_differences_is_the_nearest(path: Path) -> None:
    """Calls of other tools are compared only when there is none of the same."""

    async def work(cassette: Cassette, names: list[dict[str, Any]], kit: str = "kit") -> None:
        one, other = (cassette.toolset(lookup({"a": 1}), name=name) for name in ("kit", "other"))
        for arguments in names:
            await (one if kit == "kit" else other).call("get", arguments, CONTEXT)

    calls = [{"name": "a", "x": 1, "y": 1, "z": 1}, {"name": "a", "x": 2, "y": 2, "z": 2}]
    await record(path, lambda cassette: work(cassette, calls))
    with pytest.raises(CassetteMiss) as caught:
        await replay(path, lambda cassette: work(cassette, [{"name": "a", "x": 2, "y": 9, "z": 2}]))
    assert (caught.value.nearest, [each.path for each in caught.value.differences]) == (2, ["request.y"])
    with pytest.raises(CassetteMiss) as caught:
        await replay(path, lambda cassette: work(cassette, [calls[1]], kit="other"))
    assert (caught.value.nearest, [each.path for each in caught.value.differences]) == (2, ["name"])


@pytest.mark.parametrize(
    "other",
    [
        {"model": "large-2"},
        {"temperature": 0.5},
        {"max_tokens": 9},
        {"output_schema": {"type": "object"}},
        {"text": "Q"},
    ],
)
async def test_everything_that_is_asked_counts(path: Path, other: dict[str, Any]) -> None:
    async def work(cassette: Cassette, **options: Any) -> None:
        await cassette.provider(ScriptedProvider(["x"])).complete(ask(**options))

    await record(path, work)
    with pytest.raises(CassetteMiss):
        await replay(path, lambda cassette: work(cassette, **other))


@pytest.mark.parametrize(
    ("recorded", "asked"), [(1, True), (0, False), (None, 0), (1, 1.0), (0.0, -0.0), ("1", 1), ([], None), ({}, [])]
)
async def test_values_of_different_types_are_different(path: Path, recorded: Any, asked: Any) -> None:
    async def work(cassette: Cassette, value: Any) -> None:
        await cassette.toolset(lookup({"a": 1}), name="kit").call("get", {"name": "a", "value": value}, CONTEXT)

    await record(path, lambda cassette: work(cassette, recorded))
    with pytest.raises(CassetteMiss) as caught:
        await replay(path, lambda cassette: work(cassette, asked))
    assert [each.path for each in caught.value.differences] == ["request.value"]


async def test_the_order_of_fields_does_not_count(path: Path) -> None:
    async def work(cassette: Cassette, arguments: dict[str, Any]) -> None:
        await cassette.toolset(lookup({"a": 1}), name="kit").call("get", arguments, CONTEXT)

    await record(path, lambda cassette: work(cassette, {"name": "a", "more": {"x": 1, "y": 2}}))
    await replay(path, lambda cassette: work(cassette, {"more": {"y": 2, "x": 1}, "name": "a"}))


async def test_a_call_more_than_recorded_is_a_miss(path: Path) -> None:
    await record(path, lambda cassette: use(cassette, ["1", "2"], ["a", "b"]))
    with pytest.raises(CassetteMiss, match=r"every equal one \(1\) has been played; nearest is call 2 of 2"):
        await replay(path, lambda cassette: use(cassette, [], ["a", "a"]))
    with pytest.raises(CassetteMiss, match="all 2 recorded calls have been played"):
        await replay(path, lambda cassette: use(cassette, [], ["a", "b", "c"]))


async def test_in_exact_order_the_next_call_has_to_be_the_next_recorded_one(path: Path) -> None:
    await record(path, lambda cassette: use(cassette, ["1", "2", "3"], ["a", "b", "c"]))
    exact = CassetteRules(order="exact")
    assert len(await replay(path, lambda cassette: use(cassette, [], ["a", "b", "c"]), exact)) == 3
    with pytest.raises(CassetteMiss, match="an equal one is call 3, but next is call 2 of 3") as caught:
        await replay(path, lambda cassette: use(cassette, [], ["a", "c", "b"]), exact)
    assert caught.value.nearest == 2


async def test_normalisers_say_what_does_not_count(path: Path) -> None:
    """In what was recorded and in what is asked; the file keeps what was asked."""
    rules = CassetteRules(normalise=[replace_text(r"/var/\S+", "<folder>"), lambda found: {**found, "model": ""}])  # type: ignore[dict-item]

    async def work(cassette: Cassette, text: str, model: str) -> ModelReply:
        return await cassette.provider(ScriptedProvider(["x"])).complete(ask(text, model=model))

    await record(path, lambda cassette: work(cassette, "read /var/a1/b.log", "large"), rules)
    assert "read /var/a1/b.log" in written(path)
    await replay(path, lambda cassette: work(cassette, "read /var/other", "small"), rules)
    with pytest.raises(CassetteMiss) as caught:
        await replay(path, lambda cassette: work(cassette, "write /var/other", "small"), rules)
    assert caught.value.differences[0].recorded == "read <folder>"


def test_differences_name_each_place_once() -> None:
    recorded: Any = {"a": [1, {"b": "x"}, 3], "c": None, "d": {"e": 1}}
    asked: Any = {"a": [1, {"b": "y"}], "d": {"e": 1.0}, "f": [0]}
    assert list(differences(recorded, asked)) == [
        Difference("a[1].b", "x", "y"),
        Difference("a[2]", 3, NOTHING),
        Difference("c", None, NOTHING),
        Difference("d.e", 1, 1.0),
        Difference("f", NOTHING, [0]),
    ]
    assert list(differences(recorded, recorded)) == []


def test_of_long_texts_the_place_is_shown_where_they_begin_to_differ() -> None:
    text = "word " * 200
    shown = str(Difference("text", f"{text}red {text}", f"{text}blue {text}"))
    assert len(shown) < 450
    assert "word red word" in shown
    assert "word blue word" in shown


async def test_many_differences_are_counted_and_not_all_shown(path: Path) -> None:
    async def work(cassette: Cassette, value: int) -> None:
        await cassette.toolset(lookup({"a": 1}), name="kit").call("get", {"name": "a", "list": [value] * 100}, CONTEXT)

    await record(path, lambda cassette: work(cassette, 1))
    with pytest.raises(CassetteMiss, match="and 88 more") as caught:
        await replay(path, lambda cassette: work(cassette, 2))
    assert len(caught.value.differences) == 100


async def test_a_request_that_is_not_json_is_a_miss(path: Path) -> None:
    async def work(cassette: Cassette, value: Any) -> None:
        await cassette.toolset(lookup({"a": 1}), name="kit").call("get", {"name": "a", "value": value}, CONTEXT)

    await record(path, lambda cassette: work(cassette, 1))
    with pytest.raises(CassetteMiss, match=r"\.value is a set"):
        await replay(path, lambda cassette: work(cassette, {1}))


async def test_a_miss_that_the_test_swallows_is_raised_by_all_later_calls_and_by_the_end(path: Path) -> None:
    await record(path, lambda cassette: use(cassette, ["1", "2"], ["a", "b"]))

    async def swallowing(cassette: Cassette) -> None:
        with contextlib.suppress(CassetteMiss):
            await use(cassette, [], ["c"])
        with pytest.raises(CassetteMiss, match="recorded"):
            await use(cassette, [], ["a"])
        with pytest.raises(CassetteMiss):
            cassette.assert_complete()

    with pytest.raises(CassetteMiss) as caught:
        await replay(path, swallowing)
    assert caught.value.differences[0].asked == "c"


def test_no_failure_is_an_error_that_an_engine_handles() -> None:
    """Neither a peer's nor one that steers a run."""
    assert issubclass(CassetteFailure, AssertionError)
    assert not issubclass(CassetteFailure, AgentFlowError | ControlFlow)


TURNS = [
    ModelReply(Message("assistant", calls=[ToolCall("1", "kit.get", {"name": "a"})])),
    reply("it is 1"),
]


def agent_of(cassette: Cassette, instructions: str = "", table: dict[str, Any] | None = None) -> Agent:
    """An agent that asks for the name ``a`` and tells what it is."""
    provider = cassette.provider(ScriptedProvider(TURNS))
    return Agent("helper", provider, Loop(), tools={"kit": cassette.toolset(lookup(table or {"a": 1}), name="kit")})


async def run(cassette: Cassette, question: str = "what is a?") -> Any:
    async with Kernel(journal=InProcessJournal()) as kernel:
        return await kernel.run(agent_of(cassette), question)


async def test_an_agent_is_replayed_in_a_kernel(path: Path) -> None:
    assert await record(path, run) == "it is 1"
    assert await replay(path, run) == "it is 1"


async def test_a_miss_of_the_model_ends_the_run_and_is_what_the_test_sees(path: Path) -> None:
    """With the error of the run as its cause."""
    await record(path, run)
    with pytest.raises(CassetteMiss) as caught:
        await replay(path, lambda cassette: run(cassette, "what is b?"))
    assert caught.value.differences[0] == Difference("request.messages[0].text", "what is a?", "what is b?")
    assert isinstance(caught.value.__cause__, RunFailed)


async def test_a_miss_of_a_tool_is_not_an_observation_that_the_model_gets_over(path: Path) -> None:
    """The engine tells planners of tools that fail; the cassette does not let the conversation go on from there."""
    await record(path, run)
    rewrite(path, '"name": "a"\n   },\n   "result"', '"name": "b"\n   },\n   "result"')
    with pytest.raises(CassetteMiss) as caught:
        await replay(path, run)
    assert caught.value.differences == (Difference("request.name", "b", "a"),)


async def test_a_miss_among_items_whose_errors_are_collected_is_not_lost(path: Path) -> None:
    """The run succeeds, the test does not."""
    outputs: list[Any] = []

    async def batch(cassette: Cassette, names: list[str]) -> None:
        toolset = cassette.toolset(lookup({"a": 1, "b": 2}), name="kit")

        async def get(name: str) -> Any:
            return await toolset.call("get", {"name": name}, CONTEXT)

        flow = Flow("batch").step(get, each={"$ref": "input"}, on_item_error="collect")
        async with Kernel(journal=InProcessJournal()) as kernel:
            outputs.append(await kernel.run(flow, names))

    await record(path, lambda cassette: batch(cassette, ["a", "b"]))
    with pytest.raises(CassetteMiss):
        await replay(path, lambda cassette: batch(cassette, ["a", "c"]))
    assert len(outputs) == 2
