"""The harnesses of the sources: what the conformance kit needs to test them, each source in a folder of its own."""

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
from agentflow_kernel.errors import InputInvalid, PathRefused, ProtocolViolation, StorageUnavailable, UsageError
from agentflow_kernel.testing import FakeClock
from agentflow_sources.cron import CronSource
from agentflow_sources.file import FileSource
from agentflow_sources.folder import FolderSource
from agentflow_sources.lines import follow, read_stdin
from agentflow_sources.settings import CronSettings, FileSettings, FolderSettings, StdinSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from agentflow_kernel.contracts.clock import Clock
    from agentflow_kernel.contracts.source import Source

TEXT = "first\nsecond ü 🐎\nthird\n".encode()
HUGE_BYTES = 1 << 40
"""Size of a file that takes no room on the disk and minutes to read."""
POLL_S = 0.01


class _Places:
    """Folders of sources: ``input`` with what they read, ``state`` with what they keep."""

    kind: ClassVar[str] = "source"
    known_deviations: ClassVar[Mapping[str, str]] = {}

    def __init__(self) -> None:
        self._folders: dict[int, str] = {}

    def make(self, folder: str, clock: Clock) -> Source:
        """A source of the input in a folder."""
        raise NotImplementedError(f"{type(self).__name__} makes sources")

    def fill(self, folder: str, content: bytes) -> None:
        """Put down the input. Blocks."""
        _write(os.path.join(folder, "input", "app.log"), content)

    @asynccontextmanager
    async def at(self, folder: str, source: Source) -> AsyncIterator[Source]:
        """A source, closed at the end, whose folder is known meanwhile."""
        self._folders[id(source)] = folder
        try:
            yield source
        finally:
            del self._folders[id(source)]
            with anyio.CancelScope(shield=True):
                await source.aclose()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Source]:
        """A source of three lines."""
        async with _folder() as folder:
            await run_sync(self.fill, folder, TEXT)
            async with self.at(folder, self.make(folder, SystemClock())) as source:
                yield source

    @asynccontextmanager
    async def again(self, source: Source) -> AsyncIterator[Source]:
        """Another source of the same folder."""
        folder = self._folders[id(source)]
        async with self.at(folder, self.make(folder, SystemClock())) as other:
            yield other

    @asynccontextmanager
    async def open_on(self, content: bytes) -> AsyncIterator[Source]:
        """A source of this content."""
        async with _folder() as folder:
            await run_sync(self.fill, folder, content)
            async with self.at(folder, self.make_for_content(folder)) as source:
                yield source

    def make_for_content(self, folder: str) -> Source:
        """A source that ends after the content."""
        return self.make(folder, SystemClock())


class FileHarness(_Places):
    """Opens sources that read one file once."""

    declared: ClassVar[Mapping[str, bool]] = {
        "finite": True,
        "resumes": True,
        "continues": False,
        "content": True,
        "fails": True,
        "slow": True,
        "feeds": False,
    }
    items: ClassVar[int] = 1
    failing: ClassVar[Mapping[str, type[Exception]]] = {
        "missing": InputInvalid,
        "a folder": PathRefused,
        "binary": InputInvalid,
        "a long line": InputInvalid,
    }

    def make(self, folder: str, clock: Clock) -> Source:
        """A source of the file."""
        return FileSource(FileSettings(path="app.log"), _context(folder, clock))

    @asynccontextmanager
    async def open_failing(self, name: str) -> AsyncIterator[Source]:
        """A source of a file that cannot be read."""
        async with _folder() as folder:
            await run_sync(_spoil, folder, name)
            async with self.at(folder, self.make(folder, SystemClock())) as source:
                yield source

    @asynccontextmanager
    async def open_slow(self) -> AsyncIterator[Source]:
        """A source of a huge file."""
        async with _folder() as folder:
            await run_sync(_make_huge, folder)
            settings = FileSettings(path="app.log", max_line_bytes=HUGE_BYTES)
            async with self.at(folder, FileSource(settings, _context(folder, SystemClock()))) as source:
                yield source


class FolderHarness(_Places):
    """Opens sources that read the files of a folder once each."""

    declared: ClassVar[Mapping[str, bool]] = {**FileHarness.declared, "continues": True, "feeds": True}
    items: ClassVar[int] = 3
    failing: ClassVar[Mapping[str, type[Exception]]] = {
        "binary": InputInvalid,
        "a long line": InputInvalid,
        "no folder": InputInvalid,
    }

    def fill(self, folder: str, content: bytes) -> None:
        """Each line in a file of its own; one file for content of any other kind."""
        lines = content.splitlines(keepends=True) if content == TEXT else [content]
        for number, line in enumerate(lines):
            _write(os.path.join(folder, "input", f"{number}.txt"), line)

    def make(self, folder: str, clock: Clock) -> Source:
        """A source of the folder."""
        return FolderSource(FolderSettings(path=".", settle_s=0, poll_s=POLL_S), _context(folder, clock))

    @asynccontextmanager
    async def open_failing(self, name: str) -> AsyncIterator[Source]:
        """A source of a folder with a file that cannot be read, or of none."""
        async with _folder() as folder:
            if name == "no folder":
                await run_sync(os.rmdir, os.path.join(folder, "input"))
            else:
                await run_sync(_spoil, folder, name)
            async with self.at(folder, self.make(folder, SystemClock())) as source:
                yield source

    @asynccontextmanager
    async def open_slow(self) -> AsyncIterator[Source]:
        """A source of an empty folder that waits for files."""
        async with _folder() as folder:
            settings = FolderSettings(path=".", glob="*.txt", follow=True, settle_s=0, poll_s=POLL_S)
            async with self.at(folder, FolderSource(settings, _context(folder, SystemClock()))) as source:
                yield source

    async def feed(self, source: Source) -> None:
        """Bring one more file, which has its name when it is whole."""
        await run_sync(_bring_file, os.path.join(self._folders[id(source)], "input"))


class FollowHarness(_Places):
    """Opens sources that follow a log, line by line."""

    declared: ClassVar[Mapping[str, bool]] = {**FolderHarness.declared, "finite": False}
    items: ClassVar[int] = 3
    failing: ClassVar[Mapping[str, type[Exception]]] = {
        "missing": InputInvalid,
        "a folder": PathRefused,
        "a long line": InputInvalid,
        "a damaged spool": ProtocolViolation,
        "no state folder": UsageError,
    }

    def make(self, folder: str, clock: Clock) -> Source:
        """A source of the log, one line an event."""
        settings = FileSettings(path="app.log", follow=True, lines=1, poll_s=POLL_S)
        return follow(settings, _context(folder, clock))

    def make_for_content(self, folder: str) -> Source:
        """A source that ends when nothing comes, by a clock that nobody waits for."""
        settings = FileSettings(path="app.log", follow=True, quiet_s=10)
        return follow(settings, _context(folder, FakeClock(auto=True)))

    @asynccontextmanager
    async def open_failing(self, name: str) -> AsyncIterator[Source]:
        """A source of a log that cannot be read."""
        async with _folder() as folder:
            await run_sync(_spoil, folder, name)
            settings = FileSettings(path="app.log", follow=True, must_exist=True, poll_s=POLL_S)
            context = _context(folder, SystemClock())
            if name == "no state folder":
                context.state_folder = None
            async with self.at(folder, follow(settings, context)) as source:
                yield source

    @asynccontextmanager
    async def open_slow(self) -> AsyncIterator[Source]:
        """A source of an empty log."""
        async with _folder() as folder:
            await run_sync(self.fill, folder, b"")
            async with self.at(folder, self.make(folder, SystemClock())) as source:
                yield source

    async def feed(self, source: Source) -> None:
        """Append one more line, in pieces."""
        log = os.path.join(self._folders[id(source)], "input", "app.log")
        for piece in (b"half a ", b"line \xc3", b"\xbc\n"):
            await run_sync(_write, log, piece)
            await anyio.sleep(POLL_S)


class StdinHarness(FollowHarness):
    """Opens sources that read a pipe in the place of standard input."""

    declared: ClassVar[Mapping[str, bool]] = {**FolderHarness.declared}
    failing: ClassVar[Mapping[str, type[Exception]]] = {"a folder": StorageUnavailable}

    def __init__(self) -> None:
        super().__init__()
        self._readers: dict[str, int] = {}
        """The descriptor that is read, by folder."""
        self._writers: dict[str, int] = {}

    def make(self, folder: str, clock: Clock) -> Source:
        """A source of the pipe, one line an event."""
        settings = StdinSettings(lines=1, every_s=0.1, poll_s=POLL_S)
        return read_stdin(settings, _context(folder, clock), fd=self._readers[folder])

    def make_for_content(self, folder: str) -> Source:
        """A source with chunks of the usual size."""
        return read_stdin(StdinSettings(), _context(folder, SystemClock()), fd=self._readers[folder])

    @asynccontextmanager
    async def at(self, folder: str, source: Source) -> AsyncIterator[Source]:
        """A source; what it reads is closed after the last one that reads it."""
        is_last = folder not in self._folders.values()
        try:
            async with super().at(folder, source):
                yield source
        finally:
            for ends in (self._readers, self._writers) if is_last else ():
                if folder in ends:
                    os.close(ends.pop(folder))

    def fill(self, folder: str, content: bytes) -> None:
        """A pipe that holds the content and is closed behind it; a file where that is too much for a pipe."""
        if content == TEXT:
            self._readers[folder], writer = os.pipe()
            os.write(writer, content)
            os.close(writer)
        else:
            log = os.path.join(folder, "input", "app.log")
            _write(log, content)
            self._readers[folder] = os.open(log, os.O_RDONLY)

    @asynccontextmanager
    async def open_failing(self, name: str) -> AsyncIterator[Source]:
        """A source of a descriptor that cannot be read."""
        async with _folder() as folder:
            await run_sync(_spoil, folder, name)
            self._readers[folder] = os.open(os.path.join(folder, "input", "app.log"), os.O_RDONLY)
            async with self.at(folder, self.make(folder, SystemClock())) as source:
                yield source

    @asynccontextmanager
    async def open_slow(self) -> AsyncIterator[Source]:
        """A source of a pipe to which nobody has written."""
        async with _folder() as folder:
            self._readers[folder], self._writers[folder] = os.pipe()
            async with self.at(folder, self.make(folder, SystemClock())) as source:
                yield source

    async def feed(self, source: Source) -> None:
        """Write one more line, in pieces."""
        for piece in (b"half a ", b"line \xc3", b"\xbc\n"):
            await run_sync(os.write, self._writers[self._folders[id(source)]], piece)
            await anyio.sleep(POLL_S)


class CronHarness:
    """Opens sources that tell of each minute, by clocks that nobody waits for."""

    kind: ClassVar[str] = "source"
    declared: ClassVar[Mapping[str, bool]] = {
        "finite": False,
        "resumes": True,
        "continues": True,
        "content": False,
        "fails": True,
        "slow": True,
        "feeds": True,
    }
    known_deviations: ClassVar[Mapping[str, str]] = {}
    items: ClassVar[int] = 3
    failing: ClassVar[Mapping[str, type[Exception]]] = {"Europe/Bielefeld": InputInvalid, "../etc/passwd": InputInvalid}

    def __init__(self) -> None:
        self._clocks: dict[int, FakeClock] = {}

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Source]:
        """A source whose time moves as soon as somebody waits for it."""
        async with self.at("UTC", FakeClock(auto=True)) as source:
            yield source

    @asynccontextmanager
    async def again(self, source: Source) -> AsyncIterator[Source]:
        """Another source that begins at the same time."""
        del source
        async with self.open() as other:
            yield other

    @asynccontextmanager
    async def open_failing(self, name: str) -> AsyncIterator[Source]:
        """A source of a time zone that there is not."""
        async with self.at(name, FakeClock(auto=True)) as source:
            yield source

    @asynccontextmanager
    async def open_slow(self) -> AsyncIterator[Source]:
        """A source whose time stands still."""
        async with self.at("UTC", FakeClock()) as source:
            yield source

    async def feed(self, source: Source) -> None:
        """Move the time by a minute, once somebody waits."""
        clock = self._clocks[id(source)]
        while not clock.slept:  # noqa: ASYNC110 -- the clock tells nobody
            await anyio.sleep(POLL_S)
        await clock.advance(60)

    @asynccontextmanager
    async def at(self, timezone: str, clock: FakeClock) -> AsyncIterator[Source]:
        """A source in a time zone, closed at the end."""
        settings = CronSettings(expression="* * * * *", timezone=timezone, missed="all")
        source = CronSource(settings, _context(".", clock))
        self._clocks[id(source)] = clock
        try:
            yield source
        finally:
            del self._clocks[id(source)]
            await source.aclose()


def _context(folder: str, clock: Clock) -> PluginContext:
    return PluginContext(
        "tested",
        clock=clock,
        random=random.Random(0),  # noqa: S311 -- not for secrets
        folder=os.path.join(folder, "input"),
        state_folder=os.path.join(folder, "state"),
    )


@asynccontextmanager
async def _folder() -> AsyncIterator[str]:
    folder = await run_sync(_make_folder)
    try:
        yield folder
    finally:
        with anyio.CancelScope(shield=True):
            await run_sync(shutil.rmtree, folder)


def _make_folder() -> str:
    folder = tempfile.mkdtemp(prefix="agentflow-sources-")
    os.mkdir(os.path.join(folder, "input"))
    return folder


def _write(path: str, content: bytes) -> None:
    """Append to a file."""
    with open(path, "ab") as file:
        file.write(content)


def _bring_file(folder: str) -> None:
    number = len(os.listdir(folder))
    part = os.path.join(folder, f"{number}.part")
    _write(part, b"half a ")
    _write(part, b"line %d\n" % number)
    os.rename(part, os.path.join(folder, f"{number}.txt"))


def _make_huge(folder: str) -> None:
    path = os.path.join(folder, "input", "app.log")
    _write(path, b"a line\n" * 20_000)
    os.truncate(path, HUGE_BYTES)


def _spoil(folder: str, name: str) -> None:
    """Make an input that cannot be read."""
    path = os.path.join(folder, "input", "app.log")
    if name == "a folder":
        os.mkdir(path)
    elif name == "binary":
        _write(path, b"\x7fELF\x00\x00")
    elif name == "a damaged spool":
        spool = os.path.join(folder, "state", "spool", "tested")
        os.makedirs(spool)
        _write(os.path.join(spool, f"{0:012}.json"), b"{}\n")
        _write(path, TEXT)
    elif name == "a long line":
        _write(path, b"x" * (1 << 24) + b"yz\n")
