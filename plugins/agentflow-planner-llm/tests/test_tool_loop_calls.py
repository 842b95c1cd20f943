"""Several calls in one turn: how many at a time, in which order, and one result for each, always."""

from __future__ import annotations

import random

import pytest
from tool_loop_driver import Cancelled, Failure, Play, answers, call, calls, pending, planner, play, says, task

from agentflow_kernel.contracts.planner import Action, Task
from agentflow_kernel.contracts.tool import Tool


def test_calls_of_one_turn_start_together_up_to_the_limit() -> None:
    """At most `parallel_tools` calls run at a time; each that ends makes room for the next."""
    run = pending(*(call(f"c{index}") for index in range(5)), parallel_tools=2)
    assert [action.id for action in run.open] == ["tool-1-0", "tool-1-1"]
    decision = run.finish("tool-1-1", "b")
    assert [action.id for action in decision.start] == ["tool-1-2"]
    decision = run.finish("tool-1-0", "a")
    assert [action.id for action in decision.start] == ["tool-1-3"]


def test_results_stand_in_call_order_whatever_the_order_of_completion() -> None:
    """The history holds one result per call, in the order of the calls."""
    run = pending(call("c0"), call("c1"), call("c2"))
    for place in (2, 0, 1):
        run.finish(f"tool-1-{place}", f"result {place}")
    assert [text for _, text, _ in answers(run)] == ["result 0", "result 1", "result 2"]
    assert [action.id for action in run.open] == ["model-2"]


def test_the_model_is_asked_only_when_every_call_has_its_result() -> None:
    """As long as one call runs, nothing is asked."""
    run = pending(call("c0"), call("c1"))
    assert run.finish("tool-1-1", "b").start == ()
    assert [action.kind for action in run.finish("tool-1-0", "a").start] == ["model"]


def test_a_sequential_call_runs_alone_and_in_its_place() -> None:
    """A sequential tool waits for those before it, and those after it wait: nobody overtakes."""
    run = pending(call("c0"), call("c1", "shell.run", line="ls"), call("c2"), call("c3"))
    assert [action.id for action in run.open] == ["tool-1-0"]
    assert [action.id for action in run.finish("tool-1-0", "a").start] == ["tool-1-1"]
    assert [action.id for action in run.finish("tool-1-1", "b").start] == ["tool-1-2", "tool-1-3"]


def test_two_sequential_calls_follow_each_other() -> None:
    """Sequential calls of one turn run one after the other, in call order."""
    run = pending(call("c0", "shell.run", line="1"), call("c1", "shell.run", line="2"))
    assert [action.id for action in run.open] == ["tool-1-0"]
    assert [action.arguments for action in run.finish("tool-1-0", "").start] == [{"line": "2"}]


def test_an_unknown_tool_becomes_a_result_with_the_nearest_name() -> None:
    """A tool that is not there starts no action; the model is told which names there are."""
    run = play(calls(call("c1", "files.raed")), says("Done."))
    ((call_id, text, is_error),) = answers(run)
    assert (call_id, is_error) == ("c1", True)
    assert "Unknown tool 'files.raed'" in text
    assert "Did you mean 'files.read'?" in text
    assert run.tool_actions == []


def test_invalid_arguments_become_a_result_with_the_json_path() -> None:
    """Arguments that break the tool's schema start no action; the text names where and what."""
    run = play(calls(call("c1", path=3, mode="r")), says("Done."))
    ((_, text, is_error),) = answers(run)
    assert is_error
    assert "/path: must be string, not number" in text
    assert "/mode: is not allowed" in text
    assert run.tool_actions == []


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("path=a.txt", "is not JSON: Expecting value"),
        ('{"path": "x", ', "is not JSON: "),
        ("[1]", "must be object"),
        ([1], "must be object"),
    ],
)
def test_arguments_that_are_no_object_become_a_result(arguments: object, reason: str) -> None:
    """A call whose arguments are not an object is refused and kept in the history with an empty object."""
    turn = calls(call("c1"))
    turn["message"]["calls"][0]["arguments"] = arguments
    run = play(turn, says("Done."))
    assert f"the whole value: {reason}" in answers(run)[0][1]
    assert run.requests[1]["messages"][2]["calls"][0]["arguments"] == {}


def test_a_refused_call_does_not_keep_the_others_from_running() -> None:
    """Beside an unknown tool and bad arguments the good call runs; the order of results is that of the calls."""
    run = play(calls(call("c0", "no.such"), call("c1"), call("c2", path=1)), says("Done."))
    assert [action.id for action in run.tool_actions] == ["tool-1-1"]
    assert [(call_id, is_error) for call_id, _, is_error in answers(run)] == [
        ("c0", True),
        ("c1", False),
        ("c2", True),
    ]


@pytest.mark.parametrize(
    "failure",
    [
        Failure("give a path below the root", "AF-TOOL-ASK-AGAIN"),
        Failure("the file is gone", "AF-TOOL-FAILED"),
        Failure("files.read gave no answer within 5 s.", "AF-ELAPSED", "maybe"),
        Failure("'files.read' is not granted", "AF-NOT-ALLOWED", "no"),
        Failure("division by zero", "AF-ERROR", "maybe"),
    ],
)
def test_an_error_of_a_tool_is_told_to_the_model(failure: Failure) -> None:
    """Ask-again, failure, time-out, denied permission and exception are results, not the end of the loop."""
    run = play(calls(call("c1")), says("Done."), tools={"files.read": failure})
    assert answers(run) == [("c1", failure.value["message"], True)]
    assert run.output["text"] == "Done."


def test_a_tool_error_never_leaves_the_loop_waiting() -> None:
    """After an error the turn is settled and the model is asked: no call is waited for for ever."""
    run = pending(call("c0"), call("c1"))
    run.finish("tool-1-0", Failure())
    assert [action.kind for action in run.finish("tool-1-1", Failure()).start] == ["model"]


@pytest.mark.parametrize(("executed", "warned"), [("maybe", True), ("no", False), ("yes", False)])
def test_an_effect_in_doubt_is_told_to_the_model(executed: str, *, warned: bool) -> None:
    """Where a tool with effects may have been executed, the model is told to check before it repeats the call."""
    run = play(calls(call("c1", "files.write")), says("Done."), tools={"files.write": Failure("slow", "X", executed)})
    assert ("may have taken effect" in answers(run)[0][1]) is warned


@pytest.mark.parametrize("value", ["broken", None, {}, {"message": "", "code": ""}])
def test_an_error_without_a_message_still_gives_a_text(value: object) -> None:
    """The text of a failed call is never empty."""
    run = pending(call("c1"))
    failure = Failure()
    failure.value = value  # type: ignore[assignment]  # the point of the test
    run.finish("tool-1-0", failure)
    assert answers(run)[0][1]


def test_a_cancelled_call_is_answered_as_cancelled() -> None:
    """A call that the engine cancelled has its result like any other, so that the history stays valid."""
    run = pending(call("c0"), call("c1"))
    run.finish("tool-1-1", Cancelled())
    decision = run.finish("tool-1-0", "a")
    assert [action.kind for action in decision.start] == ["model"]
    assert [(call_id, is_error) for call_id, _, is_error in answers(run)] == [("c0", False), ("c1", True)]
    assert "Cancelled" in answers(run)[1][1]


def test_a_second_end_of_one_action_is_ignored() -> None:
    """The first observation of an action counts; a later one of the same action changes nothing."""
    run = pending(call("c0"), call("c1"))
    run.finish("tool-1-0", "first")
    run.finish("tool-1-0", "second")
    run.finish("tool-1-1", "b")
    assert [text for _, text, _ in answers(run)] == ["first", "b"]


def test_calls_that_share_an_id_are_told_apart() -> None:
    """A turn with one id twice, or none, is kept with ids of its own: each call has exactly one result."""
    run = play(calls(call("c"), call("c", path="b"), call("", path="c"), call("c-1", path="d")), says("Done."))
    ids = [one["id"] for one in run.requests[1]["messages"][2]["calls"]]
    assert ids[0] == "c"
    assert ids[3] == "c-1"
    assert len(set(ids)) == 4
    assert "" not in ids
    assert [call_id for call_id, _, _ in answers(run)] == ids


def test_a_single_call_without_an_id_is_given_one() -> None:
    """A result can only answer a call that has an id."""
    run = play(calls(call("")), says("Done."))
    assert run.requests[1]["messages"][2]["calls"][0]["id"] == answers(run)[0][0] == "call-0"


def test_a_long_result_is_cut_and_says_so() -> None:
    """The model is shown the first `max_result_chars` characters and how many are missing."""
    run = play(calls(call("c1")), says("Done."), tools={"files.read": "x" * 30}, max_result_chars=10)
    assert answers(run)[0][1] == "x" * 10 + "\n[cut off: 20 of 30 characters are not shown]"


def test_a_result_of_exactly_the_limit_is_whole() -> None:
    """The limit itself is allowed."""
    run = play(calls(call("c1")), says("Done."), tools={"files.read": "x" * 10}, max_result_chars=10)
    assert answers(run)[0][1] == "x" * 10


def test_a_long_error_is_cut() -> None:
    """The text of an error is short whatever the tool says."""
    run = play(calls(call("c1")), says("Done."), tools={"files.read": Failure("x" * 100_000)})
    assert len(answers(run)[0][1]) < 3_000


def test_a_tool_that_goes_wrong_turn_after_turn_stops_the_loop() -> None:
    """At `tool_error_limit` turns in a row in which every call of one tool went wrong the loop stops."""
    turns = [calls(call(f"c{index}", path=str(index)), text=f"try {index}") for index in range(9)]
    run = play(*turns, tools={"files.read": Failure()}, tool_error_limit=3)
    assert run.output["stop_reason"] == "tool_errors"
    assert run.output["text"] == "try 2"
    assert run.end is not None
    assert run.end.error is None
    assert len(run.tool_actions) == 3
    assert len(answers(run)) == 3


def test_one_good_call_clears_a_tools_errors() -> None:
    """The errors of a tool are counted in a row: a call that goes well begins anew."""
    outcomes = iter([Failure(), Failure(), "well", Failure(), Failure()])
    turns = [calls(call(f"c{index}", path=str(index))) for index in range(5)]
    run = play(*turns, says("Done."), tools=lambda _: next(outcomes), tool_error_limit=3)
    assert run.output["stop_reason"] == "end"


def test_several_errors_in_one_turn_count_once() -> None:
    """A turn of many bad calls is one mistake: the model has not been told yet."""
    many = calls(*(call(f"c{index}", path=str(index)) for index in range(8)))
    run = play(many, says("Done."), tools={"files.read": Failure()}, tool_error_limit=2)
    assert run.output["stop_reason"] == "end"


def test_errors_are_counted_for_each_tool_apart() -> None:
    """Two tools that fail in turn do not add up."""
    turns = [calls(call(f"c{index}", ("files.read", "files.write")[index % 2], path=str(index))) for index in range(4)]
    run = play(*turns, says("Done."), tools={"files.read": Failure(), "files.write": Failure()}, tool_error_limit=3)
    assert run.output["stop_reason"] == "end"


def test_calls_that_cannot_run_count_as_errors_of_their_tool() -> None:
    """A model that calls a tool that is not there, again and again, is stopped."""
    turns = [calls(call(f"c{index}", "no.such", n=index)) for index in range(9)]
    run = play(*turns, tool_error_limit=4)
    assert run.output["stop_reason"] == "tool_errors"
    assert run.output["iterations"] == 4


def test_a_cancelled_call_is_no_error_of_its_tool() -> None:
    """What was cancelled or cut off is nobody's fault."""
    turns = [calls(call(f"c{index}", path=str(index))) for index in range(3)]
    run = play(*turns, says("Done."), tools={"files.read": Cancelled()}, tool_error_limit=1)
    assert run.output["stop_reason"] == "end"


def test_three_hundred_calls_in_one_turn_never_run_more_than_allowed() -> None:
    """The bound holds over a long turn, in any order of completion, with sequential calls strewn in."""
    names = ["shell.run" if index % 7 == 3 else "files.read" for index in range(300)]
    run = Play(planner(parallel_tools=4), task())
    wanted = [call(f"c{index}", name, path=str(index)) for index, name in enumerate(names)]
    run.finish("model-1", calls(*wanted))
    order = random.Random(7)
    while any(action.kind == "tool" for action in run.open):
        running = [action.name for action in run.open]
        assert len(running) <= (1 if "shell.run" in running else 4)
        run.finish(order.choice(run.open), "ok")
    assert [call_id for call_id, _, _ in answers(run)] == [f"c{index}" for index in range(300)]


def test_a_tool_that_left_the_task_after_a_restart_is_still_answered() -> None:
    """A restored turn may name a tool that is gone: the engine says so, the turn settles, the run goes on."""
    run = pending(call("c0", "shell.run", line="1"), call("c1", "shell.run", line="2"))
    saved = run.subject.dump(run.state)
    run.state = run.subject.load(Task("assistant", tools={"files.read": task().tools["files.read"]}), saved)
    run.finish("tool-1-0", "ok")
    run.finish("tool-1-1", Failure("Unknown tool 'shell.run'.", "AF-UNKNOWN-NAME", "no"))
    assert [action.kind for action in run.open] == ["model"]


def test_a_wrong_schema_of_a_tool_is_told_to_the_model() -> None:
    """A tool whose schema is no schema cannot be called; the run goes on."""
    broken = Tool("x", "", {"required": 3})
    run = play(calls(call("c1", "x")), says("Done."), of=task(tools={"x": broken}))
    assert "the schema is wrong" in answers(run)[0][1]
    assert run.output["text"] == "Done."


def test_arguments_reach_the_tool_as_the_model_gave_them() -> None:
    """The planner checks arguments and changes nothing: text such as `$1` is text."""
    seen: list[Action] = []

    def note(action: Action) -> str:
        seen.append(action)
        return "ok"

    play(calls(call("c1", "shell.run", line="echo $1", price="$2 and ${3}")), says("Done."), tools=note)
    assert seen[0].arguments == {"line": "echo $1", "price": "$2 and ${3}"}
