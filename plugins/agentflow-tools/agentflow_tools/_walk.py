"""A walk: every plain file below a folder, each opened in turn, without following links."""

from __future__ import annotations

import fnmatch
import os
import stat
from typing import NamedTuple

from agentflow_tools._path import join_names
from agentflow_tools._root import Opened

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator

    from agentflow_tools._watch import Watch

_MAX_DEPTH = 32
"""One descriptor is open for each folder on the way down."""

_LOOK_EVERY = 256
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW | os.O_CLOEXEC


class _Entry(NamedTuple):
    name: bytes
    is_folder: bool


class Walk:
    """The files below an open folder whose names fit a shell pattern, in the order of names, and what was left out."""

    def __init__(self, folder: Opened, pattern: str, watch: Watch) -> None:
        self._folder = folder
        self._pattern = pattern
        self._watch = watch
        self.skipped = 0
        """Files and folders that could not be opened or lie too deep. Links, devices and pipes do not count."""

    def __iter__(self) -> Generator[Opened, None, None]:
        """Each file is open until the next one is asked for. Raises what :meth:`Watch.look` raises."""
        names = () if self._folder.path == "." else tuple(self._folder.path.encode().split(b"/"))
        return self._below(self._folder.fd, names, 1)

    def _below(self, folder: int, names: tuple[bytes, ...], depth: int) -> Generator[Opened, None, None]:
        for entry in self._entries(folder):
            self._watch.look()
            way = (*names, entry.name)
            if entry.is_folder and depth == _MAX_DEPTH:
                self.skipped += 1
                continue
            try:
                # one name in an open folder, no link: there is no way out of here
                fd = os.open(entry.name, _READ | (os.O_DIRECTORY if entry.is_folder else 0), dir_fd=folder)
            except OSError:
                self.skipped += 1
                continue
            try:
                status = os.fstat(fd)
                if entry.is_folder:
                    yield from self._below(fd, way, depth + 1)
                elif stat.S_ISREG(status.st_mode):
                    yield Opened(fd, status, join_names(way))
            finally:
                os.close(fd)

    def _entries(self, folder: int) -> list[_Entry]:
        found = []
        with os.scandir(folder) as entries:
            for number, entry in enumerate(entries):
                if number % _LOOK_EVERY == 0:
                    self._watch.look()
                try:
                    is_folder, is_file = entry.is_dir(follow_symlinks=False), entry.is_file(follow_symlinks=False)
                except OSError:  # where a folder does not say what its entries are, each is asked, and may refuse
                    self.skipped += 1
                    continue
                if is_folder or (is_file and fnmatch.fnmatchcase(entry.name, self._pattern)):
                    found.append(_Entry(os.fsencode(entry.name), is_folder))
        return sorted(found)
