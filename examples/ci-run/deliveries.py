"""Deliveries: the stored payloads of `workflow_run`, `workflow_job` and `check_run` webhooks, as events."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio.to_thread

from agentflow_kernel import Event
from agentflow_kernel.contracts.source import SourceItem
from agentflow_kernel.errors import InputInvalid

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from agentflow_kernel.contracts.plugin import PluginContext

KINDS = ("workflow_job", "workflow_run", "check_run")


class Deliveries:
    """A source: each `*.json` of a folder is one delivery, in the order of the names."""

    def __init__(self, settings: dict[str, Any], context: PluginContext) -> None:
        self.folder = Path(context.folder, str(settings["path"]))

    async def events(self, cursor: Any = None) -> AsyncIterator[SourceItem]:
        """The deliveries after the one that the cursor names."""
        for file in await anyio.to_thread.run_sync(self._files):
            if cursor is None or file.name > str(cursor):
                text = await anyio.to_thread.run_sync(file.read_text)
                yield SourceItem(event_of(text, file.name), file.name)

    async def aclose(self) -> None:
        """Nothing is open."""

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("*.json"))


def event_of(text: str, name: str) -> Event:
    """The event that a payload is: `workflow_job.completed` and so on, with what a chart needs to know of it."""
    payload = json.loads(text)
    kind = next((each for each in KINDS if each in payload), None)
    if kind is None:
        raise InputInvalid(f"The delivery {name!r}", f"it is about none of {', '.join(KINDS)}")
    about = payload[kind]
    data = {key: about.get(key) for key in ("head_sha", "name", "status", "conclusion")}
    repository = payload["repository"]["html_url"]
    return Event(f"{kind}.{payload['action']}", data, source=repository, id=f"{name}/{about['id']}")
