"""Cost: how much a tick does, counted in calls; a stopwatch would fail on a busy machine."""

from __future__ import annotations

import gc
import sys
from typing import Any

import pytest
from probes import YES, given

from agentflow_kernel.contracts.planner import Observation, Task
from agentflow_planner_bt.planner import TreePlanner
from agentflow_planner_bt.tree import Tree


def calls(call: Any) -> int:
    """How many functions of Python are called, and none of the collector's."""
    count = 0

    def note(frame: Any, event: str, argument: object) -> None:
        nonlocal count
        count += event == "call"

    gc.disable()
    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(None)
        gc.enable()
    return count


@pytest.mark.parametrize("leaves", [100, 1_000])
@pytest.mark.parametrize("kind", ["sequence", "reactive_sequence", "sequence_resume", "parallel"])
def test_a_leaf_costs_its_tick_and_its_function(kind, leaves) -> None:
    tree = Tree.load({kind: ["yes"] * leaves}, {"yes": lambda: True})
    tree.tick()
    assert calls(tree.tick) <= 2 * leaves + 10


def test_a_leaf_that_takes_a_context_costs_no_call_more() -> None:
    tree = Tree.load({"sequence": ["yes"] * 100}, {"yes": lambda context: True})
    tree.tick()
    assert calls(tree.tick) <= 2 * 100 + 10


def test_a_tick_noted_costs_one_call_more() -> None:
    tree = Tree.load({"sequence": ["yes"] * 100}, {"yes": lambda: True})
    tree.traced_tick()
    assert calls(tree.traced_tick) <= 3 * 100 + 20


def test_a_running_child_far_behind_costs_no_more_than_the_first() -> None:
    for children in (10, 1_000):
        tree = Tree.load({"sequence": [YES] * children + [given("RUNNING")]})
        tree.tick()
        assert calls(tree.tick) <= 6


def test_a_planners_step_costs_no_more_in_a_larger_tree_that_waits() -> None:
    small, large = _step_and_dump(10), _step_and_dump(1_000)
    assert small[0] == large[0] <= 60
    assert large[1] <= 3 * 1_000 + 50


def _step_and_dump(children: int) -> tuple[int, int]:
    planner = TreePlanner()
    document = {"sequence": [YES] * children + [{"tool": "a"}, {"tool": "b"}]}
    state = planner.begin(Task("t", plan=planner.read(document)))
    planner.step(state, Observation("started"))
    seen = Observation("result", "tool#1", "x")
    return calls(lambda: planner.step(state, seen)), calls(lambda: planner.dump(state))
