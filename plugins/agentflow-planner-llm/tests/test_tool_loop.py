"""The loop itself: how it begins, what it asks the model, how it ends with an answer."""

from __future__ import annotations

import pytest
from tool_loop_driver import TOOLS, Cancelled, Failure, Play, answers, call, calls, pending, planner, play, says, task

from agentflow_kernel.contracts.planner import Observation
from agentflow_kernel.contracts.provider import Message, Usage


def test_a_run_without_calls_ends_with_the_models_text() -> None:
    """An answer without tool calls is the final text."""
    run = play(says("Hello back.", usage=Usage(7, 3, 2, 0.5)))
    assert run.output == {
        "text": "Hello back.",
        "output": None,
        "stop_reason": "end",
        "iterations": 1,
        "model_calls": 1,
        "tool_calls": 0,
        "usage": {"input_tokens": 7, "output_tokens": 3, "cached_tokens": 2, "cost_usd": 0.5},
    }
    assert run.end is not None
    assert (run.end.error, run.end.stop_reason) == (None, "end")


def test_the_first_request_holds_instructions_input_and_all_tools() -> None:
    """The model is asked with the system message, the input as a user message, every tool name and the schema."""
    run = Play(planner(), task(output_schema={"type": "object"}), "What is new?")
    (action,) = run.open
    assert (action.id, action.kind, action.name) == ("model-1", "model", "")
    assert action.arguments == {
        "messages": [{"role": "system", "text": "Be brief."}, {"role": "user", "text": "What is new?"}],
        "tools": list(TOOLS),
        "output_schema": {"type": "object"},
    }


@pytest.mark.parametrize(
    ("value", "text"),
    [("plain", "plain"), ({"b": [1, None], "a": "ü"}, '{"b":[1,null],"a":"ü"}'), (None, "null"), (3.5, "3.5")],
)
def test_the_input_is_a_string_as_it_is_or_compact_json(value: object, text: str) -> None:
    """A string becomes the user's message as it is, any other JSON value as compact text."""
    run = Play(planner(), task(instructions=""), value)
    assert run.history == [{"role": "user", "text": text}]


def test_a_tool_call_is_run_and_its_result_shown_to_the_model() -> None:
    """One iteration: the model calls, the tool runs, the next request ends with call and result."""
    run = play(calls(call("c1"), text="Let me look."), says("Done."), tools={"files.read": {"lines": 3}})
    (tool,) = run.tool_actions
    assert (tool.id, tool.kind, tool.name, tool.arguments) == ("tool-1-0", "tool", "files.read", {"path": "a.txt"})
    assert run.requests[1]["messages"][2:] == [
        {
            "role": "assistant",
            "text": "Let me look.",
            "calls": [{"id": "c1", "name": "files.read", "arguments": {"path": "a.txt"}}],
        },
        {"role": "tool", "text": '{"lines":3}', "call_id": "c1"},
    ]
    assert run.output["text"] == "Done."
    assert (run.output["iterations"], run.output["model_calls"], run.output["tool_calls"]) == (2, 2, 1)


def test_messages_have_the_form_of_the_contract() -> None:
    """Every message of a history is what the contract's own message writes."""
    run = play(calls(call("c1"), call("c2", "no.such")), says("Done."))
    assert [Message.from_json(message).to_json() for message in run.history] == run.history


def test_a_later_turn_does_not_change_an_earlier_request() -> None:
    """The messages of an action are a list of its own: the engine may keep it while the run goes on."""
    run = play(calls(call("c1")), says("Done."))
    assert len(run.requests[0]["messages"]) == 2
    assert len(run.requests[1]["messages"]) == 4


def test_vendor_parts_of_a_turn_come_back_unchanged() -> None:
    """Parts such as signed reasoning blocks are sent back with their turn as they came."""
    turn = calls(call("c1"))
    turn["message"]["parts"] = [{"type": "reasoning", "signature": "x=="}]
    run = play(turn, says("Done."))
    assert run.requests[1]["messages"][2]["parts"] == [{"type": "reasoning", "signature": "x=="}]


def test_the_last_iteration_offers_no_tools_and_asks_for_the_answer() -> None:
    """At the last allowed iteration no tools are offered and a user's message asks for the final answer."""
    run = play(calls(call("c1")), says("Done."), max_iterations=2)
    assert [request["tools"] for request in run.requests] == [list(TOOLS), []]
    last = run.requests[1]["messages"][-1]
    assert last["role"] == "user"
    assert "final answer" in last["text"]
    assert (run.output["text"], run.output["stop_reason"]) == ("Done.", "end")


def test_calls_in_the_last_iteration_are_answered_but_not_run() -> None:
    """A model that calls tools although none are offered ends the run; each call has a result in the history."""
    run = play(calls(call("c1")), calls(call("c2"), text="I would rather look."), max_iterations=2)
    assert run.output["stop_reason"] == "budget.iterations"
    assert run.output["text"] == "I would rather look."
    assert [action.id for action in run.tool_actions] == ["tool-1-0"]
    assert [(call_id, is_error) for call_id, _, is_error in answers(run)] == [("c1", False), ("c2", True)]


def test_a_single_iteration_offers_no_tools_at_all() -> None:
    """With one iteration the first turn is the last."""
    run = play(says("Done."), max_iterations=1)
    assert run.requests[0]["tools"] == []
    assert "final answer" in run.requests[0]["messages"][-1]["text"]


def test_without_tools_a_single_question_is_asked_as_it_is() -> None:
    """Where there is nothing to withhold, the first request holds the input and nothing else."""
    run = play(says("Done."), of=task(tools={}, instructions=""), max_iterations=1)
    assert run.requests[0]["messages"] == [{"role": "user", "text": "hello"}]


def test_a_turn_cut_off_at_its_token_limit_runs_none_of_its_calls() -> None:
    """Half a call may have half its arguments: each is answered as not run, and the model may call again."""
    run = play(calls(call("c1"), call("c2"), stop="max_tokens"), says("Done."))
    assert run.tool_actions == []
    assert [(call_id, is_error) for call_id, _, is_error in answers(run)] == [("c1", True), ("c2", True)]
    assert "cut off" in answers(run)[0][1]
    assert run.output["stop_reason"] == "end"


def test_a_text_cut_off_at_its_token_limit_says_so() -> None:
    """A final text that was cut off is given, with the stop reason `max_tokens`."""
    run = play(says("Once upon", stop="max_tokens"))
    assert (run.output["text"], run.output["stop_reason"]) == ("Once upon", "max_tokens")


@pytest.mark.parametrize("stop", ["end", "stop_sequence", "tool_calls"])
def test_what_counts_is_whether_there_are_calls_not_the_stop_reason(stop: str) -> None:
    """Calls are run whatever the reply gives as its stop reason, and a turn without calls is final."""
    run = play(calls(call("c1"), stop=stop), says("Done.", stop=stop))
    assert len(run.tool_actions) == 1
    assert run.output["text"] == "Done."
    assert run.output["stop_reason"] == ("stop_sequence" if stop == "stop_sequence" else "end")


def test_a_refusal_ends_the_run_with_an_error() -> None:
    """A refusal is not an answer: the run ends with the code of `Refused`, its calls are not run."""
    run = play(calls(call("c1"), text="I will not.", stop="refusal"))
    assert run.end is not None
    assert (run.end.code, run.end.stop_reason) == ("AF-REFUSED", "refusal")
    assert run.output["text"] == "I will not."
    assert run.tool_actions == []
    assert len(answers(run)) == 1


def test_an_error_of_the_model_call_ends_the_run_with_its_code() -> None:
    """What the policies gave up on ends the run, with the code of the error and the partial result."""
    run = play(calls(call("c1"), text="Half."), Failure("no connection", "AF-PEER-UNAVAILABLE", "maybe"))
    assert run.end is not None
    assert (run.end.error, run.end.code, run.end.stop_reason) == ("no connection", "AF-PEER-UNAVAILABLE", "error")
    assert run.output["text"] == "Half."
    assert run.output["model_calls"] == 2


@pytest.mark.parametrize(
    ("failure", "cost"),
    [(Failure("x", executed="maybe"), None), (Failure("x", executed="no"), 0.25)],
)
def test_the_cost_of_a_failed_model_call_is_unknown_unless_it_was_not_executed(failure: Failure, cost: object) -> None:
    """A call that may have been executed makes the total unknown; one that was not costs nothing."""
    run = play(calls(call("c1"), usage=Usage(1, 1, 0, 0.25)), failure)
    assert run.output["usage"]["cost_usd"] == cost


def test_a_cancelled_model_call_ends_the_run() -> None:
    """Without the model the loop cannot go on: it ends with the code of a cancelled run."""
    run = play(Cancelled())
    assert run.end is not None
    assert (run.end.code, run.end.stop_reason) == ("AF-RUN-CANCELLED", "cancelled")


@pytest.mark.parametrize("value", [None, 3, {}, {"message": None}, {"message": {"text": "x"}}, [1]])
def test_a_reply_that_is_none_ends_the_run_with_an_error(value: object) -> None:
    """A result that has not the form of a reply is a breach of contract, not an exception."""
    run = play(value)
    assert run.end is not None
    assert run.end.code == "AF-PROTOCOL"


def test_a_reply_without_usage_counts_no_tokens_and_has_no_price() -> None:
    """A provider that reports nothing is not a fault: the tokens are 0 and the cost is unknown."""
    reply = says("Done.")
    del reply["usage"]
    run = play(reply)
    assert run.output["usage"] == {"input_tokens": 0, "output_tokens": 0, "cached_tokens": 0, "cost_usd": None}
    (answered,) = [fields for name, fields in run.events if name == "model.answered"]
    assert (answered["input_tokens"], answered["output_tokens"]) == (0, 0)


def test_an_empty_answer_is_an_answer() -> None:
    """A model that says nothing ends the run with an empty text."""
    assert play(says("")).output["text"] == ""


def test_nothing_that_comes_after_the_end_has_an_effect() -> None:
    """A late result, a timer or a second start after the end decides nothing."""
    run = play(says("Done."))
    before = run.subject.dump(run.state)
    for observation in [Observation("result", "model-1", says("Again.")), Observation("timer"), Observation("started")]:
        decision = run.give(observation)
        assert (decision.start, decision.end, decision.events) == ((), None, ())
    assert run.subject.dump(run.state) == before


@pytest.mark.parametrize(
    "observation",
    [
        Observation("started", value="again"),
        Observation("signal", value="hello"),
        Observation("timer"),
        Observation("result", "model-7", says("x")),
        Observation("result", "tool-1-9", "x"),
        Observation("error", "", {"code": "X", "message": "", "executed": "no"}),
    ],
)
def test_an_observation_that_answers_nothing_is_ignored(observation: Observation) -> None:
    """What belongs to no action under way neither starts, ends nor changes anything."""
    for run in (Play(planner(), task()), pending(call("c1"))):
        before = run.subject.dump(run.state)
        decision = run.give(observation)
        assert (decision.start, decision.end, decision.events) == ((), None, ())
        assert run.subject.dump(run.state) == before


def test_one_planner_serves_runs_side_by_side() -> None:
    """All of a run is in its state: two runs of one planner do not see each other."""
    subject = planner()
    first, second = Play(subject, task(), "one"), Play(subject, task(), "two")
    first.finish("model-1", calls(call("c1")))
    second.finish("model-1", says("Two."))
    first.finish("tool-1-0", "text")
    first.finish("model-2", says("One."))
    assert (first.output["text"], second.output["text"]) == ("One.", "Two.")
    assert (first.output["model_calls"], second.output["model_calls"]) == (2, 1)


def test_the_partial_text_is_the_last_thing_the_model_said() -> None:
    """Turns without text are passed over."""
    run = play(calls(call("c1"), text="First."), calls(call("c2", path="b")), max_iterations=3)
    assert run.output["text"] == "First."
