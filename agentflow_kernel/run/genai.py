"""A GenAI operation: how calls of models, agents and tools are described on spans, by the published convention.

Source: OpenTelemetry semantic conventions for generative AI spans (development status, 2026).
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from opentelemetry.util.types import AttributeValue

    from agentflow_kernel.contracts.provider import Message, ModelReply, ModelRequest, StopReason, Usage

OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
RESPONSE_MODEL = "gen_ai.response.model"
AGENT_NAME = "gen_ai.agent.name"
TOOL_NAME = "gen_ai.tool.name"
TOOL_CALL_ID = "gen_ai.tool.call.id"
TOOL_ARGUMENTS = "gen_ai.tool.call.arguments"
TOOL_RESULT = "gen_ai.tool.call.result"
INPUT_MESSAGES = "gen_ai.input.messages"
OUTPUT_MESSAGES = "gen_ai.output.messages"
COST = "agentflow.cost_usd"

CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
FINISH_REASONS: Mapping[StopReason, str] = {
    "end": "stop",
    "tool_calls": "tool_call",
    "max_tokens": "length",
    "stop_sequence": "stop",
    "refusal": "content_filter",
}


class Settings(Protocol):
    """What there is to know of how an agent asks its model."""

    @property
    def model(self) -> str:
        """The vendor's name, ``""`` for the provider's default."""

    def cost_of(self, usage: Usage) -> float | None:
        """US dollars for one call."""


class Speaker(Protocol):
    """What there is to know of an agent or a plan."""

    @property
    def kind(self) -> str:
        """``agent`` or ``plan``."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def provider(self) -> object:
        """Whom it asks."""

    @property
    def model(self) -> Settings:
        """How it asks."""


def captures_content() -> bool:
    """Whether texts may stand on spans: they are what the model was asked and told, and often private."""
    return os.environ.get(CAPTURE, "").lower() in {"true", "span_only", "span_and_event"}


def provider_name(provider: object) -> str:
    """The vendor: ``provider_name`` of the object, else the package that it comes from without ``agentflow_``."""
    named = getattr(provider, "provider_name", "")
    top = type(provider).__module__.partition(".")[0]
    return str(named) or ("_OTHER" if top == "__main__" else top.removeprefix("agentflow_"))


def describe_agent(agent: Speaker) -> dict[str, AttributeValue]:
    """The attributes of an agent's span."""
    attributes: dict[str, AttributeValue] = {
        OPERATION: "invoke_agent",
        PROVIDER: provider_name(agent.provider),
        AGENT_NAME: agent.name,
    }
    if agent.model.model:
        attributes[REQUEST_MODEL] = agent.model.model
    return attributes


def describe_request(request: ModelRequest, labels: Mapping[str, str]) -> dict[str, AttributeValue]:
    """What is known of a call before it is made; ``labels`` are those that metrics have too."""
    attributes: dict[str, AttributeValue] = dict(labels)
    if request.max_tokens is not None:
        attributes["gen_ai.request.max_tokens"] = request.max_tokens
    if request.temperature is not None:
        attributes["gen_ai.request.temperature"] = request.temperature
    if request.output_schema is not None:
        attributes["gen_ai.output.type"] = "json"
    return attributes


def describe_reply(reply: ModelReply, cost_usd: float | None) -> dict[str, AttributeValue]:
    """What is known of a call once it is answered."""
    usage = reply.usage
    attributes: dict[str, AttributeValue] = {
        "gen_ai.response.finish_reasons": (FINISH_REASONS[reply.stop_reason],),
        "gen_ai.usage.input_tokens": usage.input_tokens,
        "gen_ai.usage.output_tokens": usage.output_tokens,
    }
    if reply.model:
        attributes[RESPONSE_MODEL] = reply.model
    if usage.cached_tokens:
        attributes["gen_ai.usage.cache_read.input_tokens"] = usage.cached_tokens
    if usage.cache_write_tokens:
        attributes["gen_ai.usage.cache_creation.input_tokens"] = usage.cache_write_tokens
    if cost_usd is not None:
        attributes[COST] = cost_usd
    return attributes


def spell_messages(messages: Iterable[Message], finish_reason: str = "") -> str:
    """Messages as JSON text in the form of the convention."""
    return spell([_message(message, finish_reason) for message in messages])


def spell(value: object) -> str:
    """A value as the JSON text that an attribute can hold."""
    return json.dumps(value, ensure_ascii=False, default=str)


def _message(message: Message, finish_reason: str) -> dict[str, Any]:
    parts: list[dict[str, Any]] = []
    if message.role == "tool":
        parts.append({"type": "tool_call_response", "id": message.call_id, "result": message.text})
    elif message.text:
        parts.append({"type": "text", "content": message.text})
    parts += [
        {"type": "tool_call", "id": call.id, "name": call.name, "arguments": call.arguments} for call in message.calls
    ]
    document: dict[str, Any] = {"role": message.role, "parts": parts}
    if finish_reason:
        document["finish_reason"] = finish_reason
    return document
