"""Going in circles: the same call with the same result is warned of once, then stops the loop."""

from __future__ import annotations

from typing import Any

import pytest
from tool_loop_driver import Failure, answers, call, calls, pending, play, says


def warnings(run: Any) -> list[str]:
    """The user's messages that warn of a loop."""
    return [m["text"] for m in run.history if m["role"] == "user" and "in a row" in m["text"]]


def test_three_equal_calls_bring_one_warning_and_the_fourth_stops() -> None:
    """After the third equal call the model is warned; the fourth is answered, not run, and the loop stops."""
    run = play(calls(call("c"), text="again"))
    assert run.output["stop_reason"] == "loop"
    assert run.end is not None
    assert run.end.error is None
    assert len(run.tool_actions) == 3
    assert len(run.requests) == 4
    assert len(warnings(run)) == 1
    assert "'files.read' 3 times in a row" in warnings(run)[0]
    assert len(answers(run)) == 4
    assert answers(run)[3][2]
    assert run.output["text"] == "again"


def test_the_warning_is_shown_before_the_next_turn() -> None:
    """The request after the third equal call ends with the warning."""
    run = play(calls(call("c")), calls(call("c")), calls(call("c")), says("I see."))
    assert "in a row" in run.requests[3]["messages"][-1]["text"]
    assert [len(request["messages"]) for request in run.requests] == [2, 4, 6, 9]
    assert run.output["stop_reason"] == "end"


def test_the_order_of_keys_and_the_form_of_numbers_do_not_count() -> None:
    """Arguments are compared as values."""
    same = [{"a": 1, "b": [2]}, {"b": [2.0], "a": 1.0}, {"a": 1, "b": [2]}]
    turns = [calls(call(f"c{index}", "shell.run", **arguments)) for index, arguments in enumerate(same)]
    assert len(warnings(play(*turns, says("Done.")))) == 1


@pytest.mark.parametrize(
    "different", [{"a": True, "b": [2]}, {"a": 1}, {"a": 1, "b": [2, 3]}, {"a": "1", "b": [2]}, {"a": 1, "c": [2]}]
)
def test_other_arguments_begin_a_new_row(different: dict[str, Any]) -> None:
    """A call that differs in any value breaks the row."""
    row = [{"a": 1, "b": [2]}, {"a": 1, "b": [2]}, different, {"a": 1, "b": [2]}, {"a": 1, "b": [2]}]
    turns = [calls(call(f"c{index}", "shell.run", **arguments)) for index, arguments in enumerate(row)]
    assert warnings(play(*turns, says("Done."))) == []


def test_another_tool_begins_a_new_row() -> None:
    """Only calls in a row count."""
    turns = [calls(call(f"c{index}", "files.write" if index == 2 else "files.read")) for index in range(5)]
    assert warnings(play(*turns, says("Done."))) == []


def test_another_result_is_progress() -> None:
    """A call whose result changes, such as asking for a state, is no loop."""
    states = iter(["queued", "running", "running", "stopping", "stopped"])
    turns = [calls(call(f"c{index}")) for index in range(5)]
    run = play(*turns, says("Done."), tools=lambda _: next(states))
    assert warnings(run) == []
    assert run.output["stop_reason"] == "end"


def test_a_model_that_heeds_the_warning_goes_on() -> None:
    """After the warning another call is run as ever."""
    run = play(*(calls(call(f"c{i}")) for i in range(3)), calls(call("c3", path="b.txt")), says("Done."))
    assert run.output["stop_reason"] == "end"
    assert len(run.tool_actions) == 4


def test_there_is_one_warning_in_a_run() -> None:
    """A second circle stops the loop at its third equal call, without a second warning."""
    run = play(*(calls(call(f"c{i}")) for i in range(3)), calls(call("d", path="b.txt")), max_iterations=20)
    assert run.output["stop_reason"] == "loop"
    assert len(warnings(run)) == 1
    assert len(run.tool_actions) == 6


def test_equal_errors_are_a_circle_too() -> None:
    """A call that fails in the same way again and again is warned of like any other."""
    run = play(*(calls(call(f"c{i}")) for i in range(3)), says("Done."), tools={"files.read": Failure()})
    assert len(warnings(run)) == 1


def test_calls_that_cannot_run_are_a_circle_too() -> None:
    """Three equal calls of an unknown tool are warned of; the fourth stops the loop."""
    run = play(calls(call("c", "no.such")))
    assert run.output["stop_reason"] == "loop"
    assert run.tool_actions == []
    assert len(run.requests) == 4


def test_equal_calls_in_one_turn_are_warned_of_before_the_loop_stops() -> None:
    """However many equal calls a turn holds, the model has the warning before it is stopped."""
    run = pending(*(call(f"c{index}") for index in range(6)), parallel_tools=6)
    for index in range(6):
        run.finish(f"tool-1-{index}", "same")
    assert len(warnings(run)) == 1
    assert "6 times in a row" in warnings(run)[0]
    assert run.end is None


def test_a_row_within_a_turn_counts_though_another_call_follows() -> None:
    """The longest row of a turn decides, not its last call."""
    turn = calls(call("c0"), call("c1"), call("c2"), call("c3", path="b.txt"))
    assert len(warnings(play(turn, says("Done.")))) == 1


def test_arguments_too_deep_to_compare_are_taken_as_different() -> None:
    """Arguments deeper than the interpreter can follow end no run; they only escape the comparison."""
    deep: Any = "end"
    for _ in range(5_000):
        deep = [deep]
    turns = [calls(call(f"c{index}", "shell.run", line=deep)) for index in range(4)]
    run = play(*turns, says("Done."))
    assert run.output["stop_reason"] == "end"
    assert warnings(run) == []


def test_the_limit_can_be_set() -> None:
    """`repeat_limit` says how many equal calls bring the warning."""
    run = play(calls(call("c")), repeat_limit=5, max_iterations=20)
    assert len(run.tool_actions) == 5
    assert run.output["stop_reason"] == "loop"
