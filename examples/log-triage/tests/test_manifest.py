"""The manifest names code that is there, and what it says to a model agrees with what the rules do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agentflow_kernel.manifest import read

EXAMPLE = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def manifest():
    return read(EXAMPLE, environ={})


def test_the_manifest_is_sound_and_reads_the_sample_unless_told_otherwise(manifest) -> None:
    assert manifest.get("Trigger", "log-file").spec["with"] == {"path": "sample.log"}
    assert manifest.get("Tool", "logs").spec["with"] == {"root": "."}


def test_the_variables_name_another_log_and_its_folder() -> None:
    told = read(EXAMPLE, environ={"TRIAGE_LOG": "/logs/auth.log", "TRIAGE_LOG_ROOT": "/logs"})
    assert told.get("Trigger", "log-file").spec["with"] == {"path": "/logs/auth.log"}
    assert told.get("Tool", "logs").spec["with"] == {"root": "/logs"}


def test_all_code_that_is_named_is_there(module) -> None:
    used = re.findall(r'uses: "\./(\w+)\.py:(\w+)"', (EXAMPLE / "triage.yaml").read_text(encoding="utf-8"))
    assert len(used) == 9
    for file, name in used:
        assert callable(getattr(module(file), name))


def test_the_instructions_state_the_limits_that_the_rules_use(manifest) -> None:
    limits = manifest.get("Model", "rules").spec["with"]
    words = " ".join(manifest.get("Agent", "assessor").spec["instructions"].split())
    assert f"`medium` from {limits['medium']} failed passwords; `high` from {limits['high']};" in words
    assert f"for {limits['medium']} names or more" in words
    assert f"`critical` if {limits['medium']} or more passwords failed" in words
