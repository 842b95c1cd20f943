"""The JSON Schemas: valid in themselves, and of one mind with the reader."""

from __future__ import annotations

import copy
import json
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from agentflow_kernel.errors import ManifestErrors, UnknownName
from agentflow_kernel.manifest import KINDS, json_schema
from agentflow_kernel.manifest._code import CodeFolder
from agentflow_kernel.manifest._context import Context, Scope
from agentflow_kernel.manifest._document import Reader
from agentflow_kernel.manifest._findings import Findings
from agentflow_kernel.manifest._kinds import RESOURCES

EXAMPLES: dict[str, dict[str, Any]] = {
    "Agent": {
        "model": "m",
        "planner": "react",
        "instructions": "x",
        "tools": ["files", "files.read"],
        "memory": "m",
        "policies": ["p"],
        "output_schema": {"type": "object"},
        "approve": {"tools": ["files"], "by": ["ops"], "timeout_s": 60},
        "description": "x",
    },
    "Flow": {
        "start": "a",
        "nodes": {
            "a": {"emit": "x", "input": {"$ref": "input"}, "next": "b", "policies": ["p"], "effect": "pure"},
            "b": {
                "tool": "files.read",
                "each": {"$ref": "input.x"},
                "batch_size": 2,
                "concurrency": 8,
                "on_item_error": "skip",
                "routes": {"ok": None, "again": "a"},
                "blocking": "thread",
                "approve": True,
            },
            "c": {
                "ask": {"question": "x", "choices": ["y"], "timeout_s": 1, "by": ["ops"]},
                "approve": {"by": ["ops"]},
            },
            "d": {"wait": {"event": "x", "if": "event.data > 1", "schema": {}, "timeout_s": 1}},
        },
        "policies": [],
        "output": 1,
        "display": {"$ref": "a.result"},
        "max_steps": 10,
        "input_schema": {},
    },
    "Journal": {"plugin": "sqlite", "with": {"path": "x"}},
    "Memory": {"plugin": "sqlite", "ttl_s": 0.5},
    "Model": {
        "plugin": "x",
        "model": "y",
        "max_tokens": 1,
        "temperature": 0,
        "with": {"a": [None, True]},
        "aliases": ["fast"],
        "prices": {"input": 1, "output": 2.5, "as_of": "2026-11-21", "source": "s"},
    },
    "Plan": {
        "planner": {"plugin": "fsm", "with": {"max_steps": 10}},
        "document": {"initial": "a", "states": {"a": {}}},
        "model": "m",
        "instructions": "x",
        "tools": ["files"],
        "agents": ["a"],
        "flows": ["f"],
        "plans": ["p"],
        "policies": [],
        "input_schema": {"type": "object"},
        "approve": True,
        "description": "x",
    },
    "Policy": {"plugin": "retry"},
    "Tool": {"plugin": "files"},
    "Trigger": {"plugin": "file", "with": {}, "start": "flow/f", "input": {"$ref": "event.data"}, "key": "k"},
}
SCHEMAS = {kind: json_schema(kind) for kind in KINDS}
VALUES = [None, True, 3, 0, -1, 0.5, "x", "a.b", "flow/x", "skip", "", [], ["x"], [1], {}, {"$ref": "input"}, {"a": 1}]
FIELDS = ["plugin", "uses", "with", "next", "routes", "each", "batch_size", "on", "start", "model", "nodes", "other"]


def resource(kind: str, spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "agentflow.dev/v1",
        "kind": kind,
        "metadata": {"name": "x", "labels": {"a": "b"}},
        "spec": spec,
    }


def accepted(kind: str, document: dict[str, Any]) -> bool:
    """Whether the reader finds nothing wrong with the document's shape; a schema has to say only that it is one."""
    findings = Findings()
    (root,), _ = Reader(findings).documents("m.yaml", json.dumps(document))
    RESOURCES[kind].read(root, None, Context(Scope(findings, {}, CodeFolder(".")), "m.yaml", "it"))
    try:
        findings.raise_if_any()
    except ManifestErrors as errors:
        return all("no sound JSON Schema" in str(error) for error in errors.findings)
    return True


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_schema(kind: str) -> None:
    """Draft 2020-12, JSON throughout, naming every field of the kind."""
    schema = SCHEMAS[kind]
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert json.loads(json.dumps(schema)) == schema
    assert list(schema["properties"]["spec"]["properties"]) == list(RESOURCES[kind].fields["spec"].fields)  # type: ignore[attr-defined]  # it is a record


def test_an_unknown_kind_has_none() -> None:
    """The nearest kind is suggested."""
    with pytest.raises(UnknownName, match=r"Did you mean 'Agent'\?"):
        json_schema("Agnet")


def test_the_good_manifest_fits(good: str) -> None:
    """What the reader takes, the schemas take."""
    for document in yaml.safe_load_all(good):
        jsonschema.validate(document, SCHEMAS[document["kind"]], cls=jsonschema.Draft202012Validator)


@pytest.mark.parametrize("kind", KINDS)
def test_the_examples_use_every_field(kind: str) -> None:
    """The comparison below begins at examples that both sides accept."""
    document = resource(kind, EXAMPLES[kind])
    assert accepted(kind, document)
    assert jsonschema.Draft202012Validator(SCHEMAS[kind]).is_valid(document)


@given(kind=st.sampled_from(KINDS), draw=st.data())
def test_schema_and_reader_agree(kind: str, draw: st.DataObject) -> None:
    """Whatever is changed, removed or added in an example: both accept it or both refuse it."""
    pick: Any = draw.draw
    document = copy.deepcopy(resource(kind, EXAMPLES[kind]))
    for _ in range(pick(st.integers(1, 3))):
        holder = document
        while True:
            inner = [value for value in holder.values() if isinstance(value, dict) and value]
            if not inner or not pick(st.integers(0, 3)):
                break
            holder = pick(st.sampled_from(inner))
        if "$ref" in holder:
            continue
        if holder and pick(st.booleans()):
            holder.pop(pick(st.sampled_from(sorted(holder))))
        field = pick(st.sampled_from([*sorted(holder), *FIELDS]))
        holder[field] = copy.deepcopy(pick(st.sampled_from(VALUES)))
    assert accepted(kind, document) == jsonschema.Draft202012Validator(SCHEMAS[kind]).is_valid(document)
