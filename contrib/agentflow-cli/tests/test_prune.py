"""`agentflow prune`: ended runs are deleted, or only counted; what is left of a copy's parent."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any


def run_ids(agentflow: Any) -> set[str]:
    return {run["run_id"] for run in json.loads(agentflow("get", "runs", "-o", "json").out or "[]")}


def test_ended_runs_are_deleted(agentflow, manifest: str) -> None:
    """Of the statuses that are asked for; a dry run deletes nothing."""
    for _ in range(3):
        assert agentflow("run", "app", "hello").code == 0
    assert agentflow("run", "app", "failing").code == 1
    before = run_ids(agentflow)
    assert agentflow("prune").out == ""
    assert run_ids(agentflow) == before
    answer = agentflow("prune", "--older-than", "0s", "--dry-run", "--status", "completed", "-o", "json")
    assert answer.code == 0, answer.err
    planned = json.loads(answer.out)
    assert (len(planned["runs"]), planned["dry_run"]) == (3, True)
    assert run_ids(agentflow) == before
    answer = agentflow("prune", "--older-than", "0s", "--status", "completed")
    assert answer.code == 0, answer.err
    assert "Deleted 3 runs, 0 payloads." in answer.err
    assert run_ids(agentflow) == before - set(planned["runs"])


def test_a_parent_that_is_gone_is_said_to_be(agentflow, manifest: str) -> None:
    assert agentflow("run", "app", "hello").code == 0
    (first,) = run_ids(agentflow)
    between = dt.datetime.now(dt.UTC).isoformat()
    assert agentflow("fork", first, "--set", "name=Ada").code == 0
    (copy,) = run_ids(agentflow) - {first}
    assert json.loads(agentflow("describe", "run", copy, "-o", "json").out)["parent_pruned"] is False
    deleted = json.loads(agentflow("prune", "--older-than", between, "-o", "json").out)
    assert deleted["runs"] == [first]
    assert json.loads(agentflow("describe", "run", copy, "-o", "json").out)["parent_pruned"] is True
    assert ", pruned since)" in agentflow("describe", "run", copy).out
    assert agentflow("describe", "run", first).code == 2


def test_what_cannot_be_is_refused(agentflow, manifest: str) -> None:
    """Before anything is deleted; without a state folder there is nothing to do."""
    assert json.loads(agentflow("prune", "-o", "json").out) == {"runs": [], "payloads": 0, "dry_run": False}
    assert agentflow("run", "app", "hello").code == 0
    for options, words in (
        (["--status", "running"], "'running' cannot be deleted"),
        (["--status", ","], "names nothing"),
        (["--older-than", "soon"], "--older-than expects a span"),
        (["--older-than", "2999-01-01"], "lies in the future"),
    ):
        answer = agentflow("prune", *options)
        assert (answer.code, words in answer.err) == (2, True), answer.err
    assert len(run_ids(agentflow)) == 1
