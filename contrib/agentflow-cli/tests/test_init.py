"""`init plugin` writes a distribution that is typed, linted and found by the kernel, and overwrites nothing."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING

import pytest

from agentflow_cli.scaffold import KINDS, plugin_files
from agentflow_kernel.errors import UsageError
from agentflow_kernel.loading import KINDS as GROUPS

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("kind", KINDS)
def test_every_file_is_whole(kind: str) -> None:
    """No mark of a template is left; Python parses, the project's entry points are those of the kind."""
    found = plugin_files(kind, "my-store")
    assert all("{{" not in text.replace("${{", "") for text in found.values())
    for path, text in found.items():
        if path.endswith(".py"):
            ast.parse(text, path)
            assert all(len(line) <= 120 for line in text.splitlines())
    project = tomllib.loads(found["pyproject.toml"])["project"]
    (group,) = set(project["entry-points"]) - {"agentflow.harnesses"}
    assert GROUPS[group] == kind
    assert project["entry-points"][group] == {"my-store": "agentflow_my_store._plugin"}
    wanted = {f"{kind}.my-store": "agentflow_my_store.testing:MyStoreHarness"}
    assert project["entry-points"]["agentflow.harnesses"] == wanted
    assert {".github/workflows/ci.yml", "README.md", "noxfile.py", "agentflow_my_store/py.typed"} <= set(found)


@pytest.mark.parametrize("name", ["My", "a--b", "-a", "a_b", "1a", "a/../b", ""])
def test_a_name_that_cannot_be_a_package_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be the name of a plugin"):
        plugin_files("tool", name)


def test_nothing_is_overwritten(agentflow, workplace: Path) -> None:
    """Not even where the folder holds another file only; an empty folder is taken."""
    words = ("init", "plugin", "my-store", "--kind", "memory")
    (workplace / "agentflow-my-store").mkdir()
    done = agentflow(*words, "-o", "json")
    assert done.code == 0, done.err
    assert "pyproject.toml" in json.loads(done.out)["files"]
    before = {path: path.read_bytes() for path in workplace.rglob("*") if path.is_file()}
    again = agentflow(*words)
    assert again.code == 2
    assert "is there already and is not empty. Nothing was written" in again.err
    assert {path: path.read_bytes() for path in workplace.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("kind", KINDS)
def test_its_own_tests_pass_where_it_is_installed(kind: str, tmp_path: Path) -> None:
    """The entry points lead to the plugin, and its factory makes what it promises."""
    for path, text in plugin_files(kind, "my-store").items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    info = tmp_path / "agentflow_my_store-0.1.0.dist-info"
    info.mkdir()
    project = tomllib.loads((tmp_path / "pyproject.toml").read_text())["project"]
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: agentflow-my-store\nVersion: 0.1.0\n")
    points = project["entry-points"].items()
    sections = [f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in of.items()) for group, of in points]
    (info / "entry_points.txt").write_text("".join(sections))
    env = {**os.environ, "PYTHONPATH": str(tmp_path), "AGENTFLOW_PLUGINS": "my-store"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout
