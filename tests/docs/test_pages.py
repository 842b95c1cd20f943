"""Each page of the documentation does what it says: its code runs, its links lead somewhere.

A fenced block is

- ```` ```python ````: run as a script of its own, in the page's folder
- ```` ```python fragment ````: only a piece; it must parse
- ```` ```<language> file=name ````: written to a file that later blocks of the page find
- ```` ```console run ````: each line after `$ ` is run by bash
- ```` ```text output ````: what the block before it printed; `...` stands for anything

and all others are text. The commands of `console run` may be followed by what they print.
"""

from __future__ import annotations

import ast
import doctest
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PATTERNS = ("*.md", "docs/**/*.md", "examples/*/*.md", "plugins/*/*.md", "contrib/**/*.md", "specs/*.md")
FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>[\w-]+)(?P<rest>[^`\n]*)\n(?P<body>.*?)^(?P=indent)```\s*$",
    re.MULTILINE | re.DOTALL,
)
LINK = re.compile(r"(?<!!)\[[^\]\n]+\]\((?P<target>[^)\s]+)\)")
PAGES = sorted(
    {path for pattern in PATTERNS for path in ROOT.glob(pattern) if not {"build", ".venv", ".nox"} & set(path.parts)}
)
SECONDS = 60
CHECK = """
import gc
from agentflow_kernel import Flow as _Flow
for _each in gc.get_objects():
    if _Flow in type(_each).__mro__ and _each.steps:
        _each.check()
"""
"""Flows of a page have no finding, whether they run or not."""


def page_id(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    line: int
    language: str
    words: tuple[str, ...]
    body: str

    @property
    def file(self) -> str | None:
        """The name of the file that the block is, if it is one."""
        return next((word.removeprefix("file=") for word in self.words if word.startswith("file=")), None)


def blocks(text: str) -> list[Block]:
    found = []
    for match in FENCE.finditer(text):
        indent = len(match["indent"])
        body = "".join(line[indent:] if line.strip() else line for line in match["body"].splitlines(keepends=True))
        line = text.count("\n", 0, match.start()) + 1
        found.append(Block(line, match["language"], tuple(shlex.split(match["rest"])), body))
    return found


def runs(block: Block) -> bool:
    return block.file is not None or block.language == "python" or "run" in block.words


class Folder:
    """Where the blocks of one page run, one after another."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.printed = ""
        # a reader's own program finds the modules that lie beside it
        self.env = {key: value for key, value in os.environ.items() if not key.startswith(("AGENTFLOW_", "PYTHONSAFE"))}
        self.env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        self.env |= {"NO_COLOR": "1", "COLUMNS": "120"}
        if "examples/" in text:
            left_out = shutil.ignore_patterns(".agentflow", "__pycache__")
            shutil.copytree(ROOT / "examples", path / "examples", ignore=left_out)
            if (ROOT / "agentflow.toml").exists():
                shutil.copy(ROOT / "agentflow.toml", path)

    def run(self, command: list[str], place: str) -> str:
        """What a command printed; the test fails if it ended with an error."""
        done = subprocess.run(
            command, cwd=self.path, env=self.env, capture_output=True, text=True, check=False, timeout=SECONDS
        )
        assert done.returncode == 0, f"{place} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def take(self, block: Block, place: str) -> None:
        """Do what a block says."""
        if block.file is not None:
            target = (self.path / block.file).resolve()
            assert target.is_relative_to(self.path.resolve()), f"{place} writes outside its folder"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.body, encoding="utf-8")
        if block.language == "python" and (block.file is not None or "fragment" in block.words):
            ast.parse(block.body, place)
        elif block.language == "python":
            script = self.path / f"block_{block.line}.py"
            script.write_text(block.body + (CHECK if "Flow(" in block.body else ""), encoding="utf-8")
            self.printed = self.run([sys.executable, "-W", "error", script.name], place)
        elif block.language == "json" and block.file is not None:
            json.loads(block.body)
        elif block.language == "console" and "run" in block.words:
            self.console(block, place)
        elif "output" in block.words:
            assert_printed(block.body, self.printed, place)

    def console(self, block: Block, place: str) -> None:
        """Run each `$` line and compare what follows it, if anything does, with what was printed."""
        for part in re.split(r"^\$ ", block.body, flags=re.MULTILINE)[1:]:
            command, _, expected = part.partition("\n")
            self.printed = self.run(["bash", "-euo", "pipefail", "-c", command], f"{place}: {command}")
            if expected.strip():
                assert_printed(expected, self.printed, f"{place}: {command}")


def assert_printed(expected: str, printed: str, place: str) -> None:
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    assert doctest.OutputChecker().check_output(expected, printed, flags), f"{place} printed\n{printed}"


RUNNABLE = [path for path in PAGES if any(map(runs, blocks(path.read_text(encoding="utf-8"))))]


@pytest.mark.timeout(240)
@pytest.mark.parametrize("page", RUNNABLE, ids=page_id)
def test_the_code_of_a_page_runs(page: Path, tmp_path: Path) -> None:
    text = page.read_text(encoding="utf-8")
    found = blocks(text)
    folder = Folder(tmp_path, "".join(block.body for block in found if runs(block)))
    for block in found:
        folder.take(block, f"{page_id(page)}:{block.line}")


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^ *```.*?^ *```\s*$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    targets = {match["target"].partition("#")[0] for match in LINK.finditer(re.sub(r"`[^`\n]*`", "", text))}
    local = {target for target in targets if target and "://" not in target and not target.startswith("mailto:")}
    dead = [target for target in sorted(local) if not (page.parent / target).exists()]
    assert not dead, dead
