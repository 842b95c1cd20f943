"""Paths as models write them."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentflow_kernel.errors import PathRefused
from agentflow_tools._path import join_names, split_path

LIMITS = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A slow machine is no failure."""


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("", ()),
        (".", ()),
        ("./.", ()),
        ("a", (b"a",)),
        ("./a//b/", (b"a", b"b")),
        ("...", (b"...",)),
        ("..a/b..", (b"..a", b"b..")),
        ("a\\..\\b", (b"a\\..\\b",)),
        ("%2e%2e/x", (b"%2e%2e", b"x")),
        ("Größe/日志.log", ("Größe".encode(), "日志.log".encode())),
    ],
)
def test_split_gives_the_names_on_the_way(path, names) -> None:
    """Empty names and single dots vanish; everything else stays as it stands, on Linux a backslash is no separator."""
    assert split_path(path) == names


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/", "absolute"),
        ("//a", "absolute"),
        ("/etc/passwd", "absolute"),
        ("..", "leads upwards"),
        ("a/../b", "leads upwards"),
        ("a/..", "leads upwards"),
        ("a\0b", "NUL"),
        ("\0", "NUL"),
        ("\ud800", "not valid Unicode"),
        ("a/\udcff", "not valid Unicode"),
        ("n" * 256, "has 256 bytes"),
        ("ä" * 128, "has 256 bytes"),
        ("a/" * 2_048, "has 4096 bytes"),
    ],
)
def test_split_refuses_and_says_why(path, reason) -> None:
    """A path that cannot lie below the root, or cannot be one, is refused before anything is opened."""
    with pytest.raises(PathRefused, match=reason):
        split_path(path)


def test_refusal_shows_the_beginning_of_a_long_path() -> None:
    """A message does not repeat a megabyte that a model wrote."""
    with pytest.raises(PathRefused, match="has 1000000 bytes") as caught:
        split_path("x" * 1_000_000)
    assert len(str(caught.value)) < 400


@LIMITS
@given(st.text())
def test_split_never_lets_a_way_up_pass(path) -> None:
    """Whatever the text: a refusal, or names without a slash, a NUL, a dot or two alone, none empty."""
    try:
        names = split_path(path)
    except PathRefused:
        return
    for name in names:
        assert name not in {b"", b".", b".."}
        assert b"/" not in name
        assert b"\0" not in name
    assert split_path(join_names(names)) == names


def test_a_name_that_is_not_utf_8_is_shown_by_its_bytes() -> None:
    """It cannot be given back as a path, but it can be seen."""
    assert join_names((b"caf\xe9", b"log")) == "caf\\xe9/log"
