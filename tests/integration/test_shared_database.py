"""The command line of two machines with one database: what one runs, the other sees, signals, approves and ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from postgres_server import PostgresServer

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRIPT = Path(sys.executable).parent / "agentflow"
MANIFEST = """
apiVersion: agentflow.dev/v1
kind: Journal
metadata: {name: shared}
spec: {plugin: postgres, with: {dsn: "${JOURNAL_DSN}", schema: machines, lease_s: 1}}
---
apiVersion: agentflow.dev/v1
kind: Flow
metadata: {name: paying}
spec:
  output: [{$ref: ask.result}, {$ref: charge.result}, {$ref: last.result}]
  nodes:
    ask: {ask: {question: "How many?", schema: {type: integer}, by: [ops]}, next: charge}
    charge:
      uses: "./nodes.py:charge"
      input: {$ref: ask.result}
      effect: effect
      approve: {by: [ops]}
      next: last
    last: {uses: "./nodes.py:wait"}
"""
NODES = """
def charge(value):
    return f"charged {value}"


async def wait(value, context):
    return await context.wait("go")
"""
LIMIT_S = 60

pytestmark = [pytest.mark.timeout(200), pytest.mark.blocking]


class Machine:
    """One machine: its own manifest, state folder and processes."""

    def __init__(self, folder: Path, dsn: str) -> None:
        self.folder = folder
        self._environ = {**os.environ, "JOURNAL_DSN": dsn}
        self._started: list[subprocess.Popen[str]] = []
        folder.mkdir()
        (folder / "pay.yaml").write_text(MANIFEST)
        (folder / "nodes.py").write_text(NODES)

    def call(self, *words: str) -> Any:
        """What a command answers as JSON; it must succeed."""
        words = (str(SCRIPT), *words, "-f", "pay.yaml", "-o", "json")
        done = subprocess.run(
            words, cwd=self.folder, env=self._environ, capture_output=True, encoding="utf-8", check=False, timeout=60
        )
        assert done.returncode == 0, (words, done.stderr)
        return json.loads(done.stdout)

    def start(self, *words: str) -> subprocess.Popen[str]:
        """A command that goes on."""
        process = subprocess.Popen(
            [str(SCRIPT), *words],
            cwd=self.folder,
            env=self._environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        self._started.append(process)
        return process

    def wait_for(self, **wished: object) -> dict[str, Any]:
        """The newest run, once it is as wished."""
        deadline = time.monotonic() + LIMIT_S
        while True:
            runs = self.call("get", "runs")
            if runs and wished.items() <= runs[0].items():
                return dict(runs[0])
            assert time.monotonic() < deadline, (runs, wished)

    def wait_for_question(self, run_id: str, kind: str) -> dict[str, Any]:
        """What the run asks, once it asks something of that kind."""
        deadline = time.monotonic() + LIMIT_S
        while True:
            asks = self.call("describe", "run", run_id)["asks"]
            if asks and asks[0]["kind"] == kind:
                return dict(asks[0])
            assert time.monotonic() < deadline, asks

    def stop(self) -> None:
        """End what is left."""
        for process in self._started:
            process.kill()
            process.communicate()


@pytest.fixture(scope="module")
def dsn() -> Iterator[str]:
    """One server."""
    server = PostgresServer()
    server.open()
    yield server.dsn
    server.close()


@pytest.fixture
def machines(dsn: str, tmp_path: Path) -> Iterator[tuple[Machine, Machine]]:
    """Two of them, with nothing in common but the database."""
    made = Machine(tmp_path / "here", dsn), Machine(tmp_path / "there", dsn)
    yield made
    for machine in made:
        machine.stop()


def test_people_at_another_machine_answer_approve_and_signal(machines: tuple[Machine, Machine]) -> None:
    """The run goes on where it was started, with what was said elsewhere."""
    here, there = machines
    process = here.start("run", "pay.yaml", "--trust-code", "-o", "json")
    run_id = there.wait_for(status="waiting")["run_id"]
    assert there.wait_for_question(run_id, "question")["by"] == ["ops"]
    assert there.call("answer", run_id, "--value", "15", "--as", "ops")["value"] == 15
    asked = there.wait_for_question(run_id, "approval")
    approved = there.call("approve", run_id, "--as", "ops", "--hash", asked["hash"])
    assert approved["value"] == {"approved": True, "reason": ""}
    assert there.call("signal", run_id, "go", "--value", "3", "--id", "mine")["id"] == "mine"
    out, err = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, err
    (report,) = json.loads(out)["runs"]
    assert (report["run_id"], report["output"]) == (run_id, [15, "charged 15", 3])
    assert there.wait_for(run_id=run_id)["status"] == "completed"
    assert not (there.folder / ".agentflow" / "inbox").exists()


def test_a_worker_of_another_machine_goes_on_and_the_run_is_ended_from_here(machines: tuple[Machine, Machine]) -> None:
    """The first process is killed; the lease of its worker runs out, and the other one takes the run."""
    here, there = machines
    process = here.start("run", "pay.yaml", "--trust-code", "-o", "json")
    run_id = there.wait_for(status="waiting")["run_id"]
    there.start("worker", "-f", "pay.yaml", "--trust-code")
    process.kill()
    assert there.wait_for(status="waiting", epoch=2)["run_id"] == run_id
    here.call("cancel", run_id)
    assert here.wait_for(status="cancelled")["run_id"] == run_id
