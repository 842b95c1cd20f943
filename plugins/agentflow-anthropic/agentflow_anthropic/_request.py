"""A request: the conversation, the tools and the settings as the body of ``POST /v1/messages``."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from agentflow_anthropic._blocks import encode_turn
from agentflow_anthropic._schema import find_native_schema
from agentflow_http.names import ToolNames, name_on_wire
from agentflow_kernel.errors import UsageError
from agentflow_kernel.schema import write_compactly

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow_anthropic.settings import AnthropicSettings
    from agentflow_kernel.contracts.provider import Message, ModelRequest, ToolInfo
    from agentflow_kernel.contracts.values import JSON

    Object = dict[str, JSON]

_CACHED: Object = {"type": "ephemeral"}


def encode_request(request: ModelRequest, model: str, settings: AnthropicSettings) -> Object:
    """The body; :class:`UsageError` for tools whose names clash, or a limit that leaves no room after thinking."""
    ToolNames(request.tools)
    system = [message.text for message in request.messages if message.role == "system" and message.text]
    output: Object = {"effort": settings.effort} if settings.effort else {}
    if request.output_schema is not None:
        native = find_native_schema(request.output_schema)
        if native is None:
            system.append(_instruct(request.output_schema))
        else:
            output["format"] = {"type": "json_schema", "schema": native}
    turns = _encode_turns(request.messages)
    tools = [_encode_tool(tool) for tool in request.tools]
    blocks: list[Object] = [{"type": "text", "text": "\n\n".join(system)}] if system else []
    if settings.cache_prompt:
        for marked in (tools, blocks, cast("list[Object]", turns[-1]["content"]) if turns else []):
            if marked:
                marked[-1]["cache_control"] = _CACHED
    body: Object = {
        "model": model,
        "max_tokens": request.max_tokens or settings.max_tokens,
        "messages": turns,
        "stream": True,
        **_think(request, settings),
    }
    if blocks:
        body["system"] = blocks
    if tools:
        body["tools"] = tools
    if output:
        body["output_config"] = output
    if request.temperature is not None:
        body["temperature"] = request.temperature
    return body


def _think(request: ModelRequest, settings: AnthropicSettings) -> Object:
    budget = settings.thinking_budget
    if budget is None:
        return {} if settings.thinking == "default" else {"thinking": {"type": settings.thinking}}
    if request.max_tokens is not None and request.max_tokens <= budget:
        raise UsageError(
            f"The answer may have {request.max_tokens} tokens, of which thinking alone may take {budget}. "
            "Raise the agent's max_tokens, or lower the provider's thinking_budget."
        )
    return {"thinking": {"type": "enabled", "budget_tokens": budget}}


def _encode_turns(messages: Sequence[Message]) -> list[Object]:
    """The turns, user and assistant by turns: those of one side that follow each other are joined."""
    turns: list[Object] = []
    for message in messages:
        if message.role == "system":
            continue
        role = "assistant" if message.role == "assistant" else "user"
        content = encode_turn(message) if role == "assistant" else _encode_input(message)
        if not content:
            continue
        if turns and turns[-1]["role"] == role:
            cast("list[Object]", turns[-1]["content"]).extend(content)
        else:
            turns.append({"role": role, "content": content})
    return turns


def _encode_input(message: Message) -> list[Object]:
    """The blocks of a user's turn, or of the result of a tool; images and the like stand before the text."""
    content: list[Object] = [dict(part) for part in message.parts]
    if message.text:
        content.append({"type": "text", "text": message.text})
    if message.role != "tool":
        return content
    result: Object = {"type": "tool_result", "tool_use_id": message.call_id, "content": content}
    if message.is_error:
        result["is_error"] = True
    return [result]


def _encode_tool(tool: ToolInfo) -> Object:
    return {
        "name": name_on_wire(tool.name),
        "description": tool.description,
        "input_schema": {"type": "object", **tool.parameters},
    }


def _instruct(schema: JSON) -> str:
    """What is said where the vendor's own mode cannot express a schema."""
    return f"Give your final answer only as JSON, without other text, that fits this schema:\n{write_compactly(schema)}"
