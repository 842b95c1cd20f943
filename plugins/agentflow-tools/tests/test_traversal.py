"""A corpus of ways out, generated: none leads anywhere."""

from __future__ import annotations

import itertools

import pytest

from agentflow_kernel.errors import PathRefused, ToolFailed
from agentflow_tools._root import Root

UP = [
    "..", "../", "..\\", ".../", "....//", "..../", ". ./", ".. /", " ../", "..;/", "..%00/", "..\0/",
    "%2e%2e/", "%2e%2e%2f", "..%2f", "%2E%2E%2F", "%252e%252e%252f", "..%252f", "%c0%ae%c0%ae/", "..%c0%af",
    "%e0%80%ae%e0%80%ae/", "%uff0e%uff0e/", "\uff0e\uff0e/", "\u2024\u2024/", "..\u2215", "..\u2044", "..\uff0f",
    "./../", "sub/../../", "sub/./../../", "sub//..//..//", ".//..//", "\\..\\", "..\\/", "..//", "../.", "..\n/",
]  # fmt: skip
BEFORE = ["", "/", "./", "//", "sub/", "sub/deep/", "link/", "here/", "~/", "C:\\", "file:///", "\\\\?\\"]
TARGETS = ["outside.txt", "etc/passwd", "proc/self/environ", "dev/null", "root/../outside.txt", "sub/../../outside.txt"]


def corpus() -> list[str]:
    """Every way up, one to six times over, behind every beginning, before every target."""
    ways = [way * times for way, times in itertools.product(UP, (1, 2, 3, 6))]
    made = [before + way + target for before, way, target in itertools.product(BEFORE, ways, TARGETS)]
    made += [f"{before}{target}\0.log" for before, target in itertools.product(BEFORE, TARGETS)]
    made += ["../" * depth + "etc/passwd" for depth in range(1, 200)]
    made += [f"/proc/{pid}/root/etc/passwd" for pid in ("self", "thread-self", "1", "self/task/1")]
    return made


@pytest.fixture
def below(folder, root, opener):
    """A root with folders to go through and links that lead out."""
    (root / "sub/deep").mkdir(parents=True)
    (root / "link").symlink_to("..")
    (root / "here").symlink_to(".")
    (root / "file.txt").write_text("inside", encoding="utf-8")
    made = Root(str(folder), "root", opener=opener)
    yield made
    made.close()


def test_no_path_of_the_corpus_leaves_the_root(below) -> None:
    """Each of thousands of forms is refused, or is a strange name below the root that does not exist."""
    paths = corpus()
    refused = missing = 0
    for path in paths:
        try:
            with below.open(path) as opened:
                pytest.fail(f"{path!r} opened {opened.path!r}")
        except PathRefused:
            refused += 1
        except ToolFailed:
            missing += 1
    print(f"{len(paths)} paths: {refused} refused, {missing} missing")
    assert refused + missing == len(paths) >= 10_000
    assert refused > missing / 2


def test_every_path_with_two_dots_or_a_slash_first_is_refused_by_its_text(below) -> None:
    """Not because a file happens to be missing."""
    for path in corpus():
        if path.startswith("/") or ".." in path.split("/"):
            with pytest.raises(PathRefused, match=r"leads upwards|absolute|NUL"), below.open(path):
                pass


def test_the_corpus_would_find_a_way_out(folder, root) -> None:
    """The control: plain joining of paths leaves the root with many of them."""
    (root / "sub/deep").mkdir(parents=True)
    (root / "link").symlink_to("..")
    (root / "here").symlink_to(".")
    found = 0
    for path in corpus():
        if "\0" not in path and (root / path).name == "outside.txt" and len(path) < 1_000:
            found += (root / path).is_file() and (root / path).read_text(encoding="utf-8") == "outside\n"
    assert found >= 20
