"""The harness: all that the conformance kit needs to test the source; it holds no test."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from contextlib import asynccontextmanager
from random import Random
from typing import TYPE_CHECKING, ClassVar

import anyio
from agentflow_kernel.contracts.clock import SystemClock
from agentflow_kernel.contracts.plugin import PluginContext
from agentflow_kernel.errors import InputInvalid, PathRefused
from anyio.to_thread import run_sync

from agentflow_webhook_files.settings import WebhookFilesSettings
from agentflow_webhook_files.source import WebhookFiles

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from agentflow_kernel.contracts.source import Source

DELIVERIES = {
    "issues/001.json": {"action": "opened", "issue": {"title": "Ärger mit 🐎"}},
    "push/002.json": {"ref": "refs/heads/main", "repository": {"html_url": "https://github.com/example/example"}},
    "push/003.json": {"ref": "refs/heads/other"},
}


class WebhookFilesHarness:
    """Opens sources over folders of three deliveries."""

    kind: ClassVar[str] = "source"
    declared: ClassVar[Mapping[str, bool]] = {
        "finite": True,
        "resumes": True,
        "continues": True,
        "content": True,
        "fails": True,
        "slow": False,
        "feeds": False,
    }
    known_deviations: ClassVar[Mapping[str, str]] = {}
    items: ClassVar[int] = len(DELIVERIES)
    failing: ClassVar[Mapping[str, type[Exception]]] = {
        "no folder": InputInvalid,
        "no JSON": InputInvalid,
        "no object": InputInvalid,
        "a pipe": PathRefused,
    }

    def __init__(self) -> None:
        self._folders: dict[int, str] = {}

    @asynccontextmanager
    async def open(self) -> AsyncIterator[WebhookFiles]:
        """A source over a fresh folder."""
        async with self._filled(_write_deliveries) as source:
            yield source

    @asynccontextmanager
    async def again(self, source: Source) -> AsyncIterator[WebhookFiles]:
        """Another source over the folder of this one."""
        async with self._over(self._folders[id(source)]) as other:
            yield other

    @asynccontextmanager
    async def open_on(self, content: bytes) -> AsyncIterator[WebhookFiles]:
        """A source over one delivery; without content there is none."""
        async with self._filled(lambda folder: _write(folder, "push/001.json", content) if content else None) as source:
            yield source

    @asynccontextmanager
    async def open_failing(self, name: str) -> AsyncIterator[WebhookFiles]:
        """A source over what cannot be read."""
        async with self._filled(lambda folder: _spoil(folder, name)) as source:
            yield source

    @asynccontextmanager
    async def _filled(self, fill: Callable[[str], None]) -> AsyncIterator[WebhookFiles]:
        folder = await run_sync(tempfile.mkdtemp)
        try:
            await run_sync(fill, folder)
            async with self._over(folder) as source:
                yield source
        finally:
            with anyio.CancelScope(shield=True):
                await run_sync(lambda: shutil.rmtree(folder, ignore_errors=True))

    @asynccontextmanager
    async def _over(self, folder: str) -> AsyncIterator[WebhookFiles]:
        context = PluginContext("hooks", clock=SystemClock(), random=Random(0), folder=folder)
        source = WebhookFiles(WebhookFilesSettings(path="."), context)
        self._folders[id(source)] = folder
        try:
            yield source
        finally:
            del self._folders[id(source)]
            await source.aclose()


def _write_deliveries(folder: str) -> None:
    for path, payload in DELIVERIES.items():
        _write(folder, path, json.dumps(payload).encode())


def _write(folder: str, path: str, content: bytes) -> None:
    place = os.path.join(folder, path)
    os.makedirs(os.path.dirname(place), exist_ok=True)
    with open(place, "wb") as file:
        file.write(content)


def _spoil(folder: str, name: str) -> None:
    if name == "no folder":
        os.rmdir(folder)
    elif name == "a pipe":
        os.mkdir(os.path.join(folder, "push"))
        os.mkfifo(os.path.join(folder, "push", "001.json"))
    else:
        _write(folder, "push/001.json", b"{" if name == "no JSON" else b"[]")
