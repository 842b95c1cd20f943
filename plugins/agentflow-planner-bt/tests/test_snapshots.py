"""Snapshots: a tree that is stored and loaded after every tick goes on like one that was not disturbed.

`AGENTFLOW_BT_TREES` sets the number of random trees, 1,000 for the long form.
"""

from __future__ import annotations

import json
import os
import random
from typing import Any

import pytest
from probes import ON, Probe

from agentflow_kernel.errors import NewerSchema, PlanError
from agentflow_planner_bt.tree import Tree

TREES = min(1_000, int(os.environ.get("AGENTFLOW_BT_TREES", "150")))
TICKS = 12
STATUSES = ["SUCCESS", "FAILURE", "RUNNING", "SKIPPED"]
MANY = ["sequence", "sequence_resume", "reactive_sequence", "fallback", "reactive_fallback"]
CONVERTERS = ["inverter", "force_success", "force_failure", "keep_running_until_failure", "failure_is_running", "count"]


class Builder:
    """Random documents of every kind of node."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def document(self) -> dict[str, Any]:
        """A tree with a subtree."""
        sub = {"ports": None, "root": self.node(2)}
        count, use = {"script": "n := default(n, 0) + 1"}, {"subtree": "sub", "ports": {"n": "{n}"}}
        main = {"sequence": [count, self.node(3), use]}
        return {"blackboard": {"n": 0, "items": [1, 2]}, "trees": {"main": main, "sub": sub}}

    def node(self, depth: int) -> dict[str, Any]:
        """A node, perhaps with conditions and scripts."""
        inner = [self.leaf, self.composite, self.composite, self.decorator]
        make = self.random.choice(inner) if depth else self.leaf
        node = make(depth)
        if self.random.random() < 0.2:
            node[self.random.choice(["skip_if", "while", "success_if"])] = self.random.choice(["n % 3 == 0", "n < 4"])
        if self.random.random() < 0.2:
            node[self.random.choice(["post", "on_halted", "on_success"])] = "n += 1"
        return node

    def leaf(self, depth: int) -> dict[str, Any]:
        """A leaf that takes its time in one way or another."""
        return self.random.choice(
            [
                {"scripted": self.random.choices(STATUSES, [4, 3, 4, 1], k=4)},
                {"probe": None},
                {"sleep": self.random.randint(0, 2)},
                {"tool": "files.read", "args": {"n": "{n}"}, "out": "{result}", "errors": "failure"},
                {"check": "n % 2 == 0"},
                {"was_updated": "{result}"},
            ]
        )

    def composite(self, depth: int) -> dict[str, Any]:
        """A composite."""
        children = [self.node(depth - 1) for _ in range(self.random.randint(1, 3))]
        kind = self.random.choice([*MANY, "parallel", "parallel_all", "switch", "while_do_else", "try_catch"])
        if kind == "switch":
            return {"switch": [*children, ON], "variable": "{n}", "cases": list(range(1, len(children) + 1))}
        if kind in {"while_do_else", "try_catch"}:
            return {kind: [children[0], self.node(depth - 1)]}
        return {kind: children}

    def decorator(self, depth: int) -> dict[str, Any]:
        """A decorator."""
        child = self.node(depth - 1)
        return self.random.choice(
            [
                {self.random.choice(CONVERTERS): child},
                {self.random.choice(["repeat", "retry"]): child, "times": 3},
                {self.random.choice(["delay", "timeout"]): child, "seconds": self.random.randint(1, 3)},
                {"for_each": child, "queue": "{items}", "value": "{item}"},
                {"run_once": child},
                {"precondition": child, "if": "n % 2 == 1"},
            ]
        )


def play(seed: int, *, stores: bool) -> list[Any]:
    """All that is to be seen of some ticks, stored and loaded into a fresh tree after each where that is asked for."""
    document, log = Builder(seed).document(), []
    leaves = {"probe": Probe(log, "probe", "running", "success")}
    tree = Tree.load(document, leaves, rounds=20)
    seen: list[Any] = []
    world = random.Random(seed)
    for _ in range(TICKS):
        tree.advance(world.choice([0, 0.5, 1]))
        try:
            status = str(tree.tick())
        except PlanError as error:
            status = str(error)
        started, cancelled = tree.actions.take_started(), tree.actions.take_cancelled()
        seen.append([status, tree.statuses(), tree.blackboard.to_json(), tree.clock.due_in_s, tree.clock.wants_tick])
        seen.append([[item.to_json() for item in started], cancelled, list(log)])
        for action in started:
            if world.random() < 0.6:
                tree.actions.complete(action.id, world.randint(0, 3))
            elif world.random() < 0.3:
                tree.actions.fail(action.id, "broken")
        if stores:
            text = json.dumps(tree.snapshot(), allow_nan=False)
            tree = Tree.load(document, leaves, rounds=20)
            tree.restore(json.loads(text))
    return seen


def test_stored_and_loaded_after_every_tick_it_goes_on_the_same() -> None:
    for seed in range(TREES):
        assert play(seed, stores=True) == play(seed, stores=False), seed


def test_a_snapshot_does_not_change_with_the_tree() -> None:
    tree = Tree.load({"sequence": [{"script": "x := [1]"}, {"sleep": 1}, {"script": "x := [2]"}]})
    tree.tick()
    snapshot = tree.snapshot()
    text = json.dumps(snapshot)
    tree.advance(1)
    assert [tree.tick(), json.dumps(snapshot), tree.blackboard["x"]] == ["SUCCESS", text, [2]]
    tree.restore(snapshot)
    assert [tree.status, tree.blackboard["x"], json.dumps(snapshot)] == ["RUNNING", [1], text]


def test_actions_that_nobody_has_taken_are_in_the_snapshot() -> None:
    document = {"tool": "files.read", "args": {"path": "a"}}
    tree = Tree.load(document)
    tree.tick()
    other = Tree.load(document)
    other.restore(tree.snapshot())
    assert [action.id for action in other.actions.take_started()] == ["tool#1"]
    assert [other.actions.complete("tool#1"), other.tick(), other.actions.complete("tool#1")] == [
        True,
        "SUCCESS",
        False,
    ]


def test_snapshots_of_others_are_refused() -> None:
    tree = Tree.load({"sequence": [ON]})
    with pytest.raises(PlanError, match="of another tree"):
        tree.restore(Tree.load({"fallback": [ON]}).snapshot())
    with pytest.raises(NewerSchema, match="behaviour tree has schema version 7"):
        tree.restore({**tree.snapshot(), "version": 7})
