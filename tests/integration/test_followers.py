"""Events that start runs: one run emits, a trigger on the bus starts the next, the program waits for both."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml

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


def test_a_run_that_an_event_started_and_that_failed_fails_the_command(tmp_path: Path) -> None:
    """The first run is completed, its follower is not: exit 1, its error line, and its error in the document."""
    (tmp_path / "shop.yaml").write_text(MANIFEST)
    (tmp_path / "nodes.py").write_text("def pack(order):\n    raise ValueError('no box')\n")
    words = ["run", str(tmp_path), "flow/first", "--input", "7", "--trust-code", "--no-progress"]
    result = agentflow(*words, "--state", str(tmp_path / "state"), "-o", "json")
    assert result.code == 1
    document: Any = result.json()
    first, second = document["runs"]
    assert (first["status"], second["status"]) == ("completed", "failed")
    assert (second["error"]["code"], second["error"]["path"]) == ("AF-NODE-FAILED", "pack")
    assert "no box" in second["error"]["message"]
    assert f"error[AF-NODE-FAILED]: Run {second['run_id']} failed at pack: " in result.err
    assert "Go on with" not in result.err
    assert "Traceback" not in result.err


def test_an_event_that_cannot_start_its_run_fails_the_command(tmp_path: Path) -> None:
    """The flow refuses the event's data: the event is put aside, and the command says so."""
    schema = "spec:\n  input_schema: {type: string}\n  nodes:\n    pack:"
    (tmp_path / "shop.yaml").write_text(MANIFEST.replace("spec:\n  nodes:\n    pack:", schema))
    (tmp_path / "nodes.py").write_text("def pack(order):\n    return order\n")
    words = ["run", str(tmp_path), "flow/first", "--input", "7", "--trust-code", "--no-progress"]
    result = agentflow(*words, "--state", str(tmp_path / "state"))
    assert result.code == 1, result.err
    assert "error[AF-EVENT-DEAD-LETTERED]: Event order.created " in result.err
    assert " was put aside: " in result.err


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_what_child_processes_print_does_not_reach_the_document(tmp_path: Path, form: str) -> None:
    """A program reads one document, whatever the processes that a node starts write to their standard output."""
    (tmp_path / "shop.yaml").write_text(MANIFEST)
    code = "import os\n\ndef pack(order):\n    os.system('echo child noise')\n    os.write(1, b'raw noise')\n"
    code += "    return 1\n"
    (tmp_path / "nodes.py").write_text(code)
    words = ["run", str(tmp_path), "flow/second", "--input", "1", "--trust-code", "-o", form]
    result = agentflow(*words, "--state", str(tmp_path / "state"))
    assert result.code == 0, result.err
    (run,) = yaml.safe_load(result.out)["runs"]
    assert run["output"] == 1
    assert "noise" not in result.out
    assert "child noise" in result.err


@pytest.mark.parametrize("raised", ["BaseException('x')", "GeneratorExit", "asyncio.CancelledError"])
def test_what_no_node_should_raise_is_one_line(tmp_path: Path, raised: str) -> None:
    """Errors beyond `Exception` end the command with 1 and a typed line, not with a traceback."""
    (tmp_path / "shop.yaml").write_text(MANIFEST)
    (tmp_path / "nodes.py").write_text(f"import asyncio\n\nasync def pack(order):\n    raise {raised}\n")
    words = ["run", str(tmp_path), "flow/second", "--input", "1", "--trust-code", "--no-progress"]
    result = agentflow(*words, "--state", str(tmp_path / "state"))
    assert result.code == 1, result.err
    assert result.err.count("error[AF-") == 1
    assert "Traceback" not in result.err
