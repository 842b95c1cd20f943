"""What a manifest without faults gives."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from agentflow_kernel import manifest as room
from agentflow_kernel.manifest import API_VERSION, KINDS, read

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agentflow_kernel.manifest import Manifest

HEAD = f"apiVersion: {API_VERSION}\n"


@pytest.mark.usefixtures("parser")
def test_every_kind_is_read_in_document_order(manifest_of: Callable[..., Manifest], good: str) -> None:
    """Several documents in one file become resources in their order, with the place of their names."""
    manifest = manifest_of(good)
    assert [resource.kind for resource in manifest.resources] == [
        *("Model", "Tool", "Memory", "Policy", "Journal", "Agent", "Plan", "Flow", "Trigger")
    ]
    assert sorted(KINDS) == sorted({resource.kind for resource in manifest.resources})
    model = manifest.get("Model", "claude")
    assert (model.file, model.line, model.column) == ("m.yaml", 3, 18)
    assert (model.labels, model.annotations) == ({"team": "ops"}, {"note": "by hand"})
    assert model.spec == {
        "plugin": "anthropic",
        "model": "claude-sonnet-5",
        "max_tokens": 2000,
        "temperature": 0.5,
        "with": {},
    }


def test_defaults_of_an_agent_are_filled_in(manifest_of: Callable[..., Manifest]) -> None:
    """Without a planner the agent has the tool loop; lists that are absent are empty; the rest stays absent."""
    manifest = manifest_of(
        f"{HEAD}kind: Model\nmetadata: {{name: m}}\nspec: {{plugin: x}}\n---\n"
        f"{HEAD}kind: Agent\nmetadata: {{name: a}}\nspec: {{model: m}}\n---\n"
        f"{HEAD}kind: Agent\nmetadata: {{name: b}}\nspec: {{model: m, planner: react}}\n"
    )
    assert manifest.get("Agent", "a").spec == {
        "model": "m",
        "planner": {"plugin": "tools", "with": {}},
        "tools": [],
        "policies": [],
    }
    assert manifest.get("Agent", "b").spec["planner"] == {"plugin": "react", "with": {}}
    assert manifest.get("Agent", "a").labels == {}


def test_defaults_of_a_flow_are_filled_in(manifest_of: Callable[..., Manifest], good: str) -> None:
    """A flow starts at its first node; only a node with ``each`` has the fields of a batch."""
    spec = manifest_of(good).get("Flow", "triage").spec
    assert (spec["start"], spec["max_steps"], spec["policies"]) == ("assess", 10_000, [])
    assess, report = spec["nodes"]["assess"], spec["nodes"]["report"]
    assert (assess["batch_size"], assess["concurrency"], assess["on_item_error"]) == (1, 4, "fail")
    assert "batch_size" not in report
    assert report["routes"] == {"bad": "alarm", "good": None}
    assert list(spec["nodes"]) == ["assess", "report", "alarm"]


def test_defaults_are_not_shared(manifest_of: Callable[..., Manifest]) -> None:
    """Who changes a default of one resource against the contract does not change another."""
    tool = f"{HEAD}kind: Tool\nmetadata: {{name: %s}}\nspec: {{plugin: x}}\n"
    first, second = manifest_of(tool % "a" + "---\n" + tool % "b").resources
    assert first.spec["with"] is not second.spec["with"]


def test_a_folder_is_read_in_the_order_of_its_names(manifest_of: Callable[..., Manifest], folder: Path) -> None:
    """All YAML files directly in the folder make up one manifest; hidden files and others are passed over."""
    (folder / "sub").mkdir()
    (folder / "sub" / "deep.yaml").write_text("not: read")
    tool = f"{HEAD}kind: Tool\nmetadata: {{name: %s}}\nspec: {{plugin: x}}\n"
    manifest = manifest_of({"b.yml": tool % "b", "a.yaml": tool % "a", ".#a.yaml": "[", "notes.txt": "["})
    assert [resource.name for resource in manifest.resources] == ["a", "b"]
    assert manifest.files == ("./a.yaml", "./b.yml")
    assert manifest.folder == str(folder)
    assert [resource.file for resource in manifest.resources] == ["./a.yaml", "./b.yml"]


def test_a_path_object_will_do(folder: Path, good: str) -> None:
    """``read`` takes what ``open`` takes; findings show the path as it was given."""
    file = folder / "triage.yaml"
    file.write_text(good)
    manifest = read(file)
    assert manifest.files == (str(file),)
    assert manifest.folder == os.path.dirname(file)


@pytest.mark.usefixtures("parser")
def test_bytes_that_mean_the_same(manifest_of: Callable[..., Manifest], good: str) -> None:
    """A byte order mark, line ends of Windows and empty documents change nothing but places."""
    plain = manifest_of(good)
    changed = manifest_of(b"\xef\xbb\xbf---\n" + good.replace("\n", "\r\n").encode() + b"---\r\n")
    assert changed.fingerprint == plain.fingerprint
    assert changed.resources[0].column == 18


def test_the_room_exports_what_it_says() -> None:
    """``__all__`` is sorted, complete and importable."""
    public = {name for name in vars(room) if not name.startswith("_") and name != "annotations"}
    assert set(room.__all__) == public
    assert list(room.__all__) == sorted(room.__all__)
