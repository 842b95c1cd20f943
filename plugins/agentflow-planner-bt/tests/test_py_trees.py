"""Agreement with py_trees: the same random trees, ticked side by side, every node's status compared after each tick.

`AGENTFLOW_BT_TREES` sets the number of random trees, 10,000 for the long form.
"""

from __future__ import annotations

import os
import random
from typing import Any

import py_trees
import pytest
from probes import F, R, S, given, probes, ticks
from py_trees.common import OneShotPolicy, ParallelPolicy
from py_trees.common import Status as Theirs

from agentflow_kernel.errors import PlanInvalid
from agentflow_planner_bt.tree import Tree

TREES = int(os.environ.get("AGENTFLOW_BT_TREES", "300"))
TICKS = 10
STATUSES = {"SUCCESS": Theirs.SUCCESS, "FAILURE": Theirs.FAILURE, "RUNNING": Theirs.RUNNING}
CONVERTERS = {
    "inverter": py_trees.decorators.Inverter,
    "pass_through": py_trees.decorators.PassThrough,
    "count": py_trees.decorators.Count,
    "failure_is_running": py_trees.decorators.FailureIsRunning,
    "failure_is_success": py_trees.decorators.FailureIsSuccess,
    "running_is_failure": py_trees.decorators.RunningIsFailure,
    "running_is_success": py_trees.decorators.RunningIsSuccess,
    "success_is_failure": py_trees.decorators.SuccessIsFailure,
    "success_is_running": py_trees.decorators.SuccessIsRunning,
}


class Scripted(py_trees.behaviour.Behaviour):
    """Gives the listed statuses one after the other."""

    def __init__(self, statuses: list[str]) -> None:
        super().__init__("scripted")
        self.statuses, self.at = statuses, 0

    def update(self) -> Theirs:
        """The next one."""
        self.at += 1
        return STATUSES[self.statuses[(self.at - 1) % len(self.statuses)]]


class Pair:
    """One random tree in both forms; ``time`` is what both see of the clock and of their guards."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.time = 0.0
        document, self.theirs = self.node(self.random.randint(1, 4))
        self.document = {"semantics": "py_trees", "root": document}

    def node(self, depth: int) -> tuple[dict[str, Any], py_trees.behaviour.Behaviour]:
        """A node with all below it, in both forms."""
        kind = self.random.randrange(10) if depth else 0
        if kind < 2:
            statuses = self.random.choices(list(STATUSES), [4, 3, 3], k=self.random.randint(1, 5))
            return {"scripted": statuses}, Scripted(statuses)
        return self.composite(depth) if kind < 7 else self.decorator(depth)

    def composite(self, depth: int) -> tuple[dict[str, Any], py_trees.behaviour.Behaviour]:
        """A sequence, a fallback or a parallel."""
        children = [self.node(depth - 1) for _ in range(self.random.randint(1, 4))]
        ours, theirs = [child[0] for child in children], [child[1] for child in children]
        memory = self.random.random() < 0.5
        kind = self.random.randrange(3)
        if kind == 0:
            return {"sequence": ours, "memory": memory}, py_trees.composites.Sequence("s", memory, theirs)
        if kind == 1:
            return {"fallback": ours, "memory": memory}, py_trees.composites.Selector("f", memory, theirs)
        synchronise = self.random.random() < 0.5
        policy: Any = ParallelPolicy.SuccessOnAll(synchronise=synchronise)
        fields: dict[str, Any] = {"policy": "all", "synchronise": synchronise}
        choice = self.random.randrange(3)
        if choice == 1:
            policy, fields = ParallelPolicy.SuccessOnOne(), {"policy": "one"}
        elif choice == 2:
            numbers = sorted(self.random.sample(range(len(ours)), self.random.randint(1, len(ours))))
            policy = ParallelPolicy.SuccessOnSelected([theirs[number] for number in numbers], synchronise=synchronise)
            fields = {"policy": "selected", "selected": numbers, "synchronise": synchronise}
        return {"parallel": ours, **fields}, py_trees.composites.Parallel("p", policy, theirs)

    def decorator(self, depth: int) -> tuple[dict[str, Any], py_trees.behaviour.Behaviour]:
        """Any decorator."""
        ours, theirs = self.node(depth - 1)
        kind = self.random.choice([*CONVERTERS, "repeat", "retry", "one_shot", "condition", "eternal_guard", "timeout"])
        number = self.random.randint(1, 3)
        decorators = py_trees.decorators
        if kind in CONVERTERS:
            return {kind: ours}, CONVERTERS[kind]("d", theirs)
        if kind == "repeat":
            return {"repeat": ours, "times": number}, decorators.Repeat("d", theirs, number)
        if kind == "retry":
            return {"retry": ours, "times": number}, decorators.Retry("d", theirs, number)
        if kind == "timeout":
            return {"timeout": ours, "seconds": number}, decorators.Timeout("d", theirs, float(number))
        if kind == "condition":
            status = self.random.choice(list(STATUSES))
            return {"condition": ours, "status": status}, decorators.Condition("d", theirs, STATUSES[status])
        if kind == "one_shot":
            only_success = self.random.random() < 0.5
            policy = OneShotPolicy.ON_SUCCESSFUL_COMPLETION if only_success else OneShotPolicy.ON_COMPLETION
            fields = {"one_shot": ours, "policy": "success" if only_success else "completion"}
            return fields, decorators.OneShot("d", theirs, policy)
        guard = f"time % {number + 1} != 1"
        return {"eternal_guard": ours, "if": guard}, decorators.EternalGuard(
            "d", theirs, lambda: self.time % (number + 1) != 1
        )


def preorder(node: py_trees.behaviour.Behaviour) -> list[str]:
    """The statuses of a tree of theirs, in our words."""
    own = "IDLE" if node.status is Theirs.INVALID else node.status.value
    return [own, *(status for child in node.children for status in preorder(child))]


def test_random_trees_agree_in_every_node_and_tick(monkeypatch) -> None:
    now = 0.0
    monkeypatch.setattr(py_trees.decorators.time, "monotonic", lambda: now)
    for seed in range(TREES):
        pair = Pair(seed)
        tree = Tree.load(pair.document)
        halts = random.Random(f"halt {seed}")
        for number in range(TICKS):
            tree.blackboard["time"] = pair.time = now = float(number)
            tree.advance(now - tree.clock.now)
            if halts.random() < 0.1:
                tree.halt()
                pair.theirs.stop(Theirs.INVALID)
            tree.tick()
            pair.theirs.tick_once()
            ours = [str(status) for status in tree.statuses().values()]
            assert ours == preorder(pair.theirs), (seed, number, pair.document)


class TestByHand:
    @staticmethod
    def root(node: dict[str, Any]) -> dict[str, Any]:
        return {"semantics": "py_trees", "root": node}

    def test_a_sequence_without_memory_stops_those_behind_the_child_that_runs(self) -> None:
        log, leaves = probes(b="running")
        tree = Tree.load(self.root({"sequence": [given(S, R), "b"], "memory": False}), leaves)
        assert [tree.tick(), tree.tick()] == [R, R]
        assert log == ["b.start", "b.halted", "b.end IDLE"]

    def test_a_selector_switches_to_a_higher_priority(self) -> None:
        log, leaves = probes(b="running")
        tree = Tree.load(self.root({"selector": [given(F, R), "b"], "memory": False}), leaves)
        assert [tree.tick(), tree.tick()] == [R, R]
        assert log == ["b.start", "b.halted", "b.end IDLE"]

    def test_what_is_done_keeps_its_status(self) -> None:
        tree = Tree.load(self.root({"sequence": [given(S), given(F)]}))
        assert [tree.tick(), *tree.statuses().values()] == [F, F, S, F]

    def test_repeat_gives_way_after_each_turn(self) -> None:
        assert ticks(self.root({"repeat": given(S), "times": 3}), 3) == [R, R, S]

    def test_a_parallel_ticks_all_before_it_decides(self) -> None:
        log, leaves = probes(b=S)
        assert ticks(self.root({"parallel": [given(F), "b"]}), 1, leaves) == [F]
        assert log == ["b.start", "b.end SUCCESS"]

    @pytest.mark.parametrize("selected", [[], ["c"], [2], [-1]])
    def test_selected_children_are_children(self, selected) -> None:
        node = {"parallel": [given(S), given(S)], "policy": "selected", "selected": selected}
        with pytest.raises(PlanInvalid, match=r"\[P004\]"):
            Tree.load(self.root(node))

    def test_a_leaf_cannot_be_skipped(self) -> None:
        with pytest.raises(PlanInvalid, match=r"\[P004\]"):
            Tree.load(self.root(given("SKIPPED")))
