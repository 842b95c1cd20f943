"""Code of a manifest: only files below its folder, only where allowed, each imported once under a name of its own."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from agentflow_kernel.errors import UnknownName, UntrustedCode, UsageError
from agentflow_kernel.kernel.code import CodeLoader
from agentflow_kernel.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path


def loader(folder: Path, *, trusted: bool = True, allow: list[str] | None = None) -> CodeLoader:
    """A loader for a folder, with an ``agentflow.toml`` beside the code."""
    return CodeLoader(str(folder), Settings(file=str(folder / "agentflow.toml"), code=allow or []), trusted=trusted)


def test_an_object_is_loaded_by_file_and_name(tmp_path: Path) -> None:
    """Files may lie in folders below."""
    (tmp_path / "steps").mkdir()
    (tmp_path / "steps" / "parse.py").write_text("def parse(value):\n    return value + 1\n")
    parse = loader(tmp_path).load("./steps/parse.py:parse")
    assert parse(1) == 2  # type: ignore[operator]  # a function


def test_a_file_is_imported_once(tmp_path: Path) -> None:
    """Two names of one file share its module."""
    (tmp_path / "nodes.py").write_text("loaded = []\ndef a(): return loaded\ndef b(): return loaded\n")
    code = loader(tmp_path)
    assert code.load("./nodes.py:a")() is code.load("./nodes.py:b")()  # type: ignore[operator]  # functions


def test_two_manifests_with_a_file_of_the_same_name_stay_apart(tmp_path: Path) -> None:
    """Neither finds the other's module."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "nodes.py").write_text(f"NAME = {name!r}\n")
    assert [loader(tmp_path / name).load("./nodes.py:NAME") for name in ("one", "two")] == ["one", "two"]


def test_the_folder_does_not_come_onto_the_path(tmp_path: Path) -> None:
    """A file called like a library takes nobody's place."""
    (tmp_path / "json.py").write_text("NAME = 'mine'\n")
    before = list(sys.path)
    assert loader(tmp_path).load("./json.py:NAME") == "mine"
    assert sys.path == before


def test_code_that_is_not_allowed_does_not_run(tmp_path: Path) -> None:
    """The error says what to write where; an entry of the allow-list lets the file run."""
    (tmp_path / "nodes.py").write_text("from pathlib import Path\nPath(__file__).with_name('ran').touch()\nNAME = 1\n")
    with pytest.raises(UntrustedCode, match=r"nodes\.py', which is not allowed\. List it under \[code\] allow"):
        loader(tmp_path, trusted=False).load("./nodes.py:NAME")
    assert not (tmp_path / "ran").exists()
    assert loader(tmp_path, trusted=False, allow=["nodes.py"]).load("./nodes.py:NAME") == 1
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("reference", ["../outside.py:NAME", "./link.py:NAME", "./sub/../../outside.py:NAME"])
def test_code_outside_the_folder_is_refused_even_when_trusted(tmp_path: Path, reference: str) -> None:
    """Neither dots nor links lead out."""
    folder = tmp_path / "manifest"
    (folder / "sub").mkdir(parents=True)
    (tmp_path / "outside.py").write_text("NAME = 1\n")
    (folder / "link.py").symlink_to(tmp_path / "outside.py")
    with pytest.raises(UsageError, match="lies outside the manifest's folder"):
        loader(folder).load(reference)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A folder is no file."""
    (tmp_path / "folder.py").mkdir()
    for name in ("missing.py", "folder.py"):
        with pytest.raises(UsageError, match=rf"Code './{name}' is not there: no file"):
            loader(tmp_path).load(f"./{name}:NAME")


def test_a_name_that_the_file_does_not_define_is_answered_with_the_nearest(tmp_path: Path) -> None:
    """Private names are not offered."""
    (tmp_path / "nodes.py").write_text("def parse(): ...\ndef _secret(): ...\n")
    with pytest.raises(UnknownName, match=r"Unknown name in \./nodes\.py 'prase'. Known: 'parse'. Did you mean"):
        loader(tmp_path).load("./nodes.py:prase")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("import nothing_like_this", "ModuleNotFoundError: No module named 'nothing_like_this'"),
        ("def broken(:", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
def test_a_file_that_fails_to_import_is_an_error_with_its_cause(tmp_path: Path, text: str, problem: str) -> None:
    """It does not end the program, and the next attempt imports it anew."""
    (tmp_path / "nodes.py").write_text(text)
    code, before = loader(tmp_path), set(sys.modules)
    with pytest.raises(UsageError, match=rf"nodes\.py' cannot be imported: {problem}"):
        code.load("./nodes.py:NAME")
    assert not [name for name in set(sys.modules) - before if name.startswith("agentflow_code_")]
    (tmp_path / "nodes.py").write_text("NAME = 12345")
    assert code.load("./nodes.py:NAME") == 12345


def test_what_is_no_python_file_is_refused(tmp_path: Path) -> None:
    """By its name."""
    (tmp_path / "nodes.txt").write_text("NAME = 1")
    with pytest.raises(UsageError, match=r"is no Python file: its name must end in \.py"):
        loader(tmp_path).load("./nodes.txt:NAME")
