"""Events of the journal: filtered, replayed from a point, followed while another process works."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest

from agentflow_cli.event_feed import moment
from agentflow_kernel import Event
from agentflow_kernel.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def two_runs(agentflow, manifest: str) -> list[str]:
    """A batch that emits an event, and after it a failed run; their ids in that order."""
    agentflow("run", "app", "batch", "-i", "count=3", "--no-progress")
    agentflow("run", "app", "failing", "--no-progress")
    return [run["run_id"] for run in reversed(json.loads(agentflow("get", "runs", "-o", "json").out))]


def told(answer) -> list[dict]:
    assert answer.code == 0, answer.err
    return [json.loads(line) for line in answer.out.splitlines()]


def test_events_are_cloud_events_one_a_line(agentflow, two_runs: list[str]) -> None:
    """An emitted one has the type, source and data that went over the bus; a record says so in its type."""
    answer = agentflow("events", "-o", "json")
    found = told(answer)
    for line in answer.out.splitlines():
        assert Event.from_json(line.encode()).id
    (emitted,) = [each for each in found if not each["type"].startswith("dev.agentflow.")]
    assert (emitted["type"], emitted["source"], emitted["data"]) == (
        "squares.counted", "agentflow/flow/batch", [0, 1, 4],
    )  # fmt: skip
    assert emitted["id"] == f"{two_runs[0]}/{emitted['seq']}"
    assert found[0]["type"] == "dev.agentflow.run.started"
    assert [each["runid"] for each in found] == sorted((each["runid"] for each in found), key=two_runs.index)


@pytest.mark.parametrize(
    ("patterns", "types"),
    [
        (["squares.counted"], ["squares.counted"]),
        (["squares.*"], ["squares.counted"]),
        (["dev.agentflow.run.*"], ["dev.agentflow.run.started", "dev.agentflow.run.ended"] * 2),
        (["squares.*", "dev.agentflow.run.ended"], ["squares.counted", *["dev.agentflow.run.ended"] * 2]),
        (["nothing.*"], []),
    ],
)
def test_events_are_filtered_by_type(agentflow, two_runs: list[str], patterns: list[str], types: list[str]) -> None:
    options = [word for pattern in patterns for word in ("--type", pattern)]
    assert [each["type"] for each in told(agentflow("events", *options, "-o", "json"))] == types


def test_events_are_replayed_from_a_point(agentflow, two_runs: list[str]) -> None:
    """From a record of one run, from an event of all, from a time."""
    everything = told(agentflow("events", "-o", "json"))
    first = told(agentflow("events", "--run", two_runs[0], "--from", "3", "-o", "json"))
    assert first == [each for each in everything if each["runid"] == two_runs[0] and each["seq"] >= 3]
    middle = everything[len(everything) // 2]
    assert told(agentflow("events", "--from", middle["id"], "-o", "json")) == everything[len(everything) // 2 :]
    assert told(agentflow("events", "--since", "1h", "-o", "json")) == everything
    assert told(agentflow("events", "--since", "2999-01-01", "-o", "json")) == []


def test_events_for_people_are_lines(agentflow, two_runs: list[str]) -> None:
    lines = agentflow("events", "--run", two_runs[0]).out.splitlines()
    assert lines[0].split()[2:] == [two_runs[0], "dev.agentflow.run.started", "flow/batch"]
    assert any(line.endswith("tell                  [0,1,4]") for line in lines)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--from", "3"], "--from needs the id of an event"),
        (["--from", "zzz/1"], "No run 'zzz'"),
        (["--run", "zzz"], "No run 'zzz'"),
        (["--since", "yesterday"], "--since expects a span"),
    ],
)
def test_a_point_that_is_none_is_refused(agentflow, two_runs: list[str], options: list[str], problem: str) -> None:
    answer = agentflow("events", *options)
    assert (answer.code, answer.out) == (2, "")
    assert problem in answer.err


def test_events_before_the_first_run_are_none(agentflow, manifest: str, workplace: Path) -> None:
    """Looking makes no state folder."""
    assert (agentflow("events").code, agentflow("events").out) == (0, "")
    assert agentflow("events", "--run", "x").code == 2
    assert not (workplace / ".agentflow").exists()


def test_events_are_followed_while_another_process_works(start, manifest: str, workplace: Path) -> None:
    """Begun before there is a state folder; every event comes once, in order; Ctrl-C ends with 130."""
    process = start("events", "--follow", "--interval", "0.05", "-o", "json")
    first = start("run", "app", "holding", "--no-progress")
    found = [json.loads(process.stdout.readline()) for _ in range(2)]
    assert [each["type"] for each in found] == ["dev.agentflow.run.started", "dev.agentflow.step.completed"]
    assert first.poll() is None
    (workplace / "released").touch()
    while found[-1]["type"] != "dev.agentflow.run.ended":
        found.append(json.loads(process.stdout.readline()))
    assert [each["seq"] for each in found] == list(range(len(found)))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out, err) == (130, "", "")


def test_following_one_run_ends_with_it(start, agentflow, two_runs: list[str]) -> None:
    process = start("events", "--follow", "--run", two_runs[0], "-t", "dev.agentflow.run.ended", "-o", "json")
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    assert json.loads(out)["data"]["status"] == "completed"


def test_following_ends_when_nobody_reads(start, two_runs: list[str]) -> None:
    process = start("events", "--follow", "--interval", "30")
    assert process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=120) == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [("30s", 970.0), ("1.5m", 910.0), ("1970-01-01T00:10:00Z", 600.0), ("1970-01-01T01:10:00+01:00", 600.0)],
)
def test_a_point_in_time_is_a_span_or_a_time(text: str, expected: float) -> None:
    assert moment(text, 1000.0) == expected


@pytest.mark.parametrize("text", ["", "10", "10x", "m", "-5m", "9999999999999d"])
def test_other_texts_are_no_point_in_time(text: str) -> None:
    if text.endswith("d"):
        assert moment(text, 0.0) < 0
        return
    with pytest.raises(UsageError):
        moment(text, 1000.0)
