"""The sources of lines: a followed log and standard input, spooled to disk and told of chunk by chunk."""

from __future__ import annotations

from functools import partial
from typing import TypeVar

import anyio
import anyio.to_thread

from agentflow_kernel.errors import UsageError
from agentflow_kernel.telemetry import get_logger
from agentflow_sources._life import Life
from agentflow_sources._position import Position
from agentflow_sources._spool import Chunk, Spool
from agentflow_sources._spooling import Moment, Spooling
from agentflow_sources._stdin import StdinStream
from agentflow_sources._stream import Sign
from agentflow_sources._tail import Tail

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from agentflow_kernel.contracts.plugin import PluginContext
    from agentflow_kernel.contracts.source import SourceItem
    from agentflow_kernel.contracts.values import JSON
    from agentflow_sources._stream import Stream
    from agentflow_sources.settings import FileSettings, LineSettings, StdinSettings

_T = TypeVar("_T")


class LineSource:
    """Whole lines as they come, in chunks that are on disk before anyone hears of them.

    A chunk is cut when it has `lines` lines or `every_s` seconds after its first one came. It is told of again, with
    the same id and content, until a cursor is given that is not before it; then reading goes on after the last chunk.
    What the consumer asks the next item for counts as received.
    """

    continues = True
    """A new firing goes on after the last cursor."""

    def __init__(self, stream: Stream, settings: LineSettings, context: PluginContext) -> None:
        self._stream = stream
        self._settings = settings
        self._context = context
        self._life = Life(context.name, context.clock)

    async def events(self, cursor: JSON = None) -> AsyncIterator[SourceItem]:
        """One event per chunk: first those that are on disk after `cursor`, then new ones.

        Raises :class:`UsageError` without a state folder and after :meth:`aclose`, :class:`InputInvalid` for a foreign
        cursor, a line that is too long or a log that must exist and does not, :class:`PathRefused` for what is no
        plain file or may not be read, :class:`StorageUnavailable` when the machine fails or the disk is full.
        """
        name, folder = self._context.name, self._context.state_folder
        self._life.check()
        if folder is None:
            raise UsageError(f"Source {name!r} spools to disk. Give a state folder (--state, AGENTFLOW_STATE).")
        known = Position.from_json(cursor, name)
        spool = Spool(folder, name)
        spooling = Spooling(self._stream, spool, self._settings)
        try:
            await anyio.to_thread.run_sync(spool.open)
            received = -1 if known is None else known.chunk
            for number in [number for number in spool.numbers if number > received]:
                if not self._life.goes_on():
                    return
                chunk = await anyio.to_thread.run_sync(spool.load, number)
                known = Position.from_json(chunk.item.cursor, name)
                yield chunk.item
                await self._forget(spool, number)
            await self._in_thread(partial(spooling.start, known))
            while (found := await self._next(spooling)) is not None:
                yield found.item
                await self._forget(spool, found.number)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._end, spooling)

    async def aclose(self) -> None:
        """End the iterator, at once if it waits; may be called twice."""
        self._life.end()

    async def _next(self, spooling: Spooling) -> Chunk | None:
        """The next chunk; `None` when there will be none, or nobody wants it."""
        clock = self._context.clock
        while self._life.goes_on():
            now = Moment(clock.monotonic(), clock.now())
            found = await self._in_thread(partial(spooling.advance, now))
            if isinstance(found, Chunk):
                return found
            if found is Sign.END:
                return None
            if found is Sign.IDLE:
                await self._life.pause(self._settings.poll_s)
        return None

    async def _in_thread(self, call: Callable[[], _T]) -> _T:
        """Call in a worker thread, and pass on what people should hear of."""

        def call_and_log() -> _T:
            try:
                return call()
            finally:
                for name, fields in self._stream.notices:
                    get_logger("agentflow.sources").warning(name, source=self._context.name, **fields)

        try:
            return await anyio.to_thread.run_sync(call_and_log)
        finally:
            for name, fields in self._stream.notices:
                self._context.emit(name, fields)
            self._stream.notices.clear()

    async def _forget(self, spool: Spool, number: int) -> None:
        before = self._context.clock.now() - self._settings.keep_s
        await anyio.to_thread.run_sync(spool.forget, number, before)

    def _end(self, spooling: Spooling) -> None:
        clock = self._context.clock
        try:
            spooling.flush(Moment(clock.monotonic(), clock.now()))
        finally:
            self._stream.close()


def follow(settings: FileSettings, context: PluginContext) -> LineSource:
    """A source that follows a log."""
    return LineSource(Tail(context.folder, context.name, settings), settings, context)


def read_stdin(settings: StdinSettings, context: PluginContext, *, fd: int = 0) -> LineSource:
    """A source that reads standard input, or another descriptor, to its end."""
    return LineSource(StdinStream(fd, context.name), settings, context)
