"""What a request becomes: the schema in the vendor's part of JSON Schema, and turns that the vendor takes."""

from __future__ import annotations

import pytest

from agentflow_anthropic._request import encode_request
from agentflow_anthropic._schema import find_native_schema
from agentflow_anthropic.settings import AnthropicSettings
from agentflow_kernel.contracts.provider import Message, ModelRequest, ToolCall, ToolInfo
from agentflow_kernel.errors import UsageError


def whole(**properties):
    return {"type": "object", "properties": properties, "required": list(properties)}


def encode(*messages: Message, settings: AnthropicSettings | None = None, **more):
    return encode_request(ModelRequest(messages, **more), "claude-x", settings or AnthropicSettings())


@pytest.mark.parametrize(
    ("given", "native"),
    [
        ({"type": "string"}, {"type": "string"}),
        ({"type": ["string", "null"]}, {"type": ["string", "null"]}),
        ({"type": "string", "format": "date"}, {"type": "string", "format": "date"}),
        ({"type": "string", "format": "iban"}, {"type": "string", "description": "(format: iban)"}),
        (
            {"type": "string", "maxLength": 3, "description": "A code."},
            {"type": "string", "description": "A code. (maxLength: 3)"},
        ),
        ({"oneOf": [{"type": "null"}, {"type": "number"}]}, {"anyOf": [{"type": "null"}, {"type": "number"}]}),
        (
            {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1},
            {"type": "array", "items": {"type": "integer", "description": "(minimum: 0)"}, "minItems": 1},
        ),
        ({"type": "array", "minItems": 2}, {"type": "array", "description": "(minItems: 2)"}),
    ],
)
def test_what_the_vendor_does_not_check_is_told(given, native) -> None:
    assert find_native_schema(whole(x=given)) == {**whole(x=native), "additionalProperties": False}


def test_names_that_look_like_keywords_are_names() -> None:
    schema = whole(minimum={"type": "string"}, **{"$ref": {"type": "string"}})
    assert find_native_schema(schema) == {**schema, "additionalProperties": False}


def test_definitions_are_kept() -> None:
    schema = {**whole(x={"$ref": "#/$defs/point"}), "$defs": {"point": whole(y={"type": "number"})}}
    native = find_native_schema(schema)
    assert native is not None
    assert native["$defs"]["point"]["additionalProperties"] is False


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": {"type": "string"}},
        {"type": "object"},
        {"type": "object", "properties": {"x": {}}, "additionalProperties": True},
        whole(x={"type": "object", "additionalProperties": {"type": "string"}}),
        whole(x={"not": {"type": "string"}}),
        whole(x={"$ref": "#/$defs/missing"}),
        whole(x={"$ref": "https://example.com/schema"}),
        {**whole(x={"$ref": "#/$defs/tree"}), "$defs": {"tree": whole(child={"$ref": "#/$defs/tree"})}},
        whole(x=True),
        {"type": "object", "properties": {f"p{number}": {"type": "string"} for number in range(25)}},
    ],
)
def test_what_the_vendors_mode_cannot_say_is_asked_for_in_words(schema) -> None:
    assert find_native_schema(schema) is None
    body = encode(Message("user", "Go."), output_schema=schema)
    assert "output_config" not in body
    assert "only as JSON" in body["system"][-1]["text"]


def test_turns_of_one_side_are_joined_and_empty_ones_left_out() -> None:
    body = encode(
        Message("user", "a"),
        Message("user", "b"),
        Message("assistant", ""),
        Message("assistant", "c"),
        Message("assistant", "", calls=[ToolCall("1", "files.read", "garbled")]),
        Message("tool", "", call_id="1"),
        Message("user", "d"),
    )
    assert body["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "c"},
                {"type": "tool_use", "id": "1", "name": "files__read", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "1", "content": []},
                {"type": "text", "text": "d"},
            ],
        },
    ]


def test_marks_of_the_cache_do_not_touch_the_conversation() -> None:
    """What was handed in is used again in the next turn, unmarked."""
    image = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
    message = Message("user", parts=[image])
    body = encode(message, settings=AnthropicSettings(cache_prompt=True))
    assert body["messages"][0]["content"][0]["cache_control"] == {"type": "ephemeral"}
    assert "cache_control" not in image


def test_a_limit_below_the_budget_of_thinking_is_refused() -> None:
    settings = AnthropicSettings(thinking_budget=2_048)
    with pytest.raises(UsageError, match="2000 tokens, of which thinking alone may take 2048"):
        encode(Message("user", "hi"), settings=settings, max_tokens=2_000)


@pytest.mark.parametrize("thinking", ["adaptive", "disabled"])
def test_thinking_is_asked_for_as_set(thinking) -> None:
    assert encode(Message("user", "hi"), settings=AnthropicSettings(thinking=thinking))["thinking"] == {
        "type": thinking
    }


def test_tools_whose_names_clash_on_the_wire_are_refused() -> None:
    tools = [ToolInfo("a.b", "", {}), ToolInfo("a__b", "", {})]
    with pytest.raises(UsageError, match="Rename one"):
        encode(Message("user", "hi"), tools=tools)
