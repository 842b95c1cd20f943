from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "apiVersion: agentflow.dev/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec:\n"
FLOW = HEAD.format(kind="Flow", name="f") + "  nodes: {one: {emit: some.event}}\n---\n"


def test_validate_lists_the_resources(agentflow, manifest: str) -> None:
    """A sound manifest is shown with the place of each resource."""
    answer = agentflow("validate", "app")
    assert answer.code == 0
    header, first, *_ = answer.out.splitlines()
    assert header.split() == ["KIND", "NAME", "PLACE"]
    assert first.split() == ["Flow", "hello", "app/manifest.yaml:4"]
    assert answer.err == "app is valid: 8 resources.\n"


def test_validate_is_a_document(agentflow, manifest: str) -> None:
    """Programs get kinds, names and places."""
    found = json.loads(agentflow("validate", "app", "-o", "json").out)
    assert found["valid"] is True
    assert found["resources"][0] == {"kind": "Flow", "name": "hello", "file": "app/manifest.yaml", "line": 4}


def test_validate_runs_nothing(agentflow, manifest: str, workplace: Path) -> None:
    """Code that is not allowed is not imported, which is said, and no state folder is made."""
    (workplace / "agentflow.toml").unlink()
    (workplace / "app" / "code.py").write_text("import pathlib\npathlib.Path('imported').touch()\n", encoding="utf-8")
    answer = agentflow("validate", "app")
    assert answer.code == 0
    assert "Not checked: what flow 'hello' does in ./code.py, which is not allowed; give --trust-code." in answer.err
    document = json.loads(agentflow("validate", "app", "-o", "json").out)
    assert {"flow": "hello", "file": "./code.py"} in document["unchecked"]
    assert not (workplace / "imported").exists()
    assert not (workplace / ".agentflow").exists()


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        (HEAD.format(kind="Flwo", name="f") + "  nodes: {}\n", "m.yaml:2:7", "Did you mean 'Flow'?"),
        (FLOW.replace("nodes", "nodse"), "m.yaml:5:3", "Did you mean 'nodes'?"),
        (
            HEAD.format(kind="Trigger", name="t") + "  plugin: lines\n  start: flow/x\n",
            "m.yaml:6:10",
            "Unknown Flow 'x'",
        ),
        (
            FLOW + HEAD.format(kind="Trigger", name="t") + "  plugin: line\n  start: flow/f\n",
            "m.yaml:11:11",
            "Did you mean 'lines'?",
        ),
        (
            FLOW + HEAD.format(kind="Trigger", name="t") + "  plugin: lines\n  with: {pth: x}\n  start: flow/f\n",
            "m.yaml:12:15",
            "Did you mean 'path'?",
        ),
        (
            FLOW + HEAD.format(kind="Trigger", name="t") + "  plugin: lines\n  with: {path: [1]}\n  start: flow/f\n",
            "m.yaml:12:16",
            "spec.with.path: ",
        ),
    ],
)
def test_validate_says_what_is_wrong_and_where(agentflow, workplace: Path, text: str, place: str, problem: str) -> None:
    """File, line and column, the path in the document, and the nearest valid name; settings of plugins too."""
    (workplace / "m.yaml").write_text(text, encoding="utf-8")
    answer = agentflow("validate", "m.yaml")
    assert (answer.code, answer.out) == (2, "")
    (line,) = [line for line in answer.err.splitlines() if place in line]
    assert line.startswith("error[AF-MANIFEST]: ")
    assert problem in line
    assert agentflow("run", "m.yaml").code == 2


def test_validate_shows_findings_as_a_document(agentflow, workplace: Path) -> None:
    """Programs get each finding in its parts, and exit code 2."""
    (workplace / "m.yaml").write_text(FLOW.replace("nodes", "nodse"), encoding="utf-8")
    answer = agentflow("validate", "m.yaml", "-o", "json")
    assert answer.code == 2
    found = json.loads(answer.out)
    assert found["valid"] is False
    assert {(finding["file"], finding["line"]) for finding in found["findings"]} >= {("m.yaml", 5)}


def test_validate_checks_the_settings_of_a_planner(agentflow, workplace: Path) -> None:
    """An agent's planner is a plugin with settings as well."""
    (workplace / "m.yaml").write_text(
        HEAD.format(kind="Model", name="m")
        + "  plugin: echo\n---\n"
        + HEAD.format(kind="Agent", name="a")
        + "  model: m\n  planner: {plugin: straight, with: {depth: 3}}\n",
        encoding="utf-8",
    )
    answer = agentflow("validate", "m.yaml")
    assert answer.code == 2
    assert "m.yaml:12:45: spec.planner.with.depth: unknown setting; this plugin takes none." in answer.err


TYPED = (
    HEAD.format(kind="Flow", name="typed")
    + """  nodes:
    count: {uses: "./typed.py:count", next: shout}
    shout: {uses: "./typed.py:shout"}
"""
)
TYPED_CODE = (
    "def count(text: str) -> int:\n    return len(text)\n\ndef shout(text: str) -> str:\n    return text.upper()\n"
)


@pytest.mark.parametrize("allowed", ["by the file", "for this call", "not at all"])
def test_validate_checks_flows_with_the_code_that_is_allowed(agentflow, workplace: Path, allowed: str) -> None:
    """Types that do not meet along an edge are found at the node."""
    (workplace / "m.yaml").write_text(TYPED, encoding="utf-8")
    (workplace / "typed.py").write_text(TYPED_CODE, encoding="utf-8")
    if allowed == "by the file":
        (workplace / "agentflow.toml").write_text('[code]\nallow = ["typed.py"]\n', encoding="utf-8")
    answer = agentflow("validate", "m.yaml", *(["--trust-code"] if allowed == "for this call" else []))
    if allowed == "not at all":
        assert answer.code == 0
        assert "Not checked: what flow 'typed' does in ./typed.py" in answer.err
    else:
        assert answer.code != 0
        assert "m.yaml:7:12" in answer.err
        assert "Node 'count' gives number, but node 'shout' takes string [F020]." in answer.err


def test_validate_tells_of_code_that_is_not_there(agentflow, workplace: Path) -> None:
    """A name that the file does not define, and a file that cannot be imported, each at its place, each once."""
    (workplace / "m.yaml").write_text(TYPED, encoding="utf-8")
    (workplace / "typed.py").write_text(TYPED_CODE.replace("count", "counts"), encoding="utf-8")
    answer = agentflow("validate", "m.yaml", "--trust-code")
    assert "m.yaml:6:19: spec.nodes.count.uses: Unknown name in ./typed.py 'count'" in answer.err
    (workplace / "typed.py").write_text("raise ValueError('no')\n", encoding="utf-8")
    answer = agentflow("validate", "m.yaml", "--trust-code")
    assert answer.err.count("cannot be imported: ValueError: no") == 1
