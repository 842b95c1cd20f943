"""Going on after a reading: what is new and what is not."""

from __future__ import annotations

import json
import os

import pytest

from agentflow_kernel.errors import InputInvalid

pytestmark = pytest.mark.anyio


async def test_nothing_new_gives_nothing(log, read_once, monkeypatch) -> None:
    """The same file, size and time of change: not even read."""
    log.write_bytes(b"a\nb\n")
    (item,) = await read_once()
    monkeypatch.setattr("agentflow_sources.file.os.pread", lambda *_: pytest.fail("It was read."))
    assert await read_once(json.loads(json.dumps(item.cursor))) == []


async def test_an_empty_file_is_told_of_once(log, read_once) -> None:
    """Its cursor stands for "seen, and empty"."""
    log.touch()
    (item,) = await read_once()
    assert item.cursor["offset"] == 0
    assert await read_once(item.cursor) == []


@pytest.mark.parametrize("change", ["touch", "copy"])
async def test_the_same_content_is_not_new(tmp_path, log, read_once, change) -> None:
    """A new time or a new file with the same bytes is told apart from new content by reading it."""
    log.write_bytes(b"a\nb\n")
    (item,) = await read_once()
    if change == "touch":
        os.utime(log, (1, 1))
    else:
        (tmp_path / "copy").write_bytes(b"a\nb\n")
        (tmp_path / "copy").replace(log)
    assert await read_once(item.cursor) == []


@pytest.mark.parametrize("content", [b"a\nb\nc\n", b"a\n", b"x\ny\n", b""])
async def test_other_content_is_new_and_told_of_as_a_whole(log, read_once, content) -> None:
    """Grown, shortened, replaced by as many bytes, emptied: one event for all that is there now."""
    log.write_bytes(b"a\nb\n")
    (item,) = await read_once()
    os.utime(log, (1, 1))
    log.write_bytes(content)
    os.utime(log, (2, 2))
    (again,) = await read_once(item.cursor)
    assert again.event.data["size_bytes"] == len(content)
    assert again.event.data["lines"] == content.count(b"\n")
    assert again.event.id != item.event.id


@pytest.mark.parametrize(("offset", "count"), [(0, 1), (3, 1), (4, 0), (5, 0), (10**12, 0)])
async def test_an_offset_alone_stands_for_everything_up_to_there(log, read_once, offset, count) -> None:
    """At or past the end nothing is new."""
    log.write_bytes(b"a\nb\n")
    assert len(await read_once({"offset": offset})) == count


@pytest.mark.parametrize(
    "cursor",
    [
        7,
        "7",
        True,
        [],
        {},
        {"offset": -1},
        {"offset": "4"},
        {"offset": 4.0},
        {"offset": True},
        {"offset": None},
        {"offset": 4, "line": 2},
        {"offset": 4, "inode": -1},
        {"offset": 4, "sha256": 5},
    ],
)
async def test_a_foreign_cursor_is_refused(log, read_once, cursor) -> None:
    """By the name of the source, and without a guess."""
    log.write_bytes(b"a\nb\n")
    with pytest.raises(InputInvalid, match=r"Cursor of source 'log-file': .* is no cursor of this source"):
        await read_once(cursor)
