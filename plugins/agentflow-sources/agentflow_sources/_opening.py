"""The opening of a plain file, and what to do about one that cannot be opened."""

from __future__ import annotations

import contextlib
import errno
import os
import stat

from agentflow_kernel.errors import InputInvalid, PathRefused, StorageUnavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_FLAGS = os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
"""A pipe that takes the file's place between looking and opening must not make us wait for its writer."""

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def locate(folder: str, path: str) -> str:
    """The absolute path, links as they stand. Raises :class:`PathRefused` for one that an event could not carry."""
    located = os.path.abspath(os.path.join(folder, path))
    for char in located:
        code = ord(char)
        if code < 0x20 or 0x7F <= code <= 0x9F or 0xD800 <= code <= 0xDFFF:
            raise PathRefused(located, "it holds control characters or bytes that are not UTF-8. Rename the file.")
    return located


@contextlib.contextmanager
def open_plain(path: str, source: str) -> Iterator[tuple[int, os.stat_result]]:
    """The descriptor and status of a plain file, open until the block ends; raises as :func:`open_descriptor`."""
    fd, status = open_descriptor(path, source)
    try:
        yield fd, status
    finally:
        os.close(fd)


def open_descriptor(path: str, source: str) -> tuple[int, os.stat_result]:
    """The descriptor of a plain file, for the caller to close, and its status. Never waits for a writer.

    Raises :class:`InputInvalid` when it is missing, :class:`PathRefused` when it is no plain file or may not be read,
    :class:`StorageUnavailable` (not executed) when the machine is at fault.
    """
    fd = -1
    try:
        # looked at first, because opening a device can already do something
        _refuse_special(os.stat(path), path)
        fd = os.open(path, _FLAGS)
        status = os.fstat(fd)
        _refuse_special(status, path)
    except OSError as error:
        _close(fd)
        raise diagnose(error, path, source) from error
    except PathRefused:
        _close(fd)
        raise
    return fd, status


def diagnose(error: OSError, path: str, source: str) -> Exception:
    """The error to raise for one of the operating system, with the file and what to do."""
    match error.errno:
        case errno.ENOENT | errno.ENOTDIR:
            return InputInvalid(f"Source {source!r}", f"there is no file {path!r}. Create it, or change `path`.")
        case errno.EACCES | errno.EPERM:
            return PathRefused(path, f"user {os.geteuid()} may not read it. Give read permission, or change `path`.")
        case errno.ELOOP:
            return PathRefused(path, "its symbolic links form a circle. Correct them, or change `path`.")
        case errno.ENAMETOOLONG:
            return PathRefused(path[:200] + "…", "it is too long. Change `path`.")
        case errno.ENXIO | errno.ENODEV:
            return PathRefused(path, "it is a device or a socket, not a plain file. Change `path`.")
    reason = error.strerror or str(error)
    text = f"Source {source!r} could not read {path!r}: {reason}. See to the disk, then start again."
    return StorageUnavailable(text, executed="no")


def _close(fd: int) -> None:
    if fd >= 0:
        os.close(fd)


def _refuse_special(status: os.stat_result, path: str) -> None:
    kind = _KINDS.get(stat.S_IFMT(status.st_mode))
    if kind is not None:
        raise PathRefused(path, f"it is {kind}, not a plain file. Change `path` so that it names one.")
