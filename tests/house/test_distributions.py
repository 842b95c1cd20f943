"""Each distribution is complete, says of itself what is true, and is listed where a stranger looks."""

from __future__ import annotations

import importlib
import importlib.metadata
import re

from packaging.requirements import Requirement

from agentflow_kernel.errors import pip_line

MEMBER_FILES = ("CHANGELOG.md", "LICENSE", "README.md", "pyproject.toml")
ROOT_FILES = (
    *MEMBER_FILES,
    ".ci/run",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "PACKAGE_STATUS.md",
    "noxfile.py",
)
README_SECTIONS = ("Install", "Example", "Settings", "Capabilities", "Known deviations", "Maintained by", "State")
FRAGMENT = re.compile(r"[a-z0-9-]+\.(?:breaking|added|changed|fixed|security|doc)\.md")
GROUPS = {
    "agentflow.buses",
    "agentflow.commands",
    "agentflow.harnesses",
    "agentflow.journals",
    "agentflow.memories",
    "agentflow.planners",
    "agentflow.policies",
    "agentflow.providers",
    "agentflow.resources",
    "agentflow.sandboxes",
    "agentflow.sources",
    "agentflow.tools",
}
OBJECTS = {"agentflow.commands", "agentflow.harnesses"}
"""Groups whose entry points name an object, not a module of hooks."""
HAS_VERSION_CONSTANT = {"agentflow-cli", "agentflow-kernel"}


def test_the_minimal_files_are_there(dist, tree) -> None:
    names = ROOT_FILES if dist.folder == tree.root else MEMBER_FILES
    missing = [name for name in names if not (dist.folder / name).is_file()]
    missing += [name for name in ("__init__.py", "py.typed") if not (dist.source / name).is_file()]
    assert not missing, missing
    plugin = any(group not in OBJECTS for group, _, _ in dist.entry_points)
    assert not plugin or (dist.source / "_plugin.py").is_file()


def test_the_code_has_tests(dist) -> None:
    has_code = any(path.name != "__init__.py" for path in dist.source.rglob("*.py"))
    assert not has_code or any((dist.folder / "tests").rglob("test_*.py"))


def test_the_licence_is_the_same_everywhere(dist, tree) -> None:
    assert (dist.folder / "LICENSE").read_bytes() == (tree.root / "LICENSE").read_bytes()
    assert dist.table["project"]["license"] == "Apache-2.0"


def test_the_readme_has_its_sections(dist, tree) -> None:
    if dist.folder == tree.root:
        return
    text = (dist.folder / "README.md").read_text(encoding="utf-8")
    found = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert [name for name in found if name in README_SECTIONS] == list(README_SECTIONS)
    assert f"pip install {dist.name}" in text


def test_the_state_is_listed_once_and_agrees_with_the_readme(dist, tree) -> None:
    status = (tree.root / "PACKAGE_STATUS.md").read_text(encoding="utf-8")
    row = rf"^\| {dist.name} \| `([^`]+)` \| .+ \| (alpha|beta|stable|deprecated) \|$"
    rows = re.findall(row, status, re.MULTILINE)
    folder = dist.folder.relative_to(tree.root).as_posix()
    assert [row[0] for row in rows] == [folder]
    if dist.folder != tree.root:
        readme = (dist.folder / "README.md").read_text(encoding="utf-8")
        assert re.search(rf"^## State\n\n{rows[0][1]}\b", readme, re.MULTILINE)


def test_the_change_log_knows_the_changes(dist) -> None:
    fragments = [path for path in (dist.folder / "changelog.d").iterdir() if path.name != ".gitkeep"]
    assert all(FRAGMENT.fullmatch(path.name) for path in fragments), fragments
    assert all(path.read_text(encoding="utf-8").strip() for path in fragments)
    released = re.search(r"^#.* \d+\.\d+", (dist.folder / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert fragments or released


def test_versions_agree(dist, tree) -> None:
    version = dist.table["project"]["version"]
    assert importlib.metadata.version(dist.name) == version
    module = importlib.import_module(dist.package)
    if dist.name in HAS_VERSION_CONSTANT or hasattr(module, "__version__"):
        assert module.__version__ == version
    versions = {other.name: other.table["project"]["version"] for other in tree.dists}
    for line in dist.table["project"]["dependencies"]:
        need = Requirement(line)
        if need.name in versions:
            assert versions[need.name] in need.specifier, line
            assert dist.table["tool"]["uv"]["sources"][need.name] == {"workspace": True}


def test_members_ask_for_the_same_python_and_an_upper_bound_of_the_kernel(dist, tree) -> None:
    kernel = tree.dists[0]
    assert dist.table["project"]["requires-python"] == kernel.table["project"]["requires-python"]
    if dist is not kernel:
        assert "agentflow-kernel>=0.1,<0.2" in dist.table["project"]["dependencies"]


def test_entry_points_are_of_known_groups_and_as_installed(dist) -> None:
    installed = importlib.metadata.distribution(dist.name).entry_points
    assert {group for group, _, _ in dist.entry_points} <= GROUPS
    ours = {(entry.group, entry.name, entry.value) for entry in installed if entry.group.startswith("agentflow.")}
    assert ours == set(dist.entry_points)


def test_entry_points_lead_to_what_they_name(dist) -> None:
    for group, name, value in dist.entry_points:
        module, colon, attribute = value.partition(":")
        found = importlib.import_module(module)
        if group == "agentflow.commands":
            assert hasattr(found, attribute), value
        elif group == "agentflow.harnesses":
            assert colon, value
            kind, _, plugin = name.partition(".")
            assert kind, name
            assert plugin, name
            assert hasattr(found, attribute), value
        else:
            assert not colon, f"{value}: a plugin is a module"
            assert module == f"{dist.package}._plugin"


def test_plugins_offer_exactly_the_names_of_their_entry_points(dist) -> None:
    for group in {group for group, _, _ in dist.entry_points} - OBJECTS:
        kind = group.removeprefix("agentflow.")
        module = importlib.import_module(f"{dist.package}._plugin")
        offered = {spec.name for spec in getattr(module, f"agentflow_{kind}")()}
        assert offered == {name for entry, name, _ in dist.entry_points if entry == group}


def test_the_line_that_installs_a_plugin_names_its_distribution(dist) -> None:
    kinds = {"memories": "memory", "policies": "policy", "buses": "bus", "sandboxes": "sandbox"}
    for group, name, _ in dist.entry_points:
        plural = group.removeprefix("agentflow.")
        if plural not in {"harnesses", "commands", "resources"}:
            kind = kinds.get(plural, plural.removesuffix("s"))
            assert pip_line(kind, name) == f"pip install {dist.name}"
