from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from agentflow_cli.commands.plugins import KINDS
from agentflow_kernel.loading import KINDS as GROUPS
from agentflow_kernel.loading import record_digest
from agentflow_kernel.loading.certificate import Certificate

if TYPE_CHECKING:
    from pathlib import Path


def test_plugins_lists_kind_name_and_source(agentflow) -> None:
    """Each plugin is a row with its distribution, its version and whether it may be imported."""
    rows = [line.split() for line in agentflow("plugins").out.splitlines()]
    assert rows[0] == ["KIND", "NAME", "DISTRIBUTION", "VERSION", "ADMITTED", "CERTIFIED", "WHY", "NOT"]
    assert ["source", "lines", "agentflow-standin", "1.2.3", "yes"] in rows
    assert ["tool", "cabinet", "agentflow-standin", "1.2.3", "yes"] in rows


def test_plugins_says_why_one_is_not_admitted(agentflow, workplace: Path) -> None:
    """With a list in agentflow.toml, what is not on it is shown with the line that would allow it."""
    (workplace / "agentflow.toml").write_text('[plugins]\ntrust = "listed"\n', encoding="utf-8")
    found = json.loads(agentflow("plugins", "--kind", "source", "-o", "json").out)["plugins"]
    (lines,) = [plugin for plugin in found if plugin["name"] == "lines"]
    assert lines["admitted"] is False
    assert 'agentflow-standin = "==1.2.3"' in lines["why_not"]


def test_plugins_of_one_kind(agentflow) -> None:
    """`--kind` leaves the others out, and says so where none is left."""
    found = json.loads(agentflow("plugins", "--kind", "tool", "-o", "json").out)["plugins"]
    assert {plugin["kind"] for plugin in found} == {"tool"}
    assert agentflow("plugins", "--kind", "sandbox").err == "No plugins of kind sandbox are installed.\n"


def test_plugins_knows_every_kind() -> None:
    """Only harnesses are left out: they serve the conformance kit."""
    assert set(KINDS) == set(GROUPS.values()) - {"harness"}


def test_plugins_shows_a_certificate_until_the_files_change(agentflow, tmp_path: Path, plugins: Path) -> None:
    """It holds for the kinds and names that were tested, and for the hash they had."""
    site, state = tmp_path / "site", tmp_path / "state"
    shutil.copytree(plugins, site)
    (site / "agentflow_standin-1.2.3.dist-info" / "RECORD").write_text("standin_plugin.py,,\n", encoding="utf-8")
    digest = record_digest(str(site / "agentflow_standin-1.2.3.dist-info"))
    tested = {"tool.cabinet": {"TOOL-01": "passed"}}
    made = Certificate("agentflow-standin", "1.2.3", digest, kit="0.1.0", at="2026-11-21T12:00:00Z", harnesses=tested)
    made.keep(str(state))
    words = ("plugins", "--state", str(state))
    rows = [line.split() for line in agentflow(*words, PYTHONPATH=str(site)).out.splitlines()]
    assert ["tool", "cabinet", "agentflow-standin", "1.2.3", "yes", "2026-11-21"] in rows
    assert ["source", "lines", "agentflow-standin", "1.2.3", "yes"] in rows
    record = "standin_plugin.py,sha256=AAAA,3\n"
    (site / "agentflow_standin-1.2.3.dist-info" / "RECORD").write_text(record, encoding="utf-8")
    rows = [line.split() for line in agentflow(*words, PYTHONPATH=str(site)).out.splitlines()]
    assert ["tool", "cabinet", "agentflow-standin", "1.2.3", "yes", "void"] in rows
    found = json.loads(agentflow(*words, "--kind", "tool", "-o", "json", PYTHONPATH=str(site)).out)["plugins"][0]
    assert found["certificate"]["void"].startswith("standin_plugin.py is not the file that its RECORD lists")


def test_plugins_tells_of_broken_metadata(agentflow, tmp_path: Path, plugins: Path) -> None:
    """A distribution whose metadata cannot be read is named; the others are listed."""
    info = tmp_path / "agentflow_broken-0.9.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_text("[agentflow.tools]\nno entry point\n", encoding="utf-8")
    answer = agentflow("plugins", PYTHONPATH=f"{plugins}:{tmp_path}")
    assert answer.code == 0
    assert "cabinet" in answer.out
    assert answer.err.startswith("note: agentflow-broken 0.9: entry_points.txt line 2: ")


def test_tools_lists_toolsets(agentflow) -> None:
    """Toolsets are known from metadata."""
    rows = [line.split() for line in agentflow("tools").out.splitlines()]
    assert ["cabinet", "agentflow-standin", "1.2.3", "yes"] in rows
    assert {"cabinet"} <= {toolset["name"] for toolset in json.loads(agentflow("tools", "-o", "json").out)["toolsets"]}


def test_tools_of_one_toolset_are_shown_with_their_parameters(agentflow) -> None:
    """The toolset is made with the settings given, and says what it offers; text of others is harmless."""
    answer = agentflow("tools", "cabinet", "--with", "root=here")
    assert answer.code == 0
    assert "\x1b" not in answer.out
    _, first, second = answer.out.splitlines()
    assert first.split(maxsplit=5) == [
        "cabinet.open",
        "pure",
        "path:",
        "string,",
        "limit?:",
        "integer  Open a drawer of here.",
    ]
    assert second.split()[:2] == ["cabinet.burn", "effect"]


def test_tools_of_one_toolset_are_a_document(agentflow) -> None:
    """Programs get the JSON Schema of each tool's parameters."""
    found = json.loads(agentflow("tools", "cabinet", "--with", '{"root": "here"}', "-o", "json").out)
    assert [tool["name"] for tool in found["tools"]] == ["cabinet.open", "cabinet.burn"]
    assert found["tools"][0]["parameters"]["required"] == ["path"]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["cabinet"], "at /root: is missing. Settings are given as --with key=value."),
        (["cabinet", "--with", "rot=x"], "Did you mean 'root'?"),
        (["cabinet", "--with", "root"], "--with 'root': Expected a JSON object"),
        (["cabinetz"], "Did you mean 'cabinet'? To add it: pip install agentflow-cabinetz"),
        (["--with", "root=x"], "--with needs the NAME of a toolset."),
    ],
)
def test_tools_asked_for_wrongly_end_with_2(agentflow, arguments: list[str], problem: str) -> None:
    """The error says how settings are given, and which names there are."""
    answer = agentflow("tools", *arguments)
    assert (answer.code, answer.out) == (2, "")
    assert problem in answer.err
