"""The typed façade says the same as the hook specifications."""

from __future__ import annotations

import ast
import inspect
import types
from pathlib import Path

import pluggy
import pytest

import agentflow_kernel.hooks
from agentflow_kernel import hookspecs
from agentflow_kernel.contracts.plugin import ToolsetSpec
from agentflow_kernel.hooks import Hooks, PluginHooks
from agentflow_kernel.hookspecs import hookimpl

SPECS = {name: value for name, value in vars(hookspecs).items() if hasattr(value, "agentflow_spec")}
METHODS = {name: value for name, value in vars(PluginHooks).items() if not name.startswith("_")}


def plugin(**functions: object) -> types.ModuleType:
    """A module that implements hooks."""
    module = types.ModuleType("a_plugin")
    vars(module).update(functions)
    return module


def offers_nothing():
    return []


def test_every_hook_is_a_method_and_every_method_a_hook() -> None:
    """Nothing is missing and nothing is left over."""
    assert METHODS.keys() == SPECS.keys()


@pytest.mark.parametrize("name", SPECS)
def test_a_method_has_the_signature_of_its_hook(name) -> None:
    """Parameters and result, as written."""
    spec, method = inspect.signature(SPECS[name]), inspect.signature(METHODS[name])
    assert list(method.parameters.values())[1:] == list(spec.parameters.values())
    assert method.return_annotation == spec.return_annotation


@pytest.mark.parametrize("name", SPECS)
def test_a_method_calls_the_hook_of_its_name(name) -> None:
    """On one plugin only; the others are not asked."""
    spec = ToolsetSpec("x", "a:b")
    asked = plugin(**{name: hookimpl(lambda: [spec])})
    other = plugin(**{name: hookimpl(lambda: pytest.fail("asked the other"))})
    hooks = Hooks()
    hooks.register("asked", asked)
    hooks.register("other", other)
    assert getattr(hooks.of(asked), name)() == [spec]


def test_no_other_room_of_the_kernel_calls_pluggy() -> None:
    """The façade is the only way to a plugin's hooks."""
    root = Path(agentflow_kernel.hooks.__file__).parent
    users = [
        path.name
        for path in root.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Import) and any(alias.name == "pluggy" for alias in node.names))
        or (isinstance(node, ast.ImportFrom) and node.module == "pluggy")
    ]
    assert set(users) == {"hooks.py"}


def test_a_hook_that_a_plugin_does_not_implement_gives_nothing() -> None:
    """And `None` from one that it does."""
    hooks = Hooks()
    empty, none = plugin(), plugin(agentflow_tools=hookimpl(lambda: None))
    hooks.register("empty", empty)
    hooks.register("none", none)
    assert hooks.of(empty).agentflow_tools() == hooks.of(none).agentflow_tools() == []


def test_a_plugin_that_fails_its_checks_stays_outside() -> None:
    """Wrong parameters and unknown hooks are refused, and do not stand in the way of the next plugin."""
    hooks = Hooks()
    for bad in (plugin(agentflow_tools=hookimpl(lambda wrong: [])), plugin(agentflow_toolz=hookimpl(offers_nothing))):
        with pytest.raises(pluggy.PluginValidationError):
            hooks.register("bad", bad)
    good = plugin(agentflow_tools=hookimpl(offers_nothing))
    hooks.register("bad", good)
    assert hooks.of(good).agentflow_tools() == []


def test_hooks_are_traced_to_standard_error_on_request(monkeypatch, capsys) -> None:
    """Off by default."""
    quiet = plugin(agentflow_tools=hookimpl(offers_nothing))
    for value, traced in (("0", False), ("1", True)):
        monkeypatch.setenv("AGENTFLOW_TRACE_HOOKS", value)
        hooks = Hooks()
        hooks.register("quiet", quiet)
        hooks.of(quiet).agentflow_tools()
        captured = capsys.readouterr()
        assert ("agentflow_tools" in captured.err) == traced
        assert captured.out == ""
