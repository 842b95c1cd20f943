"""Requests to a run that another process works on: a signal that it waits for, and its end."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST = """
apiVersion: agentflow.dev/v1
kind: Flow
metadata: {name: asking}
spec:
  nodes:
    ask: {uses: "./nodes.py:ask"}
"""
NODES = """
import pathlib

SCHEMA = {"type": "object", "required": ["by"]}


async def ask(value, context):
    pathlib.Path("asking").touch()
    answer = await context.wait("approved", schema=SCHEMA)
    return answer["by"]
"""
DEADLINE_S = 120


@pytest.fixture
def waiting(start, agentflow, workplace: Path):
    """A process whose run waits for the signal, and the id of that run."""
    (workplace / "ask").mkdir()
    (workplace / "ask" / "flow.yaml").write_text(MANIFEST)
    (workplace / "ask" / "nodes.py").write_text(NODES)
    process = start("run", "ask", "--trust-code", "-o", "json")
    end = time.monotonic() + DEADLINE_S
    while True:
        runs = json.loads(agentflow("get", "runs", "-o", "json").out or "[]")
        if runs and runs[0]["status"] == "waiting":
            return process, runs[0]["run_id"]
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, runs


def test_a_signal_reaches_the_process_that_works_on_the_run(waiting, agentflow) -> None:
    """One that does not fit is refused; one sent twice under the same id counts once."""
    process, run_id = waiting
    refused = agentflow("signal", run_id[:13], "approved", "--value", "[]")
    assert refused.code == 2
    assert "AF-INPUT-INVALID" in refused.err
    for _ in range(2):
        sent = agentflow("signal", run_id, "approved", "--value", '{"by": "ops"}', "--id", "ticket-12", "-o", "json")
        assert json.loads(sent.out) == {"run_id": run_id, "signal": "approved", "id": "ticket-12"}
    out, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, err
    (run,) = json.loads(out)["runs"]
    assert (run["status"], run["output"]) == ("completed", "ops")
    late = agentflow("signal", run_id, "approved")
    assert late.code == 2
    assert "AF-RUN-ENDED" in late.err


def test_a_run_is_ended_from_outside(waiting, agentflow) -> None:
    """It counts as cancelled, not as failed or suspended."""
    process, run_id = waiting
    assert agentflow("cancel", run_id).code == 0
    out, _ = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 1
    (run,) = json.loads(out)["runs"]
    assert run["status"] == "cancelled"
    (listed,) = json.loads(agentflow("get", "runs", "-o", "json").out)
    assert listed["status"] == "cancelled"


def test_an_unknown_run_is_said_to_be_unknown(agentflow, workplace: Path) -> None:
    for words in (("cancel", "nothing"), ("signal", "nothing", "approved")):
        answer = agentflow(*words)
        assert answer.code == 2
        assert "AF-RUN-UNKNOWN" in answer.err
