"""What the distribution registers."""

from __future__ import annotations

import importlib

import pytest
from pydantic import ValidationError

from agentflow_sources._plugin import agentflow_sources
from agentflow_sources.settings import CronSettings, FileSettings, FolderSettings


def test_spec_names_a_factory_and_settings_that_exist() -> None:
    """Both strings lead to what they name."""
    specs = agentflow_sources()
    assert [spec.name for spec in specs] == ["file", "folder", "stdin", "cron"]
    for spec in specs:
        for reference in (spec.factory, spec.settings):
            assert reference is not None
            module, _, name = reference.partition(":")
            assert callable(getattr(importlib.import_module(module), name))


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({}, "path"),
        ({"path": ""}, "path"),
        ({"path": "x", "max_line_bytes": 1}, "max_line_bytes"),
        ({"path": "x", "encoding": "utf-16"}, "leaves ASCII as it is"),
        ({"path": "x", "encoding": "utf-8-sig"}, "leaves ASCII as it is"),
        ({"path": "x", "encoding": "cp037"}, "leaves ASCII as it is"),
        ({"path": "x", "encoding": "hex"}, "leaves ASCII as it is"),
        ({"path": "x", "encoding": "klingon"}, "leaves ASCII as it is"),
        ({"path": "x", "follows": True}, "follows"),
        ({"path": "x", "lines": 5}, "lines: of use only with `follow: true`"),
        ({"path": "x", "follow": True, "lines": 0}, "lines"),
        ({"path": "x", "follow": True, "poll_s": 0}, "poll_s"),
        ({"path": "x", "follow": True, "every_s": float("inf")}, "every_s"),
    ],
)
def test_settings_refuse_what_makes_no_sense(settings, field) -> None:
    """No path, lines without room, encodings in which a line feed is not one byte, names that are unknown."""
    with pytest.raises(ValidationError, match=field):
        FileSettings(**settings)


@pytest.mark.parametrize("glob", ["", "../*.log", "/var/*", "a//b", "./a"])
def test_a_glob_stays_below_the_folder(glob) -> None:
    with pytest.raises(ValidationError, match="glob"):
        FolderSettings(path="x", glob=glob)


@pytest.mark.parametrize("expression", ["", "* * * *", "60 * * * *", "0 0 30 2 *", "@daily", "a b c d e"])
def test_an_expression_that_means_no_time_is_refused(expression) -> None:
    with pytest.raises(ValidationError, match="expression"):
        CronSettings(expression=expression)


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "cp1252", "shift_jis", "gb18030", "ascii"])
def test_settings_take_every_encoding_that_keeps_ascii(encoding) -> None:
    """By any name that Python knows it under."""
    assert FileSettings(path="x", encoding=encoding).encoding == encoding
