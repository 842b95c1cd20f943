"""Answers read from chunks and from whole completions, on the bytes that the vendor's reference describes."""

from __future__ import annotations

import json

import pytest

from agentflow_http.dialect import Faulted
from agentflow_kernel.contracts.provider import Message, ModelRequest, ToolInfo, Usage
from agentflow_openai._dialect import ChatDialect
from agentflow_openai._ending import OVER
from agentflow_openai.settings import OpenAISettings
from agentflow_openai.testing import chunk, usage_chunk

REQUEST = ModelRequest([Message("user", "Hi")], tools=[ToolInfo("files.read", "Reads a file", {"type": "object"})])


def to_bytes(document) -> bytes:
    return document if isinstance(document, bytes) else json.dumps(document).encode()


@pytest.fixture
def dialect():
    return ChatDialect(OpenAISettings())


@pytest.fixture
def read(dialect):
    """Reads a stream of documents; the pieces of text, and the reply."""

    def read(*documents):
        decoder = dialect.decoder(REQUEST)
        pieces = [piece for document in documents if (piece := decoder.feed(b"", to_bytes(document)))]
        decoder.feed(OVER, b"")
        assert decoder.done
        return pieces, decoder.reply()

    return read


def test_text_comes_in_pieces_and_whole(read) -> None:
    pieces, reply = read(
        chunk({"role": "assistant", "content": "", "refusal": None}),
        chunk({"content": "Hel"}),
        chunk({"content": "lo"}),
        chunk({}, "stop"),
        usage_chunk(),
        b"[DONE]",
    )
    assert pieces == ["Hel", "lo"]
    assert reply.message == Message("assistant", "Hello")
    assert reply.stop_reason == "end"
    assert reply.model == "gpt-6.1-terra"
    assert reply.usage == Usage(1_200, 350, 1_024, pytest.approx(0.0020022), 100)


def test_the_stream_may_end_after_done_or_after_a_reason_to_stop(dialect) -> None:
    """Before [DONE] the usage may follow, so the answer is not done by itself."""
    told, over = dialect.decoder(REQUEST), dialect.decoder(REQUEST)
    for decoder in (told, over):
        decoder.feed(b"", to_bytes(chunk({"content": "Hi"})))
        decoder.feed(OVER, b"")
        assert not decoder.done
        decoder.feed(b"", to_bytes(chunk({}, "stop")))
        assert not decoder.done
    told.feed(b"", b"[DONE]")
    over.feed(OVER, b"")
    assert told.done
    assert over.done


def test_done_without_a_reason_to_stop_is_a_fault(dialect) -> None:
    decoder = dialect.decoder(REQUEST)
    decoder.feed(b"", to_bytes(chunk({"content": "Hi"})))
    with pytest.raises(Faulted) as caught:
        decoder.feed(b"", b"[DONE]")
    assert caught.value.fault.kind == "protocol"
    assert "before the model has given a reason" in caught.value.fault.message


@pytest.mark.parametrize(
    ("reason", "stop_reason"),
    [
        ("stop", "end"),
        ("length", "max_tokens"),
        ("model_length", "max_tokens"),
        ("content_filter", "refusal"),
        ("eos", "end"),
        ("tool_calls", "end"),
    ],
)
def test_reasons_to_stop_of_a_text(read, reason, stop_reason) -> None:
    """A word that nobody knows counts as an end; tool calls without a call are none."""
    assert read(chunk({"content": "Hi"}), chunk({}, reason))[1].stop_reason == stop_reason


@pytest.mark.parametrize(
    ("reason", "stop_reason"),
    [("tool_calls", "tool_calls"), ("function_call", "tool_calls"), ("stop", "tool_calls"), ("length", "max_tokens")],
)
def test_reasons_to_stop_of_a_call(read, reason, stop_reason) -> None:
    """Local servers often say ``stop`` after a call."""
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "files__read", "arguments": "{}"}}
    reply = read(chunk({"tool_calls": [call]}), chunk({}, reason))[1]
    assert reply.stop_reason == stop_reason
    assert [(call.id, call.name, call.arguments) for call in reply.message.calls] == [("call_1", "files.read", {})]


@pytest.mark.parametrize("reason", ["error", "abort", "insufficient_system_resource"])
def test_an_answer_that_the_server_gave_up_is_no_answer(dialect, reason) -> None:
    with pytest.raises(Faulted) as caught:
        dialect.decoder(REQUEST).feed(b"", to_bytes(chunk({"content": "Hi"}, reason)))
    assert (caught.value.fault.kind, caught.value.fault.executed) == ("unavailable", "maybe")


def test_a_refusal_is_text_with_its_own_reason_to_stop(read) -> None:
    pieces, reply = read(chunk({"refusal": "I cannot "}), chunk({"refusal": "help."}), chunk({}, "stop"))
    assert pieces == ["I cannot ", "help."]
    assert (reply.message.text, reply.stop_reason) == ("I cannot help.", "refusal")


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_reasoning_is_a_part_and_no_text(read, field) -> None:
    pieces, reply = read(
        chunk({field: "Two and "}), chunk({field: "two…", "content": None}), chunk({"content": "4"}), chunk({}, "stop")
    )
    assert pieces == ["4"]
    assert reply.message.parts == ({"type": field, field: "Two and two…"},)


def test_reasoning_details_are_collected_in_order(read) -> None:
    first, second = {"type": "reasoning.text", "text": "a"}, {"type": "reasoning.encrypted", "data": "b"}
    reply = read(chunk({"reasoning_details": [first]}), chunk({"reasoning_details": [second]}, "stop"))[1]
    assert reply.message.parts == ({"type": "reasoning_details", "reasoning_details": [first, second]},)


def test_content_in_parts_is_text_and_parts(read) -> None:
    """As servers of Mistral's models send it."""
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}
    pieces, reply = read(chunk({"content": [thought, {"type": "text", "text": "4"}]}), chunk({}, "stop"))
    assert pieces == ["4"]
    assert reply.message.parts == (thought,)


def test_unknown_fields_and_other_choices_are_passed_over(read) -> None:
    other = chunk({"content": "other"})
    other["choices"][0]["index"] = 1
    pieces, _ = read(
        chunk(None, None, choices=None, prompt_filter_results=[]),
        chunk(
            {"content": "Hi", "annotations": [{}], "audio": {"id": "x"}},
            None,
            obfuscation="aQx",
            service_tier="default",
        ),
        other,
        chunk({"content": [None, 3]}, "stop", choices_too=[None]),
    )
    assert pieces == ["Hi"]


@pytest.mark.parametrize("data", [b'{"choices": [', b"[]", b'"text"', b"\xff\xfe", b"null", b""])
def test_data_that_is_no_chunk_is_a_fault(dialect, data) -> None:
    with pytest.raises(Faulted) as caught:
        dialect.decoder(REQUEST).feed(b"", data)
    assert caught.value.fault.kind == "protocol"


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}, Usage(10, 5)),
        ({"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": None}, Usage(10, 5)),
        ({"prompt_tokens": 10, "completion_tokens": 5, "prompt_cache_hit_tokens": 8}, Usage(10, 5, 8)),
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "total_tokens": 22,
                "completion_tokens_details": {"reasoning_tokens": 7},
            },
            Usage(10, 12),
        ),
        ({"prompt_tokens": None, "completion_tokens": "5", "total_tokens": True}, Usage()),
        ([], Usage()),
    ],
)
def test_usage_is_read_as_servers_write_it(read, usage, expected) -> None:
    """The fourth counts thoughts apart from the completion; the total gives it away."""
    chunks = (chunk({"content": "Hi"}, "stop", model="llama3.2"), chunk({}, None, usage=usage))
    assert read(*chunks)[1].usage == expected


def test_the_last_usage_counts(read) -> None:
    """Some servers tell it in every chunk, as it grows."""
    usages = [{"prompt_tokens": 10, "completion_tokens": count} for count in (1, 2, 3)]
    assert read(*(chunk({"content": "a"}, "stop", usage=usage, model="x") for usage in usages))[1].usage == Usage(10, 3)


def test_a_whole_completion_is_read_too(dialect) -> None:
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "llama3.2",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": None,
                    "reasoning_content": "Hm",
                    "tool_calls": [
                        {
                            "id": "",
                            "type": "function",
                            "function": {"name": "files__read", "arguments": '{"path": "x"}'},
                        }
                    ],
                },
                "finish_reason": "tool_calls",
            }
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
    }
    reply = dialect.decode(REQUEST, to_bytes(body))
    (call,) = reply.message.calls
    assert (call.id, call.name, call.arguments) == ("call_chatcmpl1_0", "files.read", {"path": "x"})
    assert reply.message.parts == ({"type": "reasoning_content", "reasoning_content": "Hm"},)
    assert (reply.stop_reason, reply.usage, reply.model) == ("tool_calls", Usage(3, 4), "llama3.2")


def test_a_whole_completion_in_the_older_form(dialect) -> None:
    message = {"content": None, "function_call": {"name": "files__read", "arguments": '{"path": "x"}'}}
    reply = dialect.decode(REQUEST, to_bytes({"choices": [{"message": message, "finish_reason": "function_call"}]}))
    assert [(call.name, call.arguments) for call in reply.message.calls] == [("files.read", {"path": "x"})]
    assert reply.stop_reason == "tool_calls"


def test_an_error_with_status_200_is_an_error(dialect) -> None:
    with pytest.raises(Faulted) as caught:
        dialect.decode(REQUEST, to_bytes({"error": {"message": "Rate limited", "code": 429}}))
    assert caught.value.fault.kind == "rate"


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"choices": []}', b"<html>"])
def test_a_body_that_is_no_completion_is_a_fault(dialect, body) -> None:
    with pytest.raises(Faulted) as caught:
        dialect.decode(REQUEST, body)
    assert caught.value.fault.kind == "protocol"
