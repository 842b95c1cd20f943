"""Files that cannot be read: each error says what, where and what to do."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agentflow_kernel.errors import InputInvalid, PathRefused, StorageUnavailable
from agentflow_sources._opening import locate

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.anyio

NOBODY = 65_534


@pytest.mark.parametrize("path", ["app.log", "no/where/app.log"])
async def test_a_missing_file_is_named(tmp_path, read_once, path) -> None:
    """With its absolute path and the setting."""
    with pytest.raises(InputInvalid, match=rf"'log-file': there is no file '{tmp_path}/{path}'\. Create it, or change"):
        await read_once(path=path)


async def test_a_file_taken_for_a_folder_is_a_missing_one(log, read_once) -> None:
    """There is nothing below a file."""
    log.touch()
    with pytest.raises(InputInvalid, match="there is no file"):
        await read_once(path="app.log/x")


async def test_a_folder_is_refused(log, read_once) -> None:
    """One file is asked for."""
    log.mkdir()
    with pytest.raises(PathRefused, match=r"app\.log' is refused: it is a folder, not a plain file\. Change `path`"):
        await read_once()


async def test_a_named_pipe_is_refused_without_waiting(log, read_once) -> None:
    """There is no writer, and none is waited for."""
    os.mkfifo(log)
    with pytest.raises(PathRefused, match="a named pipe"):
        await read_once()


async def test_a_named_pipe_in_the_place_of_a_file_is_refused(log, read_once, monkeypatch) -> None:
    """When it comes between looking and opening: the open does not wait, and what was opened is looked at again."""
    log.write_bytes(b"x\n")
    plain = os.open

    def swapping(path: str, flags: int) -> int:
        log.unlink()
        os.mkfifo(log)
        return plain(path, flags)

    monkeypatch.setattr("agentflow_sources._opening.os.open", swapping)
    with pytest.raises(PathRefused, match="a named pipe"):
        await read_once()


@pytest.mark.parametrize("path", ["/dev/null", "/dev/zero", "/dev/tty"])
async def test_a_device_is_refused_and_never_opened(read_once, monkeypatch, path) -> None:
    """Opening one may already do something."""
    monkeypatch.setattr("agentflow_sources._opening.os.open", lambda *_: pytest.fail("It was opened."))
    with pytest.raises(PathRefused, match="it is a device"):
        await read_once(path=path)


async def test_a_socket_is_refused(tmp_path, read_once, monkeypatch) -> None:
    """It has a path, but no content."""
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("app.log")
        with pytest.raises(PathRefused, match="it is a socket"):
            await read_once()


@pytest.mark.parametrize(
    "content", [b"\0", b"text\n" * 1_000 + b"\0", b"x" * 65_535 + b"\0", "Zeile\n".encode("utf-16")]
)
async def test_a_binary_file_is_named(log, read_once, content) -> None:
    """A NUL byte in the first 64 KiB; the place is told, and what to do with UTF-16."""
    log.write_bytes(content)
    at = content.index(b"\0")
    with pytest.raises(InputInvalid, match=rf"app\.log': it is no text, byte {at} is NUL\..*convert UTF-16"):
        await read_once()


@pytest.mark.parametrize("piece_bytes", [1_000, 1_048_576])
async def test_a_nul_far_inside_is_taken_for_an_accident(log, read_once, monkeypatch, piece_bytes) -> None:
    """Such as the hole that a crash leaves in a log."""
    monkeypatch.setattr("agentflow_sources.file._PIECE_BYTES", piece_bytes)
    log.write_bytes(b"x" * 65_536 + b"\0\n")
    (item,) = await read_once()
    assert item.event.data["size_bytes"] == 65_538


@contextlib.contextmanager
def unprivileged(folder: Path) -> Iterator[None]:
    """Be somebody to whom permissions apply."""
    if os.geteuid() != 0:
        yield
        return
    folder.chmod(0o711)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


async def test_a_file_without_permission_is_refused_with_the_user(read_once) -> None:
    """For real, as a user without rights: no attempt helps before somebody gives permission."""
    folder = Path(tempfile.mkdtemp())
    try:
        (folder / "app.log").write_bytes(b"x\n")
        (folder / "app.log").chmod(0)
        with unprivileged(folder):
            user = os.geteuid()
            with pytest.raises(PathRefused, match=rf"user {user} may not read it\. Give read permission"):
                await read_once(path=str(folder / "app.log"))
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("number", [5, 12, 23, 24, 116])
async def test_a_failing_machine_is_unavailable_storage(log, read_once, monkeypatch, number) -> None:
    """At opening and at reading; nothing was done, so that another attempt may help."""
    log.write_bytes(b"x\n")

    def broken(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    for function in ("_opening.os.open", "file.os.pread"):
        with monkeypatch.context() as patch:
            patch.setattr(f"agentflow_sources.{function}", broken)
            with pytest.raises(StorageUnavailable, match=r"'log-file' could not read '.*app\.log'") as caught:
                await read_once()
            assert caught.value.executed == "no"


async def test_a_circle_of_links_is_refused(tmp_path, log, read_once) -> None:
    """And named."""
    log.symlink_to(tmp_path / "other")
    (tmp_path / "other").symlink_to(log)
    with pytest.raises(PathRefused, match="form a circle"):
        await read_once()


@pytest.mark.parametrize("path", ["a\nb", "a\0b", "a\x1b[31m", "a\x85"])
async def test_a_name_that_no_event_could_carry_is_refused(read_once, path) -> None:
    """Control characters and bytes that are not UTF-8, before anything is opened."""
    with pytest.raises(PathRefused, match="Rename the file"):
        await read_once(path=path)


def test_a_folder_that_is_no_text_is_refused() -> None:
    """The system may name a folder by bytes that are not UTF-8."""
    with pytest.raises(PathRefused, match="not UTF-8"):
        locate("/caf\udce9", "app.log")


async def test_a_path_that_is_too_long_is_refused_in_few_words(read_once) -> None:
    """The message does not repeat it all."""
    with pytest.raises(PathRefused, match="too long") as caught:
        await read_once(path="x" * 10_000)
    assert len(str(caught.value)) < 400
