"""A source over a file of the test's own, as the kernel would make it."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from agentflow_kernel.contracts.plugin import PluginContext
from agentflow_kernel.testing import FakeClock
from agentflow_sources.file import FileSource
from agentflow_sources.lines import follow
from agentflow_sources.settings import FileSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agentflow_sources.lines import LineSource


class StillClock:
    """A clock that stands at the beginning of 2026-01-02 UTC."""

    def now(self) -> float:
        return 1_767_312_000.25

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("A source of a finite file waits for nothing.")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Where the file lies; it does not exist yet."""
    return tmp_path / "app.log"


@pytest.fixture
def make_source(tmp_path: Path) -> Callable[..., FileSource]:
    """Sources named `log-file` in a manifest in the test's folder; `path` is `app.log` unless told."""

    def make(**settings: Any) -> FileSource:
        context = PluginContext("log-file", clock=StillClock(), random=random.Random(0), folder=str(tmp_path))
        return FileSource(FileSettings(**{"path": "app.log", **settings}), context)

    return make


@pytest.fixture
def read_once(make_source) -> Callable[..., Any]:
    """The items that a new source gives, from the beginning or after a cursor."""

    async def read(cursor: Any = None, **settings: Any) -> list[Any]:
        source = make_source(**settings)
        try:
            return [item async for item in source.events(cursor)]
        finally:
            await source.aclose()

    return read


class Following:
    """A followed log, as the kernel would read it, and what it has told of."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.clock = FakeClock(auto=True)
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.settings = FileSettings(**{"path": "app.log", "follow": True, "rotation_s": 1, **settings})
        self.folder = folder

    def source(self, state: str | None = "state") -> LineSource:
        context = PluginContext(
            "tail",
            clock=self.clock,
            random=random.Random(0),
            folder=str(self.folder),
            state_folder=None if state is None else str(self.folder / state),
            emit=lambda name, fields: self.told.append((name, fields)),
        )
        return follow(self.settings, context)

    async def chunks(self, cursor: Any = None, **settings: Any) -> list[tuple[Any, bytes]]:
        """Each item with the bytes of its chunk, until nothing came for ten seconds of the fake clock."""
        if settings:
            self.settings = self.settings.model_copy(update=settings)
        self.settings = self.settings.model_copy(update={"quiet_s": 10.0})
        source = self.source()
        found = [(item, await anyio.Path(item.event.data["path"]).read_bytes()) async for item in source.events(cursor)]
        await source.aclose()
        return found


@pytest.fixture
def following(tmp_path: Path) -> Callable[..., Following]:
    """Followers of `app.log` in the test's folder, with a clock that moves itself."""
    return lambda **settings: Following(tmp_path, **settings)
