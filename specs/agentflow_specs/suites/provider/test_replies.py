"""Replies: what a request is answered with, whatever text it holds, and what becomes of the request."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, get_args

import anyio
import pytest

from agentflow_kernel.contracts.provider import Message, ModelReply, ModelRequest, StopReason, ToolCall, Usage
from agentflow_kernel.errors import AgentFlowError, OutputInvalid
from agentflow_specs.requirement import requirement
from agentflow_specs.suites.provider.abilities import PATIENCE_S, SCHEMA, TOOLS, ask, scripted

if TYPE_CHECKING:
    from agentflow_kernel.contracts.provider import Provider
    from agentflow_kernel.testing import Harness

pytestmark = pytest.mark.anyio

CALLERS = 100
TEXTS = (
    "é", "🐎👩‍👩‍👧", "\u202eright to left", "日本語", "a\u0301", "\u200b|", "line\nline\r\n\ttab", '"\\/{}[]', "</s>",
    "data: x\n\nevent: error\n\n", "[DONE]", "x" * 300_000, "é🐎" * 20_000,
)  # fmt: skip
HOSTILE = {
    "no message at all": ModelRequest([]),
    "an empty text": ask(""),
    "blanks only": ask(" \n "),
    "a lone surrogate": ask("\ud800"),
    "control characters": ask("\x00\x01\x1b[2J\x7f"),
    "the system alone": ModelRequest([Message("system", "Be kind.")]),
    "the assistant last": ModelRequest([Message("user", "a"), Message("assistant", "b")]),
    "a result of no call": ModelRequest([Message("user", "a"), Message("tool", "b", call_id="x")]),
    "a part of no type": ModelRequest([Message("user", "a", parts=[{}])]),
    "a thousand turns": ModelRequest([Message("user", "a"), Message("assistant", "b")] * 500 + [Message("user", "c")]),
    "a key of two lines": ask(key="k\r\nx-more: 1"),
    "a key beyond ASCII": ask(key="ключ 🐎"),
    "a model of two lines": ask(model="m\r\nx: 1"),
    "a model beyond ASCII": ask(model="модель/../🐎"),
    "no token at all": ask(max_tokens=0),
    "fewer than no token": ask(max_tokens=-1),
    "no temperature": ask(temperature=math.nan),
    "endless heat": ask(temperature=math.inf),
}


@requirement(
    "PROVIDER-01",
    "MUST",
    reason="Planners read the text, and go on by the role and the reason to stop.",
    advice="Map each of the vendor's words for the end of a turn to one of the five; an unknown one is an end.",
)
async def test_a_request_is_answered(provider: Provider) -> None:
    """Answers a request with the turn of an assistant, its text as it came, and a stop reason that the kernel knows."""
    reply = await provider.complete(ask("Why is the sky blue?"))
    assert isinstance(reply, ModelReply)
    assert (reply.message.role, reply.message.text) == ("assistant", "Why is the sky blue?")
    assert reply.stop_reason == "end"
    assert list(reply.message.calls) == []
    assert reply.message.call_id is None


@requirement(
    "PROVIDER-02",
    "MUST",
    reason="A reply goes into the journal and is read back when a run is resumed.",
    advice="Keep texts, numbers, lists and objects with texts as keys in the reply, nothing of the vendor's own types.",
)
async def test_a_reply_survives_the_journal(provider: Provider) -> None:
    """Gives a reply that JSON gives back unchanged, with the name of the model as a text."""
    reply = await provider.complete(ask("é 🐎"))
    text = json.dumps(reply.to_json(), allow_nan=False, ensure_ascii=False)
    assert ModelReply.from_json(json.loads(text.encode())) == reply
    assert type(reply.model) is str


@requirement(
    "PROVIDER-03",
    "MUST",
    reason="Budgets stop a run by what its calls have used.",
    advice="Count the whole prompt as input, the cached part of it beside; leave the cost None where it is not known.",
)
async def test_usage_is_counted(provider: Provider) -> None:
    """Counts tokens in whole numbers from 0, cached ones as a part of the input, and a finite cost or none."""
    usage = (await provider.complete(ask("Count this."))).usage
    assert isinstance(usage, Usage)
    counts = (usage.input_tokens, usage.output_tokens, usage.cached_tokens, usage.cache_write_tokens)
    assert all(type(count) is int and count >= 0 for count in counts)
    assert usage.cached_tokens + usage.cache_write_tokens <= usage.input_tokens
    assert usage.input_tokens + usage.output_tokens > 0
    assert usage.cost_usd is None or (usage.cost_usd >= 0 and math.isfinite(usage.cost_usd))


@requirement(
    "PROVIDER-04",
    "MUST",
    reason="The request is on record, and a retry sends the same one again.",
    advice="Build the vendor's form beside the request; change nothing in its messages, tools and schemas.",
)
async def test_the_request_is_left_as_it_is(provider: Provider) -> None:
    """Changes nothing in the request, its messages and their parts."""
    request = ModelRequest(
        [Message("system", "Be kind."), Message("user", "Hello", parts=[{"type": "text", "text": "more"}])],
        max_tokens=50, temperature=0.5, key="k-1",
    )  # fmt: skip
    before = [json.dumps(message.to_json(), sort_keys=True) for message in request.messages]
    await provider.complete(request)
    assert [json.dumps(message.to_json(), sort_keys=True) for message in request.messages] == before
    assert (request.max_tokens, request.temperature, request.key, request.model) == (50, 0.5, "k-1", "")


@requirement(
    "PROVIDER-05",
    "MUST",
    reason="People write in every script, and documents hold everything, the marks of the protocol among it.",
    advice="Encode as UTF-8 and decode only whole characters; let a JSON library write every text.",
)
@pytest.mark.parametrize("number", range(len(TEXTS)))
async def test_any_text_comes_through(provider: Provider, number: int) -> None:
    """Carries every text there and back unchanged: all scripts, marks of the protocol, 600 KB."""
    with anyio.fail_after(PATIENCE_S):
        reply = await provider.complete(ask(TEXTS[number]))
    assert reply.message.text == TEXTS[number]


@requirement(
    "PROVIDER-06",
    "MUST",
    reason="Requests are made of what others wrote; none of it may crash a run, or speak to the far side by itself.",
    advice="Raise UsageError for what the protocol cannot express; check what goes into headers and addresses.",
)
@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_requests_are_answered_or_refused(provider: Provider, name: str) -> None:
    """Answers or refuses by a typed error each request that makes no sense, and answers the next one."""
    with anyio.fail_after(PATIENCE_S):
        try:
            reply = await provider.complete(HOSTILE[name])
        except AgentFlowError as refused:
            str(refused).encode()  # it goes into logs
        else:
            assert reply.message.role == "assistant"
        assert (await provider.complete(ask("next"))).message.text == "next"


@requirement(
    "PROVIDER-07",
    "MUST",
    reason="A conversation is the list of its turns; the kernel stores them as JSON and sends them all each time.",
    advice="Put all that the vendor wants to see again into the message, and read it back from there.",
)
async def test_a_conversation_goes_on(provider: Provider) -> None:
    """Takes its own turns back as parts of a conversation, also after they were stored."""
    turns = [Message("system", "Be kind."), Message("user", "first")]
    for text in ("second", "third"):
        reply = await provider.complete(ModelRequest(turns))
        turns += [Message.from_json(json.loads(json.dumps(reply.message.to_json()))), Message("user", text)]
    assert (await provider.complete(ModelRequest(turns))).message.text == "third"
    assert [turn.text for turn in turns if turn.role == "assistant"] == ["first", "second"]


@requirement(
    "PROVIDER-08",
    "MUST",
    reason="All agents of a process share a provider; each must get its own answer.",
    advice="Keep what belongs to one call in that call; limit connections only where the service asks for it.",
)
async def test_a_hundred_calls_at_once_get_their_own_answers(provider: Provider) -> None:
    """Answers each of 100 calls at the same time with what belongs to it."""
    answers: dict[int, str] = {}

    async def work(number: int) -> None:
        answers[number] = (await provider.complete(ask(f"number {number} é"))).message.text

    with anyio.fail_after(PATIENCE_S * 2):
        async with anyio.create_task_group() as group:
            for number in range(CALLERS):
                group.start_soon(work, number)
    assert answers == {number: f"number {number} é" for number in range(CALLERS)}


@requirement(
    "PROVIDER-09",
    "MUST",
    needs="scripted",
    reason="An answer that was cut at a limit, or refused, must not be taken for a whole one.",
    advice="Map the vendor's words for the end of a turn; a refusal inside an answer is a stop reason, not an error.",
)
async def test_the_reason_to_stop_is_told(provider: Provider, harness: Harness) -> None:
    """Tells why the model stopped: at its end, at the limit of tokens, or because it refused; with the text so far."""
    known = set(get_args(StopReason))
    for reason in ("end", "max_tokens", "refusal"):
        told = ModelReply(Message("assistant", f"so far {reason}"), stop_reason=reason, usage=Usage(3, 2))
        scripted(harness).answer_next(provider, told)
        reply = await provider.complete(ask())
        assert reply.stop_reason in known
        assert (reply.stop_reason, reply.message.text) == (reason, f"so far {reason}")


@requirement(
    "PROVIDER-20",
    "MUST",
    needs="tools",
    reason="A model that cannot call tools answers as if there were none; an agent would never notice.",
    advice="Raise Unsupported for a request with tools where the model knows none.",
)
async def test_tools_are_offered(provider: Provider) -> None:
    """Takes a request with tools, and answers it also where the model calls none."""
    reply = await provider.complete(ask("No tool today.", tools=TOOLS))
    assert (reply.message.text, list(reply.message.calls)) == ("No tool today.", [])
    assert reply.stop_reason == "end"


@requirement(
    "PROVIDER-21",
    "MUST",
    needs="tools",
    reason="The kernel finds a tool by its full name and answers each call by its id.",
    advice="Turn the vendor's names back into those of the request, and parse the arguments into an object.",
)
async def test_calls_of_tools_arrive_whole(provider: Provider, harness: Harness) -> None:
    """Gives each call with its id, the name of its tool and its arguments, beside the text, several in one turn."""
    calls = [
        ToolCall("call-1", "files.read", {"path": "é 🐎.txt", "deep": {"list": [1, 2.5, None, True]}}),
        ToolCall("call-2", "now", {}),
        ToolCall("call-3", "files.read", {"path": '"\\\n'}),
    ]
    for text in ("Let me look.", ""):
        told = ModelReply(Message("assistant", text, calls=calls), stop_reason="tool_calls", usage=Usage(3, 2))
        scripted(harness).answer_next(provider, told)
        reply = await provider.complete(ask(tools=TOOLS))
        assert reply.stop_reason == "tool_calls"
        assert list(reply.message.calls) == calls
        assert reply.message.text == text


@requirement(
    "PROVIDER-22",
    "MUST",
    needs="tools",
    reason="A model goes on by the results of its calls; it must see which of them went wrong.",
    advice="Send each result with the id of its call and its error, in the order of the conversation.",
)
async def test_results_of_tools_go_back(provider: Provider, harness: Harness) -> None:
    """Takes a conversation with calls and their results, good and bad, empty and long, and of tools that are gone."""
    calls = [ToolCall("call-1", "files.read", {"path": "a"}), ToolCall("call-2", "files.gone", {})]
    told = ModelReply(Message("assistant", "Let me look.", calls=calls), stop_reason="tool_calls", usage=Usage(3, 2))
    scripted(harness).answer_next(provider, told)
    first = Message("user", "Look.")
    turn = (await provider.complete(ModelRequest([first], tools=TOOLS))).message
    for result in ("", "é 🐎" * 1_000, '{"a": 1}'):
        turns = [
            first, turn, Message("tool", result, call_id="call-1"),
            Message("tool", "There is no such tool.", call_id="call-2", is_error=True), Message("user", "And now?"),
        ]  # fmt: skip
        reply = await provider.complete(ModelRequest(turns, tools=TOOLS))
        assert reply.message.text == "And now?"


@requirement(
    "PROVIDER-25",
    "MUST",
    needs="structured",
    reason="Flows read fields of such an answer; who ignores the schema gives prose instead.",
    advice="Ask for the schema in the vendor's way, or raise Unsupported.",
)
async def test_structured_answers_are_json(provider: Provider) -> None:
    """Answers a request with an output schema by a text that is the JSON of the model."""
    answer: dict[str, object] = {"name": "é 🐎", "age": 7}
    reply = await provider.complete(ask(json.dumps(answer), output_schema=SCHEMA))
    assert json.loads(reply.message.text) == answer


@requirement(
    "PROVIDER-26",
    "MUST",
    needs="structured",
    reason="A model may always answer prose; a planner can mend what it sees, and nothing else.",
    advice="Give back the text, or raise OutputInvalid once asking again did not help.",
)
@pytest.mark.parametrize("text", ["prose", '{"name": 1}', '{"name": "a", "age": 1', "[]", ""])
async def test_an_answer_that_does_not_fit_is_no_crash(provider: Provider, text: str) -> None:
    """Gives an answer that does not fit the schema as it came, or raises `OutputInvalid`; never another error."""
    executed = ""
    try:
        reply = await provider.complete(ask(text or " ", output_schema=SCHEMA))
    except OutputInvalid as refused:
        executed = refused.executed
    else:
        assert reply.message.role == "assistant"
    assert executed in {"", "yes"}
