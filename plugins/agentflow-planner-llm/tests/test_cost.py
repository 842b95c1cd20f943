"""What the planner costs, counted in function calls, which no load of the machine changes."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING, Any

from tool_loop_driver import call, calls, planner, says, task

from agentflow_kernel.contracts.planner import Observation

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

CALLS_OF_A_RUN = 120
"""Functions of the planner called in a run of two model turns and one tool call; 114 when this was written."""


def count_calls(action: Callable[[], object]) -> int:
    """The Python functions of the planner that are called while `action` runs."""
    counted = 0

    def count(frame: FrameType, event: str, _argument: object) -> None:
        nonlocal counted
        counted += event == "call" and "agentflow_planner_llm" in frame.f_code.co_filename

    before = sys.getprofile()
    gc.disable()
    sys.setprofile(count)
    try:
        action()
    finally:
        sys.setprofile(before)
        gc.enable()
    return counted


def test_cost_of_a_run_of_two_turns_and_one_call_is_bounded() -> None:
    """The whole of the planner's work in the smallest run with a tool."""
    subject, one = planner(), task()
    turn, answer = calls(call("c1")), says("Done.")

    def run() -> None:
        state = subject.begin(one)
        subject.step(state, Observation("started", value="hello"))
        subject.step(state, Observation("result", "model-1", turn))
        subject.step(state, Observation("result", "tool-1-0", "text"))
        assert subject.step(state, Observation("result", "model-2", answer)).end is not None

    run()
    assert count_calls(run) <= CALLS_OF_A_RUN


def test_cost_of_a_turn_does_not_grow_with_the_history() -> None:
    """The hundredth turn calls exactly as many functions as the second."""
    subject = planner(max_iterations=200)
    state = subject.begin(task())
    subject.step(state, Observation("started", value="hello"))
    costs = []
    for number in range(1, 101):
        turn = calls(call(f"c{number}", path=f"{number % 7}.txt"))

        def play(number: int = number, turn: Any = turn) -> None:
            subject.step(state, Observation("result", f"model-{number}", turn))
            subject.step(state, Observation("result", f"tool-{number}-0", "text"))

        costs.append(count_calls(play))
    assert set(costs[2:]) == {costs[1]}


def test_cost_of_a_dump_does_not_grow_with_the_history() -> None:
    """A dump copies references: the messages themselves are not written anew."""
    subject = planner(max_iterations=200)
    state = subject.begin(task())
    subject.step(state, Observation("started", value="hello"))
    short = count_calls(lambda: subject.dump(state))
    for number in range(1, 51):
        subject.step(state, Observation("result", f"model-{number}", calls(call(f"c{number}", path=str(number)))))
        subject.step(state, Observation("result", f"tool-{number}-0", "text"))
    assert count_calls(lambda: subject.dump(state)) == short
