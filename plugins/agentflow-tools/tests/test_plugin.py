"""What the distribution registers."""

from __future__ import annotations

import importlib
import json

import pytest
from pydantic import ValidationError

from agentflow_tools._plugin import agentflow_tools
from agentflow_tools.settings import FilesSettings


def test_spec_names_a_factory_and_settings_that_exist() -> None:
    """Both strings lead to the class that they name."""
    (spec,) = agentflow_tools()
    for reference in (spec.factory, spec.settings):
        assert reference is not None
        module, _, name = reference.partition(":")
        assert isinstance(getattr(importlib.import_module(module), name), type)


def test_spec_declares_exactly_the_tools_that_the_toolset_offers(folder, clock, make_desk) -> None:
    """The capabilities are the local names of the tools, and every tool changes nothing."""
    (spec,) = agentflow_tools()
    tools = make_desk().files.tools()
    assert tuple(tool.name for tool in tools) == spec.capabilities
    assert {tool.effect for tool in tools} == {"pure"}


def test_tools_are_described_by_closed_json_schemas(make_desk) -> None:
    """Every schema is plain JSON of type object, every argument has a description, the required ones exist."""
    for tool in make_desk().files.tools():
        schema = json.loads(json.dumps(tool.parameters))
        assert schema["type"] == "object"
        assert schema["additionalProperties"] is False
        assert set(schema["required"]) <= set(schema["properties"])
        assert all(argument["description"] for argument in schema["properties"].values())


def test_making_a_toolset_touches_no_file(make_desk) -> None:
    """A root that is not there yet is no error before the first call."""
    assert make_desk(root="comes/later").files.tools()


def test_settings_refuse_what_they_do_not_know() -> None:
    """A misspelt setting is an error, not a default."""
    with pytest.raises(ValidationError, match="max_byte"):
        FilesSettings(root=".", max_byte=1)


def test_settings_begin_with_the_folder_of_the_manifest() -> None:
    """Without a root the tools see the folder of the manifest that names them; an empty one is refused."""
    assert FilesSettings().root == "."
    with pytest.raises(ValidationError, match="root"):
        FilesSettings(root="")


def test_settings_keep_room_for_one_line() -> None:
    """A result that could not hold a single line of the greatest length is refused."""
    with pytest.raises(ValidationError, match="max_bytes must be at least"):
        FilesSettings(root=".", max_bytes=4_096, max_line_chars=1_001)


@pytest.mark.parametrize("timeout_s", [0, -1, float("inf"), float("nan")])
def test_settings_refuse_a_time_without_end(timeout_s) -> None:
    """The time of a call is a finite number of seconds."""
    with pytest.raises(ValidationError, match="timeout_s"):
        FilesSettings(root=".", timeout_s=timeout_s)
