"""The source `file`: what its event says."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from urllib.parse import unquote, urlsplit

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest

from agentflow_kernel.errors import InputInvalid, StorageUnavailable, UsageError
from agentflow_kernel.event import Event
from agentflow_sources import file as module
from agentflow_sources._moment import rfc3339
from agentflow_sources.file import FileSource

pytestmark = pytest.mark.anyio


async def test_file_gives_one_event_that_says_what_was_read(log, read_once) -> None:
    """Where the file is, how much there was, and what tells this content from another."""
    content = b"one\r\ntwo\r\nthree\r\n"
    log.write_bytes(content)
    os.utime(log, ns=(0, 1_700_000_000_123_456_789))
    status = log.stat()
    (item,) = await read_once()
    assert item.event.type == "dev.agentflow.file.read"
    assert item.event.source == f"file://{log}"
    assert item.event.subject == str(log)
    assert item.event.time == "2026-01-02T00:00:00.250000Z"
    sha256 = hashlib.sha256(content).hexdigest()
    assert item.event.data == {
        "path": str(log),
        "size_bytes": 17,
        "lines": 3,
        "ends_with_newline": True,
        "sha256": sha256,
        "modified": "2023-11-14T22:13:20.123456Z",
        "device": status.st_dev,
        "inode": status.st_ino,
        "encoding": "utf-8",
        "first_undecodable_line": None,
    }
    assert item.cursor == {
        "offset": 17,
        "device": status.st_dev,
        "inode": status.st_ino,
        "modified_ns": 1_700_000_000_123_456_789,
        "sha256": sha256,
    }
    assert Event.from_json(item.event.to_json()) == item.event


@pytest.mark.parametrize(
    ("content", "lines", "complete"),
    [
        (b"", 0, False),
        (b"\n", 1, True),
        (b"x", 1, False),
        (b"a\nb", 2, False),
        (b"a\n\n", 2, True),
        (b"\r\r", 1, False),
    ],
)
async def test_file_counts_lines_by_line_feeds(log, read_once, content, lines, complete) -> None:
    """Text after the last line feed is a line; an empty file has none and still is an event."""
    log.write_bytes(content)
    (item,) = await read_once()
    assert (item.event.data["lines"], item.event.data["ends_with_newline"]) == (lines, complete)
    assert item.event.data["sha256"] == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("piece_bytes", [1, 2, 7, 64])
async def test_file_counts_the_same_however_it_is_cut(log, read_once, monkeypatch, piece_bytes) -> None:
    """The size of the pieces has no influence, also not within a character or a line end."""
    content = "".join(f"Zeile {number}: Größe 日志\r\n" for number in range(50)).encode() + b"rest"
    log.write_bytes(content)
    monkeypatch.setattr(module, "_PIECE_BYTES", piece_bytes)
    (item,) = await read_once()
    assert item.event.data["lines"] == 51
    assert item.event.data["sha256"] == hashlib.sha256(content).hexdigest()
    assert item.event.data["first_undecodable_line"] is None


@pytest.mark.parametrize("name", ["Größe 日志.log", "a b%20c.log", "#?.log", "'\"\\.log", "🦊"])
async def test_file_writes_its_path_as_a_uri_reference(tmp_path, read_once, name) -> None:
    """What a URI cannot hold is percent-encoded in `source`; `subject` and `path` have it as it is."""
    (tmp_path / name).write_bytes(b"x\n")
    (item,) = await read_once(path=name)
    parts = urlsplit(item.event.source)
    assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("file", "", "", "")
    assert unquote(parts.path) == item.event.subject == item.event.data["path"] == str(tmp_path / name)
    assert item.event.source.isascii()


async def test_file_takes_an_absolute_path_and_follows_links(tmp_path, log, read_once) -> None:
    """The operator names the file; the path in the event is the one that was named."""
    log.write_bytes(b"x\n")
    (tmp_path / "link").symlink_to("app.log")
    (item,) = await read_once(path=str(tmp_path / "link"))
    assert item.event.data["path"] == str(tmp_path / "link")
    assert item.event.data["inode"] == log.stat().st_ino


async def test_file_names_the_first_line_that_does_not_decode(log, read_once, monkeypatch) -> None:
    """The content is still read; who works with it knows that some of it has to be replaced."""
    monkeypatch.setattr(module, "_PIECE_BYTES", 10)
    log.write_bytes(b"good\n" * 7 + b"caf\xe9\ngood\n\xff\n")
    (item,) = await read_once()
    assert item.event.data["first_undecodable_line"] == 8
    assert item.event.data["lines"] == 10
    (item,) = await read_once(encoding="latin-1")
    assert item.event.data["first_undecodable_line"] is None
    log.write_bytes("日".encode()[:2])
    (item,) = await read_once()
    assert item.event.data["first_undecodable_line"] == 1


async def test_file_takes_a_ten_megabyte_line(log, read_once) -> None:
    """By default 16 MiB are allowed; nothing of it is held."""
    log.write_bytes(b"x" * 10_000_000 + b"\nlast\n")
    await read_once()
    tracemalloc.start()
    try:
        (item,) = await read_once()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (item.event.data["lines"], item.event.data["size_bytes"]) == (2, 10_000_006)
    assert peak < 4_000_000


@pytest.mark.parametrize(
    ("before", "length", "after", "line"),
    [
        (b"", 65_537, b"", 1),
        (b"", 65_537, b"\n", 1),
        (b"a\nb\n", 65_537, b"\nc\n", 3),
        (b"x" * 65_536 + b"\n", 200_000, b"", 2),
        (b"x" * 65_535 + b"\n", 65_537, b"\n", 2),
    ],
)
async def test_file_names_a_line_that_is_too_long(log, read_once, before, length, after, line) -> None:
    """With its number, the limit and the setting; a line of just the limit is fine."""
    log.write_bytes(before + b"y" * length + after)
    with pytest.raises(InputInvalid, match=rf"app\.log', line {line}: it is longer than 65536 bytes\. Raise `max_line"):
        await read_once(max_line_bytes=65_536)
    log.write_bytes(before + b"y" * 65_536 + after)
    (item,) = await read_once(max_line_bytes=65_536)
    assert item.event.data["lines"] == line + after[1:].count(b"\n")


async def test_file_reads_up_to_the_size_it_found(log, read_once, monkeypatch) -> None:
    """What is appended while it reads belongs to a later reading."""
    content = b"line\n" * 1_000
    log.write_bytes(content)
    monkeypatch.setattr(module, "_PIECE_BYTES", 512)
    plain = os.pread

    def appending(fd: int, size: int, offset: int) -> bytes:
        with log.open("ab") as file:
            file.write(b"more\n" * 100)
        return plain(fd, size, offset)

    monkeypatch.setattr("agentflow_sources.file.os.pread", appending)
    (item,) = await read_once()
    assert (item.event.data["size_bytes"], item.event.data["lines"]) == (5_000, 1_000)
    assert item.event.data["sha256"] == hashlib.sha256(content).hexdigest()
    assert item.cursor["offset"] == 5_000
    monkeypatch.undo()
    (item,) = await read_once(item.cursor)
    assert item.event.data["size_bytes"] == log.stat().st_size > 5_000


async def test_file_that_is_shortened_while_it_is_read_is_an_error(log, read_once, monkeypatch) -> None:
    """Half of an old and half of a new content is no content; another attempt may find a whole one."""
    log.write_bytes(b"line\n" * 1_000)
    monkeypatch.setattr(module, "_PIECE_BYTES", 512)
    plain = os.pread

    def cutting(fd: int, size: int, offset: int) -> bytes:
        os.truncate(log, 1_000)
        return plain(fd, size, offset)

    monkeypatch.setattr("agentflow_sources.file.os.pread", cutting)
    with pytest.raises(
        StorageUnavailable, match=r"app\.log' was shortened while it was read, to 1000 of 5000"
    ) as caught:
        await read_once()
    assert caught.value.executed == "no"


async def test_cancellation_ends_the_thread_first(log, make_source, monkeypatch) -> None:
    """When it arrives, nobody reads any more."""
    with log.open("wb") as file:
        file.write(b"\n" * 65_536)
        file.truncate(1 << 40)
    begun = anyio.Event()
    plain = os.pread

    def tell_once(fd: int, size: int, offset: int) -> bytes:
        if offset == 0:
            anyio.from_thread.run_sync(begun.set)
        return plain(fd, size, offset)

    monkeypatch.setattr("agentflow_sources.file.os.pread", tell_once)
    borrowed = []

    async def read() -> None:
        try:
            async for _ in make_source(max_line_bytes=1 << 41).events():
                pytest.fail("A terabyte was read.")
        finally:
            borrowed.append(anyio.to_thread.current_default_thread_limiter().borrowed_tokens)

    async with anyio.create_task_group() as group:
        group.start_soon(read)
        await begun.wait()
        group.cancel_scope.cancel()
    assert borrowed == [0]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_task_cancelled_by_asyncio_itself_leaves_nothing_running(log, make_source, monkeypatch) -> None:
    """Such a cancellation does not wait for the thread; the thread ends at its next look."""
    log.write_bytes(b"line\n" * 1_000)
    monkeypatch.setattr(module, "_PIECE_BYTES", 512)
    begun, cancelled, ended = threading.Event(), threading.Event(), threading.Event()
    plain_read, plain_pread = FileSource._read, os.pread

    def observed(*arguments: object) -> object:
        try:
            return plain_read(*arguments)
        except module._Ended:
            ended.set()
            raise

    def held_up(fd: int, size: int, offset: int) -> bytes:
        begun.set()
        cancelled.wait()
        return plain_pread(fd, size, offset)

    monkeypatch.setattr(FileSource, "_read", observed)
    monkeypatch.setattr("agentflow_sources.file.os.pread", held_up)
    task = asyncio.ensure_future(anext(make_source().events()))
    with ThreadPoolExecutor() as pool:
        await asyncio.wrap_future(pool.submit(begun.wait))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        cancelled.set()
        await asyncio.wrap_future(pool.submit(ended.wait))


async def test_close_ends_a_reading_without_an_event(log, make_source, monkeypatch) -> None:
    """The iterator ends; it may be closed again."""
    log.write_bytes(b"line\n" * 1_000)
    monkeypatch.setattr(module, "_PIECE_BYTES", 512)
    source = make_source()
    plain = os.pread

    def closing(fd: int, size: int, offset: int) -> bytes:
        if offset == 512:
            anyio.from_thread.run(source.aclose)
        assert offset <= 512
        return plain(fd, size, offset)

    monkeypatch.setattr("agentflow_sources.file.os.pread", closing)
    assert [item async for item in source.events()] == []
    await source.aclose()


async def test_a_closed_source_is_not_used_again(log, make_source) -> None:
    """That is a wrong call, said by name."""
    source = make_source()
    await source.aclose()
    await source.aclose()
    with pytest.raises(UsageError, match="'log-file' has been closed"):
        await anext(source.events())


async def test_a_reading_leaves_nothing_open(log, read_once) -> None:
    """Neither after an event nor after an error."""

    def left_open() -> list[str]:  # not their number: what another test has left may be closed at any time
        links = []
        for number in os.listdir("/proc/self/fd"):
            with suppress(OSError):
                links.append(os.readlink(f"/proc/self/fd/{number}"))
        return [link for link in links if link.startswith(str(log.parent))]

    log.write_bytes(b"line\n")
    with log.open("rb"):
        assert left_open() == [str(log)]
    await read_once()
    assert left_open() == []
    log.write_bytes(b"\0")
    with pytest.raises(InputInvalid):
        await read_once()
    assert left_open() == []


async def test_the_event_loop_goes_on_while_a_file_is_read(log, make_source, monkeypatch) -> None:
    """The reading has a thread of its own."""
    log.write_bytes(b"line\n")
    threads = []
    plain = os.pread

    def noting(fd: int, size: int, offset: int) -> bytes:
        threads.append(threading.current_thread())
        return plain(fd, size, offset)

    monkeypatch.setattr("agentflow_sources.file.os.pread", noting)
    async for _ in make_source().events():
        pass
    assert threads
    assert threading.main_thread() not in threads


async def test_a_time_beyond_the_calendar_is_left_out(log, read_once, monkeypatch) -> None:
    """A file system can hold times before the year 1 and after 9999."""
    assert rfc3339(253_402_300_800 * 10**9) is None
    assert rfc3339(-62_135_596_801 * 10**9) is None
    assert rfc3339(253_402_300_799 * 10**9 + 999_999_999) == "9999-12-31T23:59:59.999999Z"
    assert rfc3339(-62_135_596_800 * 10**9) == "0001-01-01T00:00:00.000000Z"
    assert rfc3339(-1) == "1969-12-31T23:59:59.999999Z"
