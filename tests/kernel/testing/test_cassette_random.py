"""Whatever is said in a conversation, in whatever order its calls come: a replay gives what the recording gave."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import anyio
import pytest
from cassette_kit import CONTEXT, Streaming, contents, lookup, written
from hypothesis import given, settings
from hypothesis import strategies as st

from agentflow_kernel.contracts.provider import Message, ModelReply, ModelRequest, ToolCall, ToolInfo, Usage
from agentflow_kernel.errors import PeerUnavailable, RateLimited, ToolFailed
from agentflow_kernel.testing import Cassette, CassetteRules

BEARER, FIELD = "Bearer abcdef123", '{"password": "hunter22"}'
TEXT = st.text(max_size=12) | st.sampled_from([BEARER, FIELD, "<redacted:3>", "word"])
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(st.text(max_size=4), JSON_VALUES, max_size=3)
CALLS = st.lists(st.builds(ToolCall, st.text(max_size=4), st.text(max_size=4), OBJECTS), max_size=2)
MESSAGES = st.builds(
    Message,
    st.sampled_from(["system", "user", "assistant", "tool"]),
    TEXT,
    calls=CALLS,
    call_id=st.none() | st.text(max_size=4),
    is_error=st.booleans(),
    parts=st.lists(OBJECTS, max_size=2),
)
REQUESTS = st.builds(
    ModelRequest,
    st.lists(MESSAGES, max_size=3),
    model=st.sampled_from(["", "large"]),
    tools=st.lists(st.builds(ToolInfo, TEXT, TEXT, OBJECTS), max_size=1),
    output_schema=st.none() | OBJECTS,
    max_tokens=st.none() | st.integers(0, 9),
    temperature=st.none() | st.floats(0, 1),
    key=TEXT,
)
REPLIES = st.builds(
    ModelReply,
    MESSAGES,
    stop_reason=st.sampled_from(["end", "tool_calls", "refusal"]),
    usage=st.builds(Usage, st.integers(0, 99), st.integers(0, 99), cost_usd=st.none() | st.floats(0, 1)),
    model=TEXT,
)
ERRORS = st.sampled_from(
    [RateLimited("later", retry_after_s=3), PeerUnavailable("gone", executed="no"), OSError(5, "x")]
)
STEPS = st.lists(
    st.tuples(st.just("complete"), REQUESTS, REPLIES | ERRORS)
    | st.tuples(st.just("stream"), REQUESTS, REPLIES | ERRORS)
    | st.tuples(st.just("get"), OBJECTS, JSON_VALUES | st.sampled_from([ToolFailed("no"), ValueError("bad")])),
    max_size=6,
)
KEEP_ALL = CassetteRules(patterns=[], fields=[])


def shown(error: Exception) -> tuple[Any, ...]:
    return type(error), str(error), getattr(error, "retry_after_s", None), getattr(error, "executed", None)


async def converse(cassette: Cassette, steps: Any) -> list[Any]:
    """What each step gave: a result, the pieces of a stream, or an error."""
    real = cassette.mode == "record"
    provider = cassette.provider(Streaming([step[2] for step in steps if step[0] != "get"]) if real else None)
    table: dict[str, Any] = {}
    toolset = cassette.toolset(lookup(table) if real else None, name="kit")
    found: list[Any] = []
    for number, (call, request, outcome) in enumerate(steps):
        try:
            if call == "complete":
                found.append(await provider.complete(request))
            elif call == "stream":
                found.append([piece async for piece in provider.stream(request)])
            else:
                table[str(number)] = outcome
                found.append(await toolset.call("get", {"name": str(number), "more": request}, CONTEXT))
        except Exception as error:  # noqa: BLE001 -- whatever was raised has to be raised again
            found.append(shown(error))
    return found


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@given(steps=STEPS)
@settings(deadline=None, max_examples=60)
def test_a_replay_gives_what_the_recording_gave(backend: str, steps: Any) -> None:
    """Without redaction all is equal; with it, no secret is in the file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "calls.json")
        with Cassette.record(path, KEEP_ALL) as cassette:
            recorded = anyio.run(converse, cassette, steps, backend=backend)
        for _ in range(2):
            with Cassette.replay(path, KEEP_ALL) as cassette:
                assert anyio.run(converse, cassette, steps, backend=backend) == recorded
        with Cassette.record(path) as cassette:
            anyio.run(converse, cassette, steps, backend=backend)
        assert BEARER.split()[1] not in written(path)
        assert FIELD.split('"')[3] not in written(path)


@given(steps=STEPS, data=st.data())
@settings(deadline=None, max_examples=40)
def test_distinct_calls_may_come_in_any_order(steps: Any, data: st.DataObject) -> None:
    """Each finds its own answer."""
    distinct = [(call, request, outcome) for number, (call, request, outcome) in enumerate(steps) if call == "get"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "calls.json")
        with Cassette.record(path, KEEP_ALL) as cassette:
            recorded = anyio.run(converse, cassette, distinct)
        requests = [call["request"] for call in contents(path)["calls"]]

        async def ask_all(cassette: Cassette, order: list[int]) -> dict[int, Any]:
            toolset, found = cassette.toolset(name="kit"), {}
            for number in order:
                try:
                    found[number] = await toolset.call("get", requests[number], CONTEXT)
                except (ToolFailed, ValueError) as error:
                    found[number] = shown(error)
            return found

        order = data.draw(st.permutations(range(len(requests))))
        with Cassette.replay(path, KEEP_ALL) as cassette:
            found = anyio.run(ask_all, cassette, order)
    assert [found[number] for number in range(len(requests))] == recorded
