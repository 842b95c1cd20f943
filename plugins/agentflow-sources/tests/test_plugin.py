"""What the distribution registers."""

from __future__ import annotations

import importlib

import pytest
from pydantic import ValidationError

from agentflow_sources._plugin import agentflow_sources
from agentflow_sources.settings import FileSettings


def test_spec_names_a_factory_and_settings_that_exist() -> None:
    """Both strings lead to the class that they name."""
    (spec,) = agentflow_sources()
    for reference in (spec.factory, spec.settings):
        assert reference is not None
        module, _, name = reference.partition(":")
        assert isinstance(getattr(importlib.import_module(module), name), type)


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
        ({"path": "x", "follow": True}, "follow"),
    ],
)
def test_settings_refuse_what_makes_no_sense(settings, field) -> None:
    """No path, lines without room, encodings in which a line feed is not one byte, names that are unknown."""
    with pytest.raises(ValidationError, match=field):
        FileSettings(**settings)


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "cp1252", "shift_jis", "gb18030", "ascii"])
def test_settings_take_every_encoding_that_keeps_ascii(encoding) -> None:
    """By any name that Python knows it under."""
    assert FileSettings(path="x", encoding=encoding).encoding == encoding
