"""Following across rotation: every line once and in order, whatever is done to the log."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import random
import shutil
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentflow_sources._position import Position
from agentflow_sources._spool import Chunk, Spool
from agentflow_sources._spooling import Moment, Spooling
from agentflow_sources._stream import Sign
from agentflow_sources._tail import Tail
from agentflow_sources.settings import FileSettings

if TYPE_CHECKING:
    from collections.abc import Iterator


class Reader:
    """A follower that is asked to look when the test says so, and can crash at any moment."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.folder = folder
        self.now = 0.0
        self.settings = FileSettings(path="app.log", follow=True, rotation_s=1, every_s=1, lines=3, **settings)
        self.chunks: dict[int, tuple[str, bytes]] = {}
        self.events: list[dict[str, object]] = []
        self.told: list[tuple[str, dict[str, object]]] = []
        self.begin()

    def begin(self) -> None:
        """Start as a new process would: from the last chunk on disk."""
        self.spool = Spool(str(self.folder / "state"), "tail")
        self.spool.open()
        self.tail = Tail(str(self.folder), "tail", self.settings)
        self.spooling = Spooling(self.tail, self.spool, self.settings)
        position = None
        for number in self.spool.numbers:
            position = self.take(self.spool.load(number))
        self.spooling.start(position)

    def crash(self) -> None:
        """Lose all that is not on disk."""
        self.tail.close()
        self.begin()

    def take(self, chunk: Chunk) -> Position | None:
        """A chunk, the same as before if it was told of before."""
        told = (chunk.item.event.id, Path(chunk.item.event.data["path"]).read_bytes())
        if chunk.number not in self.chunks:
            self.events.append(chunk.item.event.data)
        assert self.chunks.setdefault(chunk.number, told) == told
        return Position.from_json(chunk.item.cursor, "tail")

    def look(self, times: int = 1) -> None:
        """Read what is there, a quarter of a second after the last time."""
        for _ in range(times):
            self.now += 0.25
            while (found := self.spooling.advance(Moment(self.now, self.now))) is not Sign.IDLE:
                if isinstance(found, Chunk):
                    self.take(found)
        self.told += self.tail.notices
        self.tail.notices.clear()

    @property
    def content(self) -> bytes:
        """All chunks, one behind the other."""
        assert sorted(self.chunks) == list(range(len(self.chunks)))
        return b"".join(content for _, (_, content) in sorted(self.chunks.items()))


class Log:
    """A log with its writer, and the numbered lines that it has written."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "app.log"
        self.folder = folder
        self.number = 0
        self.written = b""
        self.file = self.path.open("ab", buffering=0)

    def write(self, lines: int = 1, rest: bytes = b"") -> None:
        for _ in range(lines):
            self.number += 1
            self.put(b"%06d %s\n" % (self.number, b"x" * (self.number % 40)))
        self.put(rest)

    def put(self, piece: bytes) -> None:
        self.file.write(piece)
        self.written += piece

    def shift(self) -> None:
        """Make room for a new `app.log.1`."""
        kept = sorted(self.folder.glob("app.log.*"), key=lambda path: -int(path.suffix[1:]))
        for path in kept:
            path.rename(self.folder / f"app.log.{int(path.suffix[1:]) + 1}")

    def rename(self) -> None:
        self.shift()
        self.path.rename(self.folder / "app.log.1")

    def reopen(self) -> None:
        self.file.close()
        self.file = self.path.open("ab", buffering=0)

    def copy_and_empty(self) -> None:
        self.shift()
        shutil.copyfile(self.path, self.folder / "app.log.1")
        os.truncate(self.path, 0)


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Log]:
    log = Log(tmp_path)
    yield log
    log.file.close()


def test_a_renamed_log_is_read_to_its_end_before_the_new_one(tmp_path: Path, writer: Log) -> None:
    """Also what its writer wrote after it was renamed; a line without an end is delivered there."""
    reader = Reader(tmp_path)
    writer.write(2)
    reader.look()
    writer.write(1)
    writer.rename()
    writer.write(1, rest=b"half")
    reader.look(2)
    writer.reopen()
    writer.write(2)
    reader.look(10)
    assert reader.content == writer.written
    assert [(event["generation"], event["offset"], event["first_line"], event["lines"]) for event in reader.events] == [
        (0, 0, 1, 3),
        (0, len(reader.chunks[0][1]), 4, 1),
        (0, len(reader.chunks[0][1] + reader.chunks[1][1]), 5, 1),
        (1, 0, 6, 2),
    ]
    assert reader.told == []


def test_a_log_that_is_copied_and_emptied_goes_on_in_the_copy(tmp_path: Path, writer: Log) -> None:
    """What was written between the last look and the copy stands only there."""
    reader = Reader(tmp_path)
    writer.write(2)
    reader.look()
    writer.write(5)
    writer.copy_and_empty()
    writer.write(1)
    reader.look(20)
    assert reader.content == writer.written
    assert [event["generation"] for event in reader.events] == [0, 0, 0, 1]


def test_a_log_that_was_copied_and_emptied_before_anything_was_read_of_it_is_read(tmp_path: Path, writer: Log) -> None:
    """Twice, once with nothing after it: only the new files beside it tell."""
    reader = Reader(tmp_path)
    reader.look()
    writer.write(2)
    writer.copy_and_empty()
    reader.look(20)
    assert reader.content == writer.written
    writer.write(2)
    writer.copy_and_empty()
    writer.write(1)
    reader.look(30)
    assert reader.content == writer.written


def test_a_log_that_was_emptied_and_is_longer_again_is_noticed(tmp_path: Path, writer: Log) -> None:
    """Its first bytes are others, or those before the place where we are."""
    reader = Reader(tmp_path)
    writer.write(2)
    reader.look(8)
    os.truncate(writer.path, 0)
    writer.write(50)
    reader.look(20)
    assert reader.content == writer.written
    assert reader.events[-1]["generation"] == 1


def test_a_log_without_a_copy_is_told_of_as_missed(tmp_path: Path, writer: Log) -> None:
    """What was not read cannot be had; the reader goes on with the new content."""
    reader = Reader(tmp_path)
    writer.write(1)
    reader.look(8)
    before = writer.written
    os.truncate(writer.path, 0)
    writer.written = b""
    reader.look(2)
    writer.write(1)
    reader.look(8)
    assert reader.content == before + writer.written
    ((name, fields),) = reader.told
    assert (name, fields["log"]) == ("source.lines_missed", str(writer.path))


def test_a_deleted_log_is_read_to_its_end_and_the_next_one_waited_for(tmp_path: Path, writer: Log) -> None:
    reader = Reader(tmp_path)
    writer.write(1)
    reader.look()
    writer.path.unlink()
    writer.write(3)
    reader.look(20)
    assert reader.content == writer.written
    writer.reopen()
    writer.write(1)
    reader.look(20)
    assert reader.content == writer.written


def test_several_rotations_between_two_looks_are_all_read(tmp_path: Path, writer: Log) -> None:
    """Oldest first, whichever way they were made, also when the reader was gone meanwhile."""
    reader = Reader(tmp_path)
    writer.write(1)
    reader.look(8)
    for _ in range(3):
        writer.write(2)
        writer.rename()
        writer.reopen()
        writer.write(2)
        writer.copy_and_empty()
    writer.write(1)
    reader.crash()
    reader.look(60)
    assert reader.content == writer.written
    assert reader.events[-1]["generation"] == 6


def test_rotated_logs_with_dates_are_read_in_their_order(tmp_path: Path, writer: Log) -> None:
    reader = Reader(tmp_path)
    for day in ("20251230", "20251231", "20260101", "20260102"):
        writer.write(2)
        if day == "20251230":
            reader.look(8)
        writer.path.rename(tmp_path / f"app.log-{day}")
        writer.reopen()
    writer.write(1)
    reader.crash()
    reader.look(60)
    assert reader.content == writer.written


def test_older_rotated_logs_are_not_read(tmp_path: Path, writer: Log) -> None:
    """Following begins with the log itself."""
    (tmp_path / "app.log.1").write_bytes(b"old\n")
    (tmp_path / "app.log.2").write_bytes(b"older\n")
    reader = Reader(tmp_path)
    writer.write(2)
    reader.look(8)
    writer.rename()
    writer.reopen()
    writer.write(2)
    reader.crash()
    reader.look(20)
    assert reader.content == writer.written


def test_a_link_that_is_switched_leads_on(tmp_path: Path) -> None:
    """The old target is read to its end."""
    first, second, link = tmp_path / "a" / "one.log", tmp_path / "b" / "two.log", tmp_path / "app.log"
    for path in (first, second):
        path.parent.mkdir()
    first.write_bytes(b"1\n")
    link.symlink_to(first)
    reader = Reader(tmp_path)
    reader.look()
    first.write_bytes(b"1\n2\n")
    second.write_bytes(b"3\n")
    link.unlink()
    link.symlink_to(second)
    reader.look(20)
    assert reader.content == b"1\n2\n3\n"


def test_an_inode_that_was_given_to_another_file_does_not_deceive(tmp_path: Path, writer: Log) -> None:
    """The first bytes tell; here the same inode is made by overwriting while the reader was gone."""
    reader = Reader(tmp_path)
    writer.write(4)
    reader.look(8)
    reader.tail.close()
    inode = writer.path.stat().st_ino
    writer.path.write_bytes(b"quite another content, and longer than what stood here before\n" * 4)
    assert writer.path.stat().st_ino == inode
    reader.begin()
    reader.look(20)
    assert reader.content == writer.written + writer.path.read_bytes()
    assert reader.events[-1]["generation"] == 1
    assert [name for name, _ in reader.told] == ["source.lines_missed"]


def test_a_rotation_before_the_first_chunk_is_noticed_after_a_crash(tmp_path: Path, writer: Log) -> None:
    """Where the reading began is on disk before anything is read."""
    reader = Reader(tmp_path)
    reader.look()
    writer.write(1)
    writer.rename()
    writer.reopen()
    writer.write(1)
    reader.crash()
    reader.look(20)
    assert reader.content == writer.written


STEP = st.one_of(
    st.tuples(st.just("write"), st.integers(1, 5)),
    st.tuples(st.just("half"), st.integers(1, 30)),
    st.tuples(st.just("look"), st.integers(1, 6)),
    st.tuples(st.sampled_from(["crash", "rename", "late", "copy", "quiet"]), st.just(0)),
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.lists(STEP, max_size=30), before=st.integers(0, 2))
def test_any_order_of_writing_rotation_and_crashes_gives_every_line_once(steps: list, before: int) -> None:
    """The chunks, one behind the other, are what was written; none changes once it was told of."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(1, before + 1):
            (folder / f"app.log.{number}").write_bytes(b"from before\n" * number)
        writer, reader = Log(folder), Reader(folder)
        reader.look()
        for what, much in steps:
            match what:
                case "write":
                    writer.write(much)
                case "half":
                    writer.put(bytes(random.Random(much).choices(b"abc", k=much)))
                case "look":
                    reader.look(much)
                case "crash":
                    reader.crash()
                case "rename":
                    writer.rename()
                    writer.reopen()
                case "late":  # the writer goes on for a moment in the file that was renamed
                    writer.rename()
                    writer.write(1)
                    reader.look(2)
                    writer.put(b"late ")
                    writer.reopen()
                case "copy":
                    writer.copy_and_empty()
                case "quiet":
                    reader.look(20)
        reader.look(20 + 8 * len(steps))
        if not writer.written.endswith(b"\n"):
            writer.put(b"\n")
        reader.look(20)
        reader.tail.close()
        writer.file.close()
        assert reader.content == writer.written
        lines = [(event["first_line"], event["lines"]) for event in reader.events]
        assert all(first + count == after for (first, count), (after, _) in pairwise(lines))
        generations = [event["generation"] for event in reader.events]
        assert generations == sorted(generations)


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)])
@pytest.mark.parametrize("more", [b"", b"not read\n"])
def test_a_compressed_rotation_is_missed_only_where_it_holds_more(
    tmp_path: Path, writer: Log, suffix: str, pack, more: bytes
) -> None:
    """While nobody follows the log is rotated and compressed; what was read of it to its end is no loss."""
    reader = Reader(tmp_path)
    writer.write(4)
    reader.look(8)
    reader.tail.close()
    before = writer.path.read_bytes()
    writer.path.with_name(f"app.log.1{suffix}").write_bytes(pack(before + more))
    writer.path.unlink()
    writer.path.write_bytes(b"later\n")
    reader.begin()
    reader.look(20)
    assert reader.content == before + b"later\n"
    assert [name for name, _ in reader.told] == (["source.lines_missed"] if more else [])


@pytest.mark.parametrize("damaged", [b"", b"no archive", gzip.compress(b"1\n2\n3\n4\n" * 99, mtime=0)[:20]])
@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz"])
def test_a_damaged_archive_proves_nothing(tmp_path: Path, writer: Log, suffix: str, damaged: bytes) -> None:
    """The loss is told of, and following goes on."""
    reader = Reader(tmp_path)
    writer.write(4)
    reader.look(8)
    reader.tail.close()
    writer.path.with_name(f"app.log.1{suffix}").write_bytes(damaged)
    writer.path.unlink()
    writer.path.write_bytes(b"later\n")
    reader.begin()
    reader.look(20)
    assert [name for name, _ in reader.told] == ["source.lines_missed"]
