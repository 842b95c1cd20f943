"""A toolset over a folder of the test's own, a clock that the test moves, and both ways to open a path."""

from __future__ import annotations

import contextlib
import random
import threading
from typing import TYPE_CHECKING, Any

import pytest

from agentflow_kernel.contracts.plugin import PluginContext
from agentflow_kernel.contracts.tool import ToolContext
from agentflow_tools import _opener
from agentflow_tools._openat2 import Openat2
from agentflow_tools._opener import Opener, StepOpener
from agentflow_tools._watch import Watch
from agentflow_tools.files import Files
from agentflow_tools.settings import FilesSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class StillClock:
    """A clock that moves by `step_s` seconds whenever it is read; a worker thread that reads it calls `on_look`."""

    def __init__(self) -> None:
        self.seconds = 1_000.0
        self.step_s = 0.0
        self.on_look: Callable[[], object] = lambda: None

    def now(self) -> float:
        return self.seconds

    def monotonic(self) -> float:
        if threading.current_thread() is not threading.main_thread():
            self.on_look()
        self.seconds += self.step_s
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += max(seconds, 0)


class Desk:
    """A toolset as the kernel would use it: made by its factory, called by name, closed at the end."""

    def __init__(self, folder: Path, clock: StillClock, **settings: Any) -> None:
        context = PluginContext("files", clock=clock, random=random.Random(0), folder=str(folder))
        self.files = Files(FilesSettings(**{"root": "root", **settings}), context)

    async def call(self, name: str, **arguments: Any) -> Any:
        return await self.files.call(name, arguments, ToolContext())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of the manifest; the root lies in it, and beside the root what nobody may see."""
    (tmp_path / "root").mkdir()
    (tmp_path / "outside.txt").write_text("outside\n", encoding="utf-8")
    return tmp_path


@pytest.fixture
def root(folder: Path) -> Path:
    return folder / "root"


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def watch(clock: StillClock) -> Watch:
    """A watch without a deadline that matters and without a call to be cancelled."""
    return Watch(clock, 10.0, lambda: None)


@pytest.fixture(params=["openat2", "steps"])
def opener(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Opener:
    """Both ways to open a path; toolsets made in the test use the same one."""
    if request.param == "openat2":
        return Openat2()
    monkeypatch.setattr(_opener, "find_openat2", lambda root: None)
    return StepOpener()


@pytest.fixture
def make_desk(folder: Path, clock: StillClock) -> Iterator[Callable[..., Desk]]:
    """Toolsets over the root with the given settings, closed after the test."""
    with contextlib.ExitStack() as stack:

        def make(**settings: Any) -> Desk:
            desk = Desk(folder, clock, **settings)
            stack.callback(desk.files._root.close)
            return desk

        yield make
