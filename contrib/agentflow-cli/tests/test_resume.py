from __future__ import annotations

import json
import select
import signal
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

DEADLINE_S = 120


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    """Return when a node has made the file; fail when the process ends first."""
    end = time.monotonic() + DEADLINE_S
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "the node never came so far"
        select.select([], [], [], 0.005)


def left_behind(start, workplace: Path, number: int = signal.SIGKILL, *options: str) -> None:
    """Leave one run of the flow `holding` that has done its first step."""
    (workplace / "holding").unlink(missing_ok=True)
    process = start("run", "app", "holding", *options)
    wait_for(workplace / "holding", process)
    process.send_signal(number)
    process.wait(timeout=DEADLINE_S)


def test_resume_takes_the_only_run_whose_process_is_gone(start, agentflow, manifest: str, workplace: Path) -> None:
    """After kill -9 the run shows as suspended by a crash; no completed step is done again."""
    left_behind(start, workplace)
    (run,) = json.loads(agentflow("get", "runs", "-o", "json").out)
    assert (run["status"], run["cause"]) == ("suspended", "crash")
    (workplace / "released").touch()
    answer = agentflow("resume")
    assert answer.code == 0
    assert f"run {run['run_id']} resumed: flow/holding" in answer.err
    assert (workplace / "ledger").read_text(encoding="utf-8") == "mark\n"
    (run,) = json.loads(agentflow("get", "runs", "-o", "json").out)
    assert run["status"] == "completed"


def test_resume_lists_several_and_takes_none(start, agentflow, manifest: str, workplace: Path) -> None:
    """Which one is meant is for the caller to say: a beginning of the id will do, or --all."""
    left_behind(start, workplace)
    left_behind(start, workplace)
    answer = agentflow("resume")
    assert answer.code == 2
    assert "error[AF-USAGE]: 2 runs can be resumed: name one or more, or give --all." in answer.err
    header, *rows = answer.out.splitlines()
    assert header.startswith("RUN ID")
    assert len(rows) == 2
    (workplace / "released").touch()
    newest = rows[0].split()[0]
    assert agentflow("resume", newest, "--no-progress").code == 0
    answer = agentflow("resume", "--all", "-o", "json")
    assert answer.code == 0
    (run,) = json.loads(answer.out)["runs"]
    assert (run["run_id"], run["status"]) == (rows[1].split()[0], "completed")


def test_resume_all_leaves_behind_what_cannot_go_on(start, agentflow, manifest: str, workplace: Path) -> None:
    """A damaged run does not hinder the others: it is quarantined, the exit code and the log say so."""
    left_behind(start, workplace)
    left_behind(start, workplace)
    good, bad = (run["run_id"] for run in json.loads(agentflow("get", "runs", "-o", "json").out))
    file = workplace / ".agentflow" / "standin-journal" / bad
    first, *rest = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([first, first, *rest]))  # the chain of its records is broken
    (workplace / "released").touch()
    answer = agentflow("resume", "--all", "--no-progress")
    assert answer.code == 1
    assert "Of 2 runs: 1 resumed, 0 parked, 1 quarantined, 0 unservable, 0 elsewhere; the log says why." in answer.err
    statuses = {run["run_id"]: run["status"] for run in json.loads(agentflow("get", "runs", "-o", "json").out)}
    assert statuses == {good: "completed", bad: "quarantined"}


def test_resume_without_a_run_is_no_error(agentflow, manifest: str) -> None:
    """Nothing to do is done."""
    answer = agentflow("resume")
    assert (answer.code, answer.out, answer.err) == (0, "", "No run can be resumed.\n")
    assert json.loads(agentflow("resume", "--all", "-o", "json").out) == {"runs": []}


def test_resume_of_an_ended_run_is_refused(agentflow, manifest: str) -> None:
    """What has ended stays as it is."""
    assert agentflow("run", "app", "hello").code == 0
    (run,) = json.loads(agentflow("get", "runs", "-o", "json").out)
    answer = agentflow("resume", run["run_id"])
    assert answer.code == 2
    assert "has ended (completed)" in answer.err


def test_resume_of_a_run_at_work_is_refused(start, agentflow, manifest: str, workplace: Path) -> None:
    """Two processes never work on one run; another one can look at it meanwhile."""
    process = start("run", "app", "holding")
    wait_for(workplace / "holding", process)
    (run,) = json.loads(agentflow("get", "runs", "-o", "json").out)
    assert run["status"] == "running"
    answer = agentflow("resume", run["run_id"])
    assert answer.code == 2
    assert "is being worked on" in answer.err
    assert agentflow("resume").err == "No run can be resumed.\n"
    timeline = json.loads(agentflow("describe", "run", run["run_id"], "-o", "json").out)["timeline"]
    assert [moment["path"] for moment in timeline if moment["type"] == "step.completed"] == ["mark"]
    (workplace / "released").touch()
    assert process.wait(timeout=DEADLINE_S) == 0


def test_resume_of_an_unknown_run_is_refused(agentflow, manifest: str) -> None:
    """An id that nothing has is wrong usage, with or without a state folder."""
    assert agentflow("resume", "zzz").code == 2
    assert agentflow("run", "app", "hello").code == 0
    answer = agentflow("resume", "zzz")
    assert answer.code == 2
    assert answer.err.startswith("error[AF-RUN-UNKNOWN]: No run 'zzz'")


def test_resume_with_ids_and_all_is_refused(agentflow) -> None:
    """Only one of the two can be meant."""
    assert agentflow("resume", "x", "--all").code == 2


def test_resume_keeps_the_consent_that_was_given(start, agentflow, manifest: str, workplace: Path) -> None:
    """A run that was started with --trust-code needs it not again, and no other run gets it."""
    (workplace / "agentflow.toml").unlink()
    left_behind(start, workplace, signal.SIGINT, "--trust-code")
    (workplace / "released").touch()
    assert agentflow("resume").code == 0
    assert agentflow("run", "app", "hello").code == 2


def test_resume_without_its_manifest_says_so(start, agentflow, manifest: str, workplace: Path) -> None:
    """The manifest is looked for where the run was started from; the run stays resumable."""
    left_behind(start, workplace)
    (workplace / "app").rename(workplace / "moved")
    answer = agentflow("resume")
    assert answer.code == 2
    assert answer.err.startswith("error[AF-MANIFEST]: ")
    (workplace / "moved").rename(workplace / "app")
    (workplace / "released").touch()
    assert agentflow("resume").code == 0


def test_resume_from_another_folder_finds_the_manifest(
    start, agentflow, manifest: str, workplace: Path, monkeypatch
) -> None:
    """The run knows the whole path of its manifest, so the working directory does not matter."""
    left_behind(start, workplace)
    (workplace / "released").touch()
    (workplace / "elsewhere").mkdir()
    config, state = str(workplace / "agentflow.toml"), str(workplace / ".agentflow")
    monkeypatch.chdir(workplace / "elsewhere")
    (workplace / "elsewhere" / "released").touch()
    assert agentflow("resume", "--state", state, AGENTFLOW_CONFIG=config).code == 0
