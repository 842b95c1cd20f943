"""What a manifest answers: lookups, places of values, its fingerprint."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agentflow_kernel.errors import ManifestError, UnknownName

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agentflow_kernel.manifest import Manifest

HEAD = "apiVersion: agentflow.dev/v1\n"
TWINS = "---\n".join(
    f"{HEAD}kind: {kind}\nmetadata: {{name: x}}\nspec: {{plugin: x}}\n" for kind in ("Tool", "Memory", "Policy")
)

TOOL = f"""\
{HEAD}kind: Tool
metadata: {{name: web}}
spec:
  plugin: web
  with:
    timeout_s: abc
    hosts: [one,
        two]
    "a b": 1
    "7": x
"""


def test_find_and_get(manifest_of: Callable[..., Manifest], good: str) -> None:
    """``get`` raises where ``find`` gives ``None``, and names the nearest."""
    manifest = manifest_of(good)
    assert manifest.find("Flow", "triage") is manifest.get("Flow", "triage")
    assert manifest.find("Flow", "triag") is None
    with pytest.raises(UnknownName, match=r"^Unknown Flow 'triag'. Known: 'triage'. Did you mean 'triage'\?$"):
        manifest.get("Flow", "triag")
    with pytest.raises(UnknownName, match=r"^Unknown Team 'triage'. Known: none.$"):
        manifest.get("Team", "triage")


def test_of_gives_one_kind(manifest_of: Callable[..., Manifest], good: str) -> None:
    """All resources of a kind, in document order; none of an unknown kind."""
    manifest = manifest_of(good)
    assert [resource.name for resource in manifest.of("Agent")] == ["analyst"]
    assert manifest.of("Team") == ()


def test_resolve_takes_names_with_and_without_kind(manifest_of: Callable[..., Manifest], good: str) -> None:
    """A bare name will do where only one resource has it."""
    manifest = manifest_of(good)
    flow = manifest.get("Flow", "triage")
    assert manifest.resolve("flow/triage") is flow
    assert manifest.resolve("triage") is flow
    assert manifest.resolve("triage", kinds=("Flow", "Agent")) is flow
    with pytest.raises(UnknownName) as caught:
        manifest.resolve("triag", kinds=("Flow", "Agent"))
    assert caught.value.suggestion == "triage"
    with pytest.raises(UnknownName) as caught:
        manifest.resolve("flow/triag")
    assert caught.value.suggestion == "flow/triage"
    with pytest.raises(UnknownName):
        manifest.resolve("agent/triage")


def test_an_ambiguous_name_is_refused_with_the_candidates(manifest_of: Callable[..., Manifest]) -> None:
    """Kinds can be given to make it unambiguous."""
    manifest = manifest_of(TWINS)
    with pytest.raises(UnknownName) as caught:
        manifest.resolve("x")
    assert caught.value.known == ("memory/x", "policy/x", "tool/x")
    assert manifest.resolve("x", kinds=("Tool",)).kind == "Tool"


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("spec.with.timeout_s", (7, 16)),
        (("spec", "with", "hosts", 1), (9, 9)),
        ("spec.with.hosts[1]", (9, 9)),
        ('spec.with["a b"]', (10, 12)),
        (("spec", "with", 7), (11, 10)),
        ("spec.with.absent.deeper", (6, 3)),
        ("spec.with.hosts[7]", (8, 12)),
        ("metadata.name", (3, 18)),
        ("", (1, 1)),
    ],
)
def test_error_gives_the_place_of_a_value(
    manifest_of: Callable[..., Manifest], path: str | tuple[str | int, ...], place: tuple[int, int]
) -> None:
    """Other rooms report on settings with file, line and column; an absent value stands where it should stand."""
    manifest = manifest_of(TOOL)
    error = manifest.error(manifest.resources[0], path, "Expected a number.", hint="Write 3.")
    assert isinstance(error, ManifestError)
    assert (error.file, error.line, error.column) == ("m.yaml", *place)
    assert (error.problem, error.hint) == ("Expected a number.", "Write 3.")


def test_error_shows_the_path_as_text(manifest_of: Callable[..., Manifest], good: str) -> None:
    """A path given as steps, as validators give it, is shown like any other."""
    manifest = manifest_of(good)
    tool = manifest.get("Tool", "files")
    error = manifest.error(tool, ("spec", "with", "a.b", 0, "root"), "It is not there.")
    assert str(error) == 'm.yaml:9:29: spec.with["a.b"][0].root: It is not there.'


def test_fingerprint_ignores_layout_and_environment(manifest_of: Callable[..., Manifest]) -> None:
    """Order of resources, comments, labels, explicit defaults and values of variables do not change it."""
    tool = HEAD + "kind: Tool\nmetadata: {name: a}\nspec: {plugin: x, with: {key: '${KEY}'}}\n"
    memory = HEAD + "kind: Memory\nmetadata: {name: b}\nspec: {plugin: x}\n"
    first = manifest_of(tool + "---\n" + memory, environ={"KEY": "one"}).fingerprint
    labelled = memory.replace("{name: b}", "{name: b, labels: {c: d}}  # a comment").replace("x}", "x, with: {}}")
    second = manifest_of(labelled + "---\n" + tool, environ={"KEY": "two"})
    assert second.fingerprint == first
    assert len(first) == 64


def test_fingerprint_covers_every_spec(manifest_of: Callable[..., Manifest], good: str) -> None:
    """One changed setting is another fingerprint."""
    assert manifest_of(good).fingerprint != manifest_of(good.replace("attempts: 3", "attempts: 4")).fingerprint
    assert manifest_of(good).fingerprint != manifest_of(good.replace("name: journal", "name: other")).fingerprint


def test_written_holds_no_secret(manifest_of: Callable[..., Manifest]) -> None:
    """What is shown of a resource has the variables' names, not their values."""
    keys = "['${KEY}', 'pre-${KEY}', '$${KEY}']"
    spec = f"{{plugin: x, with: {{keys: {keys}}}}}"
    text = f"{HEAD}kind: Tool\nmetadata: {{name: a, labels: {{b: '$${{c}}'}}}}\nspec: {spec}\n"
    manifest = manifest_of(text, environ={"KEY": "hunter2"})
    (tool,) = manifest.resources
    assert tool.spec["with"] == {"keys": ["hunter2", "pre-hunter2", "${KEY}"]}
    assert tool.written()["with"] == {"keys": ["${KEY}", "pre-${KEY}", "$${KEY}"]}
    assert tool.spec["with"] == {"keys": ["hunter2", "pre-hunter2", "${KEY}"]}
    assert tool.labels == {"b": "${c}"}
    assert "hunter2" not in f"{tool!r} {manifest!r}"


def test_code_is_found_below_the_folder(manifest_of: Callable[..., Manifest], folder: Path, good: str) -> None:
    """``uses`` becomes an absolute file and a name; nothing is imported."""
    manifest = manifest_of(good)
    uses = manifest.get("Flow", "triage").spec["nodes"]["report"]["uses"]
    assert manifest.code(uses) == (str(folder / "nodes.py"), "report")
