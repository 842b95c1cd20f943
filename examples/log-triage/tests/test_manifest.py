"""The manifest names code that is there, and what it says to a model agrees with what the rules do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

EXAMPLE = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def documents():
    return list(yaml.safe_load_all((EXAMPLE / "triage.yaml").read_text(encoding="utf-8")))


def test_everything_that_is_named_is_defined(documents) -> None:
    names = {(each["kind"], each["metadata"]["name"]) for each in documents}
    (flow,) = (each["spec"] for each in documents if each["kind"] == "Flow")
    (agent,) = (each["spec"] for each in documents if each["kind"] == "Agent")
    asked = {("Model", agent["model"]), ("Memory", agent["memory"])}
    asked |= {("Tool", tool) for tool in agent["tools"]} | {("Policy", policy) for policy in agent["policies"]}
    asked |= {("Agent", node["agent"]) for node in flow["nodes"].values() if "agent" in node}
    assert asked <= names
    assert {node["next"] for node in flow["nodes"].values() if "next" in node} | {flow["start"]} == set(flow["nodes"])


def test_all_code_that_is_named_is_there(documents, module) -> None:
    used = re.findall(r'uses: "\./(\w+)\.py:(\w+)"', (EXAMPLE / "triage.yaml").read_text(encoding="utf-8"))
    assert len(used) == 7
    for file, name in used:
        assert callable(getattr(module(file), name))


def test_the_instructions_state_the_limits_that_the_rules_use(documents) -> None:
    (agent,) = (each["spec"] for each in documents if each["kind"] == "Agent")
    (model,) = (each["spec"] for each in documents if each["kind"] == "Model")
    words = " ".join(agent["instructions"].split())
    assert f"`medium` from {model['with']['medium']} failed passwords; `high` from {model['with']['high']};" in words
    assert f"for {model['with']['medium']} names or more" in words
    assert f"`critical` if {model['with']['medium']} or more passwords failed" in words
