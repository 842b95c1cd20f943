from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.blocking  # the manifest's code is read when its flow is first named, inside the simulation

CODE = """
def double(value):
    return value["n"] * 2

async def rest(value, context):
    await context.sleep(60)
    return value

async def clock(value, context):
    return int(context.now())

async def ask(value, context):
    return await context.wait("never")

def connect(value):
    import socket
    socket.create_connection(("127.0.0.1", 1))
"""
FLOW = """
apiVersion: agentflow.dev/v1
kind: Flow
metadata: {{name: {name}}}
spec: {{nodes: {{{nodes}}}}}
---
"""
FLOWS = {
    "good": "double: {uses: './nodes.py:double', next: rest}, rest: {uses: './nodes.py:rest'}",
    "late": "rest: {uses: './nodes.py:rest', next: clock}, clock: {uses: './nodes.py:clock'}",
    "asking": "ask: {uses: './nodes.py:ask'}",
    "outside": "connect: {uses: './nodes.py:connect', effect: pure}",
}


@pytest.fixture
def flows(workplace: Path) -> str:
    """A manifest of several flows with code of their own."""
    (workplace / "nodes.py").write_text(CODE, encoding="utf-8")
    text = "".join(FLOW.format(name=name, nodes=nodes) for name, nodes in FLOWS.items())
    (workplace / "flows.yaml").write_text(text, encoding="utf-8")
    return "flows.yaml"


def test_simulate_tries_seeds_and_tells_how_many_a_second(inside, flows: str) -> None:
    answer = inside("simulate", "good", "-f", flows, "--trust-code", "-i", "n=2", "--seeds", "20")
    assert answer.code == 0, answer.err
    assert answer.out == ""
    assert "flow/good: 20 seeds, faults crash: " in answer.err
    assert " seeds/s; ok." in answer.err


def test_simulate_is_a_document(inside, flows: str) -> None:
    call = ("simulate", "flow/good", "-f", flows, "--trust-code", "-i", "n=2", "--seeds", "20", "--first", "7")
    found = json.loads(inside(*call, "--faults", "crash, eio", "-o", "json").out)
    assert found.pop("seeds_per_s") > 0
    assert found.pop("crashes") > 0
    assert found.pop("strikes") > 0
    assert found == {"flow": "flow/good", "faults": ["crash", "eio"], "seeds": 20, "failed": None}


def test_a_failing_seed_is_shown_kept_and_run_again(inside, flows: str, workplace: Path) -> None:
    """A flow whose result depends on how long its process was gone; --replay fails in the same way."""
    answer = inside("simulate", "late", "-f", flows, "--trust-code", "--keep", "kept")
    assert answer.code == 1
    lines = answer.out.splitlines()
    assert lines[0].startswith("Seed ")
    assert "its result is" in lines[1]
    assert any("process.crashed fault=crash" in line for line in lines)
    assert answer.err.splitlines()[-1].endswith("FAILED.")
    (file,) = (workplace / "kept").iterdir()
    kept = json.loads(file.read_text(encoding="utf-8"))
    assert kept["flow"] == "flow/late"
    assert kept["fingerprint"]
    assert kept["expected"]["status"] == "completed"
    assert f"--replay kept/{file.name} --file flows.yaml" in answer.err
    again = inside("simulate", "--replay", str(file), "-f", flows, "--trust-code")
    assert (again.code, again.out) == (1, answer.out)
    assert "Warning" not in again.err


def test_a_kept_seed_of_another_manifest_comes_with_a_warning(inside, flows: str, workplace: Path) -> None:
    """It runs all the same: perhaps the change is what mends it."""
    inside("simulate", "late", "-f", flows, "--trust-code", "--keep", "kept")
    (file,) = (workplace / "kept").iterdir()
    manifest = workplace / flows
    manifest.write_text(manifest.read_text(encoding="utf-8").replace("next: rest}", "next: rest, effect: pure}"))
    answer = inside("simulate", "--replay", str(file), "-f", flows, "--trust-code")
    assert answer.code == 1
    assert "Warning: flows.yaml has changed since the seed was kept" in answer.err


def test_a_kept_seed_of_other_code_comes_with_a_warning(inside, flows: str, workplace: Path) -> None:
    """The manifest is the same; only a file that it names is another."""
    inside("simulate", "late", "-f", flows, "--trust-code", "--keep", "kept")
    (file,) = (workplace / "kept").iterdir()
    assert json.loads(file.read_text(encoding="utf-8"))["code"]
    (code,) = workplace.glob("*.py")
    code.write_text(code.read_text(encoding="utf-8") + "\n# mended\n", encoding="utf-8")
    answer = inside("simulate", "--replay", str(file), "-f", flows, "--trust-code")
    assert answer.code == 1
    assert "Warning: the code of flows.yaml has changed since the seed was kept." in answer.err


def test_manifest_and_code_are_read_once_for_all_simulated_processes(
    inside, flows: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The code runs anew in each process: nothing of it outlives a crash."""
    opened: list[str] = []
    real = os.open

    def counted(path: str, *args: int, **options: int) -> int:
        opened.append(os.path.basename(path))
        return real(path, *args, **options)

    monkeypatch.setattr(os, "open", counted)
    answer = inside("simulate", "good", "-f", flows, "--trust-code", "-i", "n=2", "--seeds", "20")
    assert answer.code == 0, answer.err
    assert " 0 crashes" not in answer.err
    assert opened.count("flows.yaml") == 1


def test_a_shortened_failure_has_only_the_strikes_that_matter(inside, flows: str) -> None:
    answer = inside("simulate", "late", "-f", flows, "--trust-code", "--faults", "crash,slow-disk,eio", "-o", "json")
    failed = json.loads(answer.out)["failed"]
    struck = [line for line in failed["trace"] if '"event":"fault.struck"' in line or '"process.crashed"' in line]
    assert len(struck) <= 2


@pytest.mark.parametrize(
    ("flow", "told"),
    [("asking", "Steps that wait: 'ask'"), ("outside", "Real input and output (socket")],
)
def test_a_flow_that_cannot_be_simulated_is_told(inside, flows: str, flow: str, told: str) -> None:
    answer = inside("simulate", flow, "-f", flows, "--trust-code")
    assert answer.code == 2
    assert "does not come to an end even without faults" in answer.err
    assert told in answer.err


def test_an_unknown_fault_is_refused_before_anything_runs(inside, flows: str) -> None:
    answer = inside("simulate", "good", "-f", flows, "--trust-code", "--faults", "crsh")
    assert answer.code == 2
    assert "Did you mean 'crash'?" in answer.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "Name a flow and its manifest"),
        (("good", "--replay", "missing.json"), "Regression file 'missing.json'"),
        (("--replay", "flows.yaml"), "Regression file 'flows.yaml'"),
    ],
)
def test_a_wrong_call_is_refused(inside, flows: str, arguments: tuple[str, ...], told: str) -> None:
    answer = inside("simulate", *arguments)
    assert answer.code == 2
    assert told in answer.err
