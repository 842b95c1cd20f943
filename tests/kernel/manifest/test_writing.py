"""YAML that is written is read back as it was, by this reader and by that of YAML 1.1."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from agentflow_kernel.manifest import Source, read_all, to_yaml

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = st.text(st.characters(blacklist_categories=["Cs"]), max_size=30)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(TEXTS.filter(lambda key: key != "<<"), inner, max_size=4)
    ),
    max_leaves=12,
)


def read_back(value: object) -> object:
    document = {
        "apiVersion": "agentflow.dev/v1",
        "kind": "Tool",
        "metadata": {"name": "x"},
        "spec": {"plugin": "files", "with": {"value": value}},
    }
    manifest = read_all([Source(to_yaml(document), file="x", folder="/")])
    (resource,) = manifest.resources
    assert resource.document() == document
    return resource.document()["spec"]["with"]["value"]


@pytest.mark.parametrize(
    "text",
    [
        "1e3",
        "0o14",
        "0x1F",
        "010",
        "1_000",
        "no",
        "on",
        "~",
        "null",
        "TRUE",
        ".5",
        "-",
        "+1",
        "2026-11-21",
        "1:30",
        "=",
        "",
    ],
)
def test_a_text_that_looks_like_something_else_stays_a_text(text: str) -> None:
    assert read_back(text) == text
    assert yaml.safe_load(to_yaml(text)) == text


@settings(max_examples=150, deadline=None)
@given(JSON)
def test_any_json_comes_back(value: object) -> None:
    """Through this reader, which knows YAML 1.2, and through PyYAML's own, which knows 1.1."""
    assert yaml.safe_load(to_yaml(value)) == value
    if "${" not in str(value):
        assert read_back(value) == value


def test_chosen_texts_stand_in_double_quotes() -> None:
    """Where an escape means something."""
    assert to_yaml({"a": "x\x1b", "b": "plain"}, quote=lambda text: text.startswith("x")) == 'a: "x\\e"\nb: plain\n'


def test_a_document_is_as_it_stands_in_the_manifest(tmp_path: Path) -> None:
    """Neither defaults nor the values of variables get into it."""
    text = (
        "apiVersion: agentflow.dev/v1\nkind: Model\nmetadata: {name: m}\n"
        'spec: {plugin: echo, model: "${THERE}", with: {a: "$${b}"}}\n'
    )
    (resource,) = read_all([Source(text, file="x", folder=str(tmp_path), environ={"THERE": "secret"})]).resources
    assert resource.spec["model"] == "secret"
    assert resource.document()["spec"] == {"plugin": "echo", "model": "${THERE}", "with": {"a": "$${b}"}}
    assert resource.folder == str(tmp_path)


def test_resources_of_several_folders_keep_their_folders(tmp_path: Path) -> None:
    """A relative path means what it means beside its own file."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.yaml").write_text(
            f"apiVersion: agentflow.dev/v1\nkind: Tool\nmetadata: {{name: {name}}}\nspec: {{plugin: files}}\n"
        )
    manifest = read_all([str(tmp_path / "one"), str(tmp_path / "two" / "a.yaml")])
    assert [resource.folder for resource in manifest.resources] == [str(tmp_path / "one"), str(tmp_path / "two")]
    assert manifest.folder == str(tmp_path / "one")
