"""`certify` runs the kit against what is installed, believes no one but its own witness, and keeps what holds."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

from agentflow_kernel.errors import NotAllowed, UsageError
from agentflow_kernel.loading import Catalogue
from agentflow_kernel.loading.certificate import Certificate
from agentflow_kernel.settings import PluginRule, Settings
from agentflow_specs.certification import Report, certify
from agentflow_specs.command import certify_command

pytestmark = pytest.mark.timeout(600)

HARNESS = """
from contextlib import asynccontextmanager
import os, time
import pytest
from agentflow_kernel.testing import InProcessJournal, InProcessJournalHarness

class Base(InProcessJournalHarness):
    event_loops = ("asyncio",)

    @asynccontextmanager
    async def open(self):
        self.before()
        yield InProcessJournal()

class Sound(Base):
    def before(self):
        pass

class Skips(Base):
    def before(self):
        pytest.skip("not today")

class Excuses(Base):
    def before(self):
        pytest.xfail("known")

class Crashes(Base):
    def before(self):
        os.abort()

class Leaves(Base):
    def before(self):
        os._exit(0)

class Hangs(Base):
    def before(self):
        time.sleep(600)

class ClosedOnce(InProcessJournal):
    async def aclose(self):
        self._open()
        await super().aclose()

class Deviates(Sound):
    known_deviations = {"JOURNAL-70": "closed once", "JOURNAL-74": "nothing leaks any more"}

    @asynccontextmanager
    async def open(self):
        yield ClosedOnce()

class Nowhere(Sound):
    event_loops = ()
"""

PLUGIN = """
from agentflow_kernel.contracts.plugin import JournalSpec
from agentflow_kernel.hookspecs import hookimpl

@hookimpl
def agentflow_journals():
    return [JournalSpec("mine", "agentflow_NAME:create", summary="Keeps it.")]

def create(settings, context):
    return None
"""
METADATA = """Metadata-Version: 2.4
Name: agentflow-NAME
Version: 1.0
Summary: A journal
Requires-Python: >=3.11
License-Expression: Apache-2.0
Author: Its authors
Requires-Dist: agentflow-kernel>=0.1,<0.2
"""


class Site:
    """A folder in which distributions are installed as an installer would leave them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def install(self, name: str, harness: str = "", *, key: str = "journal.mine", plugin: str = "") -> Path:
        """Install `agentflow-<name>` with a harness, or a plugin of this source, or both; its metadata folder."""
        package = f"agentflow_{name}"
        info = f"{package}-1.0.dist-info"
        entries = f"[agentflow.journals]\nmine = {package}\n" if plugin else ""
        entries += f"[agentflow.harnesses]\n{key} = {package}.testing:{harness}\n" if harness else ""
        files = {
            f"{package}/__init__.py": plugin.replace("NAME", name),
            f"{package}/testing.py": HARNESS,
            f"{package}/py.typed": "",
            f"{info}/METADATA": METADATA.replace("NAME", name),
            f"{info}/entry_points.txt": entries,
        }
        lines = []
        for path, text in files.items():
            (self.folder / path).parent.mkdir(exist_ok=True)
            (self.folder / path).write_text(text, encoding="utf-8")
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
            lines.append(f"{path},sha256={digest},{len(text)}")
        (self.folder / info / "RECORD").write_text("\n".join([*lines, f"{info}/RECORD,,", ""]), encoding="utf-8")
        return self.folder / info

    def catalogue(self, settings: Settings | None = None) -> Catalogue:
        return Catalogue(settings or Settings(), [str(self.folder)])

    def certify(self, name: str, timeout_s: float = 30) -> Report:
        return certify(self.catalogue(), f"agentflow-{name}", test_timeout_s=timeout_s)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """An empty folder that children of the test have on their path."""
    monkeypatch.delenv("AGENTFLOW_PLUGINS", raising=False)
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return Site(folder)


def results(report: Report) -> dict[str, str]:
    return {one.id: one.result for one in report.harnesses[-1].requirements}


def test_a_sound_plugin_is_certified_until_a_file_changes(site: Site, tmp_path: Path) -> None:
    """The certificate names what was tested; another byte in any file makes it void."""
    info = site.install("sound", "Sound", plugin=PLUGIN)
    report = site.certify("sound")
    assert report.certified, report
    assert [harness.name for harness in report.harnesses] == ["plugin.agentflow-sound", "journal.mine"]
    assert set(results(report).values()) == {"passed", "unsupported"}
    assert results(report)["JOURNAL-80"] == "unsupported"
    kept = report.keep(str(tmp_path / "state"))
    assert kept == str(tmp_path / "state" / "certificates" / "agentflow-sound.json")
    found = Certificate.find(str(tmp_path / "state"), "Agentflow_Sound")
    (plugin,) = site.catalogue().entries("journal")
    assert found is not None
    assert found.covers(plugin)
    assert not found.void_because(plugin)
    (info.parent / "agentflow_sound" / "__init__.py").write_text("CHANGED = True\n")
    assert found.void_because(plugin).startswith("agentflow_sound/__init__.py is not the file that its RECORD lists")
    site.install("sound", "Skips", plugin=PLUGIN)
    assert f'the one that was tested is "{found.digest}"' in found.void_because(plugin)


@pytest.mark.parametrize("harness", ["Skips", "Excuses"])
def test_nothing_can_be_skipped_or_excused(site: Site, harness: str) -> None:
    """What the plugin under test leaves out has failed, also what was expected to be unsupported."""
    site.install("evasive", harness)
    report = site.certify("evasive")
    assert not report.certified
    assert set(results(report).values()) == {"failed"}
    detail = report.harnesses[0].requirements[0].detail
    assert detail.startswith("A requirement cannot be skipped or excused by the plugin under test: ")


@pytest.mark.parametrize(
    ("harness", "problem"),
    [
        ("Crashes", r"crashed the interpreter in JOURNAL-\d\d \(.+\) \(SIGABRT\)"),
        ("Leaves", r"ended the interpreter in JOURNAL-\d\d \(.+\) with status 0"),
        ("Hangs", r"hangs in JOURNAL-\d\d \(.+\) and was stopped"),
        ("Nowhere", r"cannot be tested: .* its event_loops are \[\]; name one or both of asyncio, trio\."),
        ("Absent", r"cannot be tested: .* module agentflow_fatal.testing has no 'Absent'"),
    ],
)
def test_a_plugin_that_takes_the_interpreter_with_it_is_named_with_the_place(
    site: Site, harness: str, problem: str
) -> None:
    """Only the child ends; what did not run counts as open."""
    site.install("fatal", harness)
    report = site.certify("fatal", timeout_s=6)
    assert not report.certified
    (found,) = report.harnesses
    assert re.search(problem, found.problem), found.problem
    assert set(results(report).values()) <= {"failed", "not run"}


def test_a_plugin_without_a_harness_is_tested_as_a_distribution(site: Site) -> None:
    """A SHOULD that is open keeps nobody from a certificate; a MUST does."""
    site.install("bare", plugin=PLUGIN)
    report = site.certify("bare")
    assert report.certified, report
    assert [harness.name for harness in report.harnesses] == ["plugin.agentflow-bare"]
    assert {name for name, result in results(report).items() if result == "failed"} == {"PLUGIN-03", "PLUGIN-32"}
    assert {name for name, result in results(report).items() if result == "unsupported"} == {"PLUGIN-30", "PLUGIN-31"}
    site.install("loud", plugin=PLUGIN + "import os\nos.environ['LOUD'] = '1'\n")
    report = site.certify("loud")
    assert not report.certified
    assert [one.id for one in report.harnesses[0].requirements if one.counts_against] == ["PLUGIN-05", "PLUGIN-14"]


def test_a_must_that_is_a_known_deviation_is_open(site: Site) -> None:
    """A SHOULD may deviate for a reason; a deviation that is not there any more has failed."""
    site.install("odd", "Deviates")
    report = site.certify("odd")
    found = results(report)
    assert (found["JOURNAL-70"], found["JOURNAL-74"]) == ("deviates", "failed")
    assert {one.id for one in report.harnesses[0].requirements if one.counts_against} == {"JOURNAL-70", "JOURNAL-74"}
    assert not report.certified


def test_what_lies_around_has_no_say(site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither a conftest nor options of the environment nor a pytest plugin that the distribution brings."""
    info = site.install("sly", "Crashes")
    (info / "entry_points.txt").write_text(
        (info / "entry_points.txt").read_text() + "[pytest11]\nsly = agentflow_sly.hook\n"
    )
    (site.folder / "agentflow_sly" / "hook.py").write_text(
        "def pytest_collection_modifyitems(items):\n    items.clear()\n"
    )
    (tmp_path / "conftest.py").write_text("def pytest_collection_modifyitems(items):\n    items.clear()\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTEST_ADDOPTS", "--collect-only")
    report = site.certify("sly")
    assert "SIGABRT" in report.harnesses[0].problem


def test_what_cannot_be_certified_is_said(site: Site) -> None:
    site.install("bus", "Sound", key="sandbox.mine")
    with pytest.raises(UsageError, match="No installed distribution 'agentflow-none' offers a plugin"):
        site.certify("none")
    (found,) = site.certify("bus").harnesses
    assert found.problem.startswith("cannot be tested: the kit has no suite for the kind 'sandbox', only for ")
    assert not found.certified


def test_what_is_not_admitted_is_not_examined(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list of `agentflow.toml` counts for harnesses, too; nothing is imported."""
    monkeypatch.setattr("agentflow_specs.certification.examine", lambda *_, **__: pytest.fail("was imported"))
    site.install("shut", "Sound")
    with pytest.raises(NotAllowed, match="it is not listed"):
        certify(site.catalogue(Settings(trust="listed")), "agentflow-shut", test_timeout_s=1)
    pinned = Settings(trust="listed", plugins={"agentflow-shut": PluginRule("*", "sha256:" + "0" * 64)})
    with pytest.raises(NotAllowed, match=r'its hash is "sha256:[0-9a-f]{64}", but "sha256:0{64}" is the one'):
        certify(site.catalogue(pinned), "agentflow-shut", test_timeout_s=1)


class Line:
    """What a command line with these options says."""

    def __init__(self, folder: Path, output: str) -> None:
        self.folder = folder
        self.output = output

    def settings(self) -> Settings:
        return Settings()

    def state_folder(self, settings: Settings) -> str:
        return str(self.folder)


@pytest.fixture
def failing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command finds one distribution, whose plugin crashes."""
    site.install("fatal", "Crashes")
    catalogue = site.catalogue()
    monkeypatch.setattr("agentflow_specs.command.Catalogue", lambda settings: catalogue)


@pytest.mark.usefixtures("failing")
@pytest.mark.parametrize("form", ["table", "json", "yaml"])
def test_the_command_ends_with_1_and_reports_in_every_form(tmp_path: Path, form: str) -> None:
    """An older certificate of the distribution is gone; the JUnit file has a failure for each open MUST."""
    Certificate("agentflow-fatal", "0.9", "sha256:", kit="0.1", at="2026-11-21T12:00:00Z", harnesses={}).keep(
        str(tmp_path)
    )
    junit = tmp_path / "junit.xml"
    words = ["agentflow-fatal", "--junit", str(junit)]
    done = CliRunner().invoke(certify_command, words, obj=Line(tmp_path, form), standalone_mode=False)
    assert done.return_value == 1, done.output
    assert "agentflow-fatal 1.0 is not certified." in done.stderr
    assert Certificate.find(str(tmp_path), "agentflow-fatal") is None
    if form == "json":
        document = json.loads(done.stdout)
        assert document["certified"] is False
        assert document["certificate"] is None
        assert document["harnesses"][0]["requirements"][0]["id"] == "JOURNAL-01"
    else:
        assert "JOURNAL-01" in done.stdout
    (suite,) = ET.parse(junit).getroot().iter("testsuite")
    assert int(suite.get("failures", 0)) > 40
    assert suite.get("errors") == "1"


def test_the_readme_names_every_option_of_the_command() -> None:
    text = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    for parameter in certify_command.params:
        for name in parameter.opts:
            assert f"`{name}" in text or f" {name.upper()}`" in text, name
