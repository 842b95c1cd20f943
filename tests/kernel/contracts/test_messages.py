"""Messages, replies and actions are written to JSON and read back without loss."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from agentflow_kernel.contracts.planner import Action, Decision, End
from agentflow_kernel.contracts.provider import Message, ModelReply, ToolCall, Usage

text = st.text(max_size=10)
objects = st.dictionaries(text, st.one_of(st.none(), st.integers(), text), max_size=3)
calls = st.builds(ToolCall, text, text, objects)
messages = st.builds(
    Message,
    st.sampled_from(["system", "user", "assistant", "tool"]),
    text,
    calls=st.lists(calls, max_size=3),
    call_id=st.one_of(st.none(), text),
    is_error=st.booleans(),
    parts=st.lists(objects, max_size=2),
)
usages = st.builds(
    Usage, st.integers(0, 9), st.integers(0, 9), st.integers(0, 9), st.one_of(st.none(), st.floats(0, 9))
)
replies = st.builds(
    ModelReply,
    messages,
    stop_reason=st.sampled_from(["end", "tool_calls", "max_tokens", "stop_sequence", "refusal"]),
    usage=usages,
    model=text,
)
actions = st.builds(Action, text, st.sampled_from(["tool", "model"]), text, objects)


def through_json(value: object) -> object:
    """As the journal would give it back."""
    return json.loads(json.dumps(value))


@given(messages)
def test_a_message_comes_back_as_it_was(message: Message) -> None:
    """Calls, parts and all; what is empty is left out of the JSON."""
    document = message.to_json()
    assert Message.from_json(through_json(document)) == message  # type: ignore[arg-type]  # an object
    assert ("calls" in document) == bool(message.calls)
    assert ("is_error" in document) == message.is_error


@given(replies)
def test_a_reply_comes_back_as_it_was(reply: ModelReply) -> None:
    """With its usage and why it stopped."""
    assert ModelReply.from_json(through_json(reply.to_json())) == reply  # type: ignore[arg-type]  # an object


@given(actions)
def test_an_action_comes_back_as_it_was(action: Action) -> None:
    """A resumed planner's open actions are those that it had begun."""
    assert Action.from_json(through_json(action.to_json())) == action  # type: ignore[arg-type]  # an object


def test_sequences_of_a_decision_do_not_change_with_the_callers_lists() -> None:
    """They are tuples."""
    started = [Action("a", "tool")]
    decision = Decision(started, cancel=["b"], waits=[{"type": "timer", "after_s": 1}], events=[("a.b", {})])
    started.append(Action("c", "tool"))
    assert [action.id for action in decision.start] == ["a"]
    assert (decision.cancel, len(decision.waits), len(decision.events)) == (("b",), 1, 1)


def test_an_end_is_an_output_or_an_error() -> None:
    """With a code for the error."""
    assert (End(1).output, End(1).error) == (1, None)
    assert (End(error="no").code, End(error="no", code="X").code) == ("AF-PLAN-FAILED", "X")
