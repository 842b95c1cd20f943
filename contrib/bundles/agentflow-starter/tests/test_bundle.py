"""The bundle brings the command and the plugins it names."""

from __future__ import annotations

from importlib import metadata

from packaging.requirements import Requirement


def test_everything_the_bundle_names_is_installed() -> None:
    for line in metadata.requires("agentflow-starter") or []:
        need = Requirement(line)
        assert metadata.version(need.name) in need.specifier


def test_the_bundle_brings_the_command() -> None:
    assert [script.value for script in metadata.entry_points(group="console_scripts", name="agentflow")] == [
        "agentflow_cli:main"
    ]
