"""Guards: conditions before a node, scripts after it, and errors that count as FAILURE."""

from __future__ import annotations

import pytest
from probes import NO, YES, F, K, R, S, given, probes, ticks

from agentflow_kernel.errors import PlanError
from agentflow_planner_bt.tree import Tree


@pytest.mark.parametrize(
    ("conditions", "status"),
    [
        ({"failure_if": "true", "success_if": "true", "skip_if": "true", "while": "false"}, F),
        ({"failure_if": "false", "success_if": "true", "skip_if": "true", "while": "false"}, S),
        ({"failure_if": "false", "success_if": "false", "skip_if": "true", "while": "true"}, K),
        ({"failure_if": "false", "success_if": "false", "skip_if": "false", "while": "false"}, K),
        ({"failure_if": "false", "success_if": "false", "skip_if": "false", "while": "true"}, R),
    ],
)
def test_conditions_are_looked_at_in_their_order(conditions, status) -> None:
    log, leaves = probes(a="running")
    written = dict(reversed(conditions.items()))
    assert ticks({"a": None, **written}, 1, leaves) == [status]
    assert bool(log) is (status == R)


def test_the_first_three_are_asked_only_of_an_idle_node() -> None:
    tree = Tree.load({**given(R, R, S), "failure_if": "bad", "success_if": "good", "skip_if": "off"})
    for name in ("bad", "good", "off"):
        tree.blackboard[name] = False
    assert tree.tick() == R
    for name in ("bad", "good", "off"):
        tree.blackboard[name] = True
    assert [tree.tick(), tree.tick(), tree.tick()] == [R, S, F]


def test_while_halts_a_running_node_and_skips_it() -> None:
    log, leaves = probes(a="running")
    tree = Tree.load({"sequence": [{"a": None, "while": "go", "on_halted": "halts += 1"}, YES]}, leaves)
    tree.blackboard["go"], tree.blackboard["halts"] = True, 0
    assert tree.tick() == R
    tree.blackboard["go"] = False
    assert tree.tick() == S
    assert [tree.blackboard["halts"], log] == [1, ["a.start", "a.halted", "a.end IDLE"]]


def test_scripts_after_a_node() -> None:
    scripts = {"on_success": "s += 1", "on_failure": "f += 1", "post": "p += 1", "on_halted": "h += 1"}
    tree = Tree.load({**given(S, F, R, S, R), **scripts})
    for name in "sfph":
        tree.blackboard[name] = 0
    for _ in range(5):
        tree.tick()
    tree.halt()
    tree.halt()
    assert tree.blackboard.to_json() == {"s": 2, "f": 1, "p": 3, "h": 1}


def test_scripts_follow_a_status_that_a_condition_gave_too() -> None:
    tree = Tree.load({**NO, "success_if": "true", "on_success": "done := true"})
    assert [tree.tick(), tree.blackboard["done"]] == [S, True]


def test_a_halted_node_writes_in_its_script_and_post_does_not_run() -> None:
    tree = Tree.load(
        {"parallel": [{**given(R), "on_halted": "seen := 'halted'", "post": "seen := 'post'"}, given(R, F)]}
    )
    assert [tree.tick(), tree.tick(), tree.blackboard["seen"]] == [R, F, "halted"]


def test_a_condition_that_cannot_be_evaluated_is_an_error_of_its_node() -> None:
    with pytest.raises(PlanError, match=r"main/sequence/always_success: .*the data has no 'missing'"):
        ticks({"sequence": [{**YES, "skip_if": "missing"}]})
    with pytest.raises(PlanError, match="a condition must give true or false"):
        ticks({"check": "1"})


def _broken() -> bool:
    raise OSError("the disk")


def test_errors_may_count_as_failure_at_the_leaf() -> None:
    tree = {"fallback": [{"broken": None, "errors": "failure", "on_failure": "seen := true"}, YES]}
    assert ticks(tree, 2, {"broken": _broken}) == [S, S]


def test_errors_may_count_as_failure_above_the_leaf_and_what_runs_there_is_halted() -> None:
    log, leaves = probes(work="running")
    tree = Tree.load(
        {"fallback": [{"parallel": ["work", "broken"], "errors": "failure"}, YES]}, {**leaves, "broken": _broken}
    )
    assert tree.tick() == S
    assert log == ["work.start", "work.halted", "work.end IDLE"]


def test_errors_may_count_as_failure_in_the_whole_document() -> None:
    assert ticks({"errors": "failure", "root": {"inverter": "broken"}}, 1, {"broken": _broken}) == [S]
    tree = {"errors": "failure", "root": {"broken": None, "errors": "raise"}}
    with pytest.raises(PlanError, match="the disk"):
        ticks(tree, 1, {"broken": _broken})
