"""Values: compared and shown by content, cheap to make, and never hashed by accident."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import pytest

from agentflow_kernel.contracts import bus, journal, memory, planner, plugin, policy, provider, source, tool
from agentflow_kernel.contracts.values import Value
from agentflow_kernel.run.progress import Progress

EXAMPLES: list[Value] = [
    bus.Ack(),
    bus.Retry(1.5),
    bus.DeadLetter("poison"),
    bus.Drop("not ours"),
    journal.Record("r", 0, "run.started", "", {"a": 1}, 1),
    journal.RunInfo("r", "flow/f"),
    journal.Request("signal", "s1", "go", {"a": 1}),
    memory.Entry("k", {"a": [1]}, 1, 2.0),
    planner.Action("a", "tool", "files.read", {"path": "x"}),
    planner.Decision([planner.Action("a", "tool")], cancel=["b"]),
    planner.End({"a": 1}),
    planner.Observation("result", "a", 1),
    planner.Task("t"),
    planner.PlanScope(agents={"reviewer": "Reads a change."}),
    plugin.PluginSpec("n", "m:F"),
    plugin.ProviderSpec("n", "m:F", capabilities=["stream"]),
    policy.Request("call", "n", None),
    provider.Message("user", "text"),
    provider.ModelInfo("claude-x", aliases=["x"], context_tokens=1000, prices=provider.Prices(3, 15)),
    provider.Prices(3, 15, cached=0.3, as_of="2026-11-21", source="a page"),
    provider.ModelReply(provider.Message("assistant", "text")),
    provider.ModelRequest([provider.Message("user", "text")]),
    provider.ToolCall("1", "files.read", {}),
    provider.ToolInfo("n", "d", {}),
    provider.Usage(1, 2),
    source.SourceItem(None, 1),  # type: ignore[arg-type]  # any event will do
    tool.Tool("n", "d", {}),
    tool.ToolContext("r", "p", "k", 1),
    tool.ToolOutcome("yes", 1),
    Progress("a.b", "r", 0, "", 1.0, {}),
]


def all_values(kind: type[Value] = Value) -> set[type[Value]]:
    """Every kind of value of the kernel."""
    found = set()
    for sub in kind.__subclasses__():
        if sub.__module__.startswith("agentflow_kernel."):
            found |= {sub, *all_values(sub)}
    return found


def slots_of(value: Value) -> list[str]:
    """All slots, those of the base classes first."""
    return [name for kind in reversed(type(value).__mro__) for name in vars(kind).get("__slots__", ())]


def changed(value: Value, name: str) -> Value:
    """The same value with one other field."""
    other = object.__new__(type(value))
    for field in slots_of(value):
        setattr(other, field, getattr(value, field))
    setattr(other, name, "something else")
    return other


def test_there_is_an_example_of_every_value_of_the_contracts() -> None:
    """A new one is tested too."""
    of_contracts = {kind for kind in all_values() if kind.__module__.startswith("agentflow_kernel.contracts.")}
    assert of_contracts <= {type(example) for example in EXAMPLES} | set(plugin.PluginSpec.__subclasses__())


@pytest.mark.parametrize("value", EXAMPLES, ids=lambda value: type(value).__name__)
def test_a_value_equals_its_copy_and_nothing_with_another_field(value: Value) -> None:
    """Every field counts, also those of a base class."""
    copy = object.__new__(type(value))
    for name in slots_of(value):
        setattr(copy, name, getattr(value, name))
    assert value == copy
    assert repr(value) == repr(copy)
    for name in value.content:
        assert value != changed(value, name), name
        assert f"{name}=" in repr(value)


@pytest.mark.parametrize("value", EXAMPLES, ids=lambda value: type(value).__name__)
def test_a_value_has_slots_only_and_no_hash(value: Value) -> None:
    """It holds JSON, which has none; a stray attribute is a mistake."""
    assert not hasattr(value, "__dict__")
    with pytest.raises(TypeError, match="unhashable"):
        hash(value)
    with pytest.raises(AttributeError):
        value.no_such_field = 1  # type: ignore[attr-defined]  # the mistake


def test_values_of_different_kinds_are_different() -> None:
    """Also when their fields are equal."""
    assert plugin.ProviderSpec("n", "m:F") != plugin.ToolsetSpec("n", "m:F")
    assert bus.Drop("x") != bus.DeadLetter("x")
    assert bus.Ack() == bus.Ack()
    assert bus.Ack() != 1


def test_the_values_of_a_plain_flow_cost_no_typing_at_start() -> None:
    """``Protocol`` is a plain class at run time in the modules that every flow imports."""
    for name in ("values", "policy", "clock"):
        module = importlib.import_module(f"agentflow_kernel.contracts.{name}")
        source_text = vars(module)
        assert "typing" not in {getattr(value, "__module__", "") for value in source_text.values()}
    assert sys.modules["agentflow_kernel.contracts.values"].Protocol is object


def test_a_subclass_adds_its_slots_to_those_of_its_base() -> None:
    """Specs differ in kind only, others may add fields."""

    class Base(Value):
        __slots__ = ("a",)

        def __init__(self, a: Any) -> None:
            self.a = a

    class More(Base):
        __slots__ = ("b",)

        def __init__(self, a: Any, b: Any) -> None:
            super().__init__(a)
            self.b = b

    assert More(1, 2) == More(1, 2)
    assert More(1, 2) != More(0, 2)
    assert More(1, 2) != More(1, 0)
    assert repr(More(1, 2)) == "More(a=1, b=2)"
