"""What `agentflow.toml` does not list is never imported, whichever command runs: heard by the interpreter itself."""

from __future__ import annotations

import importlib.util
import os
import sys
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from program import ROOT, agentflow, environment

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(120)
WRITER = ROOT / "tests" / "kernel" / "loading" / "badplugins.py"
EAR = """
import os, sys

def hear(event, arguments):
    if event in {"import", "open", "exec", "compile", "os.listdir", "os.scandir"}:
        text = repr(arguments)
        if ("agentflow_shut" in text or "agentflow_good_" in text) and "dist-info" not in text:
            line = os.open(os.environ["HEARD"], os.O_WRONLY | os.O_APPEND)
            os.write(line, (event + " " + text[:200] + "\\n").encode())
            os.close(line)

sys.addaudithook(hear)
"""
"""Stands in sitecustomize.py, so that every interpreter of the test listens before anything else is imported."""
MANIFEST = """
apiVersion: agentflow.dev/v1
kind: Tool
metadata: {name: mine}
spec: {plugin: good-0}
---
apiVersion: agentflow.dev/v1
kind: Flow
metadata: {name: nothing}
spec:
  nodes:
    say: {tool: mine.say, input: {}}
"""
SHUT = "agentflow_shut._plugin"
GROUPS = ("providers", "tools", "memories", "planners", "policies", "journals", "sources", "buses", "resources")
COMMANDS = [
    ["--help"],
    ["version"],
    ["plugins"],
    ["tools"],
    ["tools", "good-0"],
    ["tools", "shut"],
    ["doctor", "--timeout", "20"],
    ["lock", "--check"],
    ["certify", "agentflow-shut"],
    ["shut-command"],
    ["validate", "flow.yaml"],
    ["run", "flow.yaml", "--no-progress"],
    ["get", "runs"],
    ["resume", "--all"],
]


class Quarantine:
    """An environment with a listed plugin, another one, and one that is not listed and offers everything."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        spec = importlib.util.spec_from_file_location("badplugins", WRITER)
        assert spec is not None
        assert spec.loader is not None
        writer = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(writer)
        site = folder / "site"
        writer.write_good_plugins(site, 2)
        files = {"agentflow_shut/__init__.py": "", "agentflow_shut/_plugin.py": "raise SystemExit('it was imported')\n"}
        groups = {f"agentflow.{group}": {"shut": SHUT} for group in GROUPS}
        groups |= {"agentflow.commands": {"shut-command": f"{SHUT}:go"}}
        groups |= {"agentflow.harnesses": {"tool.shut": f"{SHUT}:Harness"}}
        writer.write_distribution(site, "agentflow-shut", files, groups)
        (site / "sitecustomize.py").write_text(EAR)
        (folder / "agentflow.toml").write_text(
            '[plugins.allow]\nagentflow-good-0 = "==1.0"\nagentflow-good-1 = "~=1.0"\n'
        )
        (folder / "flow.yaml").write_text(MANIFEST)
        self.heard = folder / "heard.txt"
        self.env = environment(
            PYTHONPATH=str(site), HEARD=str(self.heard), AGENTFLOW_CONFIG=str(folder / "agentflow.toml")
        )

    def run(self, *words: str) -> str:
        """What the interpreters of one command touched of the three plugins."""
        self.heard.write_text("")
        agentflow(*words, "--state", str(self.folder / "state"), env=self.env, cwd=self.folder)
        return self.heard.read_text()


@pytest.fixture(scope="module")
def quarantine(tmp_path_factory: pytest.TempPathFactory) -> Quarantine:
    """The environment, built once."""
    return Quarantine(tmp_path_factory.mktemp("quarantine"))


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_no_command_touches_what_is_not_listed(quarantine: Quarantine, words: list[str]) -> None:
    """No import, no file of it opened, none of its code compiled, though it offers all kinds and a command."""
    assert "agentflow_shut" not in quarantine.run(*words)


def test_a_command_imports_what_it_needs_and_no_other_listed_plugin(quarantine: Quarantine) -> None:
    """The ear hears: of two listed plugins the manifest names one."""
    heard = quarantine.run("validate", "flow.yaml")
    assert "agentflow_good_0" in heard
    assert "agentflow_good_1" not in heard
    assert quarantine.run("plugins") == ""
