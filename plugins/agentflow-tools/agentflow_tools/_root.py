"""The root: the one folder that the tools see, held open from the first use to the end."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import threading
from typing import NamedTuple

from agentflow_kernel.errors import InputInvalid, UsageError, nearest
from agentflow_tools._diagnosis import diagnose, refuse_special
from agentflow_tools._opener import Opener, choose_opener
from agentflow_tools._path import join_names, show_name, split_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_O_PATH = getattr(os, "O_PATH", None)
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_NEIGHBOURS = 1_000


class Opened(NamedTuple):
    """A plain file or folder that is open for reading; whoever opened it closes it."""

    fd: int
    status: os.stat_result
    path: str
    """The path from the root in its shortest form, `.` for the root itself."""

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder; otherwise it is a plain file."""
        return stat.S_ISDIR(self.status.st_mode)


class Root:
    """Opens paths below a folder. May be used by several threads at once; every method may block.

    The folder is opened once. Renaming or replacing it afterwards does not change what the tools see.
    """

    def __init__(self, folder: str, setting: str, *, opener: Opener | None = None) -> None:
        self._folder = folder
        self._setting = setting
        self._opener = opener
        self._fd: int | None = None
        self._closed = False
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def open(self, path: str) -> Iterator[Opened]:
        """What lies at `path`, open until the block ends.

        Raises :class:`PathRefused` when the path leaves the root or is neither a plain file nor a folder,
        :class:`ToolFailed` when it is missing or may not be read, :class:`StorageUnavailable` when the machine fails,
        :class:`InputInvalid` when the root itself is missing, :class:`UsageError` after :meth:`close`.
        """
        names = split_path(path)
        with self._lease() as (root, opener):
            try:
                fd, status = _open_plain(opener, root, names, path)
            except OSError as error:
                advice = _advise(opener, root, names) if error.errno == errno.ENOENT else ""
                raise diagnose(error, path, advice) from error
        try:
            yield Opened(fd, status, join_names(names))
        finally:
            os.close(fd)

    def close(self) -> None:
        """Give the folder back; may be called twice. What is open stays open until its block ends."""
        with self._lock:
            self._close_locked()

    def close_nowait(self) -> bool:
        """As :meth:`close`, without waiting for a thread that is just opening something: then `False`."""
        if not self._lock.acquire(blocking=False):
            return False
        try:
            self._close_locked()
        finally:
            self._lock.release()
        return True

    def _close_locked(self) -> None:
        self._closed = True
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    @contextlib.contextmanager
    def _lease(self) -> Iterator[tuple[int, Opener]]:
        """The folder by a descriptor of its own: the number of a closed one could already be another file's."""
        with self._lock:
            if self._closed:
                raise UsageError("This toolset 'files' has been closed. Make a new one.")
            if self._fd is None:
                self._fd = self._open_root()
            if self._opener is None:
                self._opener = choose_opener(self._fd)
            fd, opener = os.dup(self._fd), self._opener
        try:
            yield fd, opener
        finally:
            os.close(fd)

    def _open_root(self) -> int:
        path = os.path.abspath(os.path.join(self._folder, self._setting))
        try:
            return os.open(path, os.O_DIRECTORY | os.O_CLOEXEC | (_O_PATH or os.O_RDONLY))
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            problem = f"{path!r} cannot be opened as a folder ({reason}). Create it, or change the setting."
            raise InputInvalid("Setting 'root' of the toolset 'files'", problem) from error


def _open_plain(opener: Opener, root: int, names: tuple[bytes, ...], path: str) -> tuple[int, os.stat_result]:
    """Look before opening, because opening a device can already do something; then look again at what was opened."""
    if _O_PATH is not None:
        fd = opener.open(root, names, _O_PATH)
        try:
            refuse_special(os.fstat(fd), path)
        finally:
            os.close(fd)
    fd = opener.open(root, names, _READ)
    try:
        status = os.fstat(fd)
        refuse_special(status, path)
    except BaseException:
        os.close(fd)
        raise
    return fd, status


def _advise(opener: Opener, root: int, names: tuple[bytes, ...]) -> str:
    """Which entry of the same folder has a name like the missing one, if the folder is there and one has."""
    known: list[str] = []
    with contextlib.suppress(OSError):  # the folder is missing too, or may not be read: no advice then
        fd = opener.open(root, names[:-1], _READ | os.O_DIRECTORY)
        try:
            with os.scandir(fd) as entries:
                known = [entry.name for entry, _ in zip(entries, range(_NEIGHBOURS), strict=False)]
        finally:
            os.close(fd)
    close = nearest(show_name(names[-1]), known) if names else None
    return "" if close is None else f"Did you mean {join_names((*names[:-1], os.fsencode(close)))!r}?"
