"""Events that start runs: one run emits, a trigger on the bus starts the next, the program waits for both."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

sys.path.insert(0, os.path.dirname(__file__))

from program import agentflow

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST = """
apiVersion: agentflow.dev/v1
kind: Flow
metadata: {name: first}
spec:
  nodes:
    order: {emit: order.created, input: {number: {$ref: input}}}
---
apiVersion: agentflow.dev/v1
kind: Trigger
metadata: {name: follow}
spec: {on: order.created, start: flow/second}
---
apiVersion: agentflow.dev/v1
kind: Flow
metadata: {name: second}
spec:
  nodes:
    pack: {uses: "./nodes.py:pack"}
"""


def test_a_trigger_on_the_bus_starts_a_run_that_is_seen_to_its_end(tmp_path: Path) -> None:
    """The emitted event starts the second flow with its data; the command ends when both are completed."""
    (tmp_path / "shop.yaml").write_text(MANIFEST)
    (tmp_path / "nodes.py").write_text("def pack(order):\n    return f'packed {order[\"number\"]}'\n")
    words = ["run", str(tmp_path), "flow/first", "--input", "7", "--trust-code", "--no-progress"]
    result = agentflow(*words, "--state", str(tmp_path / "state"))
    assert result.code == 0, result.err
    runs = agentflow("get", "runs", "--state", str(tmp_path / "state"), "-o", "json").json()
    assert sorted((run["name"], run["status"]) for run in runs) == [  # type: ignore[attr-defined]
        ("flow/first", "completed"),
        ("flow/second", "completed"),
    ]


def test_a_node_that_exits_fails_its_run_and_no_more(tmp_path: Path) -> None:
    """SystemExit in a node is an error of the run: exit 1, a typed line, no traceback."""
    manifest = MANIFEST.replace("order.created, input: {number: {$ref: input}}", "order.created")
    (tmp_path / "shop.yaml").write_text(manifest)
    (tmp_path / "nodes.py").write_text("import sys\n\ndef pack(order):\n    sys.exit('no more')\n")
    words = ["run", str(tmp_path), "flow/second", "--input", "1", "--trust-code", "--no-progress"]
    result = agentflow(*words, "--state", str(tmp_path / "state"))
    assert result.code == 1
    assert "error[AF-NODE-FAILED]" in result.err
    assert "Traceback" not in result.err
