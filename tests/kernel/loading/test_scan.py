"""What the scan sees, and what it lives through."""

from __future__ import annotations

import os
import re
import sys
import zipfile

import pytest

from agentflow_kernel.errors import UnknownName
from agentflow_kernel.loading import KINDS, Catalogue
from agentflow_kernel.loading._scan import scan
from agentflow_kernel.settings import Settings

BUDGET = {
    "asyncio", "dataclasses", "enum", "importlib.metadata", "json", "logging", "opentelemetry", "pathlib", "pluggy",
    "pydantic", "re", "structlog", "subprocess", "tomllib", "typing", "yaml",
}  # fmt: skip


def test_entries_carry_what_the_metadata_says(site) -> None:
    """Kind, name, value, distribution, version and place, without an import."""
    location = site.write_toolset("agentflow-good", "good", version="1.2.3")
    (entry,) = site.catalogue().entries()
    assert (entry.kind, entry.name, entry.value) == ("tool", "good", "agentflow_good._plugin")
    assert (entry.distribution, entry.version, entry.location) == ("agentflow-good", "1.2.3", str(location))
    assert entry.admitted
    assert entry.why_not == ""


def test_every_group_has_its_kind(site) -> None:
    """Each of the twelve groups is one kind, in the singular."""
    groups = {group: {f"x-{kind}": "pack.mod:name"} for group, kind in KINDS.items()}
    site.write_distribution("agentflow-all", {}, groups)
    catalogue = site.catalogue()
    assert {entry.kind: entry.name for entry in catalogue.entries()} == {kind: f"x-{kind}" for kind in KINDS.values()}
    assert all(catalogue.names(kind) == (f"x-{kind}",) for kind in KINDS.values())


def test_an_unknown_kind_is_named_with_the_nearest(site) -> None:
    """A slip in a kind is no empty list."""
    with pytest.raises(UnknownName, match="Did you mean 'tool'"):
        site.catalogue().names("tools")


def test_names_are_sorted_and_entries_stable(site) -> None:
    """Not in the order in which the file system lists them."""
    for name in ("c", "a", "b"):
        site.write_toolset(f"agentflow-{name}", name)
    assert site.catalogue().names("tool") == ("a", "b", "c")
    assert [entry.name for entry in site.catalogue().entries("tool")] == ["a", "b", "c"]


@pytest.mark.parametrize("mode", ["", "full"])
def test_the_first_distribution_on_the_path_counts(site, badplugins, tmp_path, monkeypatch, mode) -> None:
    """Of two versions the one that an import would find, whatever its spelling."""
    monkeypatch.setenv("AGENTFLOW_SCAN", mode)
    later = tmp_path / "later"
    badplugins.write_toolset(later, "AgentFlow.Twice", "old", version="1.0")
    site.write_toolset("agentflow-twice", "new", version="2.0")
    offers, broken = scan([str(site.folder), str(later)])
    assert [(offer.name, offer.version) for offer in offers] == [("new", "2.0")]
    assert not broken


def test_a_distribution_without_plugins_hides_its_later_namesake(site, badplugins, tmp_path) -> None:
    """It would be the one that is imported."""
    later = tmp_path / "later"
    badplugins.write_toolset(later, "agentflow-twice", "old")
    info = site.folder / "agentflow_twice-2.0.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_text("[console_scripts]\nx = y:z\n")
    assert scan([str(site.folder), str(later)]) == ([], [])


def test_what_is_no_folder_is_skipped(site, tmp_path) -> None:
    """Archives, files, and folders that do not exist may stand on a path."""
    archive = tmp_path / "archive.zip"
    with zipfile.ZipFile(archive, "w") as stream:
        stream.writestr("a-1.0.dist-info/entry_points.txt", "[agentflow.tools]\na = b\n")
    site.write_toolset("agentflow-good", "good")
    offers, broken = scan([str(archive), str(tmp_path / "absent"), str(site.folder)])
    assert [offer.name for offer in offers] == ["good"]
    assert not broken


def test_what_is_no_path_may_stand_on_the_path(site, monkeypatch) -> None:
    """Imports ignore it, so does the listing."""
    site.write_toolset("agentflow-good", "good")
    monkeypatch.setattr(sys, "path", [b"x", None, "a\x00b", site.folder, *sys.path])
    assert "good" in Catalogue(Settings()).names("tool")


def test_an_empty_path_entry_is_the_working_directory(badplugins, tmp_path, monkeypatch) -> None:
    """As for imports."""
    badplugins.write_toolset(tmp_path, "agentflow-here", "here")
    monkeypatch.chdir(tmp_path)
    assert [offer.name for offer in scan([""])[0]] == ["here"]


def test_the_full_scan_sees_the_same_and_archives_too(site, tmp_path, monkeypatch) -> None:
    """The switch to the standard library's reader changes nothing but its reach."""
    site.write_toolset("agentflow-good", "good", "better")
    fast = scan([str(site.folder)])
    archive = tmp_path / "archive.zip"
    with zipfile.ZipFile(archive, "w") as stream:
        stream.writestr("a-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: a\nVersion: 1.0\n")
        stream.writestr("a-1.0.dist-info/entry_points.txt", "[agentflow.tools]\na = b\n")
    monkeypatch.setenv("AGENTFLOW_SCAN", "full")
    assert scan([str(site.folder)]) == fast
    assert [offer.name for offer in scan([str(archive)])[0]] == ["a"]


@pytest.mark.parametrize("mode", ["", "full"])
@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"[agentflow.tools]\n\xff = a\n", "UTF-8|utf-8"),
        (b"[agentflow.tools]\nno equals sign\n", "line 2"),
        (b"[agentflow.tools]\n= a.b\n", "line 2"),
        (b"[agentflow.tools]\na = os.system('x')\n", "line 2"),
        (b"[agentflow.tools]\na = ../x\n", "line 2"),
        (b"[agentflow.tools]\na = \n", "line 2"),
        (b"[agentflow.tools]\n\x1b[31ma = b\n", "line 2"),
        (b"[agentflow.tools]\na = b:\n", "line 2"),
        (b"[agentflow.tools]\na = b\na = c\n", "twice"),
        (b"[agentflow.tool]\na = b\n", "unknown group 'agentflow.tool'"),
    ],
)
def test_broken_entry_points_break_no_other_distribution(site, monkeypatch, content, problem, mode) -> None:
    """They are kept as a finding with the distribution's name."""
    monkeypatch.setenv("AGENTFLOW_SCAN", mode)
    location = site.write_toolset("agentflow-broken", "broken", version="3.0")
    (location / "entry_points.txt").write_bytes(content)
    site.write_toolset("agentflow-good", "good")
    catalogue = site.catalogue()
    assert "good" in catalogue.names("tool")
    (broken,) = catalogue.broken()
    assert broken.distribution in {"agentflow-broken", str(location)}
    assert re.search(problem, broken.problem)


def test_an_entry_points_file_that_cannot_be_read_is_a_finding(site) -> None:
    """One of unlikely size, or a folder in its place."""
    location = site.write_toolset("agentflow-broken", "broken")
    (location / "entry_points.txt").write_bytes(b"#" * 1_000_001 + b"\n[agentflow.tools]\n")
    (broken,) = site.catalogue().broken()
    assert "larger than 1 MB" in broken.problem
    (location / "entry_points.txt").unlink()
    (location / "entry_points.txt").mkdir()
    (broken,) = site.catalogue().broken()
    assert "cannot be read" in broken.problem


def test_odd_lines_are_understood(site) -> None:
    """Comments, blanks, windows line ends, extras and other groups."""
    location = site.write_toolset("agentflow-odd", "odd")
    text = (
        "# a\r\n; b\r\n\r\n[console_scripts]\r\nx: y\r\n[ agentflow.tools ]\r\n  odd=  pack.mod:Thing.part [extra] \r\n"
    )
    (location / "entry_points.txt").write_bytes(text.encode())
    (entry,) = site.catalogue().entries()
    assert entry.value == "pack.mod:Thing.part"
    assert not site.catalogue().broken()


def test_what_pip_left_behind_is_no_distribution(site) -> None:
    """A folder renamed to `~…` belongs to an uninstall that was interrupted."""
    location = site.write_toolset("agentflow-gone", "gone")
    location.rename(location.with_name("~gentflow_gone-1.0.dist-info"))
    assert site.catalogue().entries() == ()


def test_the_catalogue_is_read_once(site, monkeypatch) -> None:
    """Later questions cost no file system call."""
    site.write_toolset("agentflow-good", "good")
    catalogue = site.catalogue()
    catalogue.names("tool")
    monkeypatch.setattr(os, "listdir", lambda _: pytest.fail("listed again"))
    assert catalogue.names("tool") == ("good",)


def test_the_folders_default_to_the_path(site) -> None:
    """What can be imported is what is listed."""
    site.write_toolset("agentflow-good", "good")
    assert "good" in Catalogue(Settings()).names("tool")


def test_listing_loads_next_to_nothing(site) -> None:
    """Finding settings and listing plugins imports no library and nothing slow of the standard library."""
    site.write_good_plugins()
    loaded = site.run(
        "import sys; before = set(sys.modules)\n"
        "from agentflow_kernel.loading import Catalogue; from agentflow_kernel.settings import Settings\n"
        "names = Catalogue(Settings.find()).names('tool')\n"
        "loaded = sorted(set(sys.modules) - before); import json; print(json.dumps([names, loaded]))"
    )
    names, modules = loaded
    assert len(names) >= 6
    assert not BUDGET & set(modules)
    foreign = [name for name in modules if not name.startswith("agentflow_kernel")]
    assert set(foreign) <= {"__future__", "_thread", "time", "_operator"}
    assert not [name for name in modules if name.startswith("agentflow_good")]
