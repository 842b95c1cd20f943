"""A request on the wire: what is sent to ``/chat/completions`` for one call of a model."""

from __future__ import annotations

from agentflow_http.names import name_on_wire
from agentflow_kernel.contracts.provider import Message
from agentflow_openai._messages import encode_messages
from agentflow_openai._output_format import ask_in_words, encode_format
from agentflow_openai.models import takes_tools_only_without_thought

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentflow_kernel.contracts.provider import ModelRequest, ToolInfo
    from agentflow_kernel.contracts.values import JSON
    from agentflow_openai.settings import OpenAISettings


def encode_request(request: ModelRequest, model: str, settings: OpenAISettings) -> dict[str, JSON]:
    """The body for a streamed answer; what request and settings leave open is left out, so that the server decides."""
    messages = list(request.messages)
    body: dict[str, JSON] = {"model": model, "stream": True}
    if request.output_schema is not None:
        wanted = encode_format(request.output_schema, settings.structured)
        if wanted is not None:
            body["response_format"] = wanted
        if settings.structured != "json_schema":
            messages = _with_instruction(messages, ask_in_words(request.output_schema))
    body["messages"] = encode_messages(
        messages, system_role=settings.system_role, echo_reasoning=settings.echo_reasoning
    )
    if request.tools:
        body["tools"] = [_encode_tool(tool) for tool in request.tools]
    most = request.max_tokens if request.max_tokens is not None else settings.max_tokens
    if most is not None:
        body[settings.max_tokens_field] = most
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if settings.reasoning_effort is not None:
        body["reasoning_effort"] = settings.reasoning_effort
    elif request.tools and takes_tools_only_without_thought(model):
        body["reasoning_effort"] = "none"
    if settings.stream_usage:
        body["stream_options"] = {"include_usage": True}
    return body


def _encode_tool(tool: ToolInfo) -> dict[str, JSON]:
    function: dict[str, JSON] = {
        "name": name_on_wire(tool.name),
        "description": tool.description,
        "parameters": tool.parameters,
    }
    return {"type": "function", "function": function}


def _with_instruction(messages: list[Message], text: str) -> list[Message]:
    """The turns with one more sentence in the system prompt: many servers take only one, and only first."""
    if messages and messages[0].role == "system":
        first = messages[0]
        return [Message("system", f"{first.text}\n\n{text}" if first.text else text, parts=first.parts), *messages[1:]]
    return [Message("system", text), *messages]
