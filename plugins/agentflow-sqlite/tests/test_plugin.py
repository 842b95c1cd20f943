"""What the plugin module offers, and what its factories do before anything is opened."""

from __future__ import annotations

import importlib
import json
import random
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from agentflow_kernel.contracts.clock import SystemClock
from agentflow_kernel.contracts.plugin import API_VERSION, PluginContext, PluginSpec
from agentflow_kernel.errors import UsageError
from agentflow_sqlite._plugin import agentflow_journals, agentflow_memories
from agentflow_sqlite.journal import create_journal
from agentflow_sqlite.memory import create_memory
from agentflow_sqlite.settings import JournalSettings, MemorySettings

if TYPE_CHECKING:
    from pathlib import Path

LOADED = """
import agentflow_kernel.contracts.plugin, agentflow_kernel.hookspecs, json, sys
before = set(sys.modules)
import agentflow_sqlite._plugin as plugin
plugin.agentflow_journals(), plugin.agentflow_memories()
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def context(folder: Path, state: Path | None) -> PluginContext:
    return PluginContext(
        "main",
        clock=SystemClock(),
        random=random.Random(1),
        folder=str(folder),
        state_folder=None if state is None else str(state),
    )


def resolve(name: str) -> object:
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


@pytest.mark.parametrize("spec", [*agentflow_journals(), *agentflow_memories()], ids=lambda spec: type(spec).__name__)
def test_plugin_specs_lead_to_factory_and_settings(spec: PluginSpec) -> None:
    """Both offers are called `sqlite` and name a factory and a settings model that exist."""
    assert spec.name == "sqlite"
    assert spec.api_version == API_VERSION
    assert callable(resolve(spec.factory))
    assert resolve(spec.settings or "").model_config["extra"] == "forbid"


def test_plugin_journal_declares_its_abilities() -> None:
    """The journal appends without an event loop and is read by others meanwhile."""
    (spec,) = agentflow_journals()
    assert spec.capabilities == ("durable", "inline", "shared", "prunes", "compacts", "tally")


def test_plugin_loads_neither_driver_nor_models() -> None:
    """Registering loads a handful of modules, and neither sqlite3 nor pydantic nor anyio."""
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True, timeout=50)
    loaded = json.loads(done.stdout)
    assert "agentflow_sqlite._plugin" in loaded
    assert len(loaded) <= 15
    assert not {name.partition(".")[0] for name in loaded} & {"sqlite3", "pydantic", "anyio"}


def test_plugin_journal_module_loads_without_event_loop_or_models() -> None:
    """A run without an event loop pays for neither anyio nor pydantic."""
    code = (
        "import agentflow_sqlite.journal, sys; print([n for n in ('anyio', 'pydantic', 'asyncio') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=50)
    assert done.stdout.strip() == "[]"


@pytest.mark.anyio
async def test_factory_opens_nothing_and_first_use_creates_the_folder(tmp_path: Path, author) -> None:
    """Without a path the file lies in the state folder, and neither exists before the first append."""
    state = tmp_path / "deep" / "state"
    journal = create_journal(JournalSettings(), context(tmp_path, state))
    memory = create_memory(MemorySettings(), context(tmp_path, state))
    assert not state.exists()
    await journal.append("r", 0, 1, author("r").write())
    await memory.put("n", "k", 1)
    assert {"journal.db", "memory.db"} <= {path.name for path in state.iterdir()}
    await journal.aclose()
    await memory.aclose()


@pytest.mark.anyio
async def test_factory_takes_a_path_relative_to_the_manifest(tmp_path: Path, author) -> None:
    """The setting `path` needs no state folder; it counts from the manifest's folder."""
    journal = create_journal(JournalSettings(path="data/runs.db"), context(tmp_path, None))
    await journal.append("r", 0, 1, author("r").write())
    assert (tmp_path / "data" / "runs.db").is_file()
    await journal.aclose()


@pytest.mark.parametrize(
    ("create", "settings"), [(create_journal, JournalSettings()), (create_memory, MemorySettings())]
)
def test_factory_without_any_place_says_what_to_do(tmp_path: Path, create, settings) -> None:
    """With neither a state folder nor a path the factory names both ways out."""
    with pytest.raises(UsageError, match=r"'main'.*AGENTFLOW_STATE.*'path'"):
        create(settings, context(tmp_path, None))


@pytest.mark.parametrize("model", [JournalSettings, MemorySettings])
def test_settings_refuse_unknown_names_and_empty_paths(model) -> None:
    """A mistyped setting is an error, and so is a path that is none."""
    with pytest.raises(ValidationError, match="extra"):
        model(paht="x")
    with pytest.raises(ValidationError, match="path"):
        model(path="")
