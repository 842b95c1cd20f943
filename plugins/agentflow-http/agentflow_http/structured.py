"""A structured answer: JSON that must fit the request's schema, and the turn that asks to mend it."""

from __future__ import annotations

from agentflow_kernel.contracts.provider import Message, ModelReply, ModelRequest, Usage
from agentflow_kernel.schema import find_problems, read_strictly


def find_faults(request: ModelRequest, reply: ModelReply) -> list[str]:
    """What keeps a final answer from fitting the output schema; empty where it fits or none is asked for.

    A turn that calls tools, was cut at the limit of tokens or refused is no final answer: planners see to those.
    """
    if request.output_schema is None or reply.message.calls or reply.stop_reason not in {"end", "stop_sequence"}:
        return []
    value, unreadable = read_strictly(reply.message.text)
    if unreadable is not None:
        return [f"the whole value: {unreadable}"]
    return find_problems(value, request.output_schema)


def ask_again(request: ModelRequest, reply: ModelReply, faults: list[str]) -> ModelRequest:
    """The request that shows the model its answer and what is wrong with it."""
    problems = "\n".join(f"- {fault}" for fault in faults)
    ask = f"This answer does not fit the required JSON schema:\n{problems}\nGive the whole answer again, only as JSON."
    answered = [reply.message] if reply.message.text or reply.message.parts else []
    return ModelRequest(
        [*request.messages, *answered, Message("user", ask)],
        model=request.model,
        tools=request.tools,
        output_schema=request.output_schema,
        max_tokens=request.max_tokens,
        temperature=request.temperature,
        key=f"{request.key}-repair" if request.key else "",
    )


def add_usage(first: Usage, second: Usage) -> Usage:
    """Both together; the cost is known only where both are."""
    costs = (first.cost_usd, second.cost_usd)
    return Usage(
        first.input_tokens + second.input_tokens,
        first.output_tokens + second.output_tokens,
        first.cached_tokens + second.cached_tokens,
        None if costs[0] is None or costs[1] is None else costs[0] + costs[1],
        first.cache_write_tokens + second.cache_write_tokens,
    )
