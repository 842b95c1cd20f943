"""The tool `list`: what lies in one folder."""

from __future__ import annotations

import contextlib
import fnmatch
import heapq
import os
import stat
import time
from typing import NamedTuple

from agentflow_kernel.errors import AskModelAgain
from agentflow_tools._path import show_name
from agentflow_tools._watch import TimeOver

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentflow_kernel.contracts.values import JSON
    from agentflow_tools._root import Opened, Root
    from agentflow_tools._watch import Watch
    from agentflow_tools.settings import FilesSettings

_LOOK_EVERY = 256
_NAME_OVERHEAD_BYTES = 120
"""What an entry of the result needs beside its name."""
_KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "link"}


class Listing(NamedTuple):
    """What is asked: at most `max_entries` entries of a folder whose names fit a shell pattern."""

    path: str
    pattern: str
    max_entries: int


def list_folder(root: Root, settings: FilesSettings, asked: Listing, watch: Watch) -> JSON:
    """The entries in the order of their names, as many as the limits allow; all that fit are counted. Blocks."""
    with root.open(asked.path) as opened:
        if not opened.is_folder:
            raise AskModelAgain(f"{opened.path!r} is a file. Call read to see its lines.")
        names = _Names(opened, asked.pattern, watch)
        kept = heapq.nsmallest(min(asked.max_entries, settings.max_entries), names)
        entries: list[JSON] = []
        size_bytes = 0
        for name in kept:
            size_bytes += len(name) + _NAME_OVERHEAD_BYTES
            if size_bytes > settings.max_bytes:
                break
            with contextlib.suppress(FileNotFoundError):  # it went away since the folder was read
                entries.append(_describe(opened.fd, name))
        return {
            "path": opened.path,
            "entries": entries,
            "total_entries": names.count,
            "complete": not names.stopped and len(entries) == names.count,
            "stopped": "time" if names.stopped else None,
        }


class _Names:
    """The names in a folder that fit a pattern, counted as they pass; ends early when the time is over."""

    def __init__(self, opened: Opened, pattern: str, watch: Watch) -> None:
        self._opened = opened
        self._pattern = pattern
        self._watch = watch
        self.count = 0
        self.stopped = False

    def __iter__(self) -> Iterator[bytes]:
        with os.scandir(self._opened.fd) as entries:
            for number, entry in enumerate(entries):
                if number % _LOOK_EVERY == 0 and self._is_over():
                    return
                if fnmatch.fnmatchcase(entry.name, self._pattern):
                    self.count += 1
                    yield os.fsencode(entry.name)

    def _is_over(self) -> bool:
        try:
            self._watch.look()
        except TimeOver:
            self.stopped = True
        return self.stopped


def _describe(folder: int, name: bytes) -> JSON:
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except PermissionError:  # the names of a folder may be readable while what they name is not
        return {"name": show_name(name), "kind": "unreadable"}
    kind = _KINDS.get(stat.S_IFMT(status.st_mode), "other")
    entry: dict[str, JSON] = {"name": show_name(name), "kind": kind}
    if kind == "file":
        entry["size_bytes"] = status.st_size
    entry["modified"] = _iso_time(status.st_mtime)
    return entry


def _iso_time(seconds: float) -> str | None:
    try:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
    except (OverflowError, ValueError, OSError):  # a file system can hold times beyond the calendar
        return None
