"""The harness of the toolset `files`: what the conformance kit needs to test it, each time in a folder of its own."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, ClassVar

import anyio
from anyio.to_thread import run_sync

from agentflow_kernel.contracts.clock import SystemClock
from agentflow_kernel.contracts.plugin import PluginContext
from agentflow_kernel.errors import AskModelAgain, PathRefused, ToolFailed
from agentflow_tools.files import Files
from agentflow_tools.settings import FilesSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from agentflow_kernel.contracts.values import JSON

    Arguments = Mapping[str, JSON]

HUGE_BYTES = 1 << 40
"""Size of a file that takes no room on the disk and minutes to read."""
TEXTS = {"docs/notes.md": "alpha\nbeta ü 🐎\n" * 20, "docs/deep/down/here.txt": "a\n", "docs/empty.txt": ""}


class FilesHarness:
    """Opens toolsets that see a temporary folder of a few files, one of them huge."""

    kind: ClassVar[str] = "tool"
    declared: ClassVar[Mapping[str, bool]] = {"fails": True, "slow": True, "counts": False, "checks": False}
    known_deviations: ClassVar[Mapping[str, str]] = {}
    examples: ClassVar[Mapping[str, Arguments]] = {
        "read": {"path": "docs/notes.md", "start_line": 2},
        "list": {"path": "docs", "pattern": "*"},
        "search": {"path": "docs", "pattern": "beta", "files": "*.md"},
    }
    failing: ClassVar[Sequence[tuple[str, Arguments, type[Exception]]]] = [
        ("read", {"path": "docs/none.md"}, ToolFailed),
        ("read", {"path": "docs"}, AskModelAgain),
        ("read", {"path": "../outside"}, PathRefused),
        ("list", {"path": "docs/notes.md"}, AskModelAgain),
        ("search", {"path": "docs", "pattern": "(", "regex": True}, AskModelAgain),
    ]
    slow: ClassVar[tuple[str, Arguments]] = ("read", {"path": "huge", "start_line": 1_000_000})

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Files]:
        """A toolset over a fresh folder."""
        folder = await run_sync(_make_folder)
        settings = FilesSettings(root=folder, timeout_s=600)
        files = Files(settings, PluginContext("files", clock=SystemClock(), random=random.Random(0)))  # noqa: S311
        try:
            yield files
        finally:
            with anyio.CancelScope(shield=True):
                await files.aclose()
                await run_sync(shutil.rmtree, folder)


def _make_folder() -> str:
    folder = tempfile.mkdtemp()
    for path, text in TEXTS.items():
        place = os.path.join(folder, path)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place, "w", encoding="utf-8") as file:
            file.write(text)
    with open(os.path.join(folder, "huge"), "w", encoding="utf-8") as file:
        file.write("a line\n" * 2_000)
        file.truncate(HUGE_BYTES)
    return folder
