"""What the distribution registers, and what registering costs."""

from __future__ import annotations

import importlib
import json
import random
import subprocess
import sys

import pytest
from pydantic import ValidationError

from agentflow_kernel.contracts.plugin import PlannerSpec, PluginContext
from agentflow_kernel.testing import FakeClock
from agentflow_planner_fsm._plugin import agentflow_planners
from agentflow_planner_fsm.planner import Statechart
from agentflow_planner_fsm.settings import StatechartSettings

LOADED = """
import sys
before = set(sys.modules)
import agentflow_planner_fsm._plugin
agentflow_planner_fsm._plugin.agentflow_planners()
loaded = sorted(set(sys.modules) - before)
import json
print(json.dumps(loaded))
"""


def resolve(name: str) -> object:
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


def test_plugin_offers_one_planner() -> None:
    (spec,) = agentflow_planners()
    assert isinstance(spec, PlannerSpec)
    assert (spec.name, spec.api_version) == ("fsm", 1)
    assert spec.settings is not None
    assert resolve(spec.settings) is StatechartSettings
    assert hasattr(agentflow_planners, "agentflow_impl")


def test_plugin_factory_makes_the_planner_from_settings() -> None:
    (spec,) = agentflow_planners()
    factory = resolve(spec.factory)
    assert callable(factory)
    assert isinstance(
        factory(StatechartSettings(), PluginContext("fsm", clock=FakeClock(), random=random.Random(1))), Statechart
    )


def test_plugin_registration_loads_few_modules_and_no_pydantic() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True, timeout=50)
    loaded = json.loads(done.stdout)
    ours = [name for name in loaded if name.startswith("agentflow_planner_fsm")]
    assert ours == ["agentflow_planner_fsm", "agentflow_planner_fsm._plugin"]
    assert len(loaded) <= 15
    assert not {name.partition(".")[0] for name in loaded} & {"asyncio", "json", "pydantic", "re", "yaml"}


@pytest.mark.parametrize("module", ["planner", "machine"])
def test_a_chart_in_a_mapping_runs_without_yaml_xml_pydantic_or_an_event_loop(module: str) -> None:
    code = f"""
import sys, agentflow_planner_fsm.{module}
from agentflow_planner_fsm.machine import Machine
Machine.load({{"states": {{"a": {{"enter": ["x := 1"]}}}}}})
print(sorted({{'pydantic', 'asyncio', 'anyio', 'yaml', 'xml', 'defusedxml'}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=50)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("wrong", [{"max_steps": 3}, {"max_microsteps": 0}, {"max_microsteps": "many"}])
def test_settings_refuse_what_makes_no_sense(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        StatechartSettings.model_validate(wrong)


def test_settings_have_the_documented_defaults() -> None:
    assert StatechartSettings().model_dump() == {"max_microsteps": 1_000}
