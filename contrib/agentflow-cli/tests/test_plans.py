"""Plans on the command line: checked before they run, drawn with what is active, driven by a trigger's events."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

CODE = '''
from agentflow_kernel import Event
from agentflow_kernel.contracts.finding import PlanFinding
from agentflow_kernel.contracts.planner import Decision, End
from agentflow_kernel.contracts.source import SourceItem
from agentflow_kernel.contracts.tool import Tool
from agentflow_kernel.drawing import Picture
from agentflow_kernel.drawing.picture import Shape


class Line:
    """Goes from one stop of its document to the next at each signal."""

    def __init__(self, settings, context):
        pass

    def read(self, document):
        return list(document["stops"])

    def check(self, document, scope):
        found = [] if "stops" in document else [PlanFinding("P001", "There are no stops.")]
        if document.get("stops") == ["alone"]:
            found.append(PlanFinding("P008", "One stop is no line.", "stops", 0, warning=True))
        return found

    def graph(self, document, state=None):
        picture = Picture("line")
        for stop in document["stops"]:
            picture.add(Shape(stop, stop, kind="state"))
        if state is not None:
            picture.mark({document["stops"][state["at"]]: "waiting"})
        return picture

    def begin(self, task):
        return {"at": 0, "stops": task.plan}

    def step(self, state, observation):
        if observation.kind == "started":
            return Decision(waits=[{"type": "signal", "name": "*"}])
        state["at"] += 1
        stop = state["stops"][state["at"]]
        if stop == "cliff":
            return Decision(end=End(error="There is no bridge.", code="AF-CLIFF"))
        return Decision(end=End(stop) if state["at"] == len(state["stops"]) - 1 else None)

    def dump(self, state):
        return {"at": state["at"]}

    def load(self, task, document):
        return {**document, "stops": task.plan}


class Rails:
    def __init__(self, settings, context):
        pass

    def tools(self):
        return [Tool("lay", "Lay a rail.", {"type": "object", "propertis": {"metres": {}}})]

    async def call(self, name, arguments, context):
        pass

    async def aclose(self):
        pass


class Trains:
    def __init__(self, settings, context):
        self.count = settings["count"]

    async def events(self, cursor=None):
        for number in range(self.count):
            yield SourceItem(Event("train.moved", {"train": number % 2}, source="trains", id=str(number)), None)

    async def aclose(self):
        pass
'''
MANIFEST = """\
apiVersion: agentflow.dev/v1
kind: Plan
metadata: {name: line}
spec: {planner: {uses: "./code.py:Line"}, document: {stops: [a, b, c]}, description: From a to c.}
---
apiVersion: agentflow.dev/v1
kind: Trigger
metadata: {name: trains}
spec:
  uses: "./code.py:Trains"
  with: {count: 3}
  start: plan/line
  key: {$ref: event.data.train}
  signal: moved
"""


@pytest.fixture
def line(workplace: Path) -> str:
    (workplace / "line").mkdir()
    (workplace / "line" / "code.py").write_text(CODE, encoding="utf-8")
    (workplace / "line" / "manifest.yaml").write_text(MANIFEST, encoding="utf-8")
    (workplace / "agentflow.toml").write_text('[code]\nallow = ["line"]\n', encoding="utf-8")
    return "line"


def test_validate_has_the_planner_check_its_plan(agentflow, line: str, workplace: Path) -> None:
    assert agentflow("validate", line).code == 0
    path = workplace / "line" / "manifest.yaml"
    path.write_text(MANIFEST.replace("stops: [a, b, c]", "places: []"), encoding="utf-8")

    answer = agentflow("validate", line)

    assert answer.code == 2
    assert "manifest.yaml:4:" in answer.err
    assert "There are no stops. [P001]" in answer.err


def test_validate_looks_at_the_parameters_of_the_tools_of_a_plan(agentflow, line: str, workplace: Path) -> None:
    """A misspelt schema is found before a call is made with arguments that nobody has checked."""
    path = workplace / "line" / "manifest.yaml"
    tool = 'apiVersion: agentflow.dev/v1\nkind: Tool\nmetadata: {name: rails}\nspec: {uses: "./code.py:Rails"}\n---\n'
    path.write_text(tool + MANIFEST.replace("document:", "tools: [rails], document:", 1), encoding="utf-8")

    answer = agentflow("validate", line)

    assert answer.code == 2
    assert "spec.tools" in answer.err
    assert "Tool 'rails.lay': the schema of its parameters is no sound JSON Schema: /propertis" in answer.err


def test_a_warning_keeps_no_plan_from_being_valid(agentflow, line: str, workplace: Path) -> None:
    path = workplace / "line" / "manifest.yaml"
    path.write_text(MANIFEST.replace("[a, b, c]", "[alone]"), encoding="utf-8")

    answer = agentflow("validate", line, "-o", "json")

    assert answer.code == 0
    document = json.loads(answer.out)
    assert [finding["path"] for finding in document["warnings"]] == ["spec.document.stops[0]"]
    assert "One stop is no line." in document["warnings"][0]["problem"]


def test_a_planner_whose_code_may_not_run_is_not_asked(agentflow, line: str, workplace: Path) -> None:
    (workplace / "agentflow.toml").unlink()

    answer = agentflow("validate", line)

    assert answer.code == 0
    assert "Not checked: plan 'line', whose planner in ./code.py:Line is not allowed; give --trust-code." in answer.err


def test_runs_that_wait_for_more_are_no_failure(agentflow, line: str) -> None:
    """Two trains, three events: one has come to its end, the other waits; the next reading goes on with it."""
    answer = agentflow("run", line, "trains")
    assert answer.code == 0, answer.err
    assert answer.out == "c\n"
    assert "1 run waits for what is still to come" in answer.err
    runs = json.loads(agentflow("get", "runs", "-o", "json").out)
    assert sorted(run["status"] for run in runs) == ["completed", "suspended"]
    (waiting,) = [run["run_id"] for run in runs if run["status"] == "suspended"]
    assert "taken by line" in agentflow("describe", "run", waiting).out

    answer = agentflow("run", line, "trains", "--input", "count=4")
    assert answer.code == 0, answer.err
    assert answer.out == "c\nc\n"


def test_the_picture_shows_where_a_run_is(agentflow, line: str) -> None:
    agentflow("run", line, "trains")
    runs = json.loads(agentflow("get", "runs", "-o", "json").out)
    (run_id,) = [run["run_id"] for run in runs if run["status"] == "suspended"]

    document = json.loads(agentflow("graph", "plan/line", "-f", line, "-o", "json", "--run", run_id).out)

    assert [(node["id"], node.get("mark", "")) for node in document["nodes"]] == [
        ("a", ""), ("b", "waiting"), ("c", ""),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("last", "mark", "told"),
    [
        ("c", "visited", "completed"),
        ("cliff", "failed", "failed: AF-CLIFF: 'line' did not reach its goal: There is no"),
    ],
)
def test_the_picture_shows_how_a_run_has_ended(agentflow, line: str, workplace: Path, last, mark, told) -> None:
    """At what the planner came to at last, which no decision was needed for any more."""
    path = workplace / "line" / "manifest.yaml"
    path.write_text(MANIFEST.replace("[a, b, c]", f"[a, b, {last}]"), encoding="utf-8")
    agentflow("run", line, "trains", "--input", "count=3")
    runs = json.loads(agentflow("get", "runs", "-o", "json").out)
    (run_id,) = [run["run_id"] for run in runs if run["status"] != "suspended"]

    answer = agentflow("graph", "plan/line", "-f", line, "-o", "json", "--run", run_id)

    marks = {node["id"]: node.get("mark", "") for node in json.loads(answer.out)["nodes"]}
    assert marks == {"a": "", "b": "", last: mark}
    assert answer.err.startswith(f"Run {run_id}: {told}")


def test_a_manifest_with_one_plan_is_drawn_by_its_path(agentflow, line: str) -> None:
    answer = agentflow("graph", line)
    assert answer.out.splitlines()[0] == "flowchart TD", answer.err
    assert '["b"]' in answer.out


def test_plans_are_applied_and_listed(agentflow, line: str) -> None:
    assert agentflow("apply", "-f", line).code == 0
    answer = agentflow("get", "plans")
    assert "./code.py:Line" in answer.out
    assert agentflow("graph", "line", "-o", "json").code == 0


ESTIMATE = """
    def estimate(self, document, scope):
        stops = document["stops"]
        return {"steps": len(stops), "usd": 0.5, "unknown": {"usd": stops[-1:], "seconds": []}}
"""


def test_plan_show_lists_the_steps_and_findings(agentflow, line: str, workplace: Path) -> None:
    answer = agentflow("plan", "show", "line", "-f", line)
    assert answer.code == 0, answer.err
    assert [row.split()[:2] for row in answer.out.splitlines()[1:]] == [["a", "state"], ["b", "state"], ["c", "state"]]

    path = workplace / "line" / "manifest.yaml"
    path.write_text(MANIFEST.replace("stops: [a, b, c]", "places: []"), encoding="utf-8")
    answer = agentflow("plan", "show", "plan/line", "-f", line, "-o", "json")
    assert answer.code == 2
    assert [finding["code"] for finding in json.loads(answer.out)["findings"]] == ["P001"]


def test_plan_show_says_what_a_plan_may_cost(agentflow, line: str, workplace: Path) -> None:
    """By the planner's own word; one that cannot tell says so."""
    answer = agentflow("plan", "show", "line", "-f", line, "--cost")
    assert answer.code == 2
    assert "its planner does not work it out" in answer.err

    (workplace / "line" / "code.py").write_text(CODE.replace("\n    def begin", ESTIMATE + "\n    def begin"))
    assert json.loads(agentflow("plan", "show", "line", "-f", line, "--cost", "-o", "json").out)["estimate"] == {
        "steps": 3,
        "usd": 0.5,
        "unknown": {"usd": ["c"], "seconds": []},
    }
    agentflow("apply", "-f", line)
    answer = agentflow("plan", "show", "line", "--cost")
    assert answer.code == 0, answer.err
    assert answer.err.splitlines()[-3:] == ["steps: at most 3", "usd: at most 0.5", "usd unknown for: c"]


def test_plan_show_knows_plans_only(agentflow, line: str) -> None:
    answer = agentflow("plan", "show", "lien", "-f", line)
    assert answer.code == 2
    assert "Did you mean 'line'?" in answer.err
