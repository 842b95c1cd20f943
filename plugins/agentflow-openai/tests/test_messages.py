"""Turns of a conversation as they are sent."""

from __future__ import annotations

import json

import pytest

from agentflow_kernel.contracts.provider import Message, ToolCall
from agentflow_openai._messages import encode_messages

PIXEL = "iVBORw0KGgo="


def encode_one(message: Message, **options) -> dict:
    (wire,) = encode_messages([message], **options)
    return json.loads(json.dumps(wire))


def test_plain_turns_are_role_and_content() -> None:
    turns = [Message("system", "Be brief."), Message("user", "Hi"), Message("assistant", "Hello")]
    assert encode_messages(turns) == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
    ]


def test_system_prompt_takes_the_role_that_the_server_wants() -> None:
    assert encode_one(Message("system", "Be brief."), system_role="developer")["role"] == "developer"


def test_calls_travel_with_their_arguments_as_text_and_no_dot_in_their_names() -> None:
    calls = [ToolCall("call_1", "files.read", {"path": "ä.log"}), ToolCall("call_2", "files.list", {})]
    assert encode_one(Message("assistant", calls=calls)) == {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "files__read", "arguments": '{"path": "ä.log"}'}},
            {"id": "call_2", "type": "function", "function": {"name": "files__list", "arguments": "{}"}},
        ],
    }


def test_text_beside_calls_is_kept() -> None:
    wire = encode_one(Message("assistant", "Let me look.", calls=[ToolCall("1", "files.read", {})]))
    assert wire["content"] == "Let me look."


def test_an_empty_turn_of_the_assistant_has_empty_content() -> None:
    assert encode_one(Message("assistant")) == {"role": "assistant", "content": ""}


def test_malformed_arguments_of_the_past_become_an_empty_object() -> None:
    """A server that parses the arguments of the history would refuse the whole conversation."""
    wire = encode_one(Message("assistant", calls=[ToolCall("1", "files.read", '{"path": ')]))  # type: ignore[arg-type]
    assert wire["tool_calls"][0]["function"]["arguments"] == "{}"


@pytest.mark.parametrize(
    ("name", "wire"), [("files read!", "files_read_"), ("a" * 99, "a" * 64), ("", "unknown"), ("a.b.c", "a__b__c")]
)
def test_a_name_that_the_model_made_up_does_not_break_the_conversation(name, wire) -> None:
    """The service takes letters, digits, underscores and hyphens, 64 at most, also in the history."""
    message = encode_one(Message("assistant", calls=[ToolCall("1", name, {})]))
    assert message["tool_calls"][0]["function"]["name"] == wire


def test_a_result_answers_its_call() -> None:
    wire = encode_one(Message("tool", "3 lines", call_id="call_1"))
    assert wire == {"role": "tool", "tool_call_id": "call_1", "content": "3 lines"}


def test_a_failed_result_says_so_once() -> None:
    """The protocol has no field for it; a text that begins with the word is left alone."""
    assert encode_one(Message("tool", "no such file", call_id="1", is_error=True))["content"] == "Error: no such file"
    assert encode_one(Message("tool", "Error: gone", call_id="1", is_error=True))["content"] == "Error: gone"


def test_images_of_the_protocol_pass_unchanged_after_the_text() -> None:
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}", "detail": "low"}}
    wire = encode_one(Message("user", "What is this?", parts=[image]))
    assert wire["content"] == [{"type": "text", "text": "What is this?"}, image]


def test_images_of_the_other_vendor_become_data_urls() -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
    linked = {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}}
    wire = encode_one(Message("user", parts=[image, linked]))
    assert wire["content"] == [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
    ]


def test_reasoning_goes_back_in_the_field_that_it_came_in() -> None:
    parts = [
        {"type": "reasoning_content", "reasoning_content": "First, …"},
        {"type": "reasoning_details", "reasoning_details": [{"type": "reasoning.text", "text": "…"}]},
    ]
    wire = encode_one(Message("assistant", "4", parts=parts))
    assert wire["reasoning_content"] == "First, …"
    assert wire["reasoning_details"] == [{"type": "reasoning.text", "text": "…"}]


def test_reasoning_stays_at_home_where_the_settings_say_so() -> None:
    part = {"type": "reasoning", "reasoning": "First, …"}
    assert encode_one(Message("assistant", "4", parts=[part]), echo_reasoning=False) == {
        "role": "assistant",
        "content": "4",
    }


def test_blocks_of_another_vendor_in_the_assistants_turn_are_left_out() -> None:
    part = {"type": "thinking", "thinking": "…", "signature": "c2ln"}
    assert encode_one(Message("assistant", "4", parts=[part])) == {"role": "assistant", "content": "4"}
