"""Siblings: the files beside a log that rotation has made of it."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_SUFFIX = re.compile(r"[.\-_](\d+(?:[.\-_T]\d+)*)\Z")
_COUNTER_DIGITS = 4
"""A longer number behind the name is a date: the higher one is the newer file, not the older one."""


class Rotated(NamedTuple):
    """A rotated file of a log."""

    path: str
    identity: tuple[int, int]
    """Device and inode."""
    modified_ns: int


def identity(path: str) -> tuple[int, int] | None:
    """Device and inode of what a path leads to, `None` where it leads to nothing."""
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_dev, status.st_ino


def files_beside(path: str, prefix: str = "") -> Iterator[tuple[str, os.stat_result]]:
    """Path and status of each plain file in the log's folder and in the folder that its links lead to.

    Only those whose name begins with `prefix`.
    """
    for folder in dict.fromkeys((os.path.dirname(path), os.path.dirname(os.path.realpath(path)))):
        try:
            names = sorted(os.listdir(folder))
        except (FileNotFoundError, NotADirectoryError):
            continue
        for name in names:
            if not name.startswith(prefix):
                continue
            with contextlib.suppress(FileNotFoundError):  # renamed since the folder was listed
                status = os.lstat(os.path.join(folder, name))
                if stat.S_ISREG(status.st_mode):
                    yield os.path.join(folder, name), status


def rotated_files(path: str) -> list[Rotated]:
    """The rotated files of a log, the oldest first: by the counter behind its name, else by the date there.

    Most programs give the oldest the highest counter, some the newest; the times of change tell which.
    """
    current = identity(path)
    counted: list[tuple[int, Rotated]] = []
    dated: list[tuple[str, Rotated]] = []
    for file, status in files_beside(path, os.path.basename(path)):
        found = _SUFFIX.fullmatch(file, len(path)) if file.startswith(path) else None
        rotated = Rotated(file, (status.st_dev, status.st_ino), status.st_mtime_ns)
        if found is None or rotated.identity == current:
            continue
        if len(found[1]) <= _COUNTER_DIGITS:
            counted.append((-int(found[1]), rotated))
        else:
            dated.append((found[1], rotated))
    ordered = [rotated for _, rotated in sorted(counted or dated, key=lambda found: found[0])]
    if counted and ordered[0].modified_ns > ordered[-1].modified_ns:
        ordered.reverse()
    return ordered


def rotated_after(path: str, ours: tuple[int | None, int | None], modified_ns: int | None) -> list[str]:
    """Rotated files that are newer than ours, the oldest first.

    `ours` is a device and an inode; where that file is not one of them any more, those are meant that were changed
    later than it was.
    """
    files = rotated_files(path)
    for number, rotated in enumerate(files):
        if rotated.identity == ours:
            return [newer.path for newer in files[number + 1 :]]
    return [rotated.path for rotated in files if modified_ns is not None and rotated.modified_ns > modified_ns]
