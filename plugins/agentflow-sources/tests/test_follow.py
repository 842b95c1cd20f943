"""The source `file` with `follow`: what its chunks hold, and when they are cut."""

from __future__ import annotations

import hashlib
import os
from contextlib import aclosing

import anyio
import pytest

from agentflow_kernel.errors import InputInvalid, PathRefused, ProtocolViolation, UsageError
from agentflow_kernel.testing import FakeClock
from agentflow_sources import _spooling

pytestmark = pytest.mark.anyio


async def test_a_chunk_says_which_lines_of_the_log_it_holds(log, following) -> None:
    log.write_bytes(b"one\ntwo\r\nth\xffree\n")
    (item, content), (end, nothing) = await following(lines=3).chunks()
    assert content == b"one\ntwo\r\nth\xffree\n"
    data = dict(item.event.data)
    assert data.pop("path").endswith("/state/spool/tail/000000000000.lines")
    assert data == {
        "log": str(log),
        "first_line": 1,
        "lines": 3,
        "size_bytes": 16,
        "sha256": hashlib.sha256(content).hexdigest(),
        "encoding": "utf-8",
        "first_undecodable_line": 3,
        "generation": 0,
        "offset": 0,
    }
    assert (item.event.type, item.event.subject, item.event.source) == (
        "dev.agentflow.lines.read",
        str(log),
        f"file://{log}",
    )
    assert item.event.id.endswith("-0")
    assert nothing == b""
    assert (end.event.data["ends"], end.event.data["first_line"], end.event.data["lines"]) == (True, 4, 0)


@pytest.mark.parametrize("piece_bytes", [1, 3, 65_536])
async def test_chunks_together_are_the_log(log, following, monkeypatch, piece_bytes) -> None:
    """However it is read; none has more lines than it may."""
    monkeypatch.setattr(_spooling, "PIECE_BYTES", piece_bytes)
    content = b"".join(b"line %d\n" % number for number in range(25)) + b"half"
    log.write_bytes(content)
    found = await following(lines=10).chunks()
    assert b"".join(piece for _, piece in found) == content
    assert [item.event.data["lines"] for item, _ in found] == [10, 10, 5, 1]
    assert [item.event.data["first_line"] for item, _ in found] == [1, 11, 21, 26]
    assert [item.event.data.get("ends") for item, _ in found] == [None, None, None, True]
    assert [item.event.id.rpartition("-")[2] for item, _ in found] == ["0", "1", "2", "3"]


async def test_whole_lines_wait_for_others_and_half_ones_for_their_end(log, following) -> None:
    """Five seconds after the first whole line came, what is whole is cut."""
    follower = following(poll_s=1)
    follower.clock = clock = FakeClock()
    found = []

    async def read() -> None:
        async with aclosing(source.events()) as items:
            async for item in items:
                found.append(item.event.data["lines"])  # noqa: PERF401 -- looked at meanwhile

    source = follower.source()
    async with anyio.create_task_group() as group:
        group.start_soon(read)
        await _settle(clock, 3)
        log.write_bytes(b"half")
        await _settle(clock, 7)
        assert found == []
        with log.open("ab") as file:
            file.write(b" a line\nand ha")
        await _settle(clock, 5)
        assert found == []
        await _settle(clock, 2)
        assert found == [1]
        await source.aclose()


async def _settle(clock: FakeClock, seconds: int) -> None:
    """Move the time by seconds, and let the threads read."""
    for _ in range(seconds):
        await _wait_for_sleeper(clock)
        await clock.advance(1)


async def _wait_for_sleeper(clock: FakeClock) -> None:
    """Until the worker thread has read."""
    while not clock._sleepers:  # noqa: ASYNC110 -- a thread ends the wait, by real time
        await anyio.sleep(0.001)


async def test_a_chunk_is_not_larger_than_it_may_be_unless_one_line_is(log, following) -> None:
    log.write_bytes(b"aaaa\nbbbb\n" + b"c" * 30 + b"\nd\n")
    found = await following(chunk_bytes=12).chunks()
    assert [piece for _, piece in found] == [b"aaaa\nbbbb\n", b"c" * 30 + b"\n", b"d\n", b""]


async def test_a_line_that_is_too_long_is_named(log, following) -> None:
    """Whether it has an end or not."""
    for tail in (b"", b"\n"):
        log.write_bytes(b"short\n" + b"x" * 65_537 + tail)
        with pytest.raises(InputInvalid, match=r"app\.log', line 2: it is longer than 65536 bytes"):
            await following(max_line_bytes=65_536).chunks()


async def test_a_cursor_goes_on_after_its_chunk(log, following) -> None:
    """What is on disk behind it comes again, the same; then what is new."""
    log.write_bytes(b"".join(b"%d\n" % number for number in range(30)))
    first = await following(lines=10).chunks()
    with log.open("ab") as file:
        file.write(b"new\n")
    again = await following(lines=10).chunks(first[0][0].cursor)
    assert again[: len(first) - 1] == first[1:]
    (item, piece) = again[len(first) - 1]
    assert (piece, item.event.data["first_line"], item.event.data["offset"]) == (b"new\n", 31, 80)
    assert again[-1][0].event.id != first[-1][0].event.id


async def test_without_a_cursor_everything_on_disk_comes_again(log, following) -> None:
    """With the same ids: a run that was started is found by them."""
    log.write_bytes(b"a\nb\n")
    first = await following(lines=1).chunks()
    again = await following(lines=1).chunks()
    assert again[: len(first)] == first


async def test_a_spool_that_was_removed_gives_other_ids(log, following, tmp_path) -> None:
    """Else new lines would be taken for those of old runs."""
    log.write_bytes(b"a\n")
    (first, _), *_ = await following().chunks()
    (tmp_path / "state").rename(tmp_path / "gone")
    (again, _), *_ = await following().chunks()
    assert again.event.id != first.event.id


async def test_chunks_are_kept_for_their_time_after_they_were_received(log, following, tmp_path) -> None:
    """The newest one stays: it says where to go on."""
    log.write_bytes(b"".join(b"%d\n" % number for number in range(6)))
    follower = following(lines=1, keep_s=100)
    first = await follower.chunks()
    spool = tmp_path / "state" / "spool" / "tail"
    assert len(list(spool.glob("*.lines"))) == len(first)
    follower.clock.jump(101)
    await follower.chunks(first[2][0].cursor)
    left = sorted(int(path.stem) for path in spool.glob("*.lines"))
    assert left == sorted(int(path.stem) for path in spool.glob("*.json"))
    assert left[0] >= 3
    with log.open("ab") as file:
        file.write(b"more\n")
    found = await follower.chunks(first[-1][0].cursor)
    assert b"more\n" in [piece for _, piece in found]
    assert not [path for path in spool.glob("*.lines") if int(path.stem) < 6]


async def test_what_a_crash_left_unfinished_is_removed(log, following, tmp_path) -> None:
    """Half a chunk, and lines whose entry was not written."""
    log.write_bytes(b"a\n")
    spool = tmp_path / "state" / "spool" / "tail"
    spool.mkdir(parents=True)
    (spool / "000000000000.lines").write_bytes(b"from before")
    (spool / "000000000001.lines.part").write_bytes(b"hal")
    (spool / "000000000007.lines").write_bytes(b"of a chunk that never was")
    found = await following().chunks()
    assert [piece for _, piece in found] == [b"a\n", b""]
    assert not list(spool.glob("*.part"))
    assert sorted(path.stem for path in spool.glob("*.lines")) == ["000000000000", "000000000001"]


async def test_an_entry_that_is_damaged_is_named(log, following, tmp_path) -> None:
    log.write_bytes(b"a\n")
    await following().chunks()
    entry = tmp_path / "state" / "spool" / "tail" / "000000000000.json"
    for text in (b"", b"{}", entry.read_bytes().replace(b'"1.0"', b'"7.0"')):
        entry.write_bytes(text)
        with pytest.raises(ProtocolViolation, match=r"Spool entry '.*000000000000\.json' of source 'tail' is damaged"):
            await following().chunks()


async def test_what_may_be_lost_is_told_of(log, following, capsys) -> None:
    """As progress, and in the log of the application."""
    log.write_bytes(b"a\n")
    follower = following()
    first = await follower.chunks()
    log.write_bytes(b"b\n")
    again = await follower.chunks(first[-1][0].cursor)
    assert again[0][1] == b"b\n"
    assert [name for name, _ in follower.told] == ["source.lines_missed"]
    assert "source.lines_missed" in capsys.readouterr().err


async def test_a_log_that_is_not_there_is_waited_for_unless_it_must_exist(following) -> None:
    ((item, _),) = await following().chunks()
    assert (item.event.data["ends"], item.event.data["lines"]) == (True, 0)
    with pytest.raises(InputInvalid, match=r"there is no file .*app\.log'.* leave out `must_exist`"):
        await following(must_exist=True).chunks()


async def test_following_needs_a_state_folder_and_a_file(log, following, tmp_path) -> None:
    with pytest.raises(UsageError, match="Source 'tail' spools to disk"):
        await anext(following().source(None).events())
    log.mkdir()
    with pytest.raises(PathRefused, match="it is a folder"):
        await following().chunks()


async def test_a_foreign_cursor_is_refused(log, following) -> None:
    log.write_bytes(b"a\n")
    good = (await following().chunks())[0][0].cursor
    for bad in ({}, [], 5, {"offset": 3}, {**good, "x": 1}, {**good, "offset": -1}, {**good, "inode": "1"}):
        with pytest.raises(InputInvalid, match="is no cursor of this source"):
            await following().chunks(bad)


async def test_another_log_under_the_same_name_begins_anew(log, following) -> None:
    """Lines are counted from 1; ids go on."""
    log.write_bytes(b"a\nb\n")
    first = await following().chunks()
    log.with_name("other.log").write_bytes(b"c\n")
    found = await following(path="other.log").chunks(first[-1][0].cursor)
    assert (found[0][1], found[0][0].event.data["first_line"]) == (b"c\n", 1)
    assert found[0][0].event.id not in {item.event.id for item, _ in first}


async def test_closing_ends_a_wait_at_once(following) -> None:
    follower = following()
    follower.clock = FakeClock()
    source = follower.source()
    async with anyio.create_task_group() as group:

        async def read() -> None:
            assert [item async for item in source.events()] == []

        group.start_soon(read)
        await _wait_for_sleeper(follower.clock)
        await source.aclose()
        await source.aclose()
    with pytest.raises(UsageError, match="has been closed"):
        await anext(source.events())


async def test_a_large_log_is_read_in_small_pieces(log, following, monkeypatch) -> None:
    """A gigabyte, of which only the end is no hole; no piece is larger than 64 KiB and no more than a chunk is held."""
    with log.open("wb") as file:
        file.truncate(1 << 30)
        file.seek(1 << 30)
        file.write(b"\nlast\n")
    sizes = []
    real = os.pread

    def noting(fd: int, size: int, offset: int) -> bytes:
        sizes.append(size)
        return real(fd, size, offset)

    monkeypatch.setattr(os, "pread", noting)
    with pytest.raises(InputInvalid, match="line 1: it is longer than 16777216 bytes"):
        await following().chunks()
    assert max(sizes) <= 65_536
    assert sum(sizes) < 40_000_000


async def test_a_closed_source_stops_telling_of_what_is_on_disk(log, following) -> None:
    """However many chunks wait there."""
    log.write_bytes(b"line\n" * 5)
    followed = following(lines=1)
    assert len(await followed.chunks()) > 5
    source = followed.source()
    async with aclosing(source.events()) as items:
        await anext(items)
        await source.aclose()
        assert [item async for item in items] == []
