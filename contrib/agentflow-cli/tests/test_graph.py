"""`agentflow graph`: flows of manifests and of what is applied, and where runs of them stand."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

if TYPE_CHECKING:
    from pathlib import Path

FLOW = "apiVersion: agentflow.dev/v1\nkind: Flow\nmetadata: {name: %s}\nspec:\n  nodes:\n    %s\n---\n"


def test_a_flow_of_a_manifest_is_drawn(agentflow, manifest: str) -> None:
    """As Mermaid, unless something else is asked for."""
    answer = agentflow("graph", "batch", "-f", "app")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines()[:4] == ["flowchart TD", '  start(["start"])', '  n0["spread"]', '  n1[["square"]]']


def test_the_name_of_the_file_says_the_form(agentflow, manifest: str, workplace: Path) -> None:
    """And `-o` goes before it."""
    answer = agentflow("graph", "flow/batch", "-f", "app", "--to", "batch.svg")
    assert (answer.code, answer.out, answer.err) == (0, "", "batch.svg: 6 shapes, 5 edges.\n")
    assert ET.parse(workplace / "batch.svg").getroot().tag.endswith("svg")
    agentflow("graph", "batch", "-f", "app", "--to", "batch.txt", "-o", "json")
    assert json.loads((workplace / "batch.txt").read_text(encoding="utf-8"))["title"] == "batch"


def test_no_code_is_imported(agentflow, manifest: str, workplace: Path) -> None:
    """A picture of a flow that nobody trusts yet."""
    (workplace / "app" / "code.py").write_text("import pathlib\npathlib.Path('imported').touch()\n", encoding="utf-8")
    assert agentflow("graph", "batch", "-f", "app").code == 0
    assert not (workplace / "imported").exists()


def test_a_flow_that_is_applied_is_drawn_with_what_it_holds(agentflow, workplace: Path) -> None:
    """Agents, tools, branches and nested flows."""
    inner = FLOW % ("inner", "{tell: {emit: x.y}}")
    (workplace / "m.yaml").write_text(
        inner + FLOW % ("outer", "{fork: {parallel: {branches: {a: {flow: inner}, b: {emit: z}}}}}"), encoding="utf-8"
    )
    assert agentflow("apply", "-f", "m.yaml").code == 0
    document = json.loads(agentflow("graph", "outer", "-o", "json").out)
    assert [group["id"] for group in document["groups"]] == ["fork", "fork/a"]
    assert [node["id"] for node in document["nodes"]] == ["(start)", "fork/a/tell", "fork/b", "(end)"]


def test_a_compensation_is_drawn_however_it_is_named(agentflow, workplace: Path) -> None:
    """By its function alone or as a node is, at a node or a branch."""
    nodes = """pay: {uses: "./a.py:pay", compensate: "./a.py:refund", next: fork}
    fork: {parallel: {branches: {b: {uses: "./a.py:book", compensate: {uses: "./a.py:free"}}}}}"""
    (workplace / "m.yaml").write_text(FLOW % ("f", nodes), encoding="utf-8")
    (workplace / "a.py").touch()
    answer = agentflow("graph", "m.yaml", "-o", "json")
    assert (answer.code, answer.err) == (0, "")
    assert "./a.py:refund" in answer.out


def test_a_path_stands_for_its_only_flow(agentflow, manifest: str, workplace: Path) -> None:
    """With several, one must be named."""
    (workplace / "m.yaml").write_text(FLOW % ("f", "{tell: {emit: x.y}}"), encoding="utf-8")
    assert agentflow("graph", "m.yaml").out.startswith("flowchart TD")
    answer = agentflow("graph", "app")
    assert answer.code == 2
    assert "name one" in answer.err
    answer = agentflow("graph", "bach", "-f", "app")
    assert answer.code == 2
    assert "Did you mean 'batch'?" in answer.err


@pytest.mark.parametrize(("flow", "marks"), [("failing", {"greet": "visited", "fail": "failed"}), ("greeting", {})])
def test_a_run_is_marked(agentflow, manifest: str, flow: str, marks: dict[str, str]) -> None:
    """From its journal; a run of another flow is refused."""
    agentflow("run", "app", "flow/failing", "--no-progress", "-i", "name=x")
    run_id = json.loads(agentflow("get", "runs", "-o", "json").out)[0]["run_id"]
    answer = agentflow("graph", flow, "-f", "app", "--run", run_id[:20], "-o", "json")
    if flow != "failing":
        assert answer.code == 2
        assert "is one of 'flow/failing', not of 'flow/greeting'" in answer.err
        return
    found = {node["id"]: node.get("mark") for node in json.loads(answer.out)["nodes"]}
    assert {name: found[name] for name in marks} == marks


def test_an_unknown_run_is_an_error(agentflow, manifest: str) -> None:
    """Also where nothing was ever run."""
    answer = agentflow("graph", "batch", "-f", "app", "--run", "1234")
    assert answer.code != 0
    assert "AF-RUN-UNKNOWN" in answer.err
