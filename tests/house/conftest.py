"""The tree as the rules see it: distributions, their files, and what ought to be true of each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
NOT_OURS = {"__pycache__", "build", "dist", "node_modules"}


@dataclass(frozen=True)
class Distribution:
    """One distribution of the workspace."""

    folder: Path
    table: dict[str, Any] = field(repr=False, compare=False)

    @property
    def name(self) -> str:
        return self.table["project"]["name"]

    @property
    def package(self) -> str:
        return self.name.replace("-", "_")

    @property
    def source(self) -> Path:
        return self.folder / self.package

    @property
    def modules(self) -> list[str]:
        """The dotted name of every module that can be imported without running something."""
        names = []
        for path in sorted(self.source.rglob("*.py")):
            parts = path.relative_to(self.folder).with_suffix("").parts
            if parts[-1] != "__main__":
                names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
        return names

    @property
    def entry_points(self) -> list[tuple[str, str, str]]:
        """Group, name and value of each entry point that is a plugin of ours."""
        groups = self.table["project"].get("entry-points", {})
        return [
            (group, name, value)
            for group, entries in groups.items()
            if group.startswith("agentflow.")
            for name, value in entries.items()
        ]


class Tree:
    """The checkout."""

    root = ROOT

    @cached_property
    def dists(self) -> list[Distribution]:
        """Every distribution, the kernel first."""
        kernel = _read(ROOT)
        patterns = kernel.table["tool"]["uv"]["workspace"]["members"]
        folders = sorted(path.parent for pattern in patterns for path in ROOT.glob(f"{pattern}/pyproject.toml"))
        return [kernel, *map(_read, folders)]

    @cached_property
    def files(self) -> list[Path]:
        """Every file that is not made by a tool."""
        found = []
        for folder, subfolders, names in os.walk(ROOT):
            subfolders[:] = [name for name in subfolders if not _is_foreign(name)]
            # a work tree of git has a file .git that says where its repository lies
            found += [Path(folder, name) for name in names if not name.endswith((".pyc", ".so")) and name != ".git"]
        return sorted(found)

    @property
    def python_files(self) -> list[Path]:
        return [path for path in self.files if path.suffix == ".py"]

    def relative(self, path: Path) -> str:
        return path.relative_to(ROOT).as_posix()


TREE = Tree()


def _read(folder: Path) -> Distribution:
    return Distribution(folder, tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8")))


def _is_foreign(name: str) -> bool:
    return name in NOT_OURS or name.endswith(".egg-info") or (name.startswith(".") and name != ".ci")


@pytest.fixture(scope="session")
def tree() -> Tree:
    return TREE


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for `dist` once for each distribution."""
    if "dist" in metafunc.fixturenames:
        metafunc.parametrize("dist", TREE.dists, ids=[dist.name for dist in TREE.dists])


def newly_loaded(statement: str, *, after: str = "") -> set[str]:
    """The modules that a statement loads in a fresh interpreter which has run `after` before."""
    code = (
        f"import sys\n{after}\nbefore = set(sys.modules)\n{statement}\n"
        "loaded = sorted(set(sys.modules) - before)\nimport json\nprint(json.dumps(loaded))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=50)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture(scope="session")
def loaded_by() -> Any:
    """`newly_loaded`, for tests."""
    return newly_loaded
