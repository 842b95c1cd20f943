"""An opener: opens what lies below a folder, whatever the names on the way have become meanwhile."""

from __future__ import annotations

import errno
import os
import stat
from typing import Protocol

from agentflow_kernel.errors import Unsupported
from agentflow_tools._openat2 import find_openat2

_STEP = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | getattr(os, "O_PATH", os.O_RDONLY)

_CAN_OPEN_RELATIVE = os.open in os.supports_dir_fd


class Opener(Protocol):
    """Opens paths below a folder's descriptor, and nothing outside of it."""

    def open(self, root: int, names: tuple[bytes, ...], flags: int) -> int:
        """A descriptor of what lies `names` below the folder `root`; the caller closes it. Raises :class:`OSError`."""
        ...


class StepOpener:
    """Opens folder after folder, each by its name in the one before, and follows no symbolic link at all."""

    def open(self, root: int, names: tuple[bytes, ...], flags: int) -> int:
        """See :meth:`Opener.open`; a symbolic link anywhere on the way is `ELOOP`."""
        here = root
        try:
            for name in names[:-1]:
                below = _open_step(here, name)
                if here != root:
                    os.close(here)
                here = below
            last = names[-1] if names else b"."
            return os.open(last, flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
        finally:
            if here != root:
                os.close(here)


def _open_step(folder: int, name: bytes) -> int:
    try:
        return os.open(name, _STEP, dir_fd=folder)
    except NotADirectoryError:
        # a link that is not followed is reported as "not a folder"; the caller wants to know which it was
        if stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from None
        raise


def choose_opener(root: int) -> Opener:
    """The best opener for this system: openat2 where Linux has it, else step by step.

    Raises :class:`Unsupported` where files cannot be opened relative to a folder's descriptor.
    """
    if not _CAN_OPEN_RELATIVE:
        raise Unsupported("The toolset 'files'", "this system cannot open files relative to an open folder.")
    return find_openat2(root) or StepOpener()
