"""What the distribution registers."""

from __future__ import annotations

import importlib

import pytest
from pydantic import ValidationError

from agentflow_resilience._plugin import agentflow_policies
from agentflow_resilience.retry import RetrySettings
from agentflow_resilience.timeout import TimeoutSettings


@pytest.mark.parametrize("spec", agentflow_policies(), ids=lambda spec: spec.name)
def test_specs_name_factories_and_settings_that_exist(spec) -> None:
    """Both strings lead to the class that they name."""
    for reference in (spec.factory, spec.settings):
        module, _, name = reference.partition(":")
        assert isinstance(getattr(importlib.import_module(module), name), type)


@pytest.mark.parametrize(
    "settings",
    [
        {"attempts": 0},
        {"attempts": 101},
        {"base_s": -1},
        {"base_s": float("nan")},
        {"base_s": 2, "max_s": 1},
        {"factor": 0.5},
        {"max_s": float("inf")},
        {"deadline_s": 0},
        {"tries": 3},
    ],
)
def test_retry_settings_refuse_what_makes_no_sense(settings) -> None:
    """No attempt at all, negative or endless times, and names that are unknown."""
    with pytest.raises(ValidationError, match=next(iter({"max_s": "max_s"} & settings.keys() or settings))):
        RetrySettings(**settings)


@pytest.mark.parametrize("settings", [{}, {"timeout_s": 0}, {"timeout_s": float("inf")}, {"timeout_s": 1, "x": 1}])
def test_timeout_settings_need_a_finite_time(settings) -> None:
    """There is no default: how long is too long is for the one who writes the manifest to say."""
    with pytest.raises(ValidationError, match="TimeoutSettings"):
        TimeoutSettings(**settings)
