"""A worker in a process of its own: takes over what a killed one left, and hands its runs over when it is stopped."""

from __future__ import annotations

import json
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MANIFEST = """
apiVersion: agentflow.dev/v1
kind: Flow
metadata: {name: slow}
spec:
  nodes:
    first: {uses: "./nodes.py:first", next: second}
    second: {uses: "./nodes.py:second"}
"""
NODES = """
import os


def note(step):
    with open("steps", "a") as lines:
        lines.write(f"{step} {os.getpid()}\\n")


def first(value):
    note("first")
    return value


async def second(value, context):
    note("second")
    return await context.wait("go")
"""
DEADLINE_S = 120


@pytest.fixture
def slow(workplace: Path) -> Path:
    """A flow that waits in its second step for a signal."""
    (workplace / "slow").mkdir()
    (workplace / "slow" / "flow.yaml").write_text(MANIFEST)
    (workplace / "slow" / "nodes.py").write_text(NODES)
    return workplace / "steps"


@pytest.fixture
def wait_for(agentflow: Any) -> Callable[..., dict[str, Any]]:
    """What waits until the only run is as wished."""

    def wait(**wished: object) -> dict[str, Any]:
        end = time.monotonic() + DEADLINE_S
        while True:
            runs = json.loads(agentflow("get", "runs", "-o", "json").out or "[]")
            if runs and wished.items() <= runs[0].items():
                return dict(runs[0])
            assert time.monotonic() < end, (runs, wished)

    return wait


def test_a_worker_goes_on_with_the_run_of_a_killed_one(slow: Path, start: Any, wait_for: Any, agentflow: Any) -> None:
    """The completed step is not done again; the idle worker stays until SIGTERM, and the exit code is 0."""
    dying = start("run", "slow", "--trust-code")
    run_id = wait_for(status="waiting", epoch=1)["run_id"]
    worker = start("worker", "-f", "slow", "--trust-code")
    dying.kill()
    wait_for(status="waiting", epoch=2)
    assert agentflow("signal", run_id, "go", "--value", "7").code == 0
    wait_for(status="completed", epoch=2)
    assert worker.poll() is None
    worker.send_signal(signal.SIGTERM)
    _, err = worker.communicate(timeout=DEADLINE_S)
    assert worker.returncode == 0, err
    assert f"run {run_id} resumed: flow/slow\nrun {run_id} completed\n" in err
    assert slow.read_text().splitlines() == [
        f"first {dying.pid}",
        f"second {dying.pid}",
        f"second {worker.pid}",
    ]


def test_a_worker_that_is_stopped_hands_its_runs_to_another(
    slow: Path, start: Any, wait_for: Any, agentflow: Any
) -> None:
    """They are no runs that a person has stopped: the next worker takes them at its first look."""
    dying = start("run", "slow", "--trust-code")
    wait_for(status="waiting", epoch=1)
    dying.kill()
    first = start("worker", "-f", "slow", "--trust-code")
    wait_for(status="waiting", epoch=2)
    first.send_signal(signal.SIGTERM)
    _, err = first.communicate(timeout=DEADLINE_S)
    assert (first.returncode, err.count("suspended")) == (0, 1), err
    assert wait_for(status="suspended")["cause"] == "handover"
    second = start("worker", "-f", "slow", "--trust-code")
    run_id = wait_for(status="waiting", epoch=3)["run_id"]
    agentflow("cancel", run_id)
    wait_for(status="cancelled")
    assert second.poll() is None


def test_a_worker_without_a_manifest_does_not_begin_to_serve(agentflow: Any) -> None:
    """The file is named."""
    answer = agentflow("worker", "-f", "nothing.yaml")
    assert answer.code == 2
    assert "nothing.yaml" in answer.err
