"""Output schema: the final text is read and checked, and may be repaired."""

from __future__ import annotations

import pytest
from tool_loop_driver import answers, call, calls, play, says, task

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name"],
}
ASKS = task(output_schema=PERSON)


def test_a_fitting_answer_is_given_as_text_and_value() -> None:
    """The output holds the parsed value beside the text."""
    run = play(says(' {"name": "Ada", "age": 36}\n'), of=ASKS)
    assert run.output["output"] == {"name": "Ada", "age": 36}
    assert run.output["text"] == ' {"name": "Ada", "age": 36}\n'
    assert run.output["stop_reason"] == "end"


@pytest.mark.parametrize("text", ['```json\n{"name": "Ada"}\n```', '```\n{"name": "Ada"}```'])
def test_one_markdown_fence_is_taken_off(text: str) -> None:
    """Models like to fence their JSON; that costs no repair."""
    run = play(says(text), of=ASKS)
    assert run.output["output"] == {"name": "Ada"}
    assert run.output["model_calls"] == 1


def test_an_invalid_answer_is_repaired_in_one_turn_without_tools() -> None:
    """The model is told what is wrong, with the JSON path, and answers again in the same iteration."""
    run = play(says('{"name": "Ada", "age": -1}'), says('{"name": "Ada", "age": 1}'), of=ASKS)
    assert run.output["output"] == {"name": "Ada", "age": 1}
    assert (run.output["iterations"], run.output["model_calls"]) == (1, 2)
    request = run.requests[1]
    assert request["tools"] == []
    assert request["output_schema"] == PERSON
    assert request["messages"][-2] == {"role": "assistant", "text": '{"name": "Ada", "age": -1}'}
    assert "/age: must be at least 0" in request["messages"][-1]["text"]


@pytest.mark.parametrize("text", ["", "no json", '{"age": 1}', "NaN", '{"name": "Ada"} and more', "[" * 5000])
def test_an_answer_that_stays_invalid_ends_the_run_with_an_error(text: str) -> None:
    """After the repairs the run ends with an error and a code; the text is kept."""
    run = play(says(text), of=ASKS)
    assert run.end is not None
    assert run.end.code == "AF-OUTPUT-INVALID"
    assert run.end.error is not None
    assert "does not fit the output schema" in run.end.error
    assert run.end.stop_reason == "invalid_output"
    assert (run.output["text"], run.output["output"], run.output["model_calls"]) == (text, None, 2)


@pytest.mark.parametrize(("repairs", "model_calls"), [(0, 1), (1, 2), (3, 4)])
def test_repairs_are_bounded(repairs: int, model_calls: int) -> None:
    """The model may answer again `repairs` times in a run."""
    run = play(says("no json"), of=ASKS, repairs=repairs)
    assert run.output["model_calls"] == model_calls


def test_an_empty_answer_leaves_no_empty_message_behind() -> None:
    """Providers refuse an empty turn in a history, so it is not kept."""
    run = play(says(""), says('{"name": "Ada"}'), of=ASKS)
    assert all(message["text"] for message in run.requests[1]["messages"])
    assert run.output["output"] == {"name": "Ada"}


def test_the_last_iteration_may_be_repaired() -> None:
    """A repair belongs to its iteration: the last one has it too."""
    run = play(calls(call("c1")), says("no json"), says('{"name": "Ada"}'), of=ASKS, max_iterations=2)
    assert run.output["output"] == {"name": "Ada"}
    assert run.output["iterations"] == 2


def test_calls_in_a_repair_are_not_run() -> None:
    """A repair offers no tools; what it calls is answered, and its text counts as the answer."""
    turn = calls(call("c9"), text='{"name": "Ada"}')
    run = play(says("no json"), turn, of=ASKS)
    assert run.output["output"] == {"name": "Ada"}
    assert [(call_id, is_error) for call_id, _, is_error in answers(run)] == [("c9", True)]
    assert run.tool_actions == []


def test_a_repair_in_the_last_iteration_counts_though_it_calls_tools() -> None:
    """Calls in a repair never outweigh its text, not even where the iterations are used up."""
    run = play(says("no json"), calls(call("c9"), text='{"name": "Ada"}'), of=ASKS, max_iterations=1)
    assert (run.output["output"], run.output["stop_reason"]) == ({"name": "Ada"}, "end")


def test_a_refusal_is_not_repaired() -> None:
    """Asking again for JSON does not change a refusal."""
    run = play(says("I will not.", stop="refusal"), of=ASKS)
    assert run.end is not None
    assert run.end.code == "AF-REFUSED"
    assert run.output["model_calls"] == 1


def test_a_cut_off_answer_that_fits_is_taken() -> None:
    """What can be read and fits is the output; the stop reason says that it was cut off."""
    run = play(says('{"name": "Ada"}', stop="max_tokens"), of=ASKS)
    assert (run.output["output"], run.output["stop_reason"]) == ({"name": "Ada"}, "max_tokens")


def test_a_cut_off_answer_that_does_not_fit_names_the_limit() -> None:
    """That it is no JSON is the smaller part of the truth; the model is told, too."""
    cut = says('{"na', stop="max_tokens")
    run = play(cut, cut, of=ASKS)
    assert run.end is not None
    assert "it was cut off at its token limit (max_tokens); it is not JSON" in str(run.end.error)
    assert "max_tokens" not in str(play(says('{"na'), says('{"na'), of=ASKS).end)


def test_a_null_may_be_the_output() -> None:
    """Null is a value like any other where the schema allows it."""
    run = play(says("null"), of=task(output_schema={"type": ["null", "string"]}))
    assert run.end is not None
    assert run.end.error is None
    assert run.output["output"] is None


def test_the_schema_may_refer_to_its_own_parts() -> None:
    """The schemas that models of Python classes write use `$defs`."""
    schema = {"$defs": {"N": {"type": "integer"}}, "type": "array", "items": {"$ref": "#/$defs/N"}}
    run = play(says('[1, "2"]'), says("[1, 2]"), of=task(output_schema=schema))
    assert "/1: must be integer, not string" in run.requests[1]["messages"][-1]["text"]
    assert run.output["output"] == [1, 2]
