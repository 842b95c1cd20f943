"""A listing: the plain files of a folder that a pattern means, found without following any link."""

from __future__ import annotations

import os
import stat
from fnmatch import fnmatchcase
from typing import NamedTuple

from agentflow_kernel.errors import InputInvalid, PathRefused
from agentflow_sources._opening import diagnose

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class Listed(NamedTuple):
    """What a file was when it was listed; another one of these is another content."""

    device: int
    inode: int
    size_bytes: int
    modified_ns: int


def list_files(root: str, glob: str, source: str) -> dict[str, Listed]:
    """The files that match, by their path below the root, sorted. Blocks.

    Raises :class:`InputInvalid` for a folder that is missing, :class:`PathRefused` for one that is none or that may
    not be read, :class:`StorageUnavailable` when the machine fails.
    """
    pattern = glob.split("/")
    found: dict[str, Listed] = {}

    def fail(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError) or not os.path.lexists(root):
            raise error

    try:
        if not stat.S_ISDIR(os.stat(root).st_mode):
            raise PathRefused(root, "it is no folder. Change `path` so that it names one.")
        for folder, folders, files, fd in os.fwalk(root, onerror=fail, follow_symlinks=False):
            below = [] if folder == root else os.path.relpath(folder, root).split(os.sep)
            folders[:] = sorted(name for name in folders if _may_lead_to([*below, name], pattern))
            for name in files:
                if matches([*below, name], pattern) and (listed := _look(name, fd)) is not None:
                    found["/".join([*below, name])] = listed
    except FileNotFoundError as error:
        raise InputInvalid(
            f"Source {source!r}", f"there is no folder {root!r}. Create it, or change `path`."
        ) from error
    except OSError as error:
        raise diagnose(error, root, source) from error
    return dict(sorted(found.items()))


def _look(name: str, folder_fd: int) -> Listed | None:
    """The status of a plain file; `None` for anything else, links included, and for what is gone."""
    try:
        status = os.lstat(name, dir_fd=folder_fd)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return Listed(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def matches(path: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether the parts of a path fit those of a pattern; `**` stands for any number of folders."""
    if not pattern:
        return not path
    if pattern[0] == "**":
        return matches(path, pattern[1:]) or (bool(path) and _is_plain(path[0], "") and matches(path[1:], pattern))
    return bool(path) and _fits(path[0], pattern[0]) and matches(path[1:], pattern[1:])


def _may_lead_to(folder: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether something below the folder could fit."""
    for part, wanted in zip(folder, pattern, strict=False):
        if wanted == "**":
            return True
        if not _fits(part, wanted):
            return False
    return len(folder) < len(pattern)


def _fits(name: str, pattern: str) -> bool:
    return _is_plain(name, pattern) and fnmatchcase(name, pattern)


def _is_plain(name: str, pattern: str) -> bool:
    """A dot in front of a name is matched only by a dot."""
    return not name.startswith(".") or pattern.startswith(".")
