"""The source `file`: reads one file to its end and tells of it in one event."""

from __future__ import annotations

import os
from urllib.parse import quote

import anyio.from_thread
import anyio.to_thread

from agentflow_kernel.contracts.source import SourceItem
from agentflow_kernel.errors import StorageUnavailable, UsageError
from agentflow_kernel.event import Event
from agentflow_sources._cursor import Cursor
from agentflow_sources._moment import rfc3339
from agentflow_sources._opening import diagnose, locate, open_plain
from agentflow_sources._tally import Tally

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from agentflow_kernel.contracts.plugin import PluginContext
    from agentflow_kernel.contracts.values import JSON
    from agentflow_sources.lines import LineSource
    from agentflow_sources.settings import FileSettings

EVENT_TYPE = "dev.agentflow.file.read"

_PIECE_BYTES = 1_048_576


class _Ended(Exception):
    """Nobody waits for the reading any more."""


class _Life:
    """Whether somebody still waits for a reading; asked by the thread that reads."""

    def __init__(self) -> None:
        self.ended = False

    def look(self) -> None:
        """Go on, or raise: :class:`_Ended`, or the event loop's cancellation."""
        if self.ended:
            raise _Ended
        anyio.from_thread.check_cancelled()


class FileSource:
    """Reads a file once, up to the size that it has when it is opened, in a worker thread and in bounded memory.

    The event says what was read; it does not carry the content. What is appended during the reading is not part of it.
    """

    def __init__(self, settings: FileSettings, context: PluginContext) -> None:
        self._settings = settings
        self._context = context
        self._lives: set[_Life] = set()
        self._closed = False

    async def events(self, cursor: JSON = None) -> AsyncIterator[SourceItem]:
        """One event for the content of the file, or none if it is the content that `cursor` stands for.

        Content is told apart by its SHA-256, and is not read at all when place, size and time of change are the same.
        A file that has grown, shrunk or been replaced is read anew, from its beginning. A cursor of an offset alone
        stands for everything up to there. Ends without an event when the source is closed meanwhile.

        Raises :class:`InputInvalid` for a missing or binary file, a line that is too long, or a foreign cursor,
        :class:`PathRefused` for what is no plain file or may not be read, :class:`StorageUnavailable` when the machine
        fails or the file is shortened while it is read, :class:`UsageError` after :meth:`aclose`.
        """
        if self._closed:
            raise UsageError(f"Source {self._context.name!r} has been closed. Make a new one.")
        known = Cursor.from_json(cursor, self._context.name)
        life = _Life()
        self._lives.add(life)
        try:
            item = await anyio.to_thread.run_sync(self._read, known, life)
        except _Ended:
            return
        finally:
            life.ended = True
            self._lives.discard(life)
        if item is not None:
            yield item

    async def aclose(self) -> None:
        """End a reading at its next piece; may be called twice."""
        self._closed = True
        for life in self._lives:
            life.ended = True

    def _read(self, known: Cursor | None, life: _Life) -> SourceItem | None:
        """The item for the file as it is now. Blocks."""
        path = locate(self._context.folder, self._settings.path)
        with open_plain(path, self._context.name) as (fd, status):
            if known is not None and known.is_surely_seen(status):
                return None
            tally = Tally(path, self._settings.encoding, self._settings.max_line_bytes)
            try:
                self._read_all(fd, status.st_size, tally, life)
            except OSError as error:
                raise diagnose(error, path, self._context.name) from error
        if tally.size_bytes < status.st_size:
            raise StorageUnavailable(
                f"Source {self._context.name!r}: {path!r} was shortened while it was read, to {tally.size_bytes} of "
                f"{status.st_size} bytes. Read it again when nobody cuts it.",
                executed="no",
            )
        if known is not None and (known.offset, known.sha256) == (tally.size_bytes, tally.sha256):
            return None
        cursor = Cursor(tally.size_bytes, status.st_dev, status.st_ino, status.st_mtime_ns, tally.sha256)
        return SourceItem(self._event(path, status, tally), cursor.to_json())

    def _read_all(self, fd: int, size_bytes: int, tally: Tally, life: _Life) -> None:
        piece_bytes = min(_PIECE_BYTES, self._settings.max_line_bytes)
        life.look()
        while tally.size_bytes < size_bytes:
            piece = os.pread(fd, min(piece_bytes, size_bytes - tally.size_bytes), tally.size_bytes)
            if not piece:
                return
            tally.add(piece)
            life.look()
        tally.end()

    def _event(self, path: str, status: os.stat_result, tally: Tally) -> Event:
        return Event(
            EVENT_TYPE,
            {
                "path": path,
                "size_bytes": tally.size_bytes,
                "lines": tally.lines,
                "ends_with_newline": tally.ends_with_newline,
                "sha256": tally.sha256,
                "modified": rfc3339(status.st_mtime_ns),
                "device": status.st_dev,
                "inode": status.st_ino,
                "encoding": self._settings.encoding,
                "first_undecodable_line": tally.first_undecodable_line,
            },
            source=f"file://{quote(path)}",
            subject=path,
            time=rfc3339(int(self._context.clock.now() * 1_000_000) * 1_000),
        )


def create_file(settings: FileSettings, context: PluginContext) -> FileSource | LineSource:
    """The source `file`: reads a file once, or follows it."""
    if not settings.follow:
        return FileSource(settings, context)
    from agentflow_sources.lines import follow  # lazy: only who follows pays

    return follow(settings, context)
