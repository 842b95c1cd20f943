"""A tree: what one node of a behaviour tree costs in a tick, beside calling its function."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from table import Row

from agentflow_planner_bt.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Callable

LEAVES = 1_000


def yes() -> bool:
    """A leaf that does nothing."""
    return True


def flat() -> dict[str, Any]:
    """A sequence of leaves."""
    return {"sequence": ["yes"] * LEAVES}


def nested(depth: int = 3) -> dict[str, Any]:
    """Composites of ten children each, three deep: 1,000 leaves."""
    children: list[Any] = ["yes"] * 10 if depth == 1 else [nested(depth - 1) for _ in range(10)]
    return {"reactive_sequence" if depth == 2 else "sequence": children}


def rows(*, ticks: int) -> list[Row]:
    """1,000 leaves in one sequence and in three levels, without and with an event for each node; py_trees beside it."""
    floor = min(_time(lambda: [yes() for _ in range(LEAVES)], ticks) for _ in range(3)) / LEAVES
    found = []
    for what, document in (("in one sequence", flat()), ("in three levels", nested())):
        tree = Tree.load(document, {"yes": yes})
        count = len(tree.statuses())
        bare = min(_time(tree.tick, ticks) for _ in range(5)) / count
        told = min(_time(tree.traced_tick, ticks) for _ in range(5)) / count
        note = f"f() {floor:.3f} µs"
        found.append(Row(f"one of 1,000 leaves {what}", bare, "µs", note, bare / floor, "≤ 0.4 µs", bare <= 0.4))
        found.append(Row(f"… with every tick noted, {what}", told, "µs", note, told / floor, "≤ 3 µs", told <= 3))
    peer = _peer(max(ticks // 10, 1))
    found.append(Row("the same sequence in py_trees", peer, "µs", note, peer / floor, "", reached=True))
    return found


def _time(call: Callable[[], object], times: int) -> float:
    """CPU microseconds of one call."""
    start = time.process_time()
    for _ in range(times):
        call()
    return (time.process_time() - start) / times * 1e6


def _peer(times: int) -> float:
    import py_trees

    leaves = [py_trees.behaviours.Success(str(number)) for number in range(LEAVES)]
    root = py_trees.composites.Sequence("sequence", memory=True, children=leaves)
    return min(_time(root.tick_once, times) for _ in range(3)) / LEAVES
