"""Parallels: thresholds, the order in which they are looked at, and what is halted."""

from __future__ import annotations

import pytest
from probes import NO, ON, SKIP, YES, F, K, R, S, given, probes, ticks

from agentflow_kernel.errors import PlanError, PlanInvalid
from agentflow_planner_bt.tree import Tree


@pytest.mark.parametrize(
    ("children", "success", "failure", "status"),
    [
        ([YES, YES], -1, 1, S),
        ([YES, NO], -1, 1, F),
        ([YES, ON], -1, 1, R),
        ([YES, ON, ON], 1, 1, S),
        ([NO, ON, ON], 1, 2, R),
        ([NO, NO, ON], 1, 2, F),
        ([NO, YES, ON], 2, 3, R),
        ([NO, NO, ON], 2, 3, F),  # success is out of reach
        ([NO, NO, YES], -2, -1, F),
        ([YES, YES, NO], -2, 2, S),
        ([SKIP, SKIP], -1, 1, K),
        ([SKIP, YES], -1, 1, S),  # a negative threshold counts skipped ones
        ([SKIP, ON], -1, 1, R),
        ([SKIP, YES], 2, 1, R),  # a positive one does not
        ([SKIP, NO], -1, 1, F),
        ([SKIP, SKIP], 1, 1, K),
    ],
)
def test_parallel_in_one_tick(children, success, failure, status) -> None:
    tree = Tree.load({"parallel": children, "success": success, "failure": failure})
    assert tree.tick() == status
    assert (set(tree.statuses().values()) == {"IDLE"}) is (status != R)


def test_thresholds_are_looked_at_after_each_child() -> None:
    log, leaves = probes(a=S, b=S)
    assert ticks({"parallel": ["a", "b"], "success": 1}, 1, leaves) == [S]
    assert log == ["a.start", "a.end SUCCESS"]


def test_a_child_that_runs_is_halted_when_the_threshold_is_reached() -> None:
    log, leaves = probes(slow="running", quick="running success")
    tree = Tree.load({"parallel": ["slow", "quick"], "success": 1}, leaves)
    assert [tree.tick(), tree.tick()] == [R, S]
    assert log[-3:] == ["quick.end SUCCESS", "slow.halted", "slow.end IDLE"]


def test_children_that_are_done_are_not_ticked_again_until_it_is_reset() -> None:
    log, leaves = probes(a=S)
    tree = Tree.load({"parallel": ["a", given(R, R, S)]}, leaves)
    assert [tree.tick() for _ in range(3)] == [R, R, S]
    assert log.count("a.start") == 1
    tree.tick()
    assert log.count("a.start") == 2


def test_a_skipped_child_is_asked_again_at_the_next_tick() -> None:
    tree = Tree.load({"parallel": [{"always_success": None, "skip_if": "not ready"}, given(R, R, S)], "success": 2})
    tree.blackboard["ready"] = False
    assert tree.tick() == R
    tree.blackboard["ready"] = True
    assert [tree.tick(), tree.tick()] == [R, S]


@pytest.mark.parametrize(
    ("kind", "ports"),
    [
        ("parallel", {"success": 3}),
        ("parallel", {"failure": 3}),
        ("parallel", {"success": 0}),
        ("parallel", {"failure": 0}),
        ("parallel", {"success": -4}),
        ("parallel_all", {"max_failures": 3}),
        ("parallel_all", {"max_failures": 0}),
    ],
)
def test_thresholds_that_mean_nothing_are_refused(kind, ports) -> None:
    with pytest.raises(PlanInvalid, match=r"it must mean 1 to 2 of them. \[P004\]"):
        Tree.load({kind: [YES, YES], **ports})


def test_a_threshold_from_the_blackboard_is_checked_at_the_tick() -> None:
    tree = Tree.load({"parallel": [YES, ON], "success": "{n}"})
    tree.blackboard["n"] = 1
    assert tree.tick() == S
    tree.blackboard["n"] = 3
    with pytest.raises(PlanError, match="main/parallel: a threshold of 3 with 2 children"):
        tree.tick()


@pytest.mark.parametrize(
    ("children", "failures", "status"),
    [
        ([YES, NO, YES], 1, F),
        ([YES, NO, YES], 2, S),
        ([NO, NO, NO], -1, F),
        ([NO, NO, YES], -1, S),
        ([NO, ON], 1, R),
        ([SKIP, SKIP], 1, K),
        ([SKIP, NO], 2, S),
        ([SKIP, ON], 1, R),
    ],
)
def test_parallel_all_in_one_tick(children, failures, status) -> None:
    assert ticks({"parallel_all": children, "max_failures": failures}) == [status]


def test_parallel_all_ticks_all_and_decides_when_all_are_done() -> None:
    log, leaves = probes(a=F, b="running success", c="running running success")
    tree = Tree.load({"parallel_all": ["a", "b", "c"]}, leaves)
    assert [tree.tick() for _ in range(3)] == [R, R, F]
    assert not [entry for entry in log if "halted" in entry]
    assert log.count("a.start") == 1
