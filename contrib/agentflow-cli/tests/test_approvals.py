"""Approvals and answers from the command line, for a run that another process works on."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MANIFEST = """
apiVersion: agentflow.dev/v1
kind: Flow
metadata: {name: paying}
spec:
  output: [{$ref: ask.result}, {$ref: charge.result}]
  nodes:
    ask:
      ask: {question: "How many?", schema: {type: integer}, by: [ops]}
      next: charge
    charge:
      uses: "./nodes.py:charge"
      input: {euros: {$ref: ask.result}}
      effect: effect
      approve: {by: [ops]}
      routes: {default: null, refused: charge2}
    charge2: {uses: "./nodes.py:say"}
"""
NODES = """
def charge(value):
    return f"charged {value['euros']}"


def say(value):
    return value
"""
DEADLINE_S = 120


@pytest.fixture
def paying(start, agentflow, workplace: Path) -> tuple[Any, Callable[[str], dict[str, Any]]]:
    """A process at work, and what waits until its run asks for something of a kind."""
    (workplace / "pay").mkdir()
    (workplace / "pay" / "flow.yaml").write_text(MANIFEST)
    (workplace / "pay" / "nodes.py").write_text(NODES)
    process = start("run", "pay", "--trust-code", "-o", "json")

    def asked(kind: str) -> dict[str, Any]:
        end = time.monotonic() + DEADLINE_S
        while True:
            runs = json.loads(agentflow("get", "runs", "-o", "json").out or "[]")
            if runs and runs[0]["status"] == "waiting":
                run = json.loads(agentflow("describe", "run", runs[0]["run_id"], "-o", "json").out)
                if run["asks"] and run["asks"][0]["kind"] == kind:
                    return {"run_id": run["run_id"], **run["asks"][0]}
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < end, runs

    return process, asked


def test_a_person_answers_and_approves_what_was_shown(paying, agentflow) -> None:
    """With the subject on record; others, other hashes and values that do not fit are refused."""
    process, asked = paying
    question = asked("question")
    run_id = question["run_id"]
    assert (question["wait"], question["question"]) == ("ask!ask", "How many?")
    for words, code in (
        (("--value", '"many"', "--as", "ops"), "AF-INPUT-INVALID"),
        (("--value", "15", "--as", "eve"), "AF-NOT-ALLOWED"),
        (("--value", "15", "--as", "ops", "--hash", "0000"), "AF-USAGE"),
    ):
        refused = agentflow("answer", run_id[:13], *words)
        assert refused.code == 2, refused
        assert code in refused.err
    assert "waits for no approval" in agentflow("approve", run_id).err
    assert agentflow("answer", run_id, "--value", "15", "--as", "ops").code == 0

    approval = asked("approval")
    assert (approval["action"], approval["arguments"]) == ("node charge", {"euros": 15})
    shown = agentflow("describe", "run", run_id).out
    assert 'arguments: {"euros": 15}' in shown
    assert approval["hash"] in shown
    done = agentflow(
        "approve",
        run_id,
        "charge!approve",
        "--as",
        "ops",
        "--hash",
        approval["hash"][:12],
        "--reason",
        "t-1",
        "-o",
        "json",
    )
    answered = json.loads(done.out)
    assert (answered["arguments"], answered["by"]) == ({"euros": 15}, "ops")  # who did it, not who might have
    out, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, err
    (run,) = json.loads(out)["runs"]
    assert run["output"] == [15, "charged 15"]


def test_a_person_refuses(paying, agentflow) -> None:
    process, asked = paying
    run_id = asked("question")["run_id"]
    agentflow("answer", run_id, "ask!ask", "--value", "15", "--as", "ops")
    asked("approval")
    assert agentflow("approve", run_id, "--deny", "--reason", "too dear", "--as", "ops").code == 0
    out, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, err
    (run,) = json.loads(out)["runs"]
    assert run["output"][1] == {"by": "ops", "reason": "too dear", "expired": False}
