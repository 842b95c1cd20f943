"""The source `stdin`: a pipe read to its end, spooled as a followed log is."""

from __future__ import annotations

import os
import pty
import random
from contextlib import aclosing

import anyio
import pytest

from agentflow_kernel.contracts.plugin import PluginContext
from agentflow_kernel.errors import StorageUnavailable
from agentflow_kernel.testing import FakeClock
from agentflow_sources.lines import read_stdin
from agentflow_sources.settings import StdinSettings

pytestmark = pytest.mark.anyio


@pytest.fixture
def pipe():
    """The ends of a pipe: where it is read and where it is written."""
    reader, writer = os.pipe()
    open_ends = {reader, writer}
    yield reader, writer, open_ends
    for end in open_ends:
        os.close(end)


@pytest.fixture
def make(tmp_path):
    def make(fd: int, clock: FakeClock | None = None, told: list | None = None, **settings):
        context = PluginContext(
            "in",
            clock=clock or FakeClock(auto=True),
            random=random.Random(0),
            state_folder=str(tmp_path),
            emit=lambda name, fields: None if told is None else told.append((name, fields)),
        )
        return read_stdin(StdinSettings(**settings), context, fd=fd)

    return make


async def read(source, cursor=None):
    return [(item, await anyio.Path(item.event.data["path"]).read_bytes()) async for item in source.events(cursor)]


def finish(pipe, content: bytes) -> int:
    """Write all of a short content and close the pipe; the end to read from."""
    reader, writer, open_ends = pipe
    os.write(writer, content)
    os.close(writer)
    open_ends.discard(writer)
    return reader


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", [0]),
        (b"a", [1]),
        (b"a\nb\n", [2]),
        (b"a\nb\nc\n", [2, 1]),
        (b"a\nb\nc\nd\n", [2, 2]),
        (b"\n\n\nx", [2, 2]),
    ],
)
async def test_stdin_is_read_to_its_end_and_the_last_chunk_says_so(make, pipe, content, lines) -> None:
    """A last chunk that is full is known to be the last one; an empty stream is one empty chunk."""
    found = await read(make(finish(pipe, content), lines=2))
    assert b"".join(piece for _, piece in found) == content
    assert [item.event.data["lines"] for item, _ in found] == lines
    assert [item.event.data.get("ends") for item, _ in found] == [None] * (len(lines) - 1) + [True]
    event = found[0][0].event
    assert (event.data["log"], event.subject, event.source) == ("-", "-", "urn:agentflow:stdin")


async def test_each_stdin_is_a_stream_of_its_own(make, pipe) -> None:
    """What was not received of the one before comes first; ids go on, lines begin at 1."""
    first = await read(make(finish(pipe, b"a\nb\n"), lines=1))
    reader, writer = os.pipe()
    os.write(writer, b"c\n")
    os.close(writer)
    again = await read(make(reader, lines=1), first[0][0].cursor)
    os.close(reader)
    assert again[0] == first[1]
    item, piece = again[1]
    assert (piece, item.event.data["first_line"], item.event.data["generation"]) == (b"c\n", 1, 1)
    assert item.event.id == first[0][0].event.id[:-1] + "2"


async def test_what_was_read_when_the_reading_is_stopped_is_told_of_next_time(make, pipe) -> None:
    """A pipe cannot be read again: half a line too is on disk."""
    reader, writer, _ = pipe
    os.write(writer, b"a\nb\nhal")
    clock = FakeClock()
    source = make(reader, clock)

    async def wait() -> None:
        async with aclosing(source.events()) as items:
            await anext(items)
            raise AssertionError("Nothing was due.")

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        while not clock._sleepers:  # noqa: ASYNC110 -- a thread ends the wait, by real time
            await anyio.sleep(0.001)
        group.cancel_scope.cancel()
    os.write(writer, b"c\n")
    found = await read(make(finish(pipe, b"")))
    assert [piece for _, piece in found] == [b"a\nb\nhal", b"c\n"]


async def test_a_terminal_is_told_of(make) -> None:
    main, side = pty.openpty()
    try:
        os.write(main, b"typed\n\x04")
        told: list = []
        found = await read(make(side, told=told))
        assert [piece for _, piece in found] == [b"typed\n"]
        assert [(name, "Ctrl-D" in fields["hint"]) for name, fields in told] == [("source.reads_terminal", True)]
    finally:
        os.close(main)
        os.close(side)


async def test_a_standard_input_that_is_closed_is_an_error(make, pipe) -> None:
    reader, writer, open_ends = pipe
    for end in (reader, writer):
        os.close(end)
        open_ends.discard(end)
    with pytest.raises(StorageUnavailable, match="could not read standard input"):
        await read(make(reader))


async def test_a_full_disk_leaves_nothing_half_written(make, pipe, tmp_path, monkeypatch) -> None:
    """The error says where; when there is room, what is on disk is whole."""
    reader = finish(pipe, b"a\nb\nc\n")
    real = os.fsync
    calls = []

    def full(fd: int) -> None:
        calls.append(fd)
        if len(calls) == 6:  # identity and its folder, then lines, entry, folder of the first chunk
            raise OSError(28, "No space left on device")
        real(fd)

    monkeypatch.setattr(os, "fsync", full)
    found = []

    async def follow() -> None:
        async with aclosing(make(reader, lines=1).events()) as items:
            async for item in items:
                found.append(item)  # noqa: PERF401 -- it ends with an error

    with pytest.raises(StorageUnavailable, match=r"cannot keep what it reads in .*: No space left") as caught:
        await follow()
    assert caught.value.executed == "no"
    assert len(found) == 1
    names = sorted(path.name for path in (tmp_path / "spool" / "in").iterdir())
    assert [name for name in names if name.endswith(".part")] == []
    assert len([name for name in names if name.endswith(".lines")]) == len(
        [name for name in names if name.endswith(".json")]
    )
