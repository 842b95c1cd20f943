"""Installed is not trusted: what the allow-list and AGENTFLOW_PLUGINS let through."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path  # noqa: TC003

import pytest

from agentflow_kernel.errors import NotAllowed, UsageError
from agentflow_kernel.loading import Plugins, record_digest
from agentflow_kernel.settings import PluginRule, Settings

FILE = "agentflow.toml"


def listed(**rules: str | PluginRule) -> Settings:
    """Settings that list distributions `agentflow-<name>`."""
    allow = {f"agentflow-{name}": PluginRule(rule) if isinstance(rule, str) else rule for name, rule in rules.items()}
    return Settings(file=FILE, trust="listed", plugins=allow)


def why(site, settings: Settings) -> str:
    """Why the one installed plugin is not admitted."""
    (entry,) = site.catalogue(settings).entries()
    assert entry.admitted == (not entry.why_not)
    return entry.why_not


def test_without_a_list_everything_installed_is_admitted(site) -> None:
    """The default trust is `installed`."""
    site.write_toolset("agentflow-good", "good")
    assert why(site, Settings()) == ""


def test_with_a_list_only_what_it_names_is_admitted(site) -> None:
    """The others are listed, not imported, and come with the line that would admit them."""
    site.write_toolset("agentflow-good", "good", version="1.2.0")
    settings = listed(other="*")
    assert why(site, settings) == (
        'it is not listed. To allow it, add agentflow-good = "==1.2.0" under [plugins.allow] in agentflow.toml.'
    )
    with pytest.raises(NotAllowed, match=r'add agentflow-good = "==1\.2\.0" under'):
        site.plugins(settings).spec("tool", "good")
    assert "agentflow_good" not in sys.modules
    assert why(site, listed(good="==1.2.0")) == ""


def test_the_version_must_be_in_the_range(site) -> None:
    """The message shows both."""
    site.write_toolset("agentflow-good", "good", version="2.0")
    assert 'version 2.0 is not in "<2", the range of agentflow-good' in why(site, listed(good="<2"))


def test_a_range_that_is_none_is_a_usage_error(site) -> None:
    """It names file and key."""
    with pytest.raises(UsageError, match=r"agentflow\.toml: plugins\.allow\.agentflow-good: .*no version clause"):
        site.catalogue(listed(good="latest"))


@pytest.mark.parametrize(
    ("origin", "refused"),
    [
        ({"url": "file:.", "dir_info": {"editable": True}}, True),
        ({"url": "file:.", "dir_info": {"editable": False}}, False),
        ({"url": "file:.", "dir_info": {}}, False),
        ({"url": "https://example.org/a.whl", "archive_info": {}}, False),
        ({"dir_info": "editable"}, True),
        ([], False),
    ],
)
def test_an_editable_install_cannot_be_listed(site, origin, refused) -> None:
    """What its files are today says nothing about tomorrow; under `installed` it may be used."""
    location = site.write_toolset("agentflow-good", "good")
    (location / "direct_url.json").write_text(json.dumps(origin))
    assert ("editable" in why(site, listed(good="*"))) == refused
    assert why(site, Settings()) == ""


def test_an_origin_that_cannot_be_read_counts_as_editable(site) -> None:
    """In doubt the answer is no."""
    location = site.write_toolset("agentflow-good", "good")
    (location / "direct_url.json").mkdir()
    assert "editable" in why(site, listed(good="*"))


def test_a_pinned_plugin_is_admitted_by_its_hash(site) -> None:
    """The hash in the list is the one that is computed, and the files are those it covers."""
    location = site.write_toolset("agentflow-good", "good")
    settings = listed(good=PluginRule("*", record_digest(str(location))))
    assert why(site, settings) == ""
    assert site.plugins(settings).spec("tool", "good").name == "good"


def test_the_hash_is_that_of_the_sorted_lines_of_the_record(site) -> None:
    """Anybody can compute it again, with `sort` and `sha256sum`; RECORD's own line has no hash and is left out."""
    location = site.write_toolset("agentflow-good", "good")
    lines = [line for line in (location / "RECORD").read_text().splitlines() if "RECORD" not in line]
    assert len(lines) == 5
    expected = hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()
    assert record_digest(str(location)) == f"sha256:{expected}"


def test_another_release_has_another_hash(site) -> None:
    """Both are shown, the one found and the one written."""
    location = site.write_toolset("agentflow-good", "good")
    settings = listed(good=PluginRule("*", "sha256:" + "0" * 64))
    refusal = why(site, settings)
    assert f'its hash is "{record_digest(str(location))}"' in refusal
    assert f'but "sha256:{"0" * 64}" is the one of agentflow-good' in refusal


def test_the_hash_does_not_depend_on_the_installer(site) -> None:
    """Order, scripts, bytecode and the installer's notes are left out."""
    location = site.write_toolset("agentflow-good", "good")
    before = record_digest(str(location))
    record = location / "RECORD"
    name = location.name
    lines = record.read_text().splitlines()[::-1]
    lines += [
        "../../../bin/good,sha256=AAAA,10",
        f"{name}/INSTALLER,sha256=BBBB,4",
        f"{name}/direct_url.json,sha256=CCCC,4",
        "agentflow_good/__pycache__/x.cpython-311.pyc,,",
    ]
    record.write_bytes("\r\n".join(lines).encode())
    assert record_digest(str(location)) == before
    record.write_text(
        record.read_text().replace("agentflow_good/_plugin.py,sha256=", "agentflow_good/_plugin.py,sha256=x")
    )
    assert record_digest(str(location)) != before


@pytest.mark.parametrize("record", [None, b"\xff", b"one,two\n", b'"\n'])
def test_a_pinned_plugin_without_a_sound_record_is_not_admitted(site, record) -> None:
    """There is nothing to compare."""
    location = site.write_toolset("agentflow-good", "good")
    (location / "RECORD").unlink()
    if record is not None:
        (location / "RECORD").write_bytes(record)
    assert "RECORD" in why(site, listed(good=PluginRule("*", "sha256:" + "0" * 64)))


@pytest.fixture
def pinned(site):
    """An installed plugin with its settings, and the folder of its package."""
    location = site.write_toolset("agentflow-good", "good")
    return site, listed(good=PluginRule("*", record_digest(str(location)))), site.folder / "agentflow_good"


def refused(site, settings) -> str:
    with pytest.raises(NotAllowed) as caught:
        site.plugins(settings).spec("tool", "good")
    assert "agentflow_good" not in sys.modules
    return str(caught.value)


def test_a_changed_file_is_noticed_before_the_import(pinned) -> None:
    """Any file of the distribution, not only the one imported first."""
    site, settings, package = pinned
    (package / "objects.py").write_text("raise SystemExit")
    assert "agentflow_good/objects.py is not the file that its hash covers" in refused(site, settings)


def test_a_missing_file_is_noticed(pinned) -> None:
    """Its place could be taken by another."""
    site, settings, package = pinned
    (package / "objects.py").unlink()
    assert "agentflow_good/objects.py is not the file" in refused(site, settings)


def test_a_namesake_earlier_on_the_path_is_noticed(pinned, tmp_path, monkeypatch) -> None:
    """The files are right, but an import would find others."""
    site, settings, _ = pinned
    (tmp_path / "shadow" / "agentflow_good").mkdir(parents=True)
    (tmp_path / "shadow" / "agentflow_good" / "__init__.py").write_text("raise SystemExit")
    monkeypatch.syspath_prepend(tmp_path / "shadow")
    assert "would be imported from elsewhere" in refused(site, settings)


def test_an_entry_that_points_outside_its_distribution_is_noticed(site) -> None:
    """A hash covers only what it covers."""
    location = site.write_distribution("agentflow-good", {}, {"agentflow.tools": {"good": "os"}})
    settings = listed(good=PluginRule("*", record_digest(str(location))))
    assert "would be imported from elsewhere" in refused(site, settings)


@pytest.mark.parametrize("weak", ["md5=AAAA", "sha1=AAAA", "sha256=AAAA"])
def test_a_record_with_weak_or_wrong_hashes_proves_nothing(site, weak) -> None:
    """Its own hash may be right, its lines must be too."""
    location = site.write_toolset("agentflow-good", "good")
    record = location / "RECORD"
    record.write_text(f"agentflow_good/objects.py,{weak},1\n" + record.read_text())
    settings = listed(good=PluginRule("*", record_digest(str(location))))
    assert "agentflow_good/objects.py is not the file" in refused(site, settings)


@pytest.mark.parametrize(
    ("limit", "names"),
    [
        ("agentflow-a", ("a",)),
        ("a, B", ("a", "b")),
        ("agentflow_A", ("a",)),
        ("", ()),
        ("none", ()),
    ],
)
def test_the_environment_narrows_what_is_admitted(site, monkeypatch, limit, names) -> None:
    """Distributions by name, in any spelling; an empty list admits nothing."""
    site.write_toolset("agentflow-a", "a")
    site.write_toolset("agentflow-b", "b")
    monkeypatch.setenv("AGENTFLOW_PLUGINS", limit)
    entries = site.catalogue().entries("tool")
    assert tuple(entry.name for entry in entries if entry.admitted) == names
    assert all("AGENTFLOW_PLUGINS" in entry.why_not for entry in entries if not entry.admitted)
    assert site.catalogue().names("tool") == ("a", "b")


def test_the_environment_cannot_widen_the_list(site, monkeypatch) -> None:
    """Both must agree."""
    site.write_toolset("agentflow-a", "a")
    monkeypatch.setenv("AGENTFLOW_PLUGINS", "a")
    assert "not listed" in why(site, listed())


def test_a_list_costs_no_import_of_a_plugin(site) -> None:
    """Admission is decided on metadata, hashes included."""
    location = site.write_toolset("agentflow-good", "good")
    settings = listed(good=PluginRule("~=1.0", record_digest(str(location))))
    assert Plugins(site.catalogue(settings)).catalogue.names("tool") == ("good",)
    assert "agentflow_good" not in sys.modules


def test_nothing_of_a_plugin_that_is_not_listed_is_ever_executed(site, tmp_path: Path) -> None:
    """Proved by audit events of the interpreter, whatever is asked: listing, naming it, the doctor."""
    site.write_toolset("agentflow-listed", "listed")
    site.write_toolset("agentflow-shut", "shut")
    (tmp_path / "agentflow.toml").write_text('[plugins.allow]\nagentflow-listed = "*"\n')
    seen = site.run(
        "import sys, json\n"
        "seen = []\n"
        "sys.addaudithook(lambda event, args: seen.append(repr(args))"
        " if event in {'import', 'open', 'exec', 'compile', 'subprocess.Popen'} else None)\n"
        "from agentflow_kernel.errors import NotAllowed\n"
        "from agentflow_kernel.loading import Catalogue, Plugins\n"
        "from agentflow_kernel.loading.doctor import examine\n"
        "from agentflow_kernel.settings import Settings\n"
        "catalogue = Catalogue(Settings.find())\n"
        "plugins = Plugins(catalogue)\n"
        "plugins.spec('tool', 'listed')\n"
        "for ask in (plugins.spec, plugins.load):\n"
        "    try:\n"
        "        ask('tool', 'shut')\n"
        "    except NotAllowed:\n"
        "        continue\n"
        "    sys.exit('it was admitted')\n"
        "examine([entry for entry in catalogue.entries('tool') if entry.name == 'shut'])\n"
        "print(json.dumps([text for text in seen if 'dist-info' not in text]))",
        AGENTFLOW_CONFIG=str(tmp_path / "agentflow.toml"),
    )
    assert any("agentflow_listed" in text for text in seen)
    assert not [text for text in seen if "agentflow_shut" in text]
