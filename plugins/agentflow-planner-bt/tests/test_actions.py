"""Actions of a tree that is ticked by hand: they begin, are halted, end, and give their results."""

from __future__ import annotations

import pytest
from probes import YES, F, R, S, given

from agentflow_kernel.errors import PlanError, PlanInvalid, UsageError
from agentflow_planner_bt.tree import Tree


@pytest.mark.parametrize(
    ("node", "name", "arguments"),
    [
        ({"tool": "files.read", "args": {"path": "{x}", "all": [1, "{x}"]}}, "files.read", {"path": 5, "all": [1, 5]}),
        ({"tool": "files.list"}, "files.list", {}),
        ({"agent": "triage", "input": {"n": "{x}"}}, "triage", {"input": {"n": 5}}),
        ({"flow": "pay"}, "pay", {"input": None}),
        ({"plan": "repair", "input": "{x}"}, "repair", {"input": 5}),
        (
            {"model": [{"role": "user", "content": "Hi"}], "tools": ["files.read"]},
            "",
            {"messages": [{"role": "user", "content": "Hi"}], "tools": ["files.read"]},
        ),
        ({"emit": "order.paid", "data": "{x}", "subject": "o1"}, "order.paid", {"data": 5, "subject": "o1"}),
        ({"wait": 3}, "", {"type": "timer", "seconds": 3}),
        (
            {"wait": {"signal": "ok", "timeout_s": 9}},
            "",
            {"type": "signal", "name": "ok", "timeout_s": 9},
        ),
        ({"ask": "Go on?", "choices": ["yes", "no"]}, "", {"question": "Go on?", "choices": ["yes", "no"]}),
    ],
)
def test_what_each_kind_asks_for(node, name, arguments) -> None:
    tree = Tree.load({"blackboard": {"x": 5}, "root": node})
    assert tree.tick() == R
    (action,) = tree.actions.take_started()
    kind = next(iter(node))
    assert [action.id, action.kind, action.name, action.arguments] == [f"{kind}#1", kind, name, arguments]
    assert tree.actions.take_started() == []


def test_a_result_is_written_and_the_node_succeeds() -> None:
    tree = Tree.load({"agent": "triage", "out": "{answer}", "name": "first look"})
    tree.tick()
    assert tree.actions.complete("first-look#1", {"severe": True})
    assert [tree.tick(), tree.blackboard["answer"]] == [S, {"severe": True}]


def test_ids_are_counted_by_node() -> None:
    tree = Tree.load({"sequence": [{"tool": "t"}, {"tool": "t"}, {"retry": {"tool": "t", "name": "x y"}, "times": 2}]})
    seen = []
    for _ in range(3):
        tree.tick()
        (action,) = tree.actions.take_started()
        seen.append(action.id)
        tree.actions.complete(action.id)
    assert seen == ["tool#1", "tool.2#1", "x-y#1"]
    tree.tick()
    tree.tick()
    assert [action.id for action in tree.actions.take_started()] == ["tool#2"]


def test_a_failed_action_ends_the_tree_with_its_code() -> None:
    tree = Tree.load({"sequence": [{"tool": "t"}]})
    tree.tick()
    tree.actions.fail("tool#1", "no such file", code="AF-TOOL-FAILED")
    with pytest.raises(PlanError, match="main/sequence/tool: no such file") as caught:
        tree.tick()
    assert caught.value.code == "AF-TOOL-FAILED"


def test_or_counts_as_failure_where_the_document_says_so() -> None:
    tree = Tree.load({"fallback": [{"tool": "t", "errors": "failure"}, YES]})
    tree.tick()
    tree.actions.fail("tool#1", "no such file")
    assert tree.tick() == S


def test_a_halted_action_is_cancelled_and_its_late_result_is_dropped() -> None:
    tree = Tree.load({"reactive_sequence": [given(S, F, S), {"tool": "t", "out": "{x}"}]})
    tree.tick()
    assert [tree.actions.take_started()[0].id, tree.tick()] == ["tool#1", F]
    assert [tree.actions.take_cancelled(), tree.actions.take_cancelled()] == [["tool#1"], []]
    assert not tree.actions.complete("tool#1", "late")
    assert [tree.tick(), "x" in tree.blackboard, tree.actions.take_started()[0].id] == [R, False, "tool#2"]


def test_an_action_that_is_halted_before_anybody_took_it_was_never_there() -> None:
    tree = Tree.load({"parallel": [{"tool": "t"}, given(F)]})
    assert [tree.tick(), tree.actions.take_started(), tree.actions.take_cancelled()] == [F, [], []]


def test_an_action_that_has_ended_is_not_cancelled() -> None:
    tree = Tree.load({"timeout": {"tool": "t"}, "seconds": 1})
    tree.tick()
    tree.actions.complete("tool#1")
    tree.advance(1)
    assert [tree.tick(), tree.actions.take_cancelled()] == [F, []]


def test_a_result_of_another_type_than_the_entry_is_an_error() -> None:
    tree = Tree.load({"blackboard": {"x": 1}, "root": {"tool": "t", "out": "{x}"}})
    tree.tick()
    tree.actions.complete("tool#1", "text")
    with pytest.raises(PlanError, match="main/tool: the entry 'x' holds a number"):
        tree.tick()


def test_an_argument_that_is_not_there_is_an_error_and_nothing_begins() -> None:
    tree = Tree.load({"tool": "t", "args": {"x": "{x}"}})
    with pytest.raises(PlanError, match=r"main/tool: the blackboard has no \{x\}"):
        tree.tick()
    assert tree.actions.take_started() == []


def test_actions_need_their_words() -> None:
    for node in ({"agent": None}, {"ask": None}, {"emit": {"data": 1}}, {"model": None}, {"tool": ["a"]}):
        with pytest.raises(PlanInvalid, match=r"\[P00[14]\]"):
            Tree.load(node)


def test_run_moves_the_clock_from_timer_to_timer() -> None:
    tree = Tree.load({"sequence": [{"sleep": 100}, {"delay": YES, "seconds": 50}]})
    assert [tree.run(), tree.clock.now] == [S, 150.0]
    assert Tree.load({"tool": "t"}).run(max_ticks=3) == R


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), 10**400, "x", None, True, [1]])
def test_the_clock_goes_forward_by_numbers_only(seconds) -> None:
    tree = Tree.load(YES)
    with pytest.raises(UsageError, match="moved forward"):
        tree.advance(seconds)
    assert tree.clock.now == 0
