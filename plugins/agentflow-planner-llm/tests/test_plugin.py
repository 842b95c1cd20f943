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
from agentflow_planner_llm._plugin import agentflow_planners
from agentflow_planner_llm.settings import ToolLoopSettings
from agentflow_planner_llm.tool_loop import ToolLoop

LOADED = """
import sys
before = set(sys.modules)
import agentflow_planner_llm._plugin
agentflow_planner_llm._plugin.agentflow_planners()
loaded = sorted(set(sys.modules) - before)
import json
print(json.dumps(loaded))
"""


class NoClock:
    """A clock that nobody may read."""

    def now(self) -> float:
        raise AssertionError("the planner has no clock")

    monotonic = now

    async def sleep(self, delay_s: float) -> None:
        raise AssertionError("the planner has no clock")


def resolve(name: str) -> object:
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


def test_plugin_offers_its_planners() -> None:
    """The hook returns a spec for each, marked for pluggy; each factory makes a planner of its default settings."""
    spec = agentflow_planners()[0]
    assert isinstance(spec, PlannerSpec)
    assert (spec.name, spec.api_version) == ("tools", 1)
    assert spec.settings is not None
    assert resolve(spec.settings) is ToolLoopSettings
    assert hasattr(agentflow_planners, "agentflow_impl")
    for each in agentflow_planners():
        assert each.settings is not None
        factory, settings = resolve(each.factory), resolve(each.settings)
        assert callable(factory)
        assert callable(settings)
        assert hasattr(factory(settings(), PluginContext("x", clock=NoClock(), random=random.Random(1))), "step")


def test_plugin_factory_makes_the_planner_from_settings_and_context() -> None:
    """The factory takes settings and context and asks neither clock nor random source."""
    spec = agentflow_planners()[0]
    factory = resolve(spec.factory)
    assert callable(factory)
    source = random.Random(1)
    before = source.getstate()
    made = factory(ToolLoopSettings(), PluginContext("loop", clock=NoClock(), random=source))
    assert isinstance(made, ToolLoop)
    assert source.getstate() == before


def test_plugin_registration_loads_few_modules_and_no_pydantic() -> None:
    """Registering loads at most fifteen modules and nothing heavy."""
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True, timeout=50)
    loaded = json.loads(done.stdout)
    ours = [name for name in loaded if name.startswith("agentflow_planner_llm")]
    assert ours == ["agentflow_planner_llm", "agentflow_planner_llm._plugin"]
    assert len(loaded) <= 15
    assert not {name.partition(".")[0] for name in loaded} & {"asyncio", "json", "pydantic", "re"}


def test_planner_runs_without_pydantic_or_an_event_loop() -> None:
    """The planner's module itself loads neither."""
    code = "import agentflow_planner_llm.tool_loop, sys; print({'pydantic', 'asyncio', 'anyio'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=50)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_iteration": 3},
        {"max_iterations": 0},
        {"parallel_tools": 0},
        {"repairs": -1},
        {"repeat_limit": 1},
        {"tool_error_limit": 0},
        {"max_result_chars": 0},
        {"budgets": {"money": 1}},
        {"budgets": {"tokens": -1}},
        {"budgets": {"cost_usd": float("nan")}},
        {"budgets": {"wall_s": 0}},
    ],
)
def test_settings_refuse_what_makes_no_sense(wrong: dict[str, object]) -> None:
    """A misspelt name and a number out of range are errors at load."""
    with pytest.raises(ValidationError):
        ToolLoopSettings.model_validate(wrong)


def test_settings_have_the_documented_defaults() -> None:
    """Without a word the loop has ten iterations, four calls at a time and no budgets."""
    assert ToolLoopSettings().model_dump() == {
        "max_iterations": 10,
        "parallel_tools": 4,
        "repairs": 1,
        "repeat_limit": 3,
        "tool_error_limit": 5,
        "max_result_chars": 20_000,
        "budgets": {"model_calls": None, "tool_calls": None, "tokens": None, "cost_usd": None, "wall_s": None},
    }
