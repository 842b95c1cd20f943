"""The plugin: it is found by its name, its settings are checked, and a missing driver is said with what to do."""

from __future__ import annotations

import random
import sys
from typing import TYPE_CHECKING

import anyio
import pytest
from pydantic import ValidationError

from agentflow_kernel import Flow, Kernel
from agentflow_kernel.contracts.clock import SystemClock
from agentflow_kernel.contracts.plugin import PluginContext
from agentflow_kernel.errors import Unsupported, UsageError
from agentflow_leveldb._plugin import agentflow_journals
from agentflow_leveldb.journal import create_journal
from agentflow_leveldb.settings import JournalSettings
from agentflow_leveldb.testing import LevelJournalHarness

if TYPE_CHECKING:
    from pathlib import Path


def context(folder: Path, *, state: str | None = None) -> PluginContext:
    return PluginContext("main", clock=SystemClock(), random=random.Random(1), folder=str(folder), state_folder=state)


def test_it_offers_what_its_harness_declares() -> None:
    (spec,) = agentflow_journals()
    assert spec.name == "leveldb"
    declared = LevelJournalHarness.declared
    assert set(spec.capabilities) == {name for name, offered in declared.items() if offered} - {"damage"}


def test_without_plyvel_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Also on a Python for which there is no wheel."""
    monkeypatch.setitem(sys.modules, "plyvel", None)
    with pytest.raises(Unsupported, match=r"plyvel is not installed for Python 3\.\d+.*libleveldb-dev.*'sqlite'"):
        create_journal(JournalSettings(path=str(tmp_path)), context(tmp_path))


@pytest.mark.parametrize(
    "given", [{"path": ""}, {"least_free": 1.0}, {"least_free": -0.1}, {"sync": False}, {"accept_loss": "perhaps"}]
)
def test_wrong_settings_are_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        JournalSettings.model_validate(given)


def test_it_needs_a_place(tmp_path: Path) -> None:
    pytest.importorskip("plyvel", reason="there is no wheel of plyvel for this Python")
    with pytest.raises(UsageError, match="no place for its folder"):
        create_journal(JournalSettings(), context(tmp_path, state=None))
    journal = create_journal(JournalSettings(), context(tmp_path, state=str(tmp_path / "state")))
    assert journal._commits.name == str(tmp_path / "state" / "journal.leveldb")
    journal = create_journal(JournalSettings(path="here", commit_in_loop=False), context(tmp_path))
    assert journal._commits.name == str(tmp_path / "here")
    assert not journal._commits.pace.in_loop


@pytest.mark.blocking("a kernel reads its settings as it starts")
def test_a_run_is_taken_up_by_the_next_kernel(tmp_path: Path) -> None:
    """The name in manifests and in code leads to it, and what was done is not done again."""
    pytest.importorskip("plyvel", reason="there is no wheel of plyvel for this Python")
    calls: list[str] = []
    flow = Flow("two")
    flow.step(lambda value: calls.append("first") or value + 1, name="first")
    flow.step(lambda value: calls.append("second") or value * 2, name="second")

    async def work(key: str) -> object:
        async with Kernel(state=str(tmp_path / "state"), journal="leveldb") as kernel:
            kernel.add(flow)
            handle = await kernel.start("flow/two", 1, key=key)
            return await handle.result()

    assert anyio.run(work, "once") == 4
    assert anyio.run(work, "once") == 4
    assert calls == ["first", "second"]
