"""The hook reference is what the docstrings say, and every setting has its place in the reference."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from agentflow_kernel import settings

ROOT = Path(__file__).parents[2]


def test_the_hook_reference_is_current() -> None:
    """Renewed by `python tests/docs/hooks_page.py > docs/reference/hooks.md`."""
    command = [sys.executable, str(ROOT / "tests" / "docs" / "hooks_page.py")]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=50).stdout
    assert (ROOT / "docs" / "reference" / "hooks.md").read_text(encoding="utf-8") == printed


def test_every_setting_and_variable_of_the_settings_is_documented() -> None:
    """A key that `agentflow.toml` may have, or a variable that the settings read, stands in the reference."""
    page = (ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
    source = Path(settings.__file__).read_text(encoding="utf-8")
    known = dict(re.findall(r"^ {8}(\w+)\.only\((.+)\)$", source, re.MULTILINE))
    tables = re.findall(r'"(\w+)"', known.pop("document"))
    assert "plugins" in tables
    known["runs"] = "".join(f'"{name}"' for name in settings._RUNS)  # named by a table of their own
    keys = [f"{table}.{key}" for table in tables for key in re.findall(r'"(\w+)"', known[table])]
    variables = re.findall(r'"(AGENTFLOW_\w+)"', source)
    missing = [name for name in (*keys, *variables) if f"`{name}" not in page]
    assert not missing, missing
