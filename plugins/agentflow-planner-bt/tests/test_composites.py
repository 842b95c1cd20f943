"""Composites that tick their children one after the other: what each status of a child does to them."""

from __future__ import annotations

import pytest
from probes import NO, ON, SKIP, YES, F, K, R, S, given, probes, ticks

from agentflow_planner_bt.status import Status
from agentflow_planner_bt.tree import Tree

ONE_BY_ONE = ["sequence", "sequence_resume", "reactive_sequence", "fallback", "reactive_fallback"]


@pytest.mark.parametrize(
    ("kind", "children", "status"),
    [
        ("sequence", [YES, YES], S),
        ("sequence", [YES, NO, YES], F),
        ("sequence", [YES, ON, NO], R),
        ("sequence", [SKIP, YES], S),
        ("sequence_resume", [YES, SKIP, YES], S),
        ("sequence_resume", [YES, NO], F),
        ("reactive_sequence", [YES, SKIP], S),
        ("reactive_sequence", [YES, ON, NO], R),
        ("reactive_sequence", [YES, NO, ON], F),
        ("fallback", [NO, NO], F),
        ("fallback", [NO, YES, NO], S),
        ("fallback", [NO, ON, YES], R),
        ("fallback", [SKIP, NO], F),
        ("reactive_fallback", [NO, SKIP], F),
        ("reactive_fallback", [NO, ON, YES], R),
        ("reactive_fallback", [NO, YES, ON], S),
        ("if_then_else", [YES, YES, NO], S),
        ("if_then_else", [NO, YES, NO], F),
        ("if_then_else", [NO, NO, YES], S),
        ("if_then_else", [NO, YES], F),
        ("if_then_else", [YES, ON], R),
        ("if_then_else", [SKIP, YES, YES], K),
        ("if_then_else", [YES, SKIP, YES], K),
        ("while_do_else", [YES, YES, NO], S),
        ("while_do_else", [NO, YES, NO], F),
        ("while_do_else", [NO, YES], F),
        ("while_do_else", [SKIP, YES, YES], K),
        ("while_do_else", [YES, SKIP], K),
        ("try_catch", [YES, YES, NO], S),
        ("try_catch", [YES, NO, YES], F),
        ("try_catch", [NO, NO], F),
        ("try_catch", [NO, ON], R),
        ("try_catch", [NO, SKIP], F),
        ("try_catch", [SKIP, YES, NO], S),
        ("try_catch", [SKIP, SKIP, YES], K),
        *((kind, [SKIP, SKIP], K) for kind in ONE_BY_ONE),
    ],
)
def test_one_tick(kind, children, status) -> None:
    tree = Tree.load({kind: children})
    assert tree.tick() == status
    if (kind, status) != ("sequence_resume", F):  # its children before the one that failed stay done
        assert (set(tree.statuses().values()) == {Status.IDLE}) is (status != R)


@pytest.mark.parametrize("kind", ["sequence", "sequence_resume", "fallback"])
def test_it_goes_on_at_the_running_child(kind) -> None:
    done = F if kind == "fallback" else S
    log, leaves = probes(a=done, b=f"running running {done}", c=done)
    assert ticks({kind: ["a", "b", "c"]}, 3, leaves) == [R, R, done]
    assert [entry for entry in log if "start" in entry] == ["a.start", "b.start", "c.start"]


@pytest.mark.parametrize(("kind", "ends"), [("sequence", F), ("fallback", S)])
def test_after_its_end_it_begins_at_the_first_child(kind, ends) -> None:
    log, leaves = probes(a=S if ends == F else F, b=ends)
    assert ticks({kind: ["a", "b"]}, 2, leaves) == [ends, ends]
    assert [entry for entry in log if "start" in entry] == ["a.start", "b.start"] * 2


def test_sequence_resume_begins_at_the_child_that_failed() -> None:
    log, leaves = probes(a=S, c=S)
    tree = Tree.load({"sequence_resume": ["a", given(F, S), "c"]}, leaves)
    assert [tree.tick(), tree.tick()] == [F, S]
    assert [entry for entry in log if "start" in entry] == ["a.start", "c.start"]


def test_sequence_resume_keeps_its_place_when_halted() -> None:
    log, leaves = probes(a=S, b="running success")
    tree = Tree.load({"sequence_resume": ["a", "b"]}, leaves)
    tree.tick()
    tree.halt()
    assert [tree.tick(), tree.tick()] == [R, S]
    assert [entry for entry in log if "start" in entry] == ["a.start", "b.start", "b.start"]


def test_sequence_resume_begins_anew_after_success() -> None:
    log, leaves = probes(a=S, b=S)
    assert ticks({"sequence_resume": ["a", "b"]}, 2, leaves) == [S, S]
    assert len([entry for entry in log if "start" in entry]) == 4


def test_a_reactive_sequence_asks_its_conditions_at_every_tick() -> None:
    asked = []
    leaves = {"ok": lambda: asked.append(1) is None}
    assert ticks({"reactive_sequence": ["ok", given(R, R, S)]}, 3, leaves) == [R, R, S]
    assert len(asked) == 3


@pytest.mark.parametrize("kind", ["reactive_sequence", "reactive_fallback"])
def test_a_reactive_parent_halts_a_running_sibling_exactly_once(kind) -> None:
    goes_on, ends = (S, F) if kind == "reactive_sequence" else (F, S)
    log, leaves = probes(work="running")
    tree = Tree.load({kind: [given(goes_on, ends, ends), "work"]}, leaves)
    assert [tree.tick() for _ in range(3)] == [R, ends, ends]
    assert log == ["work.start", "work.halted", "work.end IDLE"]


def test_a_reactive_sequence_halts_the_others_when_an_earlier_child_runs() -> None:
    log, leaves = probes(late="running")
    tree = Tree.load({"reactive_sequence": [given(S, R), "late"]}, leaves)
    assert [tree.tick(), tree.tick()] == [R, R]
    assert log[-2:] == ["late.halted", "late.end IDLE"]


def test_children_that_are_done_are_idle_while_a_reactive_sibling_runs() -> None:
    tree = Tree.load({"reactive_sequence": [YES, ON]})
    tree.tick()
    assert list(tree.statuses().values()) == [R, "IDLE", R]


def test_children_of_a_sequence_keep_their_status_until_it_is_done() -> None:
    tree = Tree.load({"sequence": [YES, SKIP, ON, YES]})
    tree.tick()
    assert list(tree.statuses().values()) == [R, S, "IDLE", R, "IDLE"]


def test_backchaining_the_condition_flips_while_the_action_runs() -> None:
    """The action makes the condition true; from then on the fallback is content and the action is halted."""
    log, leaves = probes(wear="running running running")
    tree = Tree.load(
        """
        reactive_fallback:
          - check: warm
          - reactive_sequence: [{check: has_jacket}, wear]
        """,
        leaves,
    )
    tree.blackboard["warm"], tree.blackboard["has_jacket"] = False, True
    assert [tree.tick(), tree.tick()] == [R, R]
    tree.blackboard["warm"] = True
    assert [tree.tick(), tree.tick()] == [S, S]
    assert log == ["wear.start", "wear.halted", "wear.end IDLE"]


def test_if_then_else_asks_its_condition_only_until_it_is_decided() -> None:
    condition = given(R, S, F)
    assert ticks({"if_then_else": [condition, given(R, R, S), NO]}, 4) == [R, R, R, S]


def test_while_do_else_asks_at_every_tick_and_halts_the_other_branch() -> None:
    log, leaves = probes(do="running", other="running")
    tree = Tree.load({"while_do_else": [given(S, F, F, S), "do", "other"]}, leaves)
    assert [tree.tick() for _ in range(4)] == [R, R, R, R]
    wanted = ["do.start", "do.halted", "do.end IDLE", "other.start", "other.halted", "other.end IDLE", "do.start"]
    assert log == wanted


def test_while_do_else_without_else_halts_and_fails() -> None:
    log, leaves = probes(do="running")
    tree = Tree.load({"while_do_else": [given(S, F), "do"]}, leaves)
    assert [tree.tick(), tree.tick()] == [R, F]
    assert log == ["do.start", "do.halted", "do.end IDLE"]


def test_try_catch_halts_the_tries_and_gives_failure_after_the_last_child() -> None:
    log, leaves = probes(first="success", second="running failure", clean="running success")
    tree = Tree.load({"try_catch": ["first", "second", "clean"]}, leaves)
    assert [tree.tick() for _ in range(3)] == [R, R, F]
    assert log == [
        *("first.start", "first.end SUCCESS", "second.start", "second.end FAILURE"),
        *("clean.start", "clean.end SUCCESS"),
    ]


@pytest.mark.parametrize(("given_", "cleaned"), [(False, 0), (True, 1)])
def test_try_catch_may_clean_up_when_it_is_halted(given_, cleaned) -> None:
    log, leaves = probes(work="running", clean="running")
    tree = Tree.load({"try_catch": ["work", "clean"], "catch_on_halt": given_}, leaves)
    tree.tick()
    tree.halt()
    assert log.count("clean.start") == log.count("clean.halted") == cleaned
    assert set(tree.statuses().values()) == {"IDLE"}


class TestSwitch:
    TREE = """
    root:
      switch: [a, b, other]
      variable: "{mode}"
      cases: ["1", fast]
    enums: {ONE: 1}
    """

    @pytest.mark.parametrize(
        ("mode", "child"),
        [
            ("fast", "b"),
            (1, "a"),
            ("1", "a"),
            (1.0, "a"),
            ("ONE", "a"),
            ("slow", "other"),
            (None, "other"),
            (True, "other"),
        ],
    )
    def test_the_case_that_equals_the_variable_is_ticked(self, mode, child) -> None:
        log, leaves = probes(a=S, b=S, other=S)
        tree = Tree.load(self.TREE, leaves)
        if mode is not None:
            tree.blackboard["mode"] = mode
        assert tree.tick() == S
        assert log[0] == f"{child}.start"

    def test_a_change_of_case_halts_the_child_that_runs(self) -> None:
        log, leaves = probes(a="running", b="running", other="running")
        tree = Tree.load(self.TREE, leaves)
        for mode in ("1", "1", "fast", "x"):
            tree.blackboard["mode"] = mode
            assert tree.tick() == R
        assert [entry for entry in log if "end" not in entry] == [
            *("a.start", "a.halted", "b.start", "b.halted", "other.start"),
        ]

    def test_a_skipped_child_skips_it(self) -> None:
        assert ticks({"switch": [YES, SKIP], "variable": "x", "cases": ["y"]}) == [K]
