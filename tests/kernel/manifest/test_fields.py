"""Documents whose fields are wrong: unknown, missing, of another type, beside each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

HEAD = "apiVersion: agentflow.dev/v1\n"
KINDS = "'Agent', 'Flow', 'Journal', 'Memory', 'Model', 'Plan', 'Policy', 'Tool'"
NAME = "a name: letters, digits, '-' and '_', at most 63, beginning with a letter or digit"


@pytest.mark.parametrize(
    ("text", "findings"),
    [
        (
            f"{HEAD}kind: Agnet\nmetadata: {{name: a}}\n",
            [f"m.yaml:2:7: kind: Unknown kind 'Agnet'. Known: {KINDS}, 'Trigger'. Did you mean 'Agent'?"],
        ),
        (f"{HEAD}kind: [Tool]\n", [f"m.yaml:2:7: kind: Expected {KINDS} or 'Trigger', found a list."]),
        (
            "apiVersion: agentflow.dev/v2\nkind: Agnet\n",
            [
                (
                    "m.yaml:1:13: apiVersion: Unknown apiVersion 'agentflow.dev/v2'. Known: 'agentflow.dev/v1'. "
                    "Did you mean 'agentflow.dev/v1'?"
                )
            ],
        ),
        (
            "kind: Tool\nmetadata: {name: a}\nspec: {plugin: x}\n",
            ["m.yaml:1:1: apiVersion: Required field 'apiVersion' is missing: expected 'agentflow.dev/v1'."],
        ),
        (
            "apiVersion: 1\nkind: Tool\nmetadata: {name: a}\nspec: {plugin: x}\n",
            ["m.yaml:1:13: apiVersion: Expected 'agentflow.dev/v1', found the number 1."],
        ),
        (
            "name: a\n",
            [
                "m.yaml:1:1: apiVersion: Required field 'apiVersion' is missing: expected 'agentflow.dev/v1'.",
                f"m.yaml:1:1: kind: Required field 'kind' is missing: expected {KINDS} or 'Trigger'.",
            ],
        ),
        ("- a\n", ["m.yaml:1:1: Expected a mapping with 'apiVersion', 'kind', 'metadata' and 'spec', found a list."]),
        (
            f"{HEAD}kind: Tool\n",
            [
                f"m.yaml:1:1: {field}: Required field '{field}' is missing: expected a mapping with {what}."
                for field, what in (("metadata", "'name'"), ("spec", "'plugin' or 'uses'"))
            ],
        ),
        (
            f"{HEAD}kind: Tool\nmetadata: {{}}\nspec:\n",
            [
                f"m.yaml:3:11: metadata.name: Required field 'name' is missing: expected {NAME}.",
                "m.yaml:4:6: spec: Expected a mapping with 'plugin' or 'uses', found nothing (null).",
            ],
        ),
        (
            f"{HEAD}kind: Tool\nmetadata: {{name: my tool, labels: {{a: 1}}, label: x}}\nspec: {{plugin: ''}}\n",
            [
                f"m.yaml:3:18: metadata.name: Expected {NAME}, found the string 'my tool'.",
                "m.yaml:3:39: metadata.labels.a: Expected a string, found the number 1. Quote it if it is text.",
                "m.yaml:3:43: metadata.label: Unknown field 'label'. Known here: 'annotations', 'labels', 'name'.",
                "m.yaml:4:16: spec.plugin: Expected the name of a tool plugin, found an empty string.",
            ],
        ),
    ],
)
def test_the_envelope_is_checked(findings_of: Callable[..., list[str]], text: str, findings: list[str]) -> None:
    """Unknown kinds and versions are named with the known ones; everything wrong is found at once."""
    assert findings_of(text) == findings


@pytest.mark.parametrize(
    ("kind", "spec", "findings"),
    [
        (
            "Tool",
            "plugin: x\n  wiht: {}\n",
            ["m.yaml:6:3: spec.wiht: Unknown field 'wiht'. Known here: 'plugin', 'uses', 'with'. Did you mean 'with'?"],
        ),
        (
            "Tool",
            "with: {}\n",
            ["m.yaml:4:1: spec: Expected exactly one of 'plugin' or 'uses', found none of them."],
        ),
        (
            "Policy",
            "plugin: x\n  uses: ./nodes.py:y\n",
            ["m.yaml:6:3: spec: Expected exactly one of 'plugin' or 'uses', found 'plugin' and 'uses'."],
        ),
        (
            "Memory",
            "plugin: x\n  ttl_s: 0\n  with: [a]\n",
            [
                "m.yaml:6:10: spec.ttl_s: Expected a number above 0, found the number 0.",
                "m.yaml:7:9: spec.with: Expected a mapping of settings, found a list.",
            ],
        ),
        (
            "Model",
            "plugin: x\n  model: 4\n  max_tokens: 1_000\n  temperature: true\n",
            [
                (
                    "m.yaml:6:10: spec.model: Expected the vendor's name of a model, found the number 4. "
                    "Quote it if it is text."
                ),
                (
                    "m.yaml:7:15: spec.max_tokens: Expected a whole number of at least 1, found the string '1_000'. "
                    "Numbers are written as in JSON, without quotes: 1000, 0.5."
                ),
                "m.yaml:8:16: spec.temperature: Expected a number of at least 0, found true.",
            ],
        ),
        (
            "Model",
            "plugin: x\n  max_tokens: 1.5\n  temperature: -1\n",
            [
                "m.yaml:6:15: spec.max_tokens: Expected a whole number of at least 1, found the number 1.5.",
                "m.yaml:7:16: spec.temperature: Expected a number of at least 0, found the number -1.",
            ],
        ),
        (
            "Agent",
            "tools: files\n  planner: 3\n  output_schema: x\n  policies: [1]\n  instructions: []\n",
            [
                (
                    "m.yaml:4:1: spec.model: Required field 'model' is missing: "
                    "expected the name of a resource of kind Model."
                ),
                (
                    "m.yaml:5:10: spec.tools: Expected a list of Tools and tools, such as ['files', 'web.search'], "
                    "found the string 'files'. Put it in brackets: [ ]."
                ),
                (
                    "m.yaml:6:12: spec.planner: Expected the name of a planner plugin, or a mapping with 'plugin' or "
                    "'uses', found the number 3."
                ),
                "m.yaml:7:18: spec.output_schema: Expected a mapping: a JSON Schema, found the string 'x'.",
                (
                    "m.yaml:8:14: spec.policies[0]: Expected the name of a resource of kind Policy, "
                    "found the number 1. Quote it if it is text."
                ),
                "m.yaml:9:17: spec.instructions: Expected a string, found an empty list.",
            ],
        ),
        (
            "Trigger",
            "on: order.*\n  start: triage\n  with: {}\n  key: [a]\n",
            [
                (
                    "m.yaml:6:10: spec.start: Expected 'flow/<name>' or 'agent/<name>' or 'plan/<name>', "
                    "found the string 'triage'."
                ),
                "m.yaml:7:3: spec.with: Field 'with' has no meaning without 'plugin' or 'uses'.",
                (
                    'm.yaml:8:8: spec.key: Expected a reference such as {"$ref": "parse.result"}, or a string, '
                    "found a list."
                ),
            ],
        ),
        (
            "Flow",
            "nodes: {}\n  max_steps: 0\n",
            [
                (
                    "m.yaml:5:10: spec.nodes: Expected a mapping from names to nodes, with at least one, "
                    "found an empty mapping."
                ),
                "m.yaml:6:14: spec.max_steps: Expected a whole number of at least 1, found the number 0.",
            ],
        ),
    ],
)
def test_specs_are_checked(findings_of: Callable[..., list[str]], kind: str, spec: str, findings: list[str]) -> None:
    """What was found, what was expected, where, and the nearest name."""
    assert findings_of(f"{HEAD}kind: {kind}\nmetadata: {{name: a}}\nspec:\n  {spec}") == findings


@pytest.mark.parametrize(
    ("uses", "problem"),
    [
        ("nodes.py:f", "it does not begin with './'"),
        ("/nodes.py:f", "it does not begin with './'"),
        ("../nodes.py:f", "it does not begin with './'"),
        ("./../nodes.py:f", "'..' would leave the manifest's folder"),
        ("./a/../../nodes.py:f", "'..' would leave the manifest's folder"),
        (".//nodes.py:f", "the path is not in its plain form"),
        ("./a\\b.py:f", "the path is not in its plain form"),
        ("./nodes.txt:f", "the file is no '.py' file"),
        ("./.py:f", "the file is no '.py' file"),
        ("./nodes.py", "no ':' and name of a function or class follow the file"),
        ("./nodes.py:f.g", "no ':' and name of a function or class follow the file"),
        ("./nodes.py:f:g", "no ':' and name of a function or class follow the file"),
    ],
)
def test_code_has_one_form(findings_of: Callable[..., list[str]], uses: str, problem: str) -> None:
    """Only files below the manifest's folder, and an object in them."""
    (finding,) = findings_of(f"{HEAD}kind: Tool\nmetadata: {{name: a}}\nspec: {{uses: '{uses}'}}\n")
    expected = "code below the manifest's folder, written './file.py:Name'"
    assert finding == f"m.yaml:4:14: spec.uses: Expected {expected}, found the string {uses!r}: {problem}."


def test_code_must_be_there(findings_of: Callable[..., list[str]], tmp_path_factory: pytest.TempPathFactory) -> None:
    """A file that is missing, is a folder or lies elsewhere by a symbolic link is a finding; each is looked at once."""
    from pathlib import Path

    outside = tmp_path_factory.mktemp("outside")
    (outside / "far.py").touch()
    Path("far.py").symlink_to(outside / "far.py")
    Path("near.py").symlink_to("nodes.py")
    Path("folder.py").mkdir()
    tool = HEAD + "kind: Tool\nmetadata: {name: %s}\nspec: {uses: './%s.py:f'}\n"
    text = "---\n".join(tool % (name, name) for name in ("none", "folder", "far", "near", "nodes"))
    text += "---\n" + tool % ("again", "nodes")
    assert findings_of(text) == [
        "m.yaml:4:14: spec.uses: There is no file './none.py' below the manifest's folder.",
        "m.yaml:9:14: spec.uses: There is no file './folder.py' below the manifest's folder.",
        "m.yaml:14:14: spec.uses: File './far.py' leads out of the manifest's folder by a symbolic link.",
    ]
