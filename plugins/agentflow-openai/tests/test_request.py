"""Bodies of requests: what is sent, and what is left to the server."""

from __future__ import annotations

import pytest

from agentflow_kernel.contracts.provider import Message, ModelRequest, ToolInfo
from agentflow_openai._output_format import fits_strict
from agentflow_openai._request import encode_request
from agentflow_openai.settings import OpenAISettings

ASK = [Message("user", "Hi")]
TOOL = ToolInfo("files.read", "Reads a file", {"type": "object", "properties": {}})
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}


def encode(request: ModelRequest, model: str = "llama3.2", **settings) -> dict:
    return encode_request(request, model, OpenAISettings(**settings))


def test_least_request_leaves_everything_else_to_the_server() -> None:
    assert encode(ModelRequest(ASK)) == {
        "model": "llama3.2",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_full_request_carries_tools_limits_and_temperature() -> None:
    body = encode(ModelRequest(ASK, tools=[TOOL], max_tokens=100, temperature=0.0))
    assert body["max_completion_tokens"] == 100
    assert body["temperature"] == 0.0
    assert body["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "files__read",
                "description": "Reads a file",
                "parameters": {"type": "object", "properties": {}},
            },
        }
    ]


def test_settings_stand_in_for_what_the_request_leaves_open() -> None:
    body = encode(ModelRequest(ASK), max_tokens=7, max_tokens_field="max_tokens", stream_usage=False)
    assert body["max_tokens"] == 7
    assert "max_completion_tokens" not in body
    assert "stream_options" not in body
    assert encode(ModelRequest(ASK, max_tokens=3), max_tokens=7)["max_completion_tokens"] == 3


def test_reasoning_effort_is_sent_as_set() -> None:
    assert encode(ModelRequest(ASK), reasoning_effort="high")["reasoning_effort"] == "high"


def test_models_that_refuse_tools_while_thinking_are_asked_not_to_think() -> None:
    with_tools = ModelRequest(ASK, tools=[TOOL])
    assert encode(with_tools, "gpt-6.1-terra")["reasoning_effort"] == "none"
    assert "reasoning_effort" not in encode(ModelRequest(ASK), "gpt-6.1-terra")
    assert "reasoning_effort" not in encode(with_tools, "llama3.2")
    assert encode(with_tools, "gpt-6.1-terra", reasoning_effort="low")["reasoning_effort"] == "low"


def test_schema_is_asked_for_by_response_format() -> None:
    body = encode(ModelRequest(ASK, output_schema=SCHEMA))
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True},
    }
    assert body["messages"] == [{"role": "user", "content": "Hi"}]


@pytest.mark.parametrize(
    ("structured", "response_format"), [("json_object", {"type": "json_object"}), ("prompt", None)]
)
def test_schema_is_asked_for_in_words_where_the_server_knows_none(structured, response_format) -> None:
    body = encode(ModelRequest(ASK, output_schema=SCHEMA), structured=structured)
    assert body.get("response_format") == response_format
    system, user = body["messages"]
    assert system["role"] == "system"
    assert "JSON Schema" in system["content"]
    assert '"required": ["n"]' in system["content"]
    assert user == {"role": "user", "content": "Hi"}


def test_words_join_the_system_prompt_that_there_is() -> None:
    """Many servers take only one system prompt, and only at the beginning."""
    messages = [Message("system", "Be brief."), *ASK]
    body = encode(ModelRequest(messages, output_schema=SCHEMA), structured="json_object")
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    assert body["messages"][0]["content"].startswith("Be brief.\n\nAnswer with one JSON value")


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (SCHEMA, True),
        ({**SCHEMA, "additionalProperties": True}, False),
        ({"type": "object", "properties": {"n": {}}, "required": ["n"]}, False),
        ({**SCHEMA, "required": []}, False),
        ({**SCHEMA, "allOf": []}, False),
        ({"type": "array", "items": SCHEMA}, False),
        ({"type": "string"}, False),
        ({**SCHEMA, "properties": {"n": SCHEMA}}, True),
        ({**SCHEMA, "properties": {"n": {"type": ["object", "null"], "properties": {}}}}, False),
        ({**SCHEMA, "properties": {"n": {"type": "array", "items": {"type": "object"}}}}, False),
        ({**SCHEMA, "properties": {"n": {"anyOf": [SCHEMA, {"type": "null"}]}}}, True),
        ({**SCHEMA, "properties": {"n": {"$ref": "#/$defs/x"}}, "$defs": {"x": SCHEMA}}, True),
        ({**SCHEMA, "properties": {"n": {"$ref": "#/$defs/x"}}, "$defs": {"x": {"not": {}}}}, False),
        ({**SCHEMA, "properties": {"n": True}}, False),
        ({**SCHEMA, "anyOf": [SCHEMA]}, False),
    ],
)
def test_strict_is_asked_only_for_schemas_that_the_service_takes(schema, strict) -> None:
    assert fits_strict(schema) is strict
