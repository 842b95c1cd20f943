"""The provider and a scripted server over real sockets: what is sent, and what comes of the answers."""

from __future__ import annotations

import gc
import logging
import traceback
from contextlib import aclosing

import anyio
import pytest
from openai_faults import CASES
from pydantic import ValidationError

from agentflow_http.testing import Answer, Cut, Delay, Reset, ScriptedServer, Wait
from agentflow_kernel.contracts.provider import Message, ModelReply, ModelRequest, ToolCall, ToolInfo, Usage
from agentflow_kernel.errors import (
    CredentialRefused,
    PeerUnavailable,
    PromptTooLong,
    ProtocolViolation,
    UnknownModel,
    UsageError,
)
from agentflow_openai.settings import OpenAISettings
from agentflow_openai.testing import USAGE, calls, chunk, event, refusal, says, streamed

pytestmark = pytest.mark.anyio

KEY = "sk-test-0123456789abcdef"
HI = ModelRequest([Message("user", "Hi")], key="run-1-ask")
READ = ToolInfo("files.read", "Reads a file", {"type": "object", "properties": {"path": {"type": "string"}}})
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}


async def collect(provider, request) -> tuple[list[str], ModelReply]:
    """The pieces of a stream and its reply."""
    async with aclosing(provider.stream(request)) as stream:
        *pieces, reply = [piece async for piece in stream]
    return pieces, reply


async def fail(provider, request=HI):
    """The error that the request ends with."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 -- the caller looks at its class
        await provider.complete(request)
    return caught.value


def tell(error) -> str:
    """All that a tool could show of an error, down to the variables of its frames."""
    shown = []
    while error is not None:
        shown += [repr(error), repr(vars(error))]
        shown += traceback.TracebackException.from_exception(error, capture_locals=True, compact=False).format()
        error = error.__cause__ or error.__context__
    return "\n".join(shown)


async def test_a_stream_gives_its_pieces_then_the_priced_reply(make_provider) -> None:
    async with ScriptedServer([streamed(*says("Hel", "lo"))]) as server:
        pieces, reply = await collect(make_provider(server.url), HI)
    assert pieces == ["Hel", "lo"]
    assert reply == ModelReply(
        Message("assistant", "Hello"),
        usage=Usage(1_200, 350, 1_024, pytest.approx(0.0020022), 100),
        model="gpt-6.1-terra",
    )


async def test_a_request_carries_key_idempotency_and_body(make_provider) -> None:
    async with ScriptedServer([streamed(*says("Hi"))]) as server:
        provider = make_provider(server.url, organization="org-1", project="proj-1", extra_headers={"x-title": "Test"})
        await provider.complete(HI)
    (received,) = server.requests
    assert (received.method, received.path) == ("POST", "/v1/chat/completions")
    headers = received.headers
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["idempotency-key"] == "run-1-ask"
    assert (headers["openai-organization"], headers["openai-project"], headers["x-title"]) == (
        "org-1",
        "proj-1",
        "Test",
    )
    assert received.json() == {
        "model": "gpt-6.1-terra",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


async def test_a_server_without_a_key_is_sent_none(make_provider) -> None:
    async with ScriptedServer([streamed(*says("Hi"))]) as server:
        await make_provider(server.url, api_key_env="", model="llama3.2").complete(HI)
    assert "authorization" not in server.requests[0].headers
    assert server.requests[0].json()["model"] == "llama3.2"


async def test_parallel_calls_come_with_the_tools_own_names(make_provider) -> None:
    wanted = calls(("call_a", "files__read", '{"path": "a"}'), ("call_b", "files__read", '{"path": "ä"}'))
    async with ScriptedServer([streamed(*wanted)]) as server:
        reply = await make_provider(server.url).complete(ModelRequest(HI.messages, tools=[READ]))
    assert reply.stop_reason == "tool_calls"
    assert reply.message.calls == (
        ToolCall("call_a", "files.read", {"path": "a"}),
        ToolCall("call_b", "files.read", {"path": "ä"}),
    )


async def test_malformed_arguments_reach_the_planner_as_no_object(make_provider) -> None:
    async with ScriptedServer([streamed(*calls(("call_a", "files__read", '{"path": ')))]) as server:
        reply = await make_provider(server.url).complete(ModelRequest(HI.messages, tools=[READ]))
    assert reply.message.calls[0].arguments == '{"path": '


async def test_a_second_turn_shows_the_calls_and_their_results(make_provider) -> None:
    """What came back goes out again, reasoning included."""
    thought = event(chunk({"reasoning_content": "Look first."}))
    first = streamed(thought, *calls(("call_a", "files__read", '{"path": "a"}')))
    async with ScriptedServer([first, streamed(*says("Done"))]) as server:
        provider = make_provider(server.url)
        reply = await provider.complete(ModelRequest(HI.messages, tools=[READ]))
        result = Message("tool", "3 lines", call_id="call_a")
        history = [*HI.messages, Message.from_json(reply.message.to_json()), result]
        await provider.complete(ModelRequest(history, tools=[READ]))
    assert server.requests[1].json()["messages"] == [
        {"role": "user", "content": "Hi"},
        {
            "role": "assistant",
            "content": None,
            "reasoning_content": "Look first.",
            "tool_calls": [
                {"id": "call_a", "type": "function", "function": {"name": "files__read", "arguments": '{"path": "a"}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "call_a", "content": "3 lines"},
    ]


@pytest.mark.parametrize(
    "end",
    [(), (Cut(),), (Reset(),), (b": bye\n\n",), (Delay(5),)],
    ids=["end", "cut", "reset", "comment", "silence"],
)
async def test_a_stream_without_done_is_whole_once_it_has_a_reason_to_stop(make_provider, end) -> None:
    """However it ends after that, and with the usage that came in between."""
    async with ScriptedServer([Answer.stream(*says("Hi"), *end)]) as server:
        reply = await make_provider(server.url, read_timeout_s=1.0).complete(HI)
    assert (reply.message.text, reply.stop_reason, reply.usage.input_tokens) == ("Hi", "end", 1_200)


async def test_events_may_be_split_anywhere(make_provider) -> None:
    """Also inside of a character."""
    data = b"".join(says("ä€😀", "ß"))
    async with ScriptedServer([streamed(*(data[at : at + 1] for at in range(len(data))))]) as server:
        reply = await make_provider(server.url).complete(HI)
    assert reply.message.text == "ä€😀ß"


async def test_unknown_fields_are_passed_over(make_provider) -> None:
    odd = chunk(
        {"content": "Hi", "annotations": [{"type": "x"}]}, obfuscation="aQx", service_tier="default", new={"a": 1}
    )
    async with ScriptedServer([streamed(event({"choices": None}), event(odd), event(chunk({}, "stop")))]) as server:
        assert (await make_provider(server.url).complete(HI)).message.text == "Hi"


async def test_an_answer_that_was_not_streamed_is_taken(make_provider) -> None:
    body = {
        "id": "1",
        "model": "gpt-6.1-terra",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
        "usage": USAGE,
    }
    async with ScriptedServer([Answer(200, body)]) as server:
        pieces, reply = await collect(make_provider(server.url), HI)
    assert (pieces, reply.message.text, reply.usage.input_tokens) == (["Hi"], "Hi", 1_200)


async def test_a_schema_is_checked_and_one_answer_is_mended(make_provider) -> None:
    request = ModelRequest(HI.messages, output_schema=SCHEMA)
    async with ScriptedServer([streamed(*says('{"n": "x"}')), streamed(*says('{"n": 1}'))]) as server:
        reply = await make_provider(server.url, structured="json_object").complete(request)
    assert reply.message.text == '{"n": 1}'
    assert reply.usage.input_tokens == 2_400
    first, second = (received.json() for received in server.requests)
    assert first["response_format"] == second["response_format"] == {"type": "json_object"}
    assert [message["role"] for message in second["messages"]] == ["system", "user", "assistant", "user"]


async def test_a_schema_that_is_broken_twice_is_a_fault(make_provider) -> None:
    request = ModelRequest(HI.messages, output_schema=SCHEMA)
    async with ScriptedServer([streamed(*says("{}")), streamed(*says("{}"))]) as server:
        error = await fail(make_provider(server.url), request)
    assert isinstance(error, ProtocolViolation)
    assert error.executed == "yes"


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
async def test_a_fault_is_the_kernels_error(make_provider, case) -> None:
    """With its place in the tree, whether the call was executed, and when to come again; asked once, no retries."""
    async with ScriptedServer([case.answer]) as server:
        error = await fail(make_provider(server.url, **case.settings))
        assert len(server.requests) == 1
    assert (type(error), error.executed) == (case.error, case.executed)
    assert error.retry_after_s == case.retry_after_s


async def test_a_refused_connection_was_not_executed(make_provider) -> None:
    async with ScriptedServer() as server:
        url = server.url
    error = await fail(make_provider(url))
    assert (type(error), error.executed) == (PeerUnavailable, "no")


async def test_an_unknown_model_lists_those_there_are(make_provider) -> None:
    async with ScriptedServer([refusal(404, "The model `tera` does not exist", "model_not_found")]) as server:
        error = await fail(make_provider(server.url), ModelRequest(HI.messages, model="tera"))
    assert isinstance(error, UnknownModel)
    assert error.suggestion == "terra"
    assert "gpt-4o" in str(error)


async def test_too_long_a_prompt_names_model_and_the_servers_words(make_provider) -> None:
    said = "This model's maximum context length is 8192 tokens. However, you requested 9000."
    async with ScriptedServer([refusal(400, said, "context_length_exceeded")]) as server:
        error = await fail(make_provider(server.url))
    assert isinstance(error, PromptTooLong)
    assert error.model == "gpt-6.1-terra"
    assert "8192 tokens" in str(error)


async def test_a_missing_key_names_its_variable_before_anything_is_sent(make_provider, monkeypatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    async with ScriptedServer() as server:
        error = await fail(make_provider(server.url))
    assert isinstance(error, CredentialRefused)
    assert "OPENAI_API_KEY" in str(error)
    assert not server.requests


@pytest.mark.parametrize("transport", ["wire", "sdk"])
async def test_the_key_is_in_no_error_and_no_log(make_provider, caplog, transport) -> None:
    """Not in messages, fields, causes nor the variables of any frame, also when the server repeats it."""
    caplog.set_level(logging.DEBUG)
    script = [
        refusal(401, f"Incorrect API key provided: {KEY}.", "invalid_api_key"),
        refusal(404, f"The model {KEY} does not exist", "model_not_found"),
        Answer(500, KEY.encode()),
        Answer(200, KEY.encode(), headers={"content-type": "text/plain"}),
        streamed(event({"error": {"message": f"Bearer {KEY}"}})),
        Answer.stream(event(chunk({"content": "Hi"})), Reset()),
        streamed(b"data: {" + KEY.encode() + b"\n\n"),
    ]
    async with ScriptedServer(script) as server:
        provider = make_provider(server.url, transport=transport, extra_headers={"x-pass": "gateway-pass-phrase"})
        for _ in script:
            shown = tell(await fail(provider))
            assert KEY not in shown
            assert "gateway-pass-phrase" not in shown
    assert KEY not in f"{caplog.text} {provider!r}"
    assert "gateway-pass-phrase" not in caplog.text


async def test_closing_the_stream_closes_the_connection(make_provider) -> None:
    never = anyio.Event()
    async with ScriptedServer([Answer.stream(event(chunk({"content": "Hi"})), Wait(never))]) as server:
        async with aclosing(make_provider(server.url).stream(HI)) as stream:
            assert await anext(stream) == "Hi"
        with anyio.fail_after(30):
            await server.gone.wait()


async def test_cancelling_a_call_closes_the_connection(make_provider) -> None:
    never = anyio.Event()
    async with ScriptedServer([Answer.stream(event(chunk({"content": "Hi"})), Wait(never))]) as server:
        provider = make_provider(server.url)
        async with anyio.create_task_group() as group:
            group.start_soon(provider.complete, HI)
            await server.began.wait()
            group.cancel_scope.cancel()
        with anyio.fail_after(30):
            await server.gone.wait()


async def test_calls_under_way_end_when_the_provider_is_closed(make_provider) -> None:
    never = anyio.Event()
    async with ScriptedServer([Answer.stream(event(chunk({"content": "Hi"})), Wait(never))]) as server:
        provider = make_provider(server.url)
        errors = []

        async def ask() -> None:
            errors.append(await fail(provider))

        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            await server.began.wait()
            await provider.aclose()
            await provider.aclose()
    assert [type(error) for error in errors] == [PeerUnavailable]
    assert (await fail(provider)).executed == "no"


async def test_many_calls_at_once_do_not_mix(make_provider) -> None:
    async with ScriptedServer([streamed(*says("Hi")) for _ in range(30)]) as server:
        provider = make_provider(server.url)
        replies = []

        async def ask() -> None:
            replies.append(await provider.complete(HI))

        async with anyio.create_task_group() as group:
            for _ in range(30):
                group.start_soon(ask)
        await provider.aclose()
    assert [reply.message.text for reply in replies] == ["Hi"] * 30


def test_plain_http_to_another_machine_is_refused() -> None:
    with pytest.raises(ValidationError, match="allow_http"):
        OpenAISettings(base_url="http://models.example.org/v1")


async def test_no_model_named_is_an_error_before_anything_is_sent(make_provider) -> None:
    async with ScriptedServer() as server:
        error = await fail(make_provider(server.url, model=""))
    assert isinstance(error, UsageError)
    assert not server.requests


async def test_connections_are_used_again(make_provider) -> None:
    async with ScriptedServer([streamed(*says("Hi")), streamed(*says("Hi"))]) as server:
        provider = make_provider(server.url)
        await provider.complete(HI)
        await provider.complete(HI)
        await provider.aclose()
    assert server.connections == 1
    gc.collect()
