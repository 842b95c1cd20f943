"""Files that cannot be read: each is a finding that says what, where and what to do."""

from __future__ import annotations

import os
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from agentflow_kernel.errors import ManifestErrors
from agentflow_kernel.manifest import read

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TOOL = "apiVersion: agentflow.dev/v1\nkind: Tool\nmetadata: {name: %s}\nspec: {plugin: x}\n"


def findings(path: str) -> list[str]:
    with pytest.raises(ManifestErrors) as caught:
        read(path)
    return [str(finding) for finding in caught.value.findings]


def test_a_missing_file_names_its_neighbour(folder: Path) -> None:
    """A name that is nearly right is suggested, with its folder."""
    (folder / "sub").mkdir()
    (folder / "sub" / "triage.yaml").touch()
    assert findings("sub/triage.yml") == [
        "sub/triage.yml: There is no such file or folder. Did you mean 'sub/triage.yaml'?"
    ]
    assert findings("nowhere/at-all.yaml") == ["nowhere/at-all.yaml: There is no such file or folder."]
    assert findings("") == ["There is no such file or folder."]


def test_a_path_that_cannot_be_one(folder: Path) -> None:
    """Neither a NUL nor a file in place of a folder escapes as another error."""
    assert findings("a\0b") == ["a\0b: This cannot be the name of a file."]
    assert findings("nodes.py/m.yaml") == ["nodes.py/m.yaml: It cannot be read: Not a directory."]


def test_a_folder_without_manifests(folder: Path) -> None:
    """Says which names it looks for."""
    assert findings(".") == [".: The folder holds no manifest. Expected files that end in '.yaml' or '.yml'."]


def test_an_unreadable_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason of the operating system is given; the other files are read all the same."""
    (folder / "a.yaml").write_text(TOOL % "a")
    (folder / "b.yaml").write_text("kind: ]")
    opened = os.open

    def refuse(path: str, flags: int) -> int:
        if path.endswith("a.yaml"):
            raise PermissionError(13, "Permission denied", path)
        return opened(path, flags)

    monkeypatch.setattr(os, "open", refuse)
    first, second = findings(".")
    assert first == "./a.yaml: It cannot be read: Permission denied."
    assert second.startswith("./b.yaml:1:7: kind: This is not YAML: ")


def test_pipes_and_folders_are_no_files(folder: Path) -> None:
    """A pipe is not waited for, and no descriptor stays open."""
    os.mkfifo("pipe.yaml")
    os.mkdir("sub.yaml")
    before = set(os.listdir("/proc/self/fd"))
    assert findings(".") == ["./pipe.yaml: This is not a plain file.", "./sub.yaml: This is not a plain file."]
    assert findings("pipe.yaml") == ["pipe.yaml: This is not a plain file."]
    assert set(os.listdir("/proc/self/fd")) <= before  # what other tests have left open may be closed meanwhile


def test_a_huge_file_is_refused_by_its_size(folder: Path) -> None:
    """One hundred megabytes are never read, nor is memory taken for them."""
    with open("huge.yaml", "wb") as stream:
        stream.truncate(100_000_000)
    tracemalloc.start()
    try:
        found = findings("huge.yaml")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found == ["huge.yaml: The file has 100,000,000 bytes; a manifest file may have 4,194,304. Split it."]
    assert peak < 1_000_000


def test_a_file_whose_size_is_not_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that grows while it is read is cut off at the limit."""
    monkeypatch.setattr("agentflow_kernel.manifest._file.MAX_BYTES", 100)
    (folder / "a.yaml").write_text("#" * 101)

    class Small:
        st_mode = os.stat("a.yaml").st_mode
        st_size = 0

    monkeypatch.setattr(os, "fstat", lambda descriptor: Small)
    assert findings("a.yaml") == ["a.yaml: The file has 101 bytes; a manifest file may have 100. Split it."]


def test_a_folder_has_a_limit_of_its_own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many files cannot do what one may not."""
    monkeypatch.setattr("agentflow_kernel.manifest._reading.MAX_BYTES_IN_ALL", 150)
    for name in "ab":
        (folder / f"{name}.yaml").write_text(TOOL % name)
    assert findings(".") == [
        "./b.yaml: With this file the manifest has more than 16,777,216 bytes in all. Split the folder."
    ]


@pytest.mark.parametrize(
    ("content", "finding"),
    [
        (b"", "m.yaml:1:1: The file is empty."),
        (b"\xef\xbb\xbf", "m.yaml:1:1: The file is empty."),
        (b"# nothing\n", "m.yaml:1:1: The file holds no resource."),
        (b"---\n---\n...\n", "m.yaml:1:1: The file holds no resource."),
        (b"null\n", "m.yaml:1:1: The file holds no resource."),
    ],
)
@pytest.mark.usefixtures("parser")
def test_a_file_without_resources(findings_of: Callable[..., list[str]], content: bytes, finding: str) -> None:
    """Empty files and files of empty documents say what was expected."""
    assert findings_of(content) == [f"{finding} Expected a mapping with 'apiVersion', 'kind', 'metadata' and 'spec'."]


@pytest.mark.parametrize(
    ("content", "finding"),
    [
        (b"\xffkind: x", "m.yaml:1:1: The file is not UTF-8: byte 0xff at offset 0. Save it as UTF-8."),
        (
            "kind: x\nä: ö".encode() + b"\xf6",
            "m.yaml:2:5: The file is not UTF-8: byte 0xf6 at offset 14. Save it as UTF-8.",
        ),
        (
            "kind: x".encode("utf-16"),
            "m.yaml:1:1: The file is not UTF-8: byte 0xff at offset 0. It looks like UTF-16. Save it as UTF-8.",
        ),
        (
            "kind: x".encode("utf-16-le"),
            "m.yaml:1:2: Character U+0000 is not allowed in YAML. This looks like a binary file or UTF-16.",
        ),
    ],
)
@pytest.mark.usefixtures("parser")
def test_a_file_that_is_not_utf8(findings_of: Callable[..., list[str]], content: bytes, finding: str) -> None:
    """Byte, offset, line and column are named; columns count characters."""
    assert findings_of(content) == [finding]
