"""The source `folder`: each content of each file once."""

from __future__ import annotations

import hashlib
import os
import random

import anyio
import pytest

from agentflow_kernel.contracts.plugin import PluginContext
from agentflow_kernel.errors import InputInvalid, PathRefused, UsageError
from agentflow_kernel.testing import FakeClock
from agentflow_sources._listing import matches
from agentflow_sources.folder import FolderSource
from agentflow_sources.settings import FolderSettings

pytestmark = pytest.mark.anyio

LONG_AGO = 1_000_000_000


@pytest.fixture
def inbox(tmp_path):
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


@pytest.fixture
def put(inbox):
    """A file that was last changed long ago."""

    def put(name: str, content: bytes = b"x\n", age: int = LONG_AGO) -> None:
        path = inbox / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (age, age))

    return put


@pytest.fixture
def make(tmp_path):
    def make(clock: FakeClock | None = None, told: list | None = None, state: bool = True, **settings) -> FolderSource:
        context = PluginContext(
            "in",
            clock=clock or FakeClock(auto=True),
            random=random.Random(0),
            folder=str(tmp_path),
            state_folder=str(tmp_path / "state") if state else None,
            emit=lambda name, fields: None if told is None else told.append((name, fields)),
        )
        return FolderSource(FolderSettings(**{"path": "inbox", **settings}), context)

    return make


async def read(source: FolderSource, cursor=None) -> list:
    return [item async for item in source.events(cursor)]


def names(items: list) -> list[str]:
    return [os.path.basename(item.event.subject) for item in items]


async def test_each_file_is_told_of_as_the_source_file_does_in_order(inbox, put, make) -> None:
    for name in ("b.log", "a.log", "c.txt", ".hidden.log"):
        put(name, name.encode() + b"\n")
    items = await read(make(glob="*.log"))
    assert names(items) == ["a.log", "b.log"]
    event = items[0].event
    assert (event.type, event.source) == ("dev.agentflow.file.read", f"file://{inbox}/a.log")
    assert event.data["sha256"] == hashlib.sha256(b"a.log\n").hexdigest()
    assert set(event.data) == {
        "path", "size_bytes", "lines", "ends_with_newline", "sha256", "modified", "device", "inode", "encoding",
        "first_undecodable_line",
    }  # fmt: skip


async def test_a_content_is_told_of_once(put, make) -> None:
    """By path and content: a file that was only touched is the same, one that was changed is not."""
    put("a")
    put("b")
    first = await read(make())
    assert await read(make(), first[-1].cursor) == []
    put("a", age=LONG_AGO + 5)
    put("b", b"other\n")
    second = await read(make(), first[-1].cursor)
    assert names(second) == ["b"]
    assert second[0].event.id != first[1].event.id
    assert await read(make(), second[-1].cursor) == []


async def test_what_was_not_received_is_told_of_again_under_the_same_id(put, make) -> None:
    for name in "abc":
        put(name)
    first = await read(make())
    again = await read(make(), first[0].cursor)
    assert names(again) == ["b", "c"]
    assert [item.event.id for item in again] == [item.event.id for item in first[1:]]
    assert [item.event.id for item in await read(make())] == [item.event.id for item in first]


async def test_a_file_is_read_when_it_has_not_changed_for_a_while(inbox, make) -> None:
    """By the time we looked, where its own time says it is new."""
    clock = FakeClock(4_000_000_000)  # later than any file of this test
    clock.jump(-3_999_999_000)  # and now much earlier: ages are negative
    path = inbox / "a"
    path.write_bytes(b"1")
    found: list = []
    source = make(clock, settle_s=5)

    ended = anyio.Event()

    async def follow() -> None:
        async for item in source.events():
            found.append(item.event.data["size_bytes"])  # noqa: PERF401 -- looked at meanwhile
        ended.set()

    async def tick(seconds: int) -> None:
        """Move the time by seconds, each once the source waits again, unless it has ended."""
        for _ in range(seconds):
            while not clock._sleepers and not ended.is_set():  # noqa: ASYNC110 -- a thread ends the wait, by real time
                await anyio.sleep(0.001)
            if ended.is_set():
                return
            await clock.advance(1)

    async with anyio.create_task_group() as group:
        group.start_soon(follow)
        for size in (2, 3, 4):
            await tick(3)
            path.write_bytes(b"x" * size)
        await tick(4)
        assert found == []
        await tick(4)
    assert found == [4]


async def test_following_finds_new_files(inbox, put, make) -> None:
    put("a")
    source = make(follow=True)
    found = []
    async for item in source.events():
        found.append(item)
        if len(found) == 1:
            put("b")
        else:
            await source.aclose()
    assert names(found) == ["a", "b"]


async def test_no_link_leads_out_of_the_folder_or_round_in_it(inbox, put, make, tmp_path) -> None:
    """Neither to a file nor to a folder; a pipe is no file."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"s\n")
    put("sub/deep/a")
    (inbox / "link").symlink_to(outside / "secret")
    (inbox / "folder").symlink_to(outside)
    (inbox / "sub" / "up").symlink_to(inbox)
    os.mkfifo(inbox / "pipe")
    assert names(await read(make(glob="**/*"))) == ["a"]


async def test_a_file_that_becomes_a_link_while_it_is_looked_at_is_not_told_of(inbox, put, make, monkeypatch, tmp_path):
    """It was listed as a plain file of another inode."""
    put("a")
    (tmp_path / "secret").write_bytes(b"s\n")
    real = FolderSource._read_file

    async def swapping(self, path):
        await anyio.Path(path).unlink()
        await anyio.Path(path).symlink_to(tmp_path / "secret")
        return await real(self, path)

    monkeypatch.setattr(FolderSource, "_read_file", swapping)
    assert await read(make()) == []


async def test_a_file_that_cannot_be_read_ends_it_or_is_skipped(put, make) -> None:
    put("a", b"\0binary")
    put("b")
    with pytest.raises(InputInvalid, match="it is no text"):
        await read(make())
    told: list = []
    assert names(await read(make(told=told, unreadable="skip"))) == ["b"]
    ((name, fields),) = told
    assert (name, fields["path"], fields["code"]) == ("source.file_skipped", "a", "AF-INPUT-INVALID")


async def test_a_folder_must_be_one(inbox, put, make) -> None:
    put("a")
    with pytest.raises(InputInvalid, match="there is no folder"):
        await read(make(path="nowhere"))
    with pytest.raises(PathRefused, match="it is no folder"):
        await read(make(path="inbox/a"))


async def test_without_a_state_folder_a_folder_is_read_but_not_followed(put, make) -> None:
    put("a")
    assert names(await read(make(state=False))) == ["a"]
    with pytest.raises(UsageError, match="keeps on disk what it has told of"):
        await read(make(state=False, follow=True))


async def test_a_foreign_cursor_is_refused_and_a_closed_source_too(make) -> None:
    for cursor in ({}, 3, {"told": -1}, {"told": True}):
        with pytest.raises(InputInvalid, match="is no cursor of this source"):
            await read(make(), cursor)
    source = make()
    await source.aclose()
    with pytest.raises(UsageError, match="has been closed"):
        await read(source)


@pytest.mark.parametrize(
    ("path", "glob", "fits"),
    [
        ("a.log", "*.log", True),
        ("x/a.log", "*.log", False),
        ("x/a.log", "*/*.log", True),
        ("a.log", "**/*.log", True),
        ("x/y/a.log", "**/*.log", True),
        ("x/.y/a.log", "**/*.log", False),
        (".a.log", "*.log", False),
        (".a.log", ".*.log", True),
        ("x/y/z", "x/**", True),
        ("x", "x/**/y", False),
        ("x/y", "x/**/y", True),
    ],
)
def test_a_glob_means_paths_below_the_folder(path, glob, fits) -> None:
    assert matches(path.split("/"), glob.split("/")) is fits
