"""Plans in manifests: a planner and a document or file, what they may name, and no circles among what holds what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agentflow_kernel.errors import ManifestErrors
from agentflow_kernel.manifest import load_yaml

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agentflow_kernel.manifest import Manifest

HEAD = "apiVersion: agentflow.dev/v1\n"
MODEL = f"{HEAD}kind: Model\nmetadata: {{name: m}}\nspec: {{plugin: x}}\n---\n"


def plan(spec: str, name: str = "p") -> str:
    return f"{HEAD}kind: Plan\nmetadata: {{name: {name}}}\nspec: {spec}\n"


def test_the_short_form_names_the_planner(manifest_of: Callable[..., Manifest]) -> None:
    manifest = manifest_of(plan("{planner: fsm, document: {a: 1}}"))

    assert manifest.get("Plan", "p").spec == {
        "planner": {"plugin": "fsm", "with": {}},
        "document": {"a": 1},
        "tools": [],
        "policies": [],
    }


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ("{document: {}}", "Required field 'planner' is missing"),
        ("{planner: fsm}", "Expected exactly one of 'document' or 'file'"),
        ("{planner: fsm, document: {}, file: ./nodes.py}", "Expected exactly one of 'document' or 'file'"),
        ("{planner: fsm, document: 3}", "Expected a mapping: the plan in the format of its planner"),
        ("{planner: fsm, file: a.scxml}", "It does not begin with './'"),
        ("{planner: fsm, file: ./../a.scxml}", "'..' would leave the manifest's folder"),
        ("{planner: fsm, file: ./a//b.scxml}", "The path is not in its plain form"),
        ("{planner: fsm, file: ./gone.scxml}", "There is no file './gone.scxml' below the manifest's folder"),
        ("{planner: fsm, document: {}, plans: [other]}", "Unknown Plan 'other'"),
        ("{planner: fsm, document: {}, states: {}}", "Unknown field 'states'"),
    ],
)
def test_what_is_wrong_is_found(findings_of: Callable[..., list[str]], spec: str, problem: str) -> None:
    (finding,) = findings_of(plan(spec))

    assert problem in finding


def test_a_file_that_leads_out_of_the_folder_is_refused(
    findings_of: Callable[..., list[str]], folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "a.scxml"
    outside.write_text("<scxml/>")
    (folder / "a.scxml").symlink_to(outside)

    (finding,) = findings_of(plan("{planner: fsm, file: ./a.scxml}"))

    assert "leads out of the manifest's folder by a symbolic link" in finding


def test_plans_agents_and_flows_hold_each_other_in_no_circle(findings_of: Callable[..., list[str]]) -> None:
    agent = f"---\n{HEAD}kind: Agent\nmetadata: {{name: a}}\nspec: {{model: m, flows: [f]}}\n"
    flow = f"---\n{HEAD}kind: Flow\nmetadata: {{name: f}}\nspec: {{nodes: {{n: {{plan: p}}}}}}\n"

    (finding,) = findings_of(MODEL + plan("{planner: fsm, document: {}, agents: [a]}") + agent + flow)

    assert "Flows, agents and plans contain each other in a circle: plan/p → agent/a → flow/f → plan/p." in finding


def test_a_plan_and_a_flow_may_share_a_name(manifest_of: Callable[..., Manifest]) -> None:
    flow = f"---\n{HEAD}kind: Flow\nmetadata: {{name: p}}\nspec: {{nodes: {{n: {{plan: p}}}}}}\n"

    assert len(manifest_of(plan("{planner: fsm, document: {}}") + flow).resources) == 2


def test_a_trigger_starts_a_plan(manifest_of: Callable[..., Manifest]) -> None:
    trigger = f"---\n{HEAD}kind: Trigger\nmetadata: {{name: t}}\nspec: {{on: a.b, start: plan/p}}\n"

    manifest = manifest_of(plan("{planner: fsm, document: {}}") + trigger)

    assert manifest.get("Trigger", "t").links == (("Plan", "p"),)


def test_yaml_is_read_as_plain_data() -> None:
    assert load_yaml("a: [1, 0.5, yes, ~, {b: c}]\n") == {"a": [1, 0.5, "yes", None, {"b": "c"}]}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "Expected one document, found 0"),
        ("a: 1\n---\nb: 2\n", "Expected one document, found 2"),
        ("a: [1", "door.yaml:2"),
        ("!!python/object:os.system {}", "door.yaml:1"),
        ("a: 1\na: 2\n", "door.yaml:2"),
        ("[" * 200 + "]" * 200, "door.yaml:1"),
    ],
)
def test_yaml_that_is_wrong_is_refused_with_its_place(text: str, problem: str) -> None:
    with pytest.raises(ManifestErrors, match=problem.replace(".", r"\.")):
        load_yaml(text, "door.yaml")
