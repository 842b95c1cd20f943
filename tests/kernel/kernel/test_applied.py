"""Applied resources: versioned, all or none, and what they say is what runs."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from agentflow_kernel import Kernel
from agentflow_kernel.errors import NewerSchema, StorageUnavailable, UnknownName, UntrustedCode, UsageError
from agentflow_kernel.kernel.applied import AppliedResources
from agentflow_kernel.manifest import Source, read_all
from agentflow_kernel.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "apiVersion: agentflow.dev/v1\nkind: %s\nmetadata: {name: %s}\nspec: %s\n"


def flow(name: str, *, uses: str = "", inner: str = "") -> str:
    target = f'uses: "{uses}"' if uses else f"flow: {inner}" if inner else "emit: some.event"
    return HEAD % ("Flow", name, "{nodes: {one: {" + target + "}}}")


@pytest.fixture
def store(tmp_path: Path) -> AppliedResources:
    return AppliedResources(str(tmp_path / "state"), clock=lambda: 100.0)


def apply(store: AppliedResources, *documents: str, folder: str = "/", **options) -> list[tuple[str, str, int]]:
    source = Source("---\n".join(documents), file="x.yaml", folder=folder, environ={"SET": "x"})
    manifest = read_all([source], known=store.index().known())
    changes = store.apply(manifest.resources, **options)
    return [(change.key, change.outcome, change.version) for change in changes]


def test_applying_counts_versions(store: AppliedResources) -> None:
    """What says the same is no new version, whatever its layout."""
    assert apply(store, flow("a")) == [("flow/a", "created", 1)]
    assert apply(store, "# a comment\n" + flow("a")) == [("flow/a", "unchanged", 1)]
    assert apply(store, flow("a", inner="b"), flow("b")) == [("flow/a", "configured", 2), ("flow/b", "created", 1)]
    assert [head["version"] for head in store.versions("flow/a")] == [1, 2]
    assert store.document("flow/a", 1)["spec"]["nodes"]["one"] == {"emit": "some.event"}
    assert store.index().get("a").at == 100.0


def test_a_moved_manifest_is_a_new_version(store: AppliedResources, tmp_path: Path) -> None:
    """Its relative paths mean something else."""
    apply(store, flow("a"))
    assert apply(store, flow("a"), folder=str(tmp_path)) == [("flow/a", "configured", 2)]


def test_a_dry_run_writes_nothing(store: AppliedResources) -> None:
    assert apply(store, flow("a"), write=False) == [("flow/a", "created", 1)]
    assert not os.path.exists(store.folder)


def test_deleted_resources_keep_their_versions_and_go_on_counting(store: AppliedResources) -> None:
    apply(store, flow("a"))
    assert [change.outcome for change in store.delete(["flow/a"])] == ["deleted"]
    assert store.index().resources == {}
    assert store.document("flow/a", 1)["metadata"]["name"] == "a"
    assert apply(store, flow("a")) == [("flow/a", "created", 2)]


def test_what_others_name_stays(store: AppliedResources) -> None:
    """Unless those go with it."""
    apply(store, flow("a", inner="b"), flow("b"))
    with pytest.raises(UsageError, match="Nothing was deleted: flow/a names flow/b"):
        store.delete(["flow/b"])
    assert len(store.index().resources) == 2
    assert [change.key for change in store.delete(["flow/b"], cascade=True)] == ["flow/b", "flow/a"]


def test_an_alias_that_is_in_use_stays(store: AppliedResources) -> None:
    """A model may not lose a name by which an applied agent asks for it, nor take that of another."""
    model = HEAD % ("Model", "m", "{plugin: echo, aliases: [fast]}")
    apply(store, model, HEAD % ("Agent", "g", "{model: fast}"))
    with pytest.raises(UsageError, match="agent/g names model/fast"):
        apply(store, HEAD % ("Model", "m", "{plugin: echo}"))
    with pytest.raises(UsageError, match="would both be called 'fast'"):
        apply(store, HEAD % ("Model", "other", "{plugin: echo, aliases: [fast]}"))
    assert store.index().get("fast", ["Model"]).name == "m"


def test_flows_cannot_be_applied_round_in_a_circle(store: AppliedResources) -> None:
    """Though no reading sees both."""
    apply(store, flow("a", inner="b"), flow("b"))
    with pytest.raises(UsageError, match="flow/a would contain itself"):
        apply(store, flow("b", inner="a"))


def test_pruning_deletes_what_is_left_out(store: AppliedResources) -> None:
    apply(store, flow("a"), flow("b"))
    assert apply(store, flow("a"), prune=lambda each: each.file == "x.yaml") == [
        ("flow/a", "unchanged", 1),
        ("flow/b", "deleted", 1),
    ]


def test_an_unknown_name_gets_the_nearest(store: AppliedResources) -> None:
    apply(store, flow("triage"))
    with pytest.raises(UnknownName, match="Did you mean 'triage'"):
        store.index().get("triaje")
    with pytest.raises(UnknownName, match="Known: '1'"):
        store.text("flow/triage", 7)
    with pytest.raises(UnknownName):
        store.versions("flow/../../x")


@pytest.mark.parametrize(("content", "error"), [("{", StorageUnavailable), ("[]", StorageUnavailable)])
def test_a_broken_index_is_named(store: AppliedResources, content: str, error: type[Exception]) -> None:
    apply(store, flow("a"))
    index = os.path.join(store.folder, "index.json")
    with open(index, "w", encoding="utf-8") as stream:
        stream.write(content)
    with pytest.raises(error, match=r"index\.json"):
        store.index()


def test_a_newer_index_is_refused(store: AppliedResources) -> None:
    apply(store, flow("a"))
    index = os.path.join(store.folder, "index.json")
    with open(index, encoding="utf-8") as stream:
        document = json.load(stream)
    with open(index, "w", encoding="utf-8") as stream:
        json.dump({**document, "format": 99}, stream)
    with pytest.raises(NewerSchema):
        store.index()


def test_a_state_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    manifest = read_all([Source(flow("a"), file="x.yaml", folder="/")])
    with pytest.raises(StorageUnavailable, match=r"Nothing was applied: .*state"):
        AppliedResources(str(tmp_path / "state")).apply(manifest.resources)


def test_a_draft_that_a_crash_left_is_no_obstacle(store: AppliedResources) -> None:
    """Nor is a version that the index does not name: it is written over."""
    apply(store, flow("a"))
    folder = os.path.join(store.folder, "flow", "a")
    for name in (".2.yaml.draft", "2.yaml"):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as stream:
            stream.write("half of someth")
    assert [head["version"] for head in store.versions("flow/a")] == [1]
    apply(store, flow("a", inner="b"), flow("b"))
    assert store.document("flow/a", 2)["spec"]["nodes"]["one"] == {"flow": "b"}
    assert sorted(os.listdir(folder)) == ["1.yaml", "2.yaml"]


def test_a_run_takes_only_what_it_needs(store: AppliedResources) -> None:
    """And what stands for all runs: journals, and triggers on the bus with what those start."""
    apply(
        store,
        flow("a", inner="b"),
        flow("b"),
        flow("c"),
        flow("d"),
        HEAD % ("Trigger", "t", "{'on': some.event, start: flow/d}"),
        HEAD % ("Model", "m", "{plugin: echo, with: {api_key: '${SET}'}}"),
    )
    assert set(store.index().parts_of("flow/a")) == {"flow/a", "flow/b", "trigger/t", "flow/d"}
    assert len(store.manifest("flow/a", environ={}).resources) == 4


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A flow with code in a folder of its own."""
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "nodes.py").write_text("def double(value):\n    return value * 2\n")
    (folder / "flow.yaml").write_text(flow("double", uses="./nodes.py:double"))
    return folder


def test_an_applied_flow_runs_the_code_beside_its_manifest(tmp_path: Path, store: AppliedResources, code: Path) -> None:
    """Wherever the state folder is, and whatever the working directory."""
    store.apply(read_all([str(code / "flow.yaml")]).resources)
    settings = Settings(file=str(tmp_path / "agentflow.toml"), code=["app"])
    kernel = Kernel.from_manifest("applied:flow/double", settings=settings, state=str(tmp_path / "state"))
    assert kernel.run_sync("flow/double", 21) == 42
    assert kernel._wiring.origin["manifest"] == "applied:flow/double"
    assert kernel._wiring.origin["versions"] == {"flow/double": 1}


def test_applying_does_not_widen_trust(tmp_path: Path, store: AppliedResources, code: Path) -> None:
    """What `agentflow.toml` does not list does not run."""
    store.apply(read_all([str(code / "flow.yaml")]).resources)
    kernel = Kernel.from_manifest(
        "applied:flow/double", settings=Settings(file=str(tmp_path / "agentflow.toml")), state=str(tmp_path / "state")
    )
    with pytest.raises(UntrustedCode):
        kernel.run_sync("flow/double", 21)


def test_an_index_cannot_lend_trust_to_another_folder(tmp_path: Path, store: AppliedResources, code: Path) -> None:
    """Where code lies counts, not what the state folder says of it."""
    store.apply(read_all([str(code / "flow.yaml")]).resources)
    other = tmp_path / "other"
    other.mkdir()
    (other / "nodes.py").write_text("def double(value):\n    return 'evil'\n")
    index = os.path.join(store.folder, "index.json")
    with open(index, encoding="utf-8") as stream:
        text = stream.read()
    with open(index, "w", encoding="utf-8") as stream:
        stream.write(text.replace(str(code), str(other)))
    settings = Settings(file=str(tmp_path / "agentflow.toml"), code=["app"])
    kernel = Kernel.from_manifest("applied:flow/double", settings=settings, state=str(tmp_path / "state"))
    with pytest.raises(UntrustedCode, match="other"):
        kernel.run_sync("flow/double", 21)


def test_applied_resources_need_a_state_folder() -> None:
    with pytest.raises(UsageError, match="needs a state folder"):
        Kernel.from_manifest("applied:flow/x")
