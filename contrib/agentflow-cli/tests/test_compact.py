"""`agentflow compact`: what lies before a snapshot is deleted, or only counted; what other commands show then."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def run_id(agentflow: Any, manifest: str, workplace: Path) -> str:
    """A run with a snapshot."""
    settings = workplace / "agentflow.toml"
    settings.write_text(settings.read_text("utf-8") + "[runs]\nsnapshot_records = 4\n", encoding="utf-8")
    assert agentflow("run", "app", "batch").code == 0
    (run,) = json.loads(agentflow("get", "runs", "-o", "json").out)
    return str(run["run_id"])


def timeline(agentflow: Any, run_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(agentflow("describe", "run", run_id, "-o", "json").out)["timeline"]
    return found


def test_what_lies_before_the_snapshot_is_deleted(agentflow: Any, run_id: str) -> None:
    """A dry run deletes nothing; figures, input and output of the run stay, and what follows is told."""
    before = json.loads(agentflow("describe", "run", run_id, "-o", "json").out)
    place = max(at for at, moment in enumerate(before["timeline"]) if moment["type"] == "snapshot")
    planned = json.loads(agentflow("compact", "--all", "--dry-run", "-o", "json").out)
    assert planned == {"runs": {run_id: place - 1}, "dry_run": True}
    assert len(timeline(agentflow, run_id)) == len(before["timeline"])
    answer = agentflow("compact", run_id[:30])
    assert (answer.code, f"{place - 1} records of 1 runs deleted." in answer.err) == (0, True), answer.err
    after = json.loads(agentflow("describe", "run", run_id, "-o", "json").out)
    same = ("status", "figures", "input", "output", "started", "asks")
    assert {key: after[key] for key in same} == {key: before[key] for key in same}
    assert [moment["seq"] for moment in after["timeline"]] == [0, *range(place, len(before["timeline"]))]
    assert after["timeline"][1]["note"] == f"what came before: {place - 1} records, deleted since"
    assert "0 records of 0 runs deleted." in agentflow("compact", "--all").err


def test_other_commands_cope_with_a_short_history(agentflow: Any, run_id: str) -> None:
    """Events from a record that is there and from one that is gone, the picture, a copy, the examination."""
    assert agentflow("compact", run_id).code == 0
    numbers = [moment["seq"] for moment in timeline(agentflow, run_id)]
    told = agentflow("events", "--run", run_id, "-o", "json").out.splitlines()
    assert [json.loads(line)["seq"] for line in told] == numbers
    told = agentflow("events", "--from", f"{run_id}/{numbers[1]}", "-o", "json").out.splitlines()
    assert [json.loads(line)["seq"] for line in told] == numbers[1:]
    assert agentflow("events", "--from", f"{run_id}/2").code == 2
    drawn = json.loads(agentflow("graph", "batch", "-f", "app", "--run", run_id, "-o", "json").out)
    assert {shape["id"]: shape.get("mark") for shape in drawn["nodes"]}["spread"] == "visited"
    refused = agentflow("fork", run_id, "--at", "spread")
    assert (refused.code, "AF-HISTORY-COMPACTED" in refused.err) == (2, True), refused.err
    assert agentflow("fork", run_id, "--at", "write").code == 0
    assert agentflow("doctor").code == 0


def test_the_setting_does_it_by_itself(agentflow: Any, manifest: str, workplace: Path) -> None:
    settings = workplace / "agentflow.toml"
    text = "[runs]\nsnapshot_records = 4\ncompact = true\n"
    settings.write_text(settings.read_text("utf-8") + text, encoding="utf-8")
    assert agentflow("run", "app", "batch").code == 0
    (run,) = json.loads(agentflow("get", "runs", "-o", "json").out)
    first, second, *_ = timeline(agentflow, run["run_id"])
    assert (first["type"], second["type"], second["seq"] > 3) == ("run.started", "snapshot", True)


def test_what_cannot_be_is_refused(agentflow: Any, manifest: str) -> None:
    for arguments, words in (
        ([], "give --all"),
        (["x", "--all"], "give --all"),
        (["zzz"], "zzz"),
    ):
        answer = agentflow("compact", *arguments)
        assert (answer.code, words in answer.err) == (2, True), answer.err
    assert json.loads(agentflow("compact", "--all", "-o", "json").out) == {"runs": {}, "dry_run": False}
