"""The runbook: what it finds in its own log and in real ones, who decides, and what happens when nobody does."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import anyio
import anyio.lowlevel
import pytest
import yaml

from agentflow_kernel import Kernel
from agentflow_kernel.testing import InProcessJournal
from agentflow_planner_bt.tree import Tree

EXAMPLE: Final = Path(__file__).parents[1]
REAL: Final = os.environ.get("AGENTFLOW_TEST_DATA", "")


def document() -> dict[str, Any]:
    """The tree of the manifest."""
    plan, _ = yaml.safe_load_all((EXAMPLE / "runbook.yaml").read_text(encoding="utf-8"))
    tree: dict[str, Any] = plan["spec"]["document"]
    return tree


def looked(log: Path, *, patience_s: float = 600) -> Tree:
    """The tree after its searches; each is answered with the number of lines that hold its pattern."""
    tree = Tree.load(document())
    tree.blackboard["log"], tree.blackboard["patience_s"] = log.name, patience_s
    assert tree.tick() == "RUNNING"
    lines = log.read_bytes().splitlines()
    for action in tree.actions.take_started():
        pattern = str(action.arguments["pattern"]).encode()
        tree.actions.complete(action.id, {"matching_lines": sum(pattern in line for line in lines)})
    tree.tick()
    return tree


@pytest.mark.skipif(not REAL, reason="AGENTFLOW_TEST_DATA names no folder with real logs")
@pytest.mark.parametrize(
    ("name", "cause", "severity", "lines"),
    [
        ("OpenSSH_2k.log", "password guessing", "high", 520),
        ("Zookeeper_2k.log", "peers lost", "medium", 291),
        ("Apache_2k.log", "workers failing", "medium", 539),
    ],
)
def test_what_is_wrong_with_real_hosts(name, cause, severity, lines) -> None:
    tree = looked(Path(REAL) / "logs" / name)
    (ask,) = tree.actions.take_started()
    assert ask.arguments["about"] == {"log": name, "cause": cause, "severity": severity, "lines": lines}
    tree.actions.complete(ask.id, "watch")
    tree.tick()
    (emit,) = tree.actions.take_started()
    assert [emit.name, emit.arguments["data"]["action"]] == ["dev.example.incident", "watch"]
    tree.actions.complete(emit.id)
    assert tree.tick() == "SUCCESS"


def test_nothing_found_is_no_incident(tmp_path) -> None:
    log = tmp_path / "quiet.log"
    log.write_text("all is well\n", encoding="utf-8")
    tree = looked(log)
    assert [tree.status, tree.actions.take_started(), tree.blackboard["action"]] == ["SUCCESS", [], "none"]


def test_when_nobody_answers_in_time_the_question_is_withdrawn_and_the_tree_decides() -> None:
    tree = looked(EXAMPLE / "sample.log", patience_s=60)
    (ask,) = tree.actions.take_started()
    tree.advance(59)
    assert [tree.tick(), tree.actions.take_cancelled()] == ["RUNNING", []]
    tree.advance(1)
    assert [tree.tick(), tree.actions.take_cancelled()] == ["RUNNING", [ask.id]]
    (emit,) = tree.actions.take_started()
    assert emit.arguments["data"]["action"] == "block"
    assert not tree.actions.complete(ask.id, "watch")


@pytest.mark.anyio
@pytest.mark.blocking  # the manifest is read when the kernel is made
async def test_the_manifest_runs_in_a_kernel() -> None:
    async with Kernel.from_manifest(str(EXAMPLE), journal=InProcessJournal()) as kernel:
        handle = await kernel.start("plan/runbook", {"log": "sample.log"})
        while not handle.questions:
            await anyio.lowlevel.checkpoint()
        (question,) = handle.questions
        await handle.answer(str(question["wait"]), "watch", by="on-call")
        result = await handle.result()
    assert question["ask"]["question"] == "What is to be done about this host?"
    assert result == {
        "status": "SUCCESS",
        "output": {"severity": "high", "cause": "password guessing", "lines": 44, "action": "watch"},
    }
