"""Decorators: what each makes of its child's status, how loops count and give way, and what clocks do."""

from __future__ import annotations

from typing import ClassVar

import pytest
from probes import NO, ON, SKIP, YES, F, K, R, S, given, probes, ticks

from agentflow_kernel.errors import PlanError, PlanInvalid
from agentflow_planner_bt.status import Status
from agentflow_planner_bt.tree import Tree


@pytest.mark.parametrize(
    ("kind", "success", "failure", "running", "skipped"),
    [
        ("inverter", F, S, R, K),
        ("force_success", S, S, R, K),
        ("force_failure", F, F, R, K),
        ("keep_running_until_failure", R, F, R, R),
        ("run_once", S, F, R, K),
        ("one_shot", S, F, R, K),
        ("pass_through", S, F, R, K),
        ("failure_is_running", S, R, R, K),
        ("failure_is_success", S, S, R, K),
        ("running_is_failure", S, F, F, K),
        ("running_is_success", S, F, S, K),
        ("success_is_failure", F, F, R, K),
        ("success_is_running", R, F, R, K),
    ],
)
def test_what_becomes_of_each_status(kind, success, failure, running, skipped) -> None:
    for child, status in ((YES, success), (NO, failure), (ON, running), (SKIP, skipped)):
        tree = Tree.load({kind: child})
        assert tree.tick() == status
        assert tree.status_of("main/" + kind) == (R if status == R else "IDLE")
        assert tree.status_of(next(iter(child))) == (R if child is ON and status == R else "IDLE")


@pytest.mark.parametrize("kind", ["running_is_failure", "running_is_success"])
def test_a_running_child_is_halted_when_its_decorator_is_done(kind) -> None:
    log, leaves = probes(work="running")
    Tree.load({kind: "work"}, leaves).tick()
    assert log == ["work.start", "work.halted", "work.end IDLE"]


class TestLoops:
    def test_repeat_counts_successes_and_fails_with_its_child(self) -> None:
        assert ticks({"repeat": given(S, S, S, S, F), "times": 3}, 2) == [S, F]

    def test_retry_counts_failures_and_succeeds_with_its_child(self) -> None:
        assert ticks({"retry": given(F, F, S, F, F, F), "times": 3}, 2) == [S, F]

    @pytest.mark.parametrize(("kind", "status"), [("repeat", S), ("retry", F)])
    def test_no_turns_at_all(self, kind, status) -> None:
        log, leaves = probes(a=S)
        assert ticks({kind: "a", "times": 0}, 1, leaves) == [status]
        assert log == []

    @pytest.mark.parametrize(("kind", "child"), [("repeat", S), ("retry", F)])
    def test_a_skipped_child_skips_it_and_the_count_stays(self, kind, child) -> None:
        tree = Tree.load({kind: given(child, K, child, child), "times": 3})
        assert [tree.tick(), tree.tick()] == [K, child]

    def test_it_gives_way_after_each_turn_that_was_done_at_once(self) -> None:
        """So a condition before it is asked between the turns, as in BehaviorTree.CPP."""
        asked = []
        tree = Tree.load(
            {"reactive_sequence": ["ok", {"repeat": YES, "times": 3}]}, {"ok": lambda: asked.append(1) is None}
        )
        assert tree.tick() == S
        assert len(asked) == 3

    def test_exactly_once_leaves_the_next_turn_to_the_next_tick(self) -> None:
        tree = Tree.load({"repeat": YES, "times": 3})
        assert [tree.tick(exactly_once=True), tree.clock.wants_tick] == [R, True]
        assert [tree.tick(exactly_once=True), tree.tick(exactly_once=True), tree.clock.wants_tick] == [R, S, False]

    @pytest.mark.parametrize("tree", [{"repeat": YES, "times": -1}, {"retry": NO, "times": -1}])
    def test_an_endless_loop_over_quick_children_ends_the_tick_after_its_bound(self, tree) -> None:
        (kind, child), _ = tree.items()
        loop = Tree.load({kind: {**child, "post": "n += 1"}, "times": -1}, rounds=50)
        loop.blackboard["n"] = 0
        assert loop.tick() == R
        assert loop.blackboard["n"] == 51
        assert loop.clock.wants_tick

    def test_retry_reads_its_number_after_each_failure(self) -> None:
        tree = Tree.load({"retry": {"always_failure": None, "on_failure": "tries += 1; most = 2"}, "times": "{most}"})
        tree.blackboard["tries"], tree.blackboard["most"] = 0, 10
        assert tree.tick() == F
        assert tree.blackboard["tries"] == 2

    def test_retry_begins_a_sequence_that_succeeded_partly_from_its_first_child(self) -> None:
        log, leaves = probes(a=S)
        assert ticks({"retry": {"sequence": ["a", given(F, F, S)]}, "times": 3}, 1, leaves) == [S]
        assert log.count("a.start") == 3

    def test_a_halt_forgets_the_count(self) -> None:
        tree = Tree.load({"repeat": given(S, R, S, S, S, R), "times": 3})
        assert tree.tick() == R
        tree.halt()
        assert tree.tick() == S

    def test_a_child_that_took_time_is_followed_at_once_by_the_next_turn(self) -> None:
        log, leaves = probes(a="running success")
        assert ticks({"repeat": "a", "times": 2}, 3, leaves) == [R, R, S]
        assert log.count("a.start") == 2

    @pytest.mark.parametrize("times", ["many", 1.5, None])
    def test_times_is_a_whole_number(self, times) -> None:
        with pytest.raises(PlanInvalid, match=r"\[P004\]"):
            Tree.load({"repeat": YES, **({} if times is None else {"times": times})})


class TestOnce:
    def test_run_once_skips_ever_after(self) -> None:
        assert ticks({"run_once": given(R, S)}, 4) == [R, S, K, K]

    def test_run_once_may_give_what_the_child_gave(self) -> None:
        assert ticks({"run_once": given(F, S), "then_skip": False}, 3) == [F, F, F]

    def test_one_shot_gives_its_final_status_for_ever(self) -> None:
        assert ticks({"one_shot": given(R, F, S)}, 4) == [R, F, F, F]

    def test_one_shot_with_the_policy_success_goes_on_after_a_failure(self) -> None:
        assert ticks({"one_shot": given(F, S, F), "policy": "success"}, 4) == [F, S, S, S]

    def test_a_halt_before_its_end_is_no_end(self) -> None:
        tree = Tree.load({"run_once": given(R, S)})
        tree.tick()
        tree.halt()
        assert [tree.tick(), tree.tick()] == [S, K]


class TestClocks:
    def test_delay_ticks_its_child_after_the_time(self) -> None:
        log, leaves = probes(a="running success")
        tree = Tree.load({"delay": "a", "seconds": 2}, leaves)
        assert [tree.tick(), tree.clock.due_in_s, log] == [R, 2.0, []]
        tree.advance(1.5)
        assert [tree.tick(), tree.clock.due_in_s] == [R, 0.5]
        tree.advance(0.5)
        assert [tree.tick(), tree.clock.due_in_s, tree.tick()] == [R, None, S]

    def test_delay_counts_anew_after_a_halt(self) -> None:
        tree = Tree.load({"delay": YES, "msec": 1000})
        tree.tick()
        tree.advance(1)
        tree.halt()
        assert [tree.tick(), tree.clock.due_in_s] == [R, 1.0]

    def test_timeout_halts_its_child_and_fails(self) -> None:
        log, leaves = probes(a="running")
        tree = Tree.load({"timeout": "a", "seconds": 1}, leaves)
        assert tree.tick() == R
        tree.advance(0.9)
        assert tree.tick() == R
        tree.advance(0.1)
        assert tree.tick() == F
        assert log == ["a.start", "a.halted", "a.end IDLE"]

    def test_a_timeout_that_fires_in_the_same_tick_as_the_success_wins(self) -> None:
        """As in BehaviorTree.CPP, where the timer halts the child before the tree is ticked again."""
        log, leaves = probes(a="running success")
        tree = Tree.load({"timeout": "a", "seconds": 1}, leaves)
        tree.tick()
        tree.advance(1)
        assert tree.tick() == F
        assert log[-2:] == ["a.halted", "a.end IDLE"]

    def test_in_py_trees_the_success_wins(self) -> None:
        _, leaves = probes(a="running success")
        tree = Tree.load({"semantics": "py_trees", "root": {"timeout": "a", "seconds": 1}}, leaves)
        tree.tick()
        tree.advance(5)
        assert tree.tick() == S

    def test_a_child_that_is_done_in_time_ends_the_timeout(self) -> None:
        tree = Tree.load({"timeout": given(R, S), "seconds": 1})
        assert [tree.tick(), tree.tick(), tree.clock.due_in_s] == [R, S, None]

    def test_no_time_is_no_limit(self) -> None:
        tree = Tree.load({"timeout": ON, "seconds": 0})
        assert [tree.tick(), tree.clock.due_in_s] == [R, None]

    def test_sleep(self) -> None:
        tree = Tree.load({"sequence": [{"sleep": 3}, {"sleep": 0}]})
        assert [tree.tick(), tree.clock.due_in_s] == [R, 3.0]
        tree.advance(3)
        assert tree.tick() == S

    @pytest.mark.parametrize("ports", [{}, {"seconds": 1, "msec": 5}])
    def test_a_time_is_given_once(self, ports) -> None:
        with pytest.raises(PlanInvalid, match="either 'seconds' or 'msec'"):
            Tree.load({"timeout": YES, **ports})


class TestForEach:
    TREE: ClassVar = {"for_each": {"script": "sum += item"}, "queue": "{items}", "value": "{item}"}

    def test_it_ticks_its_child_for_each_item_and_then_gives_if_empty(self) -> None:
        tree = Tree.load(self.TREE)
        tree.blackboard["items"], tree.blackboard["sum"] = [1, 2, 4], 0
        assert [tree.tick() for _ in range(4)] == [R, R, R, S]
        assert [tree.blackboard["sum"], tree.blackboard["items"]] == [7, [1, 2, 4]]

    @pytest.mark.parametrize("status", [S, F, K])
    def test_an_empty_list(self, status) -> None:
        assert ticks({"for_each": YES, "queue": [], "value": "x", "if_empty": status}) == [status]

    def test_a_failure_ends_it_and_a_skip_does_not(self) -> None:
        tree = {"for_each": {"check": "x != 3", "skip_if": "x == 2"}, "queue": "1;2;3;4", "value": "{x}"}
        assert ticks(tree, 3) == [R, R, F]

    def test_an_item_whose_child_runs_is_not_taken_twice(self) -> None:
        tree = Tree.load({"for_each": given(R, S), "queue": [1, 2], "value": "{x}"})
        assert [tree.tick() for _ in range(5)] == [R, R, R, R, S]

    def test_no_list(self) -> None:
        tree = Tree.load(self.TREE)
        tree.blackboard["items"] = 5
        with pytest.raises(PlanError, match="main/for_each: 5 is no array"):
            tree.tick()


class TestConditions:
    def test_precondition_is_asked_only_when_the_child_is_to_begin(self) -> None:
        tree = Tree.load({"precondition": given(R, S, S), "if": "go", "else": "SKIPPED"})
        tree.blackboard["go"] = True
        assert tree.tick() == R
        tree.blackboard["go"] = False
        assert [tree.tick(), tree.tick()] == [S, K]

    def test_eternal_guard_asks_at_every_tick_and_halts_its_child(self) -> None:
        log, leaves = probes(work="running")
        tree = Tree.load({"eternal_guard": "work", "if": "safe"}, leaves)
        tree.blackboard["safe"] = True
        assert [tree.tick(), tree.tick()] == [R, R]
        tree.blackboard["safe"] = False
        assert [tree.tick(), tree.tick()] == [F, F]
        assert log == ["work.start", "work.halted", "work.end IDLE"]

    def test_condition_waits_for_a_status(self) -> None:
        assert ticks({"condition": given(S, R, F), "status": "failure"}, 3) == [R, R, S]

    def test_skip_unless_updated(self) -> None:
        tree = Tree.load({"skip_unless_updated": given(S, R, S), "key": "{a}"})
        assert tree.tick() == K
        tree.blackboard["a"] = 1
        assert [tree.tick(), tree.tick()] == [S, K]
        tree.blackboard["a"] = 1
        assert [tree.tick(), tree.tick(), tree.tick()] == [R, S, K]

    def test_wait_value_update(self) -> None:
        tree = Tree.load({"wait_value_update": YES, "key": "a"})
        assert tree.tick() == R
        tree.blackboard["a"] = 1
        assert tree.tick() == S

    def test_was_updated(self) -> None:
        tree = Tree.load({"was_updated": "{a}"})
        assert tree.tick() == F
        tree.blackboard["a"] = 1
        assert [tree.tick(), tree.tick()] == [S, F]


def test_count_writes_what_its_child_gave() -> None:
    tree = Tree.load({"count": given(R, S, F, R), "key": "{seen}"})
    for _ in range(4):
        tree.tick()
    tree.halt()
    assert tree.blackboard["seen"] == {"total": 4, "running": 2, "success": 1, "failure": 1, "interrupted": 1}


def test_status_to_blackboard() -> None:
    tree = Tree.load({"status_to_blackboard": given(R, F), "key": "s"})
    seen = [(tree.tick(), tree.blackboard["s"]) for _ in range(2)]
    assert seen == [(R, "RUNNING"), (F, "FAILURE")]


def test_an_exception_inside_a_decorators_child_names_the_leaf() -> None:
    def broken() -> bool:
        raise KeyError("nothing")

    tree = Tree.load({"sequence": [{"retry": {"inverter": "broken"}, "times": 3}]}, {"broken": broken})
    with pytest.raises(PlanError, match=r"^main/sequence/retry/inverter/broken: it raised KeyError") as caught:
        tree.tick()
    assert isinstance(caught.value.__cause__, KeyError)
    assert set(tree.statuses().values()) == {Status.IDLE}


@pytest.mark.parametrize("value", ["-1", "x"])
@pytest.mark.parametrize("node", [{"delay": YES}, {"timeout": YES}, {"sleep": None}])
def test_a_time_from_an_entry_is_looked_at_when_it_is_read(node, value) -> None:
    (kind,) = node
    timed = {"sleep": {"seconds": "{t}"}} if kind == "sleep" else {**node, "seconds": "{t}"}
    tree = Tree.load({"root": timed, "blackboard": {"t": value}})
    with pytest.raises(PlanError, match=rf"main/{kind}"):
        tree.tick()
