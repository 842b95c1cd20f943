"""Plugins in use: imported when named, one at a time, and held apart."""

from __future__ import annotations

import os
import random
import re
import sys

import pytest

from agentflow_kernel.contracts.clock import SystemClock
from agentflow_kernel.contracts.plugin import PluginContext, ToolsetSpec
from agentflow_kernel.errors import (
    InputInvalid,
    NotAllowed,
    PathRefused,
    PluginLoadError,
    UnknownName,
    UnknownPlugin,
    Unsupported,
    UsageError,
)
from agentflow_kernel.loading import Catalogue, Plugins

SETTINGS_MODEL = """
from pydantic import BaseModel, ConfigDict, field_validator

class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    delay_s: float = 1.0

class Model(BaseModel):
    root: str
    limit: int = 5
    inner: Inner | None = None
    many: list[Inner] = []

    @field_validator("limit")
    @classmethod
    def small(cls, value):
        if value > 100:
            raise ValueError("must be at most 100")
        return value
"""
ALL = "unknown setting. Known: 'inner', 'limit', 'many', 'root'."
INNER = "unknown setting. Known: 'delay_s'."


@pytest.fixture
def context() -> PluginContext:
    return PluginContext("mine", clock=SystemClock(), random=random.Random(1))


@pytest.fixture
def with_settings(site):
    """A toolset `set` whose settings are checked by a pydantic model."""
    site.write_toolset("agentflow-set", "set", more="settings='agentflow_set.settings:Model'")
    (site.folder / "agentflow_set" / "settings.py").write_text(SETTINGS_MODEL)
    return site.plugins()


def test_a_spec_is_what_the_hook_returned(site) -> None:
    """With its factory still a string."""
    site.write_toolset("agentflow-good", "good")
    plugins = site.plugins()
    spec = plugins.spec("tool", "good")
    assert type(spec) is ToolsetSpec
    assert (spec.name, spec.factory, spec.settings) == ("good", "agentflow_good.objects:make", None)
    assert plugins.spec("tool", "good") is spec
    assert "agentflow_good.objects" not in sys.modules


def test_naming_one_plugin_imports_no_other(site) -> None:
    """Among good and broken ones only the module behind the name is loaded."""
    site.write_good_plugins()
    site.write_bad_plugins()
    site.plugins().spec("tool", "good-3")
    loaded = {name.partition(".")[0] for name in sys.modules if name.startswith(("agentflow_good", "agentflow_bad"))}
    assert loaded == {"agentflow_good_3"}


def test_no_file_of_a_plugin_that_is_not_named_is_touched(site) -> None:
    """Proved by the interpreter's audit events: no import, no open, no compiled code of another plugin."""
    site.write_good_plugins()
    site.write_bad_plugins()
    seen = site.run(
        "import sys, json\n"
        "seen = []\n"
        "sys.addaudithook(lambda event, args: seen.append(repr(args))"
        " if event in {'import', 'open', 'exec', 'compile'} else None)\n"
        "from agentflow_kernel.loading import Catalogue, Plugins\n"
        "from agentflow_kernel.settings import Settings\n"
        "catalogue = Catalogue(Settings.find())\n"
        "assert len(catalogue.names('tool')) >= 11\n"
        "Plugins(catalogue).spec('tool', 'good-3')\n"
        "print(json.dumps([text for text in seen if 'dist-info' not in text]))",
    )
    touched = {
        name for name in ("good_3", "good_0", "good_5", "bad_") if any(f"agentflow_{name}" in text for text in seen)
    }
    assert touched == {"good_3"}


def test_a_module_under_two_groups_is_registered_and_asked_once_each(site) -> None:
    """One import, one registration, each hook called once."""
    hooks = "".join(
        f"@hookimpl\ndef agentflow_{hook}():\n    calls.append({hook!r})\n"
        f"    return [{spec}('both', 'agentflow_both.objects:make')]\n\n\n"
        for hook, spec in (("journals", "JournalSpec"), ("memories", "MemorySpec"))
    )
    head = "from agentflow_kernel.contracts.plugin import JournalSpec, MemorySpec\n"
    head += "from agentflow_kernel.hookspecs import hookimpl\n\ncalls = ['import']\n\n\n"
    entries = {"both": "agentflow_both._plugin"}
    site.write_distribution(
        "agentflow-both",
        {"agentflow_both/__init__.py": "", "agentflow_both/_plugin.py": head + hooks},
        {"agentflow.journals": entries, "agentflow.memories": entries},
    )
    plugins = site.plugins()
    for _ in range(2):
        assert type(plugins.spec("journal", "both")).__name__ == "JournalSpec"
        assert type(plugins.spec("memory", "both")).__name__ == "MemorySpec"
    assert sys.modules["agentflow_both._plugin"].calls == ["import", "journals", "memories"]


def test_a_module_under_two_spellings_is_registered_once(site) -> None:
    """`package._plugin` and `package:_plugin` are one plugin."""
    location = site.write_toolset("agentflow-good", "one", "two")
    (site.folder / "agentflow_good" / "__init__.py").write_text("from agentflow_good import _plugin\n")
    text = "[agentflow.tools]\none = agentflow_good._plugin\ntwo = agentflow_good:_plugin\n"
    (location / "entry_points.txt").write_text(text)
    plugins = site.plugins()
    assert [plugins.spec("tool", name).name for name in ("one", "two")] == ["one", "two"]


def test_an_entry_may_name_an_object_in_a_module(site) -> None:
    """`module:name` registers that object."""
    source = (
        "from agentflow_kernel.contracts.plugin import ToolsetSpec\n"
        "from agentflow_kernel.hookspecs import hookimpl\n\n"
        "class Plugin:\n"
        "    @hookimpl\n"
        "    def agentflow_tools(self):\n"
        "        return [ToolsetSpec('object', 'x:y')]\n\n"
        "plugin = Plugin()\n"
    )
    site.write_distribution(
        "agentflow-object", {"an_object.py": source}, {"agentflow.tools": {"object": "an_object:plugin"}}
    )
    assert site.plugins().spec("tool", "object").factory == "x:y"


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("bad-import", "ImportError at import: cannot import name 'a_name_it_has_not'"),
        ("bad-exit", "SystemExit at import: 3"),
        ("bad-signature", r"PluginValidationError at registration: .*agentflow_tools\(registry\).*'registry'"),
        ("bad-version", r"plugin API version 99; this kernel supports \{1\}"),
    ],
)
def test_a_broken_plugin_disables_itself_only(site, name, cause) -> None:
    """The error names plugin, distribution, version and cause; the next plugin works."""
    site.write_bad_plugins()
    site.write_toolset("agentflow-good", "good")
    plugins = site.plugins()
    for _ in range(2):
        with pytest.raises(PluginLoadError, match=cause) as caught:
            plugins.spec("tool", name)
    assert (caught.value.plugin, caught.value.distribution, caught.value.version) == (name, f"agentflow-{name}", "1.0")
    assert plugins.spec("tool", "good").name == "good"


def test_a_plugin_that_failed_is_not_tried_again(site) -> None:
    """Its import runs once, though two entries name it."""
    head = "import sys\nsys.tries = getattr(sys, 'tries', 0) + 1\nraise ValueError('no')\n"
    site.write_toolset("agentflow-bad", "one", "two", head=head)
    plugins = site.plugins()
    try:
        for name in ("one", "two", "one"):
            with pytest.raises(PluginLoadError, match=f"Plugin '{name}' .* ValueError at import: no"):
                plugins.spec("tool", name)
        assert sys.tries == 1
    finally:
        del sys.tries


@pytest.mark.parametrize(
    ("raised", "cause"),
    [
        ("SystemExit", "SystemExit at import$"),
        ("RecursionError('deep')", "RecursionError at import: deep"),
        ("GeneratorExit", "GeneratorExit at import"),
        ("type('Odd', (BaseException,), {'__str__': lambda self: 1 / 0})()", "Odd at import$"),
        ("ValueError('a' * 10_000)", "ValueError at import: a{500}…$"),
        ("ValueError('two\\nlines')", "ValueError at import: two lines"),
        ("ValueError('\\x1b[31mred')", "ValueError at import: \ufffd.31mred"),
        ("__import__('agentflow_kernel.errors').errors.Unsupported('x', 'y')", "Unsupported at import: x is not"),
    ],
)
def test_whatever_an_import_raises_is_told_in_one_line(site, raised, cause) -> None:
    """Exceptions that are none, whose text fails, or that are ours."""
    site.write_toolset("agentflow-bad", "bad", head=f"raise {raised}\n")
    with pytest.raises(PluginLoadError) as caught:
        site.plugins().spec("tool", "bad")
    assert re.search(cause, caught.value.cause)
    assert caught.value.__cause__ is not None


def test_an_interrupt_is_the_users(site) -> None:
    """Ctrl-C during an import is no fault of the plugin."""
    site.write_toolset("agentflow-slow", "slow", head="raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        site.plugins().spec("tool", "slow")


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        ("    raise SystemExit(1)", "SystemExit in its hook agentflow_tools: 1"),
        ("    return ToolsetSpec('x', 'a:b')", "TypeError in its hook agentflow_tools"),
        ("    return None", "offers 'x' not at all; it offers nothing"),
        ("    return [ToolsetSpec('y', 'a:b')]", "offers 'x' not at all; it offers 'y'"),
        ("    return [ToolsetSpec('x', 'a:b'), ToolsetSpec('x', 'a:c')]", "offers 'x' more than once"),
        ("    return [MemorySpec('x', 'a:b')]", "gave MemorySpec, not ToolsetSpec"),
        ("    return ['x']", "gave str, not ToolsetSpec"),
        ("    return [ToolsetSpec('x', 'a:b', api_version=2)]", r"version 2; this kernel supports \{1\}"),
        ("    return [ToolsetSpec('x', 'a:b', api_version=[1])]", r"version \[1\]"),
    ],
)
def test_an_answer_that_no_kernel_can_use_is_a_load_error(site, body, cause) -> None:
    """The hook's exceptions, wrong types, missing and doubled names."""
    source = (
        "from agentflow_kernel.contracts.plugin import MemorySpec, ToolsetSpec\n"
        f"from agentflow_kernel.hookspecs import hookimpl\n\n@hookimpl\ndef agentflow_tools():\n{body}\n"
    )
    site.write_distribution("agentflow-x", {"an_x.py": source}, {"agentflow.tools": {"x": "an_x"}})
    with pytest.raises(PluginLoadError, match=cause):
        site.plugins().spec("tool", "x")


def test_a_hook_that_does_not_exist_is_a_load_error(site) -> None:
    """A slip in a hook's name would otherwise be silence."""
    source = "from agentflow_kernel.hookspecs import hookimpl\n\n@hookimpl\ndef agentflow_tolls():\n    return []\n"
    site.write_distribution("agentflow-x", {"an_x.py": source}, {"agentflow.tools": {"x": "an_x"}})
    site.write_toolset("agentflow-good", "good")
    plugins = site.plugins()
    with pytest.raises(PluginLoadError, match="unknown hook 'agentflow_tolls'"):
        plugins.spec("tool", "x")
    assert plugins.spec("tool", "good").name == "good"


def test_an_unknown_plugin_comes_with_the_installed_names_and_the_pip_line(site) -> None:
    """What to type next is in the message."""
    site.write_toolset("agentflow-good", "files", "search")
    with pytest.raises(UnknownPlugin, match=r"'files', 'search'.*pip install agentflow-serch") as caught:
        site.plugins().spec("tool", "serch")
    assert caught.value.suggestion == "search"
    with pytest.raises(UnknownName, match="kind of plugin"):
        site.plugins().spec("tools", "files")


def test_a_kind_without_hook_has_no_specs_but_can_be_loaded(site) -> None:
    """A command is the function that its entry names."""
    site.write_distribution(
        "agentflow-c", {"a_command.py": "def run(): return 7\n"}, {"agentflow.commands": {"c": "a_command:run"}}
    )
    plugins = site.plugins()
    assert plugins.load("command", "c")() == 7
    with pytest.raises(Unsupported, match="have no hook"):
        plugins.spec("command", "c")


def test_a_name_that_two_distributions_offer_is_an_error_when_it_is_used(site) -> None:
    """Both are named and both are listed; other names work."""
    site.write_toolset("agentflow-one", "files", "other")
    site.write_toolset("agentflow-two", "files", version="2.0")
    plugins = site.plugins()
    assert len(plugins.catalogue.entries("tool")) == 3
    assert plugins.catalogue.names("tool") == ("files", "other")
    with pytest.raises(UsageError, match=r"agentflow-one 1\.0 and agentflow-two 2\.0"):
        plugins.spec("tool", "files")
    assert plugins.spec("tool", "other").name == "other"


def test_an_entry_that_is_not_admitted_is_no_rival(site, monkeypatch) -> None:
    """Admitting one of the two settles it."""
    site.write_toolset("agentflow-one", "files")
    site.write_toolset("agentflow-two", "files")
    monkeypatch.setenv("AGENTFLOW_PLUGINS", "two")
    entry = site.catalogue().find("tool", "files")
    assert entry is not None
    assert entry.distribution == "agentflow-two"


def test_a_factory_gets_settings_and_context(with_settings, context) -> None:
    """The settings are an instance of the plugin's model, the context is handed through."""
    settings, given = with_settings.make("tool", "set", {"root": ".", "limit": "7"}, context)
    assert (settings.root, settings.limit) == (".", 7)
    assert given is context


def test_a_plugin_without_settings_takes_none(site, context) -> None:
    """Its factory gets `None`; settings in the manifest are refused by name."""
    site.write_toolset("agentflow-good", "good")
    plugins = site.plugins()
    assert plugins.make("tool", "good", {}, context) == (None, context)
    with pytest.raises(InputInvalid, match="at /root: unknown setting; this plugin takes none"):
        plugins.make("tool", "good", {"root": "."}, context)


@pytest.mark.parametrize(
    ("given", "path", "problem"),
    [
        ({}, "/root", "is missing."),
        ({"root": ".", "limt": 1}, "/limt", f"{ALL} Did you mean 'limit'?"),
        ({"root": ".", "inner": {"dely_s": 1}}, "/inner/dely_s", f"{INNER} Did you mean 'delay_s'?"),
        ({"root": ".", "many": [{}, {"delay": 1}]}, "/many/1/delay", f"{INNER} Did you mean 'delay_s'?"),
        ({"root": ".", "a/b~c": 1}, "/a~1b~0c", ALL),
        ({"root": ".", "limit": 101}, "/limit", "must be at most 100."),
        ({"root": ["s3cret"]}, "/root", "Input should be a valid string."),
    ],
)  # fmt: skip
def test_wrong_settings_are_told_by_place_and_nearest_name(with_settings, context, given, path, problem) -> None:
    """Each finding has a pointer into the settings and says what was expected, never what was given."""
    (finding,) = with_settings.check("tool", "set", given)
    assert (finding.what, finding.path, finding.problem) == ("Settings of the tool 'set'", path, problem)
    with pytest.raises(InputInvalid) as caught:
        with_settings.make("tool", "set", given, context)
    assert caught.value.__cause__ is None
    assert "s3cret" not in str(caught.value)


def test_a_caller_may_turn_all_findings_into_its_own_error(with_settings, context) -> None:
    """A manifest adds the file and the line."""
    with pytest.raises(LookupError, match=r"2: /root /nothing"):
        with_settings.make(
            "tool",
            "set",
            {"nothing": 1},
            context,
            on_setting_error=lambda found: LookupError(f"{len(found)}: {' '.join(one.path for one in found)}"),
        )


def test_checking_settings_makes_nothing(with_settings) -> None:
    """The module of the factory is not imported."""
    assert not with_settings.check("tool", "set", {"root": "."})
    assert "agentflow_set.objects" not in sys.modules


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        ("", "AttributeError in its factory 'agentflow_f.objects:make'"),
        ("make = 5", "cannot be called"),
        ("raise SystemExit(2)", "SystemExit in its factory 'agentflow_f.objects:make': 2"),
        ("def make(settings, context): raise SystemExit(2)", "SystemExit in its factory"),
        ("def make(settings, context): 1 / 0", "ZeroDivisionError in its factory"),
        ("def make(settings): pass", "TypeError in its factory"),
        ("def make(settings, context): return None", "gave NoneType, not the object itself"),
        ("async def make(settings, context): return 1", "gave coroutine, not the object itself"),
    ],
)
def test_a_factory_that_fails_is_a_load_error(site, context, source, cause) -> None:
    """Whether it is missing, raises, exits, or gives nothing that can be used."""
    site.write_toolset("agentflow-f", "f")
    (site.folder / "agentflow_f" / "objects.py").write_text(source)
    with pytest.raises(PluginLoadError, match=cause) as caught:
        site.plugins().make("tool", "f", {}, context)
    assert caught.value.distribution == "agentflow-f"


def test_our_own_errors_come_through_a_factory(site, context) -> None:
    """A refused path says more than a plugin that cannot be used."""
    site.write_toolset("agentflow-f", "f")
    source = (
        "from agentflow_kernel import errors\ndef make(settings, context): raise errors.PathRefused('x', 'absent')\n"
    )
    (site.folder / "agentflow_f" / "objects.py").write_text(source)
    with pytest.raises(PathRefused):
        site.plugins().make("tool", "f", {}, context)


@pytest.mark.parametrize(
    ("settings", "cause"),
    [
        ("agentflow_f.absent:Model", "ModuleNotFoundError in its settings"),
        ("agentflow_f.objects:make", "must name a pydantic model"),
        ("agentflow_f.objects", "must name a pydantic model"),
        ("agentflow_f.objects:", "not of the form 'module:Name'"),
    ],
)
def test_settings_that_are_no_model_are_a_load_error(site, context, settings, cause) -> None:
    """The plugin is at fault, not the manifest."""
    site.write_toolset("agentflow-f", "f", more=f"settings={settings!r}")
    with pytest.raises(PluginLoadError, match=cause):
        site.plugins().make("tool", "f", {}, context)


def test_a_reference_is_resolved_on_behalf_of_its_plugin(site) -> None:
    """What fails is told with the distribution; what belongs to no plugin raises as it does."""
    site.write_toolset("agentflow-good", "good")
    plugins = site.plugins()
    assert callable(plugins.resolve("agentflow_good.objects:make"))
    with pytest.raises(PluginLoadError, match=r"agentflow-good 1\.0 .*AttributeError in 'agentflow_good.objects:made'"):
        plugins.resolve("agentflow_good.objects:made")
    assert plugins.resolve("os.path:join") is os.path.join


def test_a_catalogue_can_be_made_of_entries(site) -> None:
    """For those who know what they want to load."""
    site.write_toolset("agentflow-good", "good")
    entries = site.catalogue().entries()
    assert Plugins(Catalogue.of(entries)).spec("tool", "good").name == "good"


def test_what_is_installed_but_not_admitted_is_not_unknown(site, monkeypatch) -> None:
    """The message says why, and nothing is imported."""
    site.write_toolset("agentflow-good", "good")
    monkeypatch.setenv("AGENTFLOW_PLUGINS", "")
    plugins = site.plugins()
    for use in (plugins.spec, plugins.load):
        with pytest.raises(NotAllowed, match=r"tool 'good' of agentflow-good 1\.0 is installed but not admitted"):
            use("tool", "good")
    assert "agentflow_good" not in sys.modules


def test_registering_six_plugins_loads_pluggy_and_nothing_slow(site) -> None:
    """No pydantic, no structlog, no opentelemetry, no event loop."""
    names = site.write_good_plugins()
    loaded = site.run(
        "import sys\nfrom agentflow_kernel.loading import Catalogue, Plugins\n"
        "from agentflow_kernel.settings import Settings\nbefore = set(sys.modules)\n"
        f"plugins = Plugins(Catalogue(Settings.find()))\nfor name in {names!r}: plugins.spec('tool', name)\n"
        "loaded = sorted(set(sys.modules) - before); import json; print(json.dumps(loaded))"
    )
    assert {"pluggy", "agentflow_good_5._plugin"} <= set(loaded)
    slow = {"asyncio", "importlib.metadata", "json", "logging", "opentelemetry", "pathlib", "pydantic", "structlog"}
    assert not slow & set(loaded)
