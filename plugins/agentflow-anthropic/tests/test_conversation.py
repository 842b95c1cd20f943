"""What passes between an agent and the service, over real sockets and both ways to it."""

from __future__ import annotations

import pytest

from agentflow_anthropic.testing import answer, event, events
from agentflow_http.testing import Answer, ScriptedServer
from agentflow_kernel.contracts.provider import Message, ModelReply, ModelRequest, ToolInfo
from agentflow_kernel.errors import OutputInvalid, PeerUnavailable, ProtocolViolation

pytestmark = pytest.mark.anyio

READ = ToolInfo("files.read", "Read a file", {"type": "object", "properties": {"path": {"type": "string"}}})
SCHEMA = {
    "type": "object",
    "properties": {"verdict": {"enum": ["good", "bad"]}, "score": {"type": "integer", "minimum": 1}},
    "required": ["verdict", "score"],
    "additionalProperties": False,
}


async def talk(provider, *requests: ModelRequest) -> list[ModelReply]:
    try:
        return [await provider.complete(request) for request in requests]
    finally:
        await provider.aclose()


async def test_a_question_and_its_answer(make_provider, ask, transport) -> None:
    usage = {"input_tokens": 20, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 2, "output_tokens": 9}
    async with ScriptedServer([answer("Rayleigh scattering.", usage=usage)]) as server:
        (reply,) = await talk(make_provider(server.url, transport=transport), ask)
    (request,) = server.requests
    assert request.path == "/v1/messages"
    assert request.headers["anthropic-version"] == "2023-06-01"
    assert request.headers["idempotency-key"] == "run-1"
    assert request.json() == {
        "model": "claude-sonnet-5-5",
        "max_tokens": 16_384,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Why is the sky blue?"}]}],
        "system": [{"type": "text", "text": "Be brief."}],
        "stream": True,
    }
    assert reply.message == Message("assistant", "Rayleigh scattering.")
    assert (reply.stop_reason, reply.model) == ("end", "claude-sonnet-5-5")
    counted = reply.usage
    assert (counted.input_tokens, counted.cached_tokens, counted.cache_write_tokens) == (25, 3, 2)
    assert counted.output_tokens == 9
    assert counted.cost_usd == pytest.approx((20 * 2 + 3 * 0.2 + 2 * 2.5 + 9 * 10) / 1e6)


async def test_the_key_is_sent_and_nothing_is_tried_again(make_provider, ask, transport, key) -> None:
    async with ScriptedServer([answer("yes")]) as server:
        await talk(make_provider(server.url, transport=transport), ask)
    headers = server.requests[0].headers
    assert headers["x-api-key"] == key
    assert "authorization" not in headers
    assert len(server.requests) == 1


async def test_stream_yields_the_pieces_that_came(make_provider, ask, transport) -> None:
    async with ScriptedServer([answer("The sky scatters blue light — 青い.")]) as server:
        provider = make_provider(server.url, transport=transport)
        *pieces, reply = [piece async for piece in provider.stream(ask)]
        await provider.aclose()
    assert len(pieces) == 5
    assert "".join(pieces) == reply.message.text == "The sky scatters blue light — 青い."


async def test_parallel_tool_calls_and_their_results(make_provider, transport) -> None:
    """Arguments come in pieces, names travel without a dot, results go back in one turn."""
    first = answer(
        "Let me look.",
        {"type": "tool_use", "id": "toolu_1", "name": "files__read", "input": {"path": "a.log"}},
        {"type": "tool_use", "id": "toolu_2", "name": "files__read", "input": {}},
        stop_reason="tool_use",
    )
    question = Message("user", "What happened?")
    async with ScriptedServer([first, answer("All is well.")]) as server:
        provider = make_provider(server.url, transport=transport)
        reply = await provider.complete(ModelRequest([question], tools=[READ]))
        results = [
            Message("tool", "line 1", call_id="toolu_1"),
            Message("tool", "No such file.", call_id="toolu_2", is_error=True),
        ]
        await talk(provider, ModelRequest([question, reply.message, *results], tools=[READ]))
    assert reply.stop_reason == "tool_calls"
    assert [(call.id, call.name, call.arguments) for call in reply.message.calls] == [
        ("toolu_1", "files.read", {"path": "a.log"}),
        ("toolu_2", "files.read", {}),
    ]
    assert reply.message.parts == ()
    second = server.requests[1].json()
    assert second["tools"] == [{"name": "files__read", "description": "Read a file", "input_schema": READ.parameters}]
    assert second["messages"][1:] == [
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "Let me look."},
                {"type": "tool_use", "id": "toolu_1", "name": "files__read", "input": {"path": "a.log"}},
                {"type": "tool_use", "id": "toolu_2", "name": "files__read", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "line 1"}]},
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_2",
                    "content": [{"type": "text", "text": "No such file."}],
                    "is_error": True,
                },
            ],
        },
    ]


@pytest.mark.parametrize("written", ['{"path": ', "[1, 2]", '{"n": NaN}', "[" * 5_000])
async def test_arguments_that_are_no_object_reach_the_planner_as_they_came(make_provider, ask, written) -> None:
    call = {"type": "tool_use", "id": "toolu_1", "name": "files__read", "input": written}
    async with ScriptedServer([answer(call, stop_reason="max_tokens")]) as server:
        (reply,) = await talk(make_provider(server.url), ask)
    (got,) = reply.message.calls
    assert got.arguments == ([1, 2] if written == "[1, 2]" else written)


async def test_thinking_and_unknown_blocks_go_back_unchanged_and_in_order(make_provider, transport) -> None:
    blocks = [
        {"type": "thinking", "thinking": "First I should look around.", "signature": "c2lnbmF0dXJl"},
        {"type": "text", "text": "Looking."},
        {"type": "redacted_thinking", "data": "b3BhcXVl"},
        {"type": "tool_use", "id": "toolu_1", "name": "files__read", "input": {"path": "a"}},
        {"type": "text", "text": "And then:"},
        {"type": "crystal_ball", "colour": "green", "depth": {"metres": 3}},
        {"type": "tool_use", "id": "toolu_2", "name": "files__read", "input": {"path": "b"}},
    ]
    question = Message("user", "What happened?")
    async with ScriptedServer([answer(*blocks, stop_reason="tool_use"), answer("ok")]) as server:
        provider = make_provider(server.url, transport=transport)
        reply = await provider.complete(ModelRequest([question], tools=[READ]))
        kept = Message.from_json(reply.message.to_json())
        await talk(provider, ModelRequest([question, kept], tools=[READ]))
    assert reply.message.text == "Looking.And then:"
    assert server.requests[1].json()["messages"][1]["content"] == blocks


async def test_text_that_was_changed_since_replaces_what_was_said(make_provider) -> None:
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
    turn = Message("assistant", "short", parts=[thought, {"type": "text", "text": "a long story"}])
    async with ScriptedServer([answer("ok")]) as server:
        await talk(make_provider(server.url), ModelRequest([Message("user", "hi"), turn, Message("user", "on")]))
    content = server.requests[0].json()["messages"][1]["content"]
    assert {"type": "text", "text": "short"} in content
    assert thought in content
    assert "a long story" not in str(content)


async def test_images_stand_before_the_text(make_provider, transport) -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
    async with ScriptedServer([answer("A cat.")]) as server:
        asked = ModelRequest([Message("user", "What is this?", parts=[image])])
        await talk(make_provider(server.url, transport=transport), asked)
    assert server.requests[0].json()["messages"][0]["content"] == [image, {"type": "text", "text": "What is this?"}]


@pytest.mark.parametrize(
    ("told", "meant"),
    [
        ("end_turn", "end"),
        ("max_tokens", "max_tokens"),
        ("model_context_window_exceeded", "max_tokens"),
        ("stop_sequence", "stop_sequence"),
        ("refusal", "refusal"),
        ("pause_turn", "end"),
        ("a_reason_of_tomorrow", "end"),
    ],
)
async def test_stop_reasons(make_provider, ask, told, meant) -> None:
    async with ScriptedServer([answer("so far", stop_reason=told)]) as server:
        (reply,) = await talk(make_provider(server.url), ask)
    assert reply.stop_reason == meant


async def test_what_is_asked_for_beyond_the_conversation(make_provider, transport) -> None:
    """Model, limits, thinking and the marks of the cache."""
    asked = ModelRequest(
        [Message("system", "Be brief."), Message("user", "one"), Message("user", "two")],
        model="haiku",
        tools=[READ],
        max_tokens=5_000,
        temperature=0.5,
    )
    async with ScriptedServer([answer("ok")]) as server:
        settings = {"thinking_budget": 2_048, "effort": "low", "cache_prompt": True}
        await talk(make_provider(server.url, transport=transport, **settings), asked)
    body = server.requests[0].json()
    mark = {"type": "ephemeral"}
    assert body["model"] == "claude-haiku-5-5"
    assert (body["max_tokens"], body["temperature"]) == (5_000, 0.5)
    assert body["thinking"] == {"type": "enabled", "budget_tokens": 2_048}
    assert body["output_config"] == {"effort": "low"}
    assert body["system"][-1]["cache_control"] == mark
    assert body["tools"][-1]["cache_control"] == mark
    (turn,) = body["messages"]
    assert [("cache_control" in block) for block in turn["content"]] == [False, True]


async def test_a_model_that_the_table_does_not_have_passes_through_without_a_price(make_provider) -> None:
    asked = ModelRequest([Message("user", "hi")], model="claude-next")
    async with ScriptedServer([answer("ok", model="claude-next")]) as server:
        (reply,) = await talk(make_provider(server.url), asked)
    assert server.requests[0].json()["model"] == "claude-next"
    assert reply.usage.cost_usd is None


async def test_unknown_events_and_fields_are_read_past(make_provider, ask) -> None:
    lines = events([{"type": "text", "text": "hi"}])
    lines.insert(2, event("weather_report", rain=True))
    lines.insert(5, event("content_block_delta", index=0, delta={"type": "mood_delta", "mood": "blue"}))
    async with ScriptedServer([Answer.stream(*lines)]) as server:
        (reply,) = await talk(make_provider(server.url), ask)
    assert reply.message == Message("assistant", "hi")


async def test_events_without_names_are_known_by_their_type(make_provider, ask) -> None:
    """Some gateways leave the names out."""
    lines = [line.split(b"\n", 1)[1] for line in events([{"type": "text", "text": "hi there, you"}])]
    async with ScriptedServer([Answer.stream(*lines)]) as server:
        (reply,) = await talk(make_provider(server.url), ask)
    assert reply.message.text == "hi there, you"


async def test_an_answer_that_was_not_streamed(make_provider, ask) -> None:
    body = {
        "type": "message",
        "model": "claude-sonnet-5-5",
        "content": [{"type": "text", "text": "hi"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 1, "output_tokens": 2},
    }
    async with ScriptedServer([Answer(200, body)]) as server:
        (reply,) = await talk(make_provider(server.url), ask)
    assert (reply.message.text, reply.usage.output_tokens) == ("hi", 2)


@pytest.mark.parametrize(
    ("body", "error", "said"),
    [
        ({"type": "error", "error": {"type": "overloaded_error", "message": "full"}}, PeerUnavailable, "full"),
        ({"type": "list", "data": []}, ProtocolViolation, "'list'"),
        ({}, ProtocolViolation, "type"),
    ],
)
async def test_json_with_status_200_that_is_no_message_is_no_answer(make_provider, ask, body, error, said) -> None:
    async with ScriptedServer([Answer(200, body)]) as server:
        with pytest.raises(error, match=said) as caught:
            await talk(make_provider(server.url), ask)
    assert caught.value.executed == "maybe"


async def test_a_structured_answer_that_fits_is_given_on(make_provider, transport) -> None:
    asked = ModelRequest([Message("user", "Judge.")], output_schema=SCHEMA)
    async with ScriptedServer([answer('{"verdict": "good", "score": 3}')]) as server:
        (reply,) = await talk(make_provider(server.url, transport=transport), asked)
    assert reply.message.text == '{"verdict": "good", "score": 3}'
    assert server.requests[0].json()["output_config"]["format"] == {
        "type": "json_schema",
        "schema": {
            "type": "object",
            "properties": {
                "verdict": {"enum": ["good", "bad"]},
                "score": {"type": "integer", "description": "(minimum: 1)"},
            },
            "required": ["verdict", "score"],
            "additionalProperties": False,
        },
    }


async def test_a_structured_answer_is_mended_once_and_both_turns_are_paid(make_provider, transport) -> None:
    asked = ModelRequest([Message("user", "Judge.")], output_schema=SCHEMA, key="run-1")
    wrong, right = '{"verdict": "good", "score": 0}', '{"verdict": "good", "score": 1}'
    async with ScriptedServer([answer(wrong), answer(right)]) as server:
        provider = make_provider(server.url, transport=transport)
        *pieces, reply = [piece async for piece in provider.stream(asked)]
        await provider.aclose()
    assert pieces == [right]
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (50, 30)
    assert reply.usage.cost_usd == pytest.approx((50 * 2 + 30 * 10) / 1e6)
    first, second = server.requests
    assert first.headers["idempotency-key"] != second.headers["idempotency-key"]
    turns = second.json()["messages"]
    assert turns[1] == {"role": "assistant", "content": [{"type": "text", "text": wrong}]}
    assert "/score: " in turns[2]["content"][0]["text"]


async def test_a_structured_answer_that_stays_wrong_is_a_violation(make_provider) -> None:
    asked = ModelRequest([Message("user", "Judge.")], output_schema=SCHEMA)
    async with ScriptedServer([answer("Good!"), answer('{"verdict": "ugly", "score": 2}')]) as server:
        with pytest.raises(OutputInvalid, match="/verdict: ") as caught:
            await talk(make_provider(server.url), asked)
    assert (caught.value.executed, len(server.requests)) == ("yes", 2)


async def test_without_repair_turns_the_answer_is_left_to_the_planner(make_provider) -> None:
    asked = ModelRequest([Message("user", "Judge.")], output_schema=SCHEMA)
    async with ScriptedServer([answer("Good!")]) as server:
        (reply,) = await talk(make_provider(server.url, repair_turns=0), asked)
    assert (reply.message.text, len(server.requests)) == ("Good!", 1)


async def test_a_tool_call_under_a_schema_is_no_answer_yet(make_provider) -> None:
    asked = ModelRequest([Message("user", "Judge.")], output_schema=SCHEMA, tools=[READ])
    call = {"type": "tool_use", "id": "toolu_1", "name": "files__read", "input": {}}
    async with ScriptedServer([answer("One moment.", call, stop_reason="tool_use")]) as server:
        (reply,) = await talk(make_provider(server.url), asked)
    assert len(reply.message.calls) == len(server.requests) == 1
