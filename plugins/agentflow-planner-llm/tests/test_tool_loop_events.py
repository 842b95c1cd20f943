"""Progress events: every step of the loop is told, with ids, so that two runs can be compared turn by turn."""

from __future__ import annotations

from tool_loop_driver import Failure, call, calls, pending, play, says

from agentflow_kernel.contracts.planner import Observation
from agentflow_kernel.contracts.provider import Usage


def test_a_run_tells_its_steps_in_order() -> None:
    """One model turn with a call, one with the answer: eight events."""
    run = play(calls(call("c1"), usage=Usage(9, 4)), says("Done.", usage=Usage(12, 2)))
    one = {"id": "tool-1-0", "iteration": 1, "call_id": "c1", "name": "files.read"}
    totals = {"iterations": 2, "model_calls": 2, "tool_calls": 1}
    assert run.events == [
        ("iteration.started", {"iteration": 1}),
        ("model.called", {"id": "model-1", "iteration": 1, "messages": 2, "tools": 3}),
        (
            "model.answered",
            {
                "id": "model-1",
                "iteration": 1,
                "stop_reason": "tool_calls",
                "calls": 1,
                "input_tokens": 9,
                "output_tokens": 4,
            },
        ),
        ("tool.called", one),
        ("tool.returned", {**one, "outcome": "returned", "code": ""}),
        ("iteration.started", {"iteration": 2}),
        ("model.called", {"id": "model-2", "iteration": 2, "messages": 4, "tools": 3}),
        (
            "model.answered",
            {
                "id": "model-2",
                "iteration": 2,
                "stop_reason": "end",
                "calls": 0,
                "input_tokens": 12,
                "output_tokens": 2,
            },
        ),
        ("loop.stopped", {"stop_reason": "end", **totals}),
    ]


def test_every_call_returns_once_also_when_it_was_not_run() -> None:
    """A refused call is told as returned, with its code, and never as called."""
    run = play(
        calls(call("c0", "no.such"), call("c1", path=1), call("c2")), says("Done."), tools={"files.read": Failure()}
    )
    returned = {fields["call_id"]: fields for name, fields in run.events if name == "tool.returned"}
    assert {call_id: (fields["outcome"], fields["code"]) for call_id, fields in returned.items()} == {
        "c0": ("failed", "AF-UNKNOWN-NAME"),
        "c1": ("failed", "AF-INPUT-INVALID"),
        "c2": ("failed", "AF-TOOL-FAILED"),
    }
    assert [fields["call_id"] for name, fields in run.events if name == "tool.called"] == ["c2"]


def test_a_stop_tells_what_it_left_undone() -> None:
    """Calls that were cancelled or never begun are told as void before the loop is told as stopped."""
    run = pending(call("c0"), call("c1"), parallel_tools=1, budgets={"wall_s": 1})
    decision = run.give(Observation("timer"))
    assert [(name, fields.get("call_id"), fields.get("outcome")) for name, fields in decision.events] == [
        ("tool.returned", "c0", "void"),
        ("tool.returned", "c1", "void"),
        ("loop.stopped", None, None),
    ]


def test_calls_of_a_turn_that_was_cut_off_are_told_as_void() -> None:
    """What was not run and is nobody's fault returns too, with the outcome `void`."""
    run = play(calls(call("c0"), call("c1"), stop="max_tokens"), says("Done."))
    returned = [(f["id"], f["call_id"], f["outcome"]) for name, f in run.events if name == "tool.returned"]
    assert returned == [("tool-1-0", "c0", "void"), ("tool-1-1", "c1", "void")]


def test_the_names_of_events_are_those_of_the_loop() -> None:
    """Nothing else is told."""
    run = play(calls(call("c1"), call("c2", "no.such")), max_iterations=6)
    assert {name for name, _ in run.events} == {
        "iteration.started",
        "model.called",
        "model.answered",
        "tool.called",
        "tool.returned",
        "loop.stopped",
    }
