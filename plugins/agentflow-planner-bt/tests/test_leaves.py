"""Leaves of Python: their life, what they may answer, and what they see of their node."""

from __future__ import annotations

import threading

import pytest
from probes import YES, R, S, given, probes, ticks

from agentflow_kernel.errors import PlanError, PlanInvalid, UnknownName
from agentflow_planner_bt.leaf import Context, Leaf
from agentflow_planner_bt.port import Port
from agentflow_planner_bt.status import Status
from agentflow_planner_bt.tree import Tree


def test_a_life_from_start_to_end() -> None:
    log, leaves = probes(a="running running success")
    assert ticks("a: null", 4, leaves) == [R, R, S, R]
    assert log == ["a.start", "a.end SUCCESS", "a.start"]


def test_halting_what_does_not_run_only_makes_it_idle() -> None:
    log, leaves = probes(a=S)
    tree = Tree.load({"sequence": ["a", given(R)]}, leaves)
    tree.tick()
    tree.halt()
    tree.halt()
    assert log == ["a.start", "a.end SUCCESS"]
    assert set(tree.statuses().values()) == {"IDLE"}


@pytest.mark.parametrize(
    ("answer", "status"),
    [(True, S), (False, "FAILURE"), (Status.RUNNING, R), ("running", R), ("SUCCESS", S), (Status.SKIPPED, "SKIPPED")],
)
def test_what_a_leaf_may_answer(answer, status) -> None:
    class Starts:
        def start(self) -> object:
            return answer

    for leaf in (lambda: answer, lambda context: answer, Starts, Starts()):
        assert ticks("leaf: null", 1, {"leaf": leaf}) == [status]


@pytest.mark.parametrize("answer", [None, 1, 0, "fine", Status.IDLE, "idle", [], 2.5, object()])
def test_nonsense_is_an_error_of_the_node(answer) -> None:
    class Starts:
        def start(self) -> object:
            return answer

    for leaf in (lambda: answer, lambda context: answer, Starts):
        tree = Tree.load({"sequence": ["leaf"]}, {"leaf": leaf})
        with pytest.raises(PlanError, match="main/sequence/leaf: a leaf answers SUCCESS"):
            tree.tick()
        assert tree.status == Status.IDLE


def test_a_class_gives_every_node_an_object_of_its_own() -> None:
    class Once:
        def __init__(self) -> None:
            self.calls = 0

        def start(self) -> bool:
            self.calls += 1
            return self.calls == 1

    assert ticks({"sequence": ["leaf", "leaf"]}, 1, {"leaf": Once}) == [S]
    assert ticks({"sequence": ["leaf", "leaf"]}, 1, {"leaf": Once()}) == ["FAILURE"]


class TestContext:
    @staticmethod
    def tree(function, **ports):
        declared = {"n": Port("in", "integer"), "text": Port("in", "string", "none"), "out": Port("out", "number")}
        return Tree.load({"leaf": ports}, {"leaf": Leaf(function, declared)})

    def test_ports(self) -> None:
        def leaf(context: Context) -> bool:
            context.set("out", context.get("n") * 2)
            return context.get("text") == "none"

        tree = self.tree(leaf, n="{a}", out="{b}")
        tree.blackboard["a"] = 21
        assert [tree.tick(), tree.blackboard["b"]] == [S, 42]

    def test_an_absent_entry_is_an_error_and_not_none(self) -> None:
        with pytest.raises(PlanError, match="main/leaf: the port 'n' has no value"):
            self.tree(lambda context: context.get("n"), n="{a}").tick()
        assert self.tree(lambda context: context.find("n", 5) == 5, n="{a}").tick() == S

    def test_a_value_of_another_type_is_an_error(self) -> None:
        tree = self.tree(lambda context: context.get("n") == 7, n="{a}")
        tree.blackboard["a"] = "7"
        assert tree.tick() == S
        tree = self.tree(lambda context: context.get("n") == 7, n="{a}")
        tree.blackboard["a"] = "seven"
        with pytest.raises(PlanError, match="'seven' is no integer"):
            tree.tick()

    def test_unknown_ports(self) -> None:
        with pytest.raises(PlanError, match="no input port 'm'; it has 'n', 'text'"):
            self.tree(lambda context: context.get("m")).tick()
        with pytest.raises(PlanError, match="no output port 'n'"):
            self.tree(lambda context: context.set("n", 1)).tick()
        with pytest.raises(PlanInvalid, match=r"Unknown port of 'leaf': 'm'. Known: 'n', 'out', 'text'"):
            self.tree(lambda: True, m=1, n=2)

    def test_a_literal_is_converted_when_the_tree_is_loaded(self) -> None:
        assert self.tree(lambda context: context.get("n") == 7, n="7").tick() == S
        with pytest.raises(PlanInvalid, match=r"main/leaf.*'x' is no integer"):
            self.tree(lambda: True, n="x")

    def test_an_output_without_a_connection_goes_nowhere(self) -> None:
        tree = self.tree(lambda context: context.set("out", 1) is None)
        assert [tree.tick(), len(tree.blackboard)] == [S, 0]

    def test_what_a_leaf_writes_is_json_of_one_type(self) -> None:
        tree = self.tree(lambda context: context.set("out", {1, 2}), out="x")
        with pytest.raises(PlanError, match="can hold JSON only, not a Python set"):
            tree.tick()
        tree = self.tree(lambda context: context.set("out", "text"), out="x")
        tree.blackboard["x"] = 1
        with pytest.raises(PlanError, match="holds a number since its first write, not a string"):
            tree.tick()

    def test_a_halted_leaf_may_write(self) -> None:
        class Work:
            def start(self) -> str:
                return "running"

            def halted(self, context: Context) -> None:
                context.set("out", 1)

        tree = self.tree(Work, out="{x}")
        tree.tick()
        tree.halt()
        assert tree.blackboard["x"] == 1

    def test_name_path_and_time(self) -> None:
        seen = []

        def leaf(context: Context) -> bool:
            seen.append((context.name, context.path, context.now))
            return True

        tree = Tree.load({"sequence": ["leaf", {"leaf": None, "name": "other"}, "leaf"]}, {"leaf": leaf})
        tree.advance(2)
        tree.tick()
        assert seen == [
            ("leaf", "main/sequence/leaf#1", 2.0),
            ("other", "main/sequence/other", 2.0),
            ("leaf", "main/sequence/leaf#3", 2.0),
        ]


def test_ports_of_different_types_at_one_entry_are_refused() -> None:
    leaves = {
        name: Leaf(lambda: True, {"x": Port("in", kind)})
        for name, kind in (("tally", "integer"), ("measure", "number"), ("say", "string"), ("flag", "boolean"))
    }
    Tree.load({"sequence": [{name: {"x": "{a}"}} for name in ("tally", "measure", "say")]}, leaves)
    with pytest.raises(PlanInvalid, match=r"takes boolean, but 'a' is number at another node. \[P009\]"):
        Tree.load({"sequence": [{"tally": {"x": "{a}"}}, {"flag": {"x": "{a}"}}]}, leaves)


def test_a_leaf_wakes_the_tree_from_another_thread() -> None:
    kept = []

    def leaf(context: Context) -> str:
        kept.append(context)
        return "running" if len(kept) == 1 else "success"

    tree = Tree.load("leaf: null", {"leaf": leaf})
    woken = []
    tree.clock.on_wake = lambda: woken.append(threading.current_thread().name)
    assert [tree.tick(), tree.clock.wants_tick] == [R, False]
    thread = threading.Thread(target=kept[0].wake, name="worker")
    thread.start()
    thread.join()
    assert [woken, tree.clock.wants_tick, tree.tick()] == [["worker"], True, S]


def test_a_leaf_that_raises_while_it_is_halted_does_not_keep_others_from_it() -> None:
    log, leaves = probes(b="running")

    class Stuck:
        def start(self) -> str:
            return "running"

        def halted(self) -> None:
            raise OSError("stuck")

    tree = Tree.load({"parallel": ["stuck", "b"]}, {**leaves, "stuck": Stuck})
    tree.tick()
    with pytest.raises(PlanError, match="main/parallel/stuck: it raised OSError: stuck"):
        tree.halt()
    assert log[-1] == "b.end IDLE"
    assert set(tree.statuses().values()) == {"IDLE"}


def test_a_leaf_cannot_have_the_name_of_a_node() -> None:
    with pytest.raises(PlanInvalid, match=r"'count' is a node of every tree.*\[P002\]"):
        Tree.load("count: null", {"count": lambda: True})


def test_what_is_no_leaf() -> None:
    with pytest.raises(TypeError, match="a function or has a method start"):
        Tree.load("leaf: null", {"leaf": 5})


def test_status_of_a_node_that_is_not_there() -> None:
    tree = Tree.load({"sequence": ["leaf", "leaf"]}, {"leaf": lambda: True})
    with pytest.raises(UnknownName, match="Unknown node 'leaf'"):
        tree.status_of("leaf")


def test_a_class_that_cannot_be_made_is_an_error_of_its_node() -> None:
    class Broken:
        def __init__(self) -> None:
            raise ValueError("no hardware")

        def start(self) -> bool:
            return True

    with pytest.raises(PlanError, match=r"main/sequence/arm.*it raised ValueError: no hardware") as caught:
        Tree.load({"sequence": [YES, {"broken": None, "name": "arm"}]}, {"broken": Broken})
    assert isinstance(caught.value.__cause__, ValueError)


def test_after_a_reset_a_context_is_one_of_the_new_run() -> None:
    def count(context: Context) -> bool:
        context.memory["n"] = context.memory.get("n", 0) + 1
        context.set("n", context.memory["n"])
        return True

    tree = Tree.load({"tally": None, "n": "{n}"}, {"tally": Leaf(count, {"n": Port("out")})})
    seen = []
    for _ in range(2):
        tree.tick()
        tree.tick()
        seen.append(tree.blackboard["n"])
        tree.reset()
    assert seen == [2, 2]
    tree.advance(1)
    other = Tree.load({"tally": None, "n": "{n}"}, {"tally": Leaf(count, {"n": Port("out")})})
    tree.tick()
    other.restore(tree.snapshot())
    other.tick()
    assert (other.blackboard["n"], tree.blackboard["n"]) == (2, 1)
