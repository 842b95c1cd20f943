"""The other fakes: a provider that follows a script, a toolset of functions; both count what they are asked."""

from __future__ import annotations

from typing import Any

import pytest

from agentflow_kernel.contracts.provider import Message, ModelReply, ModelRequest, Usage
from agentflow_kernel.contracts.tool import ToolContext
from agentflow_kernel.errors import PeerUnavailable, RateLimited, UnknownName
from agentflow_kernel.testing import FunctionToolset, ScriptedProvider

pytestmark = pytest.mark.anyio


def ask(text: str = "q") -> ModelRequest:
    return ModelRequest([Message("user", text)])


async def test_each_call_takes_the_next_turn_of_the_script() -> None:
    """A text is an answer, a list is tool calls, a reply is itself."""
    reply = ModelReply(Message("assistant", "own"), usage=Usage(5, 6))
    provider = ScriptedProvider(["text", [("files.read", {"path": "a"}), ("files.list", {})], reply])
    first, second, third = [await provider.complete(ask()) for _ in range(3)]
    assert (first.message.text, first.stop_reason, first.usage.input_tokens) == ("text", "end", 1)
    assert second.stop_reason == "tool_calls"
    assert [(call.id, call.name, call.arguments) for call in second.message.calls] == [
        ("call-1", "files.read", {"path": "a"}),
        ("call-2", "files.list", {}),
    ]
    assert third is reply


async def test_ids_of_tool_calls_go_on_over_the_turns() -> None:
    """They are unique in a conversation."""
    provider = ScriptedProvider([[("a", {})], [("a", {})]])
    ids = [(await provider.complete(ask())).message.calls[0].id for _ in range(2)]
    assert ids == ["call-1", "call-2"]


async def test_an_exception_in_the_script_is_raised() -> None:
    """The next call goes on."""
    provider = ScriptedProvider([RateLimited("slow down"), "text"])
    with pytest.raises(RateLimited, match="slow down"):
        await provider.complete(ask())
    assert (await provider.complete(ask())).message.text == "text"


async def test_a_call_beyond_the_script_is_a_failure_of_the_test() -> None:
    """It says which."""
    provider = ScriptedProvider(["text"])
    await provider.complete(ask())
    with pytest.raises(AssertionError, match="The script has no turn for request 2"):
        await provider.complete(ask())


async def test_every_request_is_remembered() -> None:
    """In order."""
    provider = ScriptedProvider(["a", "b"])
    for text in ("one", "two"):
        await provider.complete(ask(text))
    assert [request.messages[0].text for request in provider.requests] == ["one", "two"]


async def test_a_closed_provider_refuses_calls() -> None:
    """Not executed; closing twice does no harm."""
    provider = ScriptedProvider(["text"])
    await provider.aclose()
    await provider.aclose()
    with pytest.raises(PeerUnavailable, match="closed") as caught:
        await provider.complete(ask())
    assert caught.value.executed == "no"


async def test_functions_become_tools() -> None:
    """With name, description, schema and effect; the call goes to the function."""
    toolset = FunctionToolset()

    async def read(arguments: Any) -> Any:
        return arguments["path"]

    schema = {"type": "object", "required": ["path"]}
    toolset.add("read", read, description="Read a file.", parameters=schema, effect="idempotent")
    toolset.add("look", read)
    one, other = toolset.tools()
    assert (one.name, one.description, one.parameters, one.effect) == ("read", "Read a file.", schema, "idempotent")
    assert (other.description, other.parameters, other.effect) == ("look", {"type": "object"}, "pure")
    context = ToolContext("r", "p", "k", 2)
    assert await toolset.call("read", {"path": "a"}, context) == "a"
    assert toolset.calls == [("read", {"path": "a"}, context)]
    await toolset.aclose()


async def test_an_unknown_tool_is_not_counted() -> None:
    """It is named with the nearest one."""
    toolset = FunctionToolset()

    async def read(arguments: Any) -> None: ...

    toolset.add("read", read)
    with pytest.raises(UnknownName, match=r"Unknown tool 'raed'. Known: 'read'. Did you mean 'read'\?"):
        await toolset.call("raed", {}, ToolContext())
    assert toolset.calls == []
