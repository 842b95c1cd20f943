"""The file of a cassette: the same calls give the same bytes, and a test that fails leaves the old one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from cassette_kit import CONTEXT, contents, lookup, record, replay, use, written

from agentflow_kernel.errors import (
    NotSerialisable,
    RateLimited,
)
from agentflow_kernel.testing import (
    Cassette,
    CassetteRules,
    FakeClock,
)

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "calls.json"


async def test_an_error_of_the_test_is_not_hidden_by_what_was_not_played(path: Path) -> None:
    await record(path, lambda cassette: use(cassette, ["1"], ["a"]))

    async def failing(cassette: Cassette) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await replay(path, failing)


async def test_a_test_that_fails_leaves_the_old_recording(path: Path) -> None:
    """Unless the rules say that what was recorded is to be looked at."""
    await record(path, lambda cassette: use(cassette, ["old"], ["q"]))
    before = written(path)

    async def failing(cassette: Cassette) -> None:
        await use(cassette, ["new"], ["q"])
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await record(path, failing)
    assert written(path) == before
    with pytest.raises(ZeroDivisionError):
        await record(path, failing, CassetteRules(on_failure="write"))
    assert "new" in written(path)
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("fault", ["fsync", "replace"])
async def test_a_recording_that_cannot_be_written_leaves_the_old_one_and_nothing_else(
    path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    await record(path, lambda cassette: use(cassette, ["old"], ["q"]))
    before = written(path)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, fault, fail)
    with pytest.raises(OSError, match="No space"):
        await record(path, lambda cassette: use(cassette, ["new"], ["q"]))
    assert written(path) == before
    assert os.listdir(path.parent) == [path.name]


async def test_a_result_that_is_not_json_fails_the_recording_whatever_becomes_of_it(path: Path) -> None:
    async def work(cassette: Cassette) -> None:
        toolset = cassette.toolset(lookup({"a": {"b": {1, 2}}}), name="kit")
        with pytest.raises(NotSerialisable):
            await toolset.call("get", {"name": "a"}, CONTEXT)

    with pytest.raises(NotSerialisable, match=r"kit\.get.*\.b is a set"):
        await record(path, work)
    assert os.listdir(path.parent) == []


async def test_the_same_calls_give_the_same_bytes(path: Path) -> None:
    """So that a recording made anew shows in a diff only what has changed."""
    texts = []
    for _ in range(2):
        rules = CassetteRules(clock=FakeClock())
        await record(path, lambda cassette: use(cassette, ["1", RateLimited("no"), "2"][::2], ["a", "b"]), rules)
        texts.append(written(path))
    assert texts[0] == texts[1]
    header = contents(path)["header"]
    assert list(header) == ["format", "version", "recorded_at", "kernel", "providers", "toolsets"]
    assert header["recorded_at"] == "2023-11-14T22:13:20+00:00"
    assert list(contents(path)["calls"][0]) == ["kind", "name", "call", "request", "result"]
    assert max(map(len, texts[0].splitlines())) < 100


async def test_what_a_caller_changes_later_is_not_recorded(path: Path) -> None:
    arguments: dict[str, Any] = {"name": "a", "more": [1]}
    table: dict[str, Any] = {"a": {"list": [1]}}

    async def work(cassette: Cassette) -> None:
        found: Any = await cassette.toolset(lookup(table), name="kit").call("get", arguments, CONTEXT)
        found["list"].append(2)
        arguments["more"].append(2)

    await record(path, work)
    (call,) = contents(path)["calls"]
    assert (call["request"], call["result"]) == ({"name": "a", "more": [1]}, {"list": [1]})
