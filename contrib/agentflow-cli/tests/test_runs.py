from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import yaml

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def two_runs(agentflow, manifest: str) -> list[str]:
    """A failed run and, after it, a batch; their ids, newest first."""
    agentflow("run", "app", "failing", "--no-progress")
    agentflow("run", "app", "batch", "-i", "count=3", "--no-progress")
    return [run["run_id"] for run in json.loads(agentflow("get", "runs", "-o", "json").out)]


def test_get_runs_lists_the_newest_first(agentflow, two_runs: list[str]) -> None:
    """A table has id, name, status, start, duration and cause of each run."""
    answer = agentflow("get", "runs")
    header, *rows = answer.out.splitlines()
    assert header.split() == ["RUN", "ID", "NAME", "STATUS", "STARTED", "DURATION", "CAUSE"]
    assert [row.split()[:3] for row in rows] == [
        [two_runs[0], "flow/batch", "completed"],
        [two_runs[1], "flow/failing", "failed"],
    ]
    assert "AF-NODE-FAILED" in rows[1]
    assert "\x1b" not in answer.out


def test_get_runs_can_be_narrowed(agentflow, two_runs: list[str]) -> None:
    """By status, and by number."""
    failed = json.loads(agentflow("get", "runs", "--status", "failed", "-o", "json").out)
    assert [run["run_id"] for run in failed] == two_runs[1:]
    assert [run["run_id"] for run in yaml.safe_load(agentflow("get", "runs", "--limit", "1", "-o", "yaml").out)] == [
        two_runs[0]
    ]
    assert agentflow("get", "runs", "--status", "stuck").err.startswith("No runs of status stuck in ")


def test_get_runs_makes_no_state_folder(agentflow, manifest: str, workplace: Path) -> None:
    """Looking leaves nothing behind; for programs the answer is an empty list."""
    assert agentflow("get", "runs").err == f"No runs in {workplace / '.agentflow'}.\n"
    assert agentflow("get", "runs", "-o", "json").out == "[]\n"
    assert not (workplace / ".agentflow").exists()


def test_get_runs_of_a_file_is_refused(agentflow, workplace: Path) -> None:
    """A state folder has to be a folder."""
    (workplace / "file").touch()
    answer = agentflow("get", "runs", "--state", "file")
    assert answer.code == 2
    assert "is no folder. Name another with --state." in answer.err


def test_describe_run_shows_head_and_timeline(agentflow, two_runs: list[str]) -> None:
    """First what the run is, then each record with time, place, duration, attempt and size."""
    head, timeline = agentflow("describe", "run", two_runs[0]).out.split("\n\n")
    shown = dict(line.split(maxsplit=1) for line in head.splitlines() if not line.startswith("run id"))
    assert shown["status"] == "completed"
    assert shown["input"] == '{"count": 3}'
    assert shown["output"] == "[0, 1, 4]"
    assert shown["manifest"].endswith("app")
    header, *rows = timeline.splitlines()
    assert header.split() == ["SEQ", "AT", "TYPE", "PATH", "TOOK", "ATTEMPT", "SIZE", "NOTE"]
    assert [row.split()[3:5] for row in rows[:2]] == [["run.started", "1"], ["step.completed", "spread"]]
    assert "squares.counted" in timeline


def test_describe_run_is_a_document(agentflow, two_runs: list[str]) -> None:
    """Programs get the same, with origin, input and output."""
    found = json.loads(agentflow("describe", "run", two_runs[0], "-o", "json").out)
    assert found["run_id"] == two_runs[0]
    assert (found["input"], found["output"]) == ({"count": 3}, [0, 1, 4])
    assert found["origin"]["trust_code"] is False
    steps = {moment["path"]: moment for moment in found["timeline"] if moment["type"] == "step.completed"}
    items = ["square[0]", "square[1]", "square[2]"]  # they ran side by side: their order is chance
    assert sorted(list(steps)[1:4]) == items
    assert [path for path in steps if path not in items] == ["spread", "square", "tell", "write"]
    assert steps["square[0]"]["took_s"] >= 0
    assert steps["square"]["took_s"] >= 0
    assert steps["spread"]["size_bytes"] > len('{"result":{"items":[0,1,2]}}')


def test_describe_run_takes_the_beginning_of_an_id(agentflow, two_runs: list[str]) -> None:
    """As much of the id as no other run shares will do."""
    length = next(at for at, pair in enumerate(zip(*two_runs, strict=True)) if len(set(pair)) > 1) + 1
    assert two_runs[1] in agentflow("describe", "run", two_runs[1][:length]).out
    answer = agentflow("describe", "run", two_runs[1][: length - 1])
    assert answer.code == 2
    assert "2 runs begin with" in answer.err


@pytest.mark.parametrize("with_state", [False, True])
def test_describe_run_that_is_not_there_is_refused(agentflow, manifest: str, *, with_state: bool) -> None:
    """Wrong usage, with the command that lists what there is."""
    if with_state:
        agentflow("run", "app", "hello")
    answer = agentflow("describe", "run", "zzz")
    assert answer.code == 2
    assert answer.err == "error[AF-RUN-UNKNOWN]: No run 'zzz' in this journal. `agentflow get runs` lists them.\n"
