"""What people on call do with runs on the command line: retry, fork, decide, accept; each leaves its link or name."""

from __future__ import annotations

import getpass
import json
import select
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

CHARGE = """
---
apiVersion: agentflow.dev/v1
kind: Flow
metadata: {name: paying}
spec:
  nodes:
    mark: {uses: "./code.py:mark", next: charge}
    charge: {uses: "./code.py:hold", effect: effect, next: last}
    last: {uses: "./code.py:write"}
  output: {"$ref": "charge.result"}
"""


def mended(workplace: Path) -> None:
    """Put right what makes the flow `failing` fail."""
    file = workplace / "app" / "code.py"
    text = file.read_text(encoding="utf-8")
    file.write_text(
        text.replace("def fail(value):\n    raise", "def fail(value):\n    return value\n    raise"), "utf-8"
    )


def listed(agentflow: Any) -> list[Any]:
    return json.loads(agentflow("get", "runs", "-o", "json").out)


def described(agentflow: Any, run_id: str) -> Any:
    return json.loads(agentflow("describe", "run", run_id, "-o", "json").out)


def test_retry_goes_on_as_a_new_run_that_is_linked_both_ways(agentflow, manifest: str, workplace: Path) -> None:
    """The step that was done is not done again; `describe run` shows where the other one is."""
    assert agentflow("run", "app", "failing").code == 1
    (failed,) = listed(agentflow)
    mended(workplace)
    answer = agentflow("retry", failed["run_id"], "-o", "json")
    assert answer.code == 0, answer.err
    (run,) = json.loads(answer.out)["runs"]
    assert (run["status"], run["steps"], run["output"]) == ("completed", 1, {"text": "Hello world"})
    new, old = described(agentflow, run["run_id"]), described(agentflow, failed["run_id"])
    assert (new["parent"], new["forked_from"]["kind"], new["forked_from"]["by"]) == (
        failed["run_id"],
        "retry",
        getpass.getuser(),
    )
    assert (old["status"], old["forks"], old["parent"]) == ("failed", [run["run_id"]], None)
    assert f"goes on in  {run['run_id']}" in agentflow("describe", "run", failed["run_id"]).out
    assert f"goes on from  {failed['run_id']}" in agentflow("describe", "run", run["run_id"]).out
    assert failed["run_id"] in agentflow("get", "runs", "-o", "wide").out.splitlines()[1].split()


def test_retry_from_a_step_does_it_again(agentflow, manifest: str, workplace: Path) -> None:
    """An unknown one is refused with the nearest."""
    assert agentflow("run", "app", "failing").code == 1
    mended(workplace)
    (failed,) = listed(agentflow)
    answer = agentflow("retry", failed["run_id"], "--from", "gret")
    assert answer.code == 2
    assert "Did you mean 'greet'?" in answer.err
    answer = agentflow("retry", failed["run_id"], "--from", "greet", "-o", "json")
    assert json.loads(answer.out)["runs"][0]["steps"] == 2


def test_retry_of_what_is_completed_or_unknown_is_refused(agentflow, manifest: str) -> None:
    assert agentflow("run", "app", "hello").code == 0
    (run,) = listed(agentflow)
    answer = agentflow("retry", run["run_id"])
    assert (answer.code, "is completed" in answer.err) == (2, True)
    assert agentflow("retry", "zzz").code == 2


def test_fork_copies_a_completed_run_from_a_step_or_with_another_input(agentflow, manifest: str) -> None:
    """`--set` replaces a member, `--input` the whole; the first run stays as it is."""
    assert agentflow("run", "app", "hello", "--input", "name=Ada", "--input", "day=3").code == 0
    (first,) = listed(agentflow)
    answer = agentflow("fork", first["run_id"], "--at", "loud", "-o", "json")
    (copy,) = json.loads(answer.out)["runs"]
    assert (copy["steps"], copy["output"]) == (1, {"text": "HELLO ADA"})
    answer = agentflow("fork", first["run_id"], "--set", "name=Grace", "-o", "json")
    (copy,) = json.loads(answer.out)["runs"]
    assert (copy["steps"], copy["output"]) == (2, {"text": "HELLO GRACE"})
    assert described(agentflow, copy["run_id"])["input"] == {"name": "Grace", "day": 3}
    answer = agentflow("fork", first["run_id"], "--input", "{}", "-o", "json")
    assert json.loads(answer.out)["runs"][0]["output"] == {"text": "HELLO WORLD"}
    assert agentflow("fork", first["run_id"]).code == 2
    assert len(described(agentflow, first["run_id"])["forks"]) == 3


@pytest.fixture
def stuck(start, agentflow, manifest: str, workplace: Path) -> str:
    """A run whose process was killed in the middle of an effect, and which then stopped there."""
    with (workplace / "app" / "manifest.yaml").open("a", encoding="utf-8") as stream:
        stream.write(CHARGE)
    process = start("run", "app", "paying", "--input", "n=1")
    end = time.monotonic() + 120
    while not (workplace / "holding").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "the node never came so far"
        select.select([], [], [], 0.005)
    process.kill()
    process.wait(timeout=120)
    (workplace / "released").touch()
    answer = agentflow("resume")
    assert (answer.code, "a person has to decide" in answer.err) == (1, True)
    (run,) = listed(agentflow)
    assert run["status"] == "stuck"
    return run["run_id"]


@pytest.mark.parametrize(
    ("options", "output"),
    [
        (("--decide", "charge=done", "--result", 'charge={"receipt": 7}'), {"receipt": 7}),
        (("--decide", "charge=retry"), {"n": 1}),
    ],
)
def test_resume_takes_what_a_person_has_decided(agentflow, stuck: str, options: tuple[str, ...], output: Any) -> None:
    """Who it was is on record and in the timeline."""
    answer = agentflow("resume", stuck, *options, "-o", "json")
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["runs"][0]["output"] == output
    outcome = options[1].partition("=")[2]
    notes = [moment["note"] for moment in described(agentflow, stuck)["timeline"]]
    assert f"decided as {outcome} by {getpass.getuser()}" in notes


def test_resume_with_fail_ends_the_run(agentflow, stuck: str) -> None:
    answer = agentflow("resume", stuck, "--decide", "charge=fail")
    assert (answer.code, "AF-OUTCOME-UNKNOWN" in answer.err) == (1, True)
    assert listed(agentflow)[0]["status"] == "failed"


def test_a_verdict_that_cannot_be_meant_is_refused(agentflow, stuck: str) -> None:
    """The run stays stuck."""
    for options, said in (
        (("--decide", "charge"), "expected STEP=done"),
        (("--decide", "mark=done"), "whose outcome is unknown 'mark'"),
        (("--decide", "charge=done", "--result", "charge={"), "is no JSON"),
        (("--decide", "charge=maybe"), "expected done, retry or fail"),
    ):
        answer = agentflow("resume", stuck, *options)
        assert (answer.code, said in answer.err) == (2, True), answer.err
    assert agentflow("resume", "--all", "--accept").code == 2
    assert listed(agentflow)[0]["status"] == "stuck"
