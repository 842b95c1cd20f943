"""A manifest with a journal of its own: its runs are found by naming the manifest, and the way on does so too."""

from __future__ import annotations

import os
import shlex
import sys
from typing import TYPE_CHECKING, Any

sys.path.insert(0, os.path.dirname(__file__))

from program import agentflow, environment

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST = """
apiVersion: agentflow.dev/v1
kind: Journal
metadata: {name: own}
spec: {plugin: sqlite, with: {path: data/own.db}}
---
apiVersion: agentflow.dev/v1
kind: Memory
metadata: {name: titles}
spec: {plugin: sqlite, with: {path: "${APP_TITLE:-none}"}}
---
apiVersion: agentflow.dev/v1
kind: Memory
metadata: {name: places}
spec: {plugin: sqlite, with: {path: "${APP_URL:-none}"}}
---
apiVersion: agentflow.dev/v1
kind: Flow
metadata: {name: wait}
spec:
  nodes:
    mark: {uses: "./nodes.py:mark", next: hold}
    hold: {uses: "./nodes.py:hold"}
"""
CODE = """
import os


def mark(value):
    return "marked"


def hold(value):
    if not os.path.exists(os.path.join(os.path.dirname(__file__), "released")):
        raise KeyboardInterrupt
    return "done"
"""


def test_runs_of_a_manifest_with_its_own_journal_are_found_through_it(tmp_path: Path) -> None:
    """`get`, `describe` and `resume` take the manifest; the printed line is pasted in an environment without it."""
    (tmp_path / "app.yaml").write_text(MANIFEST)
    (tmp_path / "nodes.py").write_text(CODE)
    path, common = str(tmp_path / "app.yaml"), ("--state", str(tmp_path / "my state"))
    given = environment(APP_TITLE="a 'fine' title", APP_URL="hidden-value")
    first = agentflow("run", path, "--input", "1", "--trust-code", "--no-progress", *common, env=given)
    assert first.code == 130, first.err
    assert "Traceback" not in first.err
    assert "hidden-value" not in first.err
    assert (tmp_path / "data" / "own.db").exists()
    assert agentflow("get", "runs", "-o", "json", *common).json() == []
    (run,) = found = agentflow("get", "runs", "-f", path, "-o", "json", *common, env=given).json()  # type: ignore[misc]
    assert (len(found), run["status"]) == (1, "suspended")  # type: ignore[arg-type]
    described: Any = agentflow("describe", "run", run["run_id"], "--file", path, "-o", "json", *common).json()
    assert described["run_id"] == run["run_id"]
    (line,) = (line for line in first.err.splitlines() if line.startswith("Go on with: "))
    title, *words = shlex.split(line.removeprefix("Go on with: "))
    assert title == "APP_TITLE=a 'fine' title"
    assert words == ["agentflow", "resume", run["run_id"], *common, "--file", path]
    (tmp_path / "released").touch()
    again = agentflow(*words[1:], env=environment(APP_TITLE="a 'fine' title", APP_URL="hidden-value"))
    assert again.code == 0, again.err
    assert again.out == "done\n"
