"""The source `folder`: reads each file of a folder once, and tells of it as the source `file` does."""

from __future__ import annotations

import hashlib
import os
from typing import NamedTuple, cast

import anyio.to_thread

from agentflow_kernel.contracts.source import SourceItem
from agentflow_kernel.errors import AgentFlowError, InputInvalid, PathRefused, StorageUnavailable, UsageError
from agentflow_kernel.event import Event
from agentflow_sources._ledger import Ledger
from agentflow_sources._life import Life
from agentflow_sources._listing import Listed, list_files
from agentflow_sources._opening import locate
from agentflow_sources.file import FileSource
from agentflow_sources.settings import FileSettings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from agentflow_kernel.contracts.plugin import PluginContext
    from agentflow_kernel.contracts.values import JSON
    from agentflow_sources.settings import FolderSettings


class _Sight(NamedTuple):
    """What a file was when it was last seen, and since when it is so."""

    listed: Listed
    since: float


class FolderSource:
    """One event for each content of each file, in the order of their paths, once a file has not changed for a while.

    Which contents are known stands in the state folder; without one it is known for as long as the source is. The
    event's id is made from path and content.
    """

    continues = True
    """A new firing goes on after the last cursor."""

    def __init__(self, settings: FolderSettings, context: PluginContext) -> None:
        self._settings = settings
        self._context = context
        self._life = Life(context.name, context.clock)
        self._refused: dict[str, Listed] = {}
        self._reading: FileSource | None = None

    async def events(self, cursor: JSON = None) -> AsyncIterator[SourceItem]:
        """One event per file and content that was not told of up to `cursor`.

        Without `follow` it ends when every file has settled and is known. Raises :class:`InputInvalid` for a folder
        that is missing, a binary file or a foreign cursor, :class:`PathRefused` for what is no folder or may not be
        read, :class:`StorageUnavailable` when the machine fails, :class:`UsageError` after :meth:`aclose` and for
        following without a state folder.
        """
        context, settings = self._context, self._settings
        self._life.check()
        if settings.follow and context.state_folder is None:
            raise UsageError(
                f"Source {context.name!r} keeps on disk what it has told of. Give a state folder (--state, "
                "AGENTFLOW_STATE), or leave out `follow`."
            )
        root = await anyio.to_thread.run_sync(locate, context.folder, settings.path)
        ledger = Ledger(context.state_folder, context.name)
        await anyio.to_thread.run_sync(ledger.open, cursor)
        sights: dict[str, _Sight] = {}
        while self._life.goes_on():
            files = await anyio.to_thread.run_sync(list_files, root, settings.glob, context.name)
            sights = self._see(files, sights)
            waiting = False
            for path, sight in sights.items():
                if not self._life.goes_on():
                    return
                if self._is_known(ledger, path, sight.listed):
                    continue
                if not self._has_settled(sight):
                    waiting = True
                    continue
                item = await self._read(ledger, root, path, sight.listed)
                if item is not None:
                    yield item
                waiting = waiting or not self._is_known(ledger, path, sight.listed)
            if not (waiting or settings.follow):
                return
            await self._life.pause(settings.poll_s)

    async def aclose(self) -> None:
        """End the iterator, at once if it waits; may be called twice."""
        self._life.end()
        if self._reading is not None:
            await self._reading.aclose()

    def _see(self, files: Mapping[str, Listed], before: Mapping[str, _Sight]) -> dict[str, _Sight]:
        """Since when each file is as it is."""
        now = self._context.clock.monotonic()
        known = {path: before[path] for path in files if path in before and before[path].listed == files[path]}
        return {path: known.get(path) or _Sight(listed, now) for path, listed in files.items()}

    def _is_known(self, ledger: Ledger, path: str, listed: Listed) -> bool:
        known = ledger.knows(path, listed.size_bytes, listed.modified_ns)
        return known or self._refused.get(path) == listed

    def _has_settled(self, sight: _Sight) -> bool:
        """Not changed while we looked, or, by the wall clock, for long enough before."""
        clock, settle_s = self._context.clock, self._settings.settle_s
        age_s = clock.now() - sight.listed.modified_ns / 1_000_000_000
        return max(clock.monotonic() - sight.since, age_s) >= settle_s

    async def _read(self, ledger: Ledger, root: str, path: str, listed: Listed) -> SourceItem | None:
        """The item for a content that is new. A file that is another one by now is left for the next look."""
        try:
            event = await self._read_file(os.path.join(root, path))
        except (InputInvalid, PathRefused, StorageUnavailable) as error:
            if await anyio.to_thread.run_sync(self._is_as_listed, root, path, listed):
                self._refuse(path, listed, error)
            return None
        if event is None:
            return None
        data = cast("dict[str, JSON]", event.data)
        found = (data["device"], data["inode"], data["size_bytes"])
        if found != (listed.device, listed.inode, listed.size_bytes):
            return None
        sha256 = str(data["sha256"])
        is_new = ledger.sha256(path) != sha256
        told = await anyio.to_thread.run_sync(ledger.add, path, listed.size_bytes, listed.modified_ns, sha256)
        if not is_new:
            return None
        name = hashlib.sha256(f"{path}\n{sha256}".encode()).hexdigest()[:32]
        named = Event(event.type, data, id=name, source=event.source, subject=event.subject, time=event.time)
        return SourceItem(named, {"told": told})

    async def _read_file(self, path: str) -> Event | None:
        settings = self._settings
        reads = FileSettings(path=path, max_line_bytes=settings.max_line_bytes, encoding=settings.encoding)
        self._reading = source = FileSource(reads, self._context)
        try:
            found = [item.event async for item in source.events()]
        finally:
            self._reading = None
        return found[0] if found else None

    def _is_as_listed(self, root: str, path: str, listed: Listed) -> bool:
        """Whether it is the file itself that cannot be read, not one that is just being replaced."""
        return list_files(root, self._settings.glob, self._context.name).get(path) == listed

    def _refuse(self, path: str, listed: Listed, error: AgentFlowError) -> None:
        """End with the error, or remember it and go on; an error of the machine always ends."""
        if self._settings.unreadable == "fail" or isinstance(error, StorageUnavailable):
            raise error
        self._refused[path] = listed
        self._context.emit("source.file_skipped", {"path": path, "code": error.code, "reason": str(error)})
