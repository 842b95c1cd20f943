"""A plan's document that is edited while a run of it is dead: the run is parked, and goes on when it is put back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from program import PROGRAM, agentflow, environment

if TYPE_CHECKING:
    from pathlib import Path

PLAN = """
apiVersion: agentflow.dev/v1
kind: Tool
metadata: {name: texts}
spec: {plugin: files, with: {root: .}}
---
apiVersion: agentflow.dev/v1
kind: Plan
metadata: {name: steps}
spec:
  planner: dag
  tools: [texts]
  document:
    steps:
      - {id: first, kind: tool, name: texts.read, args: {path: one.txt}}
      - {id: gate, kind: wait, args: {type: signal, name: go}, needs: [first]}
      - {id: last, kind: tool, name: texts.read, args: {path: {$ref: gate.result}}}
    output: [{$ref: first.result.text}, {$ref: last.result.text}]
"""


def the_run(folder: Path) -> dict[str, Any]:
    """The only run on record, ``{}`` while there is none."""
    listed: Any = agentflow("get", "runs", "--state", "state", "-o", "json", cwd=folder).json()
    return dict(listed[0]) if listed else {}


@pytest.mark.timeout(120)
@pytest.mark.blocking  # it waits for processes
def test_run_of_an_edited_plan_is_parked_and_goes_on_when_the_plan_is_put_back(tmp_path: Path) -> None:
    """The step that is on record is not done again, although the file that it read is another one by then."""
    manifest, text = tmp_path / "plan.yaml", tmp_path / "one.txt"
    manifest.write_text(PLAN)
    text.write_text("before")
    (tmp_path / "two.txt").write_text("two")
    command = [*PROGRAM, "run", "plan.yaml", "--state", "state", "--no-progress"]
    with subprocess.Popen(command, cwd=tmp_path, env=environment(), stderr=subprocess.DEVNULL) as process:
        while (known := the_run(tmp_path)).get("status") != "waiting":
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    text.write_text("after")

    manifest.write_text(PLAN.replace("one.txt", "two.txt"))
    resumed = agentflow("resume", "--state", "state", "--no-progress", cwd=tmp_path)
    assert resumed.code == 1
    assert f"Run {known['run_id']} is stuck" in resumed.err
    assert "'steps' is another one than the run began" in resumed.err
    assert "Give it the plan of before, or start a new run." in resumed.err

    manifest.write_text(PLAN)
    sent = agentflow("signal", known["run_id"], "go", "--value", '"two.txt"', "--state", "state", cwd=tmp_path)
    assert sent.code == 0
    done: Any = agentflow("resume", known["run_id"], "--state", "state", "-o", "json", cwd=tmp_path).json()
    assert [(run["status"], run["output"]) for run in done["runs"]] == [("completed", ["before", "two"])]
