"""The first plugin of the README, as its reader has it: the code as it stands there, found by its entry point."""

from __future__ import annotations

import os
import re
import sys
import tomllib
from typing import TYPE_CHECKING

sys.path.insert(0, os.path.dirname(__file__))

from program import ROOT, agentflow, environment

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST = """
apiVersion: agentflow.dev/v1
kind: Tool
metadata: {name: dice}
spec: {plugin: dice}
---
apiVersion: agentflow.dev/v1
kind: Flow
metadata: {name: throw}
spec:
  nodes:
    throw: {tool: dice.throw, input: {}}
"""


def test_the_first_plugin_is_listed_shown_and_run(tmp_path: Path) -> None:
    """`plugins` lists it, `tools dice` shows its tool, a manifest that names it runs it."""
    site = tmp_path / "site"
    blocks = dict(re.findall(r"```\w+ file=(\S+)\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL))
    module = site / "agentflow_dice" / "__init__.py"
    module.parent.mkdir(parents=True)
    module.write_text(blocks["agentflow_dice/__init__.py"])
    project = tomllib.loads(blocks["pyproject.toml"])["project"]
    info = site / f"agentflow_dice-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    lines = [
        f"[{group}]\n{name} = {value}\n"
        for group, names in project["entry-points"].items()
        for name, value in names.items()
    ]
    (info / "entry_points.txt").write_text("".join(lines))
    env = environment(PYTHONPATH=str(site))
    assert "dice" in agentflow("plugins", env=env).out
    shown = agentflow("tools", "dice", env=env)
    assert "dice.throw" in shown.out, shown.err
    (tmp_path / "throw.yaml").write_text(MANIFEST)
    words = ["run", str(tmp_path / "throw.yaml"), "flow/throw", "--state", str(tmp_path / "state"), "--no-progress"]
    result = agentflow(*words, env=env)
    assert result.code == 0, result.err
    assert result.out.strip() in set("123456")
