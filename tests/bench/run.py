"""The bench: measures every figure beside its floor in one run and prints the table.

Usage: ``python tests/bench/run.py [--short] [NAME ...]``; the names are startup, nodes, durable, agents, manifest,
stream, recovery, memory, example, plan, tree and statechart. A figure over its goal is marked; the machine may be busy,
so look at it again before you believe it. The exit code says only whether everything could be measured.
"""

from __future__ import annotations

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import agents
import branches
import durable
import example
import manifest
import memory
import nodes
import plan
import recovery
import startup
import statechart
import stream
import tree
from table import show


def main(words: list[str]) -> None:
    """Measure what was named, or everything."""
    if {"-h", "--help"} & set(words):
        print(__doc__)
        return
    short = "--short" in words
    names = [word for word in words if not word.startswith("-")]
    parts = {
        "startup": lambda: startup.rows(runs=5 if short else 21),
        "nodes": lambda: nodes.rows(visits=20_000 if short else 200_000),
        "branches": lambda: branches.rows(branches=20_000 if short else 200_000),
        "durable": lambda: durable.rows(steps=50 if short else 200),
        "agents": lambda: agents.rows(runs=5 if short else 21, many=1_000 if short else 10_000),
        "manifest": lambda: manifest.rows(resources=1_000, runs=3 if short else 9),
        "stream": lambda: stream.rows(rounds=2 if short else 8),
        "recovery": lambda: recovery.rows(many=100 if short else 1_000),
        "memory": lambda: memory.rows(many=1_000 if short else 10_000),
        "plan": lambda: plan.rows(steps=1_000, runs=40 if short else 200),
        "tree": lambda: tree.rows(ticks=30 if short else 300),
        "statechart": lambda: statechart.rows(events=20_000 if short else 200_000),
        "example": lambda: example.rows(lines=20_000 if short else 200_000),
    }
    rows = []
    for name in names or parts:
        rows.extend(parts[name]())
    show(rows)


if __name__ == "__main__":
    main(sys.argv[1:])
