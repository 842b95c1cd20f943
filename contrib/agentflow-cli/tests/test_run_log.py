"""The log of the command: beside the answer, in the form asked for, with run ids and without secrets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from agentflow_cli.run_log import RunLog
from agentflow_kernel import Progress, telemetry

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

CANARY = "canary-7f3a91"


def logged(err: str) -> list[dict]:
    return [json.loads(line) for line in err.splitlines() if line.startswith("{")]


def test_starts_and_ends_of_runs_are_logged(agentflow, manifest: str) -> None:
    """At info, one JSON object a line, each with the id of its run; standard output is the answer's alone."""
    answer = agentflow(
        "run", "app", "batch", "--no-progress", "--log-level", "info", "--log-format", "json", "-o", "json"
    )
    (run,) = json.loads(answer.out)["runs"]
    lines = logged(answer.err)
    assert [(line["level"], line["event"]) for line in lines] == [("info", "run.started"), ("info", "run.completed")]
    assert {line["run_id"] for line in lines} == {run["run_id"]}
    assert all(list(line)[:5] == ["time", "level", "logger", "event", "run_id"] for line in lines)


def test_the_environment_says_it_too(agentflow, manifest: str) -> None:
    """The options count more."""
    variables = {"AGENTFLOW_LOG": "debug", "AGENTFLOW_LOG_FORMAT": "json"}
    answer = agentflow("run", "app", "evil", "--no-progress", **variables)
    assert "node.completed" in {line["event"] for line in logged(answer.err)}
    quiet = agentflow("--log-level", "error", "run", "app", "evil", "--no-progress", **variables)
    assert logged(quiet.err) == []
    plain = agentflow("run", "app", "evil", "--no-progress", "--log-format", "plain", **variables)
    assert "event=run.started run_id=" in plain.err


def test_debug_logs_everything_and_shows_the_traceback(agentflow, manifest: str) -> None:
    answer = agentflow("run", "app", "failing", "--no-progress", "--debug")
    assert answer.code == 1
    assert "level=debug" in answer.err
    assert "Traceback (most recent call last)" in answer.err
    assert "\x1b" not in answer.err


def test_the_log_holds_no_secret(agentflow, manifest: str, workplace: Path) -> None:
    """Not the value of a variable that holds one, though a node's error shows it."""
    code = workplace / "app" / "code.py"
    text = code.read_text(encoding="utf-8").replace('"no such luck', 'os.environ["SOME_TOKEN"] + "no such luck')
    code.write_text(text, encoding="utf-8")
    answer = agentflow("run", "app", "failing", "--no-progress", "--log-level", "debug", SOME_TOKEN=CANARY)
    lines = [line for line in answer.err.splitlines() if line.startswith("time=")]
    assert any("node.failed" in line for line in lines)
    assert CANARY not in "".join(lines)


def test_a_quiet_log_loads_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Below the level nothing is put together; names of fields that clash are kept apart."""
    telemetry.set_log_level("warning")
    try:
        RunLog()(Progress("run.started", "1", 0, "", 0.0, {"name": "x"}))
        assert capsys.readouterr().err == ""
        RunLog()(Progress("run.stuck", "1", 0, "a/b", 0.0, {"event": "mine", "self": "me", "run_id": "other"}))
    finally:
        telemetry.set_log_level(None)
    err = capsys.readouterr().err
    assert "event=run.stuck run_id=1" in err
    assert "event_=mine self_=me path=a/b" in err
