"""Another process that swaps files and folders for links out of the root, as fast as it can."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from agentflow_kernel.errors import PathRefused, ToolFailed
from agentflow_tools._root import Root
from agentflow_tools._searching import Searching, search
from agentflow_tools._watch import Watch
from agentflow_tools.settings import FilesSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 3.0
MOST_S = 40.0
"""On a machine that is so busy that there is little to count after the time above."""

SWAP = """
import ctypes, os, sys
rename = ctypes.CDLL(None).renameat2
os.chdir(sys.argv[1])
print("ready", flush=True)
while True:
    for one, other in ((b"file", b"file.link"), (b"folder", b"folder.link"), (b"a/deep", b"a/deep.link")):
        rename(-100, one, -100, other, 2)  # AT_FDCWD, RENAME_EXCHANGE: both names are there at every moment
"""


@pytest.fixture
def swapped(folder, root) -> Iterator[None]:
    """A file, a folder and a folder further down change places with links out of the root until the test ends."""
    for place, text in ((root, "inside"), (folder / "secret", "outside")):
        (place / "folder").mkdir(parents=True)
        (place / "a/deep").mkdir(parents=True)
        for name in ("file", "folder/file", "a/deep/file"):
            (place / name).write_text(text, encoding="utf-8")
    (root / "file.link").symlink_to("../secret/file")
    (root / "folder.link").symlink_to(folder / "secret/folder")
    (root / "a/deep.link").symlink_to("../../secret/a/deep")
    process = subprocess.Popen([sys.executable, "-c", SWAP, str(root)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"ready\n"
        yield
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_no_swap_is_fast_enough_to_lead_out(folder, opener, swapped) -> None:
    """Three seconds of opening while names are swapped: what is read was always inside."""
    below = Root(str(folder), "root", opener=opener)
    inside = refused = escaped = 0
    begun = time.monotonic()
    while (spent := time.monotonic() - begun) < SECONDS or (min(inside, refused) <= 100 and spent < MOST_S):
        for path in ("file", "folder/file", "a/deep/file"):
            try:
                with below.open(path) as opened:
                    text = os.read(opened.fd, 100)
            except (PathRefused, ToolFailed):  # a link, or what was a link a moment ago
                refused += 1
                continue
            inside += text == b"inside"
            escaped += text != b"inside"
    below.close()
    print(f"{type(opener).__name__}: {inside} opened inside, {refused} refused, {escaped} escaped")
    assert escaped == 0
    assert inside > 100
    assert refused > 100


def test_no_swap_leads_a_search_out(folder, opener, swapped, clock) -> None:
    """A search through all folders finds nothing of what lies outside."""
    below = Root(str(folder), "root", opener=opener)
    settings = FilesSettings(root="root")
    found = {"inside": 0, "outside": 0}
    begun = time.monotonic()
    while (spent := time.monotonic() - begun) < SECONDS / 2 or (found["inside"] <= 100 and spent < MOST_S):
        for text in found:
            asked = Searching(".", text, regex=False, ignore_case=False, files="*", max_matches=10)
            with contextlib.suppress(ToolFailed):
                result = search(below, settings, asked, Watch(clock, 10.0, lambda: None))
                assert isinstance(result, dict)
                found[text] += int(result["matching_lines"])
    below.close()
    print(f"{type(opener).__name__}: {found['inside']} found inside, {found['outside']} outside")
    assert found["outside"] == 0
    assert found["inside"] > 100
