"""A cassette that no longer says how things are is refused, with what has changed and how to record anew."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from cassette_kit import CONTEXT, Streaming, ask, contents, record, replay, use

from agentflow_kernel.errors import NewerSchema, ProtocolViolation, UsageError
from agentflow_kernel.testing import (
    Cassette,
    CassetteMiss,
    CassetteRules,
    CassetteStale,
    FakeClock,
    FunctionToolset,
    ScriptedProvider,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.anyio


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "calls.json"


async def echo(arguments: Any) -> Any:
    return arguments


def kit(**changes: Any) -> FunctionToolset:
    """The tools ``read`` and ``list``, the first of them changed."""
    toolset = FunctionToolset()
    schema = {"type": "object", "properties": {"path": {"type": "string"}}}
    toolset.add(**{"name": "read", "function": echo, "description": "Read.", "parameters": schema} | changes)
    toolset.add("list", echo)
    return toolset


async def open_kit(cassette: Cassette, toolset: FunctionToolset | None) -> Any:
    return cassette.toolset(toolset, name="files")


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"description": "Read a file."}, "read.description"),
        ({"effect": "effect"}, "read.effect"),
        ({"parameters": {"type": "object", "properties": {"path": {"type": "integer"}}}},
         "read.parameters.properties.path.type"),
        ({"name": "load"}, "read"),
    ],
)  # fmt: skip
async def test_a_changed_tool_is_named_with_what_has_changed(path: Path, changes: dict[str, Any], place: str) -> None:
    """Before the first call, and with the way to record anew."""
    await record(path, lambda cassette: open_kit(cassette, kit()))
    with pytest.raises(CassetteStale) as caught:
        await replay(path, lambda cassette: open_kit(cassette, kit(**changes)))
    assert caught.value.differences[0].path == place
    assert caught.value.what == "toolset 'files'"
    assert re.search(r"'read'.* differ from what was recorded", str(caught.value))
    assert "'list'" not in str(caught.value)
    assert "AGENTFLOW_CASSETTE=record" in str(caught.value)


async def test_the_same_tools_are_not_stale_and_none_are_needed(path: Path) -> None:
    await record(path, lambda cassette: open_kit(cassette, kit()))
    await replay(path, lambda cassette: open_kit(cassette, kit()))
    replayed = await replay(path, lambda cassette: open_kit(cassette, None))
    assert list(replayed.tools()) == list(kit().tools())


async def test_a_secret_in_a_tools_description_makes_nothing_stale(path: Path) -> None:
    rules = [CassetteRules(secrets=[secret]) for secret in ("one-key-1", "two-key-2")]
    await record(path, lambda cassette: open_kit(cassette, kit(description="Uses one-key-1.")), rules[0])
    await replay(path, lambda cassette: open_kit(cassette, kit(description="Uses two-key-2.")), rules[1])


async def test_a_provider_of_another_class_is_stale(path: Path) -> None:
    """What is recorded with one vendor says nothing about another."""
    await record(path, lambda cassette: use(cassette, ["x"], ["q"]))

    async def other(cassette: Cassette) -> None:
        cassette.provider(Streaming([]))

    with pytest.raises(CassetteStale, match=r"provider 'model' is now Streaming; recorded was ScriptedProvider"):
        await replay(path, other)


async def test_a_name_under_which_nothing_was_recorded_is_stale(path: Path) -> None:
    await record(path, lambda cassette: open_kit(cassette, kit()))

    async def provider(cassette: Cassette) -> None:
        cassette.provider()

    async def toolset(cassette: Cassette) -> None:
        cassette.toolset(name="fils")

    with pytest.raises(CassetteStale, match="provider 'model' is not in it; it has none"):
        await replay(path, provider)
    with pytest.raises(CassetteStale, match="toolset 'fils' is not in it; it has 'files'"):
        await replay(path, toolset)


async def test_the_header_says_what_was_recorded_and_when(path: Path) -> None:
    """The models that answered, or that were asked where the reply does not say."""

    async def work(cassette: Cassette) -> None:
        provider = cassette.provider(ScriptedProvider(["x", "y", "z"]))
        for model in ("small", "large", "small"):
            await provider.complete(ask(model=model))

    await record(path, work, CassetteRules(clock=FakeClock(0)))
    header = contents(path)["header"]
    assert header["recorded_at"] == "1970-01-01T00:00:00+00:00"
    assert header["providers"] == {"model": {"class": "ScriptedProvider", "models": ["large", "small"]}}


async def test_a_recording_has_an_age_that_the_rules_may_limit(path: Path) -> None:
    await record(path, lambda cassette: use(cassette, ["x"], ["q"]), CassetteRules(clock=FakeClock(1000)))
    await replay(path, lambda cassette: use(cassette, [], ["q"]), CassetteRules(clock=FakeClock(1060), max_age_s=60))
    with pytest.raises(CassetteStale, match="it is 61 s old, more than the 60 s allowed"):
        await replay(
            path, lambda cassette: use(cassette, [], ["q"]), CassetteRules(clock=FakeClock(1061), max_age_s=60)
        )


def test_a_newer_format_is_refused_by_name(path: Path) -> None:
    with Cassette.record(path):
        pass
    document = contents(path)
    document["header"]["version"] = 2
    path.write_text(json.dumps(document))
    with pytest.raises(NewerSchema, match=r"calls\.json' has schema version 2; this installation knows up to 1"):
        Cassette.replay(path).__enter__()


BREAKAGES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "call 1": lambda document: document["calls"][0].pop("request"),
    "call 2": lambda document: document["calls"][1].update(result={"message": 1}),
    "the header": lambda document: document["header"].pop("toolsets"),
    "its format": lambda document: document["header"].update(format="other"),
    "header": lambda document: document.pop("header"),
    "rewound": lambda document: (document["calls"][0].pop("result"), document["calls"][0].update(ended="rewound")),
    "drum": lambda document: document["calls"][0].update(kind="drum"),
}


@pytest.mark.parametrize("place", BREAKAGES)
def test_a_broken_cassette_is_refused_with_the_place(path: Path, place: str) -> None:
    with Cassette.record(path) as cassette:
        anyio.run(use, cassette, ["x", "y"], ["q", "r"])
    document = contents(path)
    BREAKAGES[place](document)
    path.write_text(json.dumps(document))
    shown = "call 1" if place in {"rewound", "drum"} else place
    with pytest.raises(ProtocolViolation, match=shown):
        Cassette.replay(path).__enter__()


@pytest.mark.parametrize("text", [b"", b"[]", b"{", b"\xff", b'"text"', b"[" * 100_000])
def test_what_is_no_cassette_is_refused(path: Path, text: bytes) -> None:
    path.write_bytes(text)
    with pytest.raises(ProtocolViolation, match="is no cassette"):
        Cassette.replay(path).__enter__()


def test_without_a_file_there_is_nothing_to_replay(path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"no cassette .*calls\.json' to replay\. To record it, set AGENTFLOW_CASSETTE"
    ):
        Cassette.replay(path).__enter__()


async def test_two_subjects_of_one_name_cannot_be_recorded(path: Path) -> None:
    """The same one may be wrapped twice, as two kernels of one test do."""
    async with Cassette.record(path) as cassette:
        for _ in range(2):
            cassette.toolset(kit(), name="files")
            cassette.provider(ScriptedProvider([]))
        with pytest.raises(UsageError, match="another toolset 'files'"):
            cassette.toolset(kit(effect="effect"), name="files")
        with pytest.raises(UsageError, match="another provider 'model'"):
            cassette.provider(Streaming([]))


async def test_objects_composed_by_kind_and_name_are_wrapped(path: Path) -> None:
    """A provider is not made at all to be replayed; a toolset is, to be compared; other kinds stay as they are."""
    made: list[str] = []

    def make(what: str, found: object) -> Callable[[], Any]:
        return lambda: made.append(what) or found

    async def work(cassette: Cassette, toolset: FunctionToolset) -> Any:
        provider: Any = cassette.wrap("provider", "fast", make("provider", ScriptedProvider(["x"])))
        tools: Any = cassette.wrap("tool", "files", make("tool", toolset))
        memory = cassette.wrap("memory", "seen", make("memory", "the memory"))
        return [await provider.complete(ask()), await tools.call("read", {}, CONTEXT), memory]

    recorded = await record(path, lambda cassette: work(cassette, kit()))
    assert recorded[2] == "the memory"
    assert await replay(path, lambda cassette: work(cassette, kit())) == recorded
    assert made == ["provider", "tool", "memory", "tool", "memory"]
    with pytest.raises(CassetteStale):
        await replay(path, lambda cassette: work(cassette, kit(description="Other.")))


async def test_a_stale_toolset_that_the_code_gets_over_still_fails_the_test(path: Path) -> None:
    await record(path, lambda cassette: open_kit(cassette, kit()))

    async def swallowing(cassette: Cassette) -> None:
        with pytest.raises(CassetteStale):
            await open_kit(cassette, kit(effect="effect"))

    with pytest.raises(CassetteStale):
        await replay(path, swallowing)
    assert not issubclass(CassetteStale, CassetteMiss)
