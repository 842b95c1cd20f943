"""Space: how much of the disk is free, and a ballast that is thrown off when a full disk keeps the store shut."""

from __future__ import annotations

import os
import time
from contextlib import suppress

BALLAST_BYTES = 16 * 1024 * 1024
"""LevelDB needs some megabytes to open: it writes its log anew as a table."""
LOOK_S = 1.0
"""How old a look at the disk may be."""


class Space:
    """The disk on which ``folder`` lies; the ballast is a file in it. Blocks.

    ``looked_at``: when it was looked how much is free, in monotonic seconds.
    """

    __slots__ = ("folder", "looked_at", "_least_free", "_free")

    def __init__(self, folder: str, least_free: float) -> None:
        self.folder = folder
        self._least_free = least_free
        self._free = 1.0
        self.looked_at = float("-inf")

    def _ballast(self) -> str:
        return os.path.join(self.folder, "ballast")

    def allows_new_run(self, *, look: bool = True) -> bool:
        """Whether so much is free that a run may begin; looks where the last look is too old, unless it may not."""
        now = time.monotonic()
        if look and now - self.looked_at > LOOK_S:
            self.looked_at = now
            disk = os.statvfs(self.folder)
            self._free = disk.f_bavail / disk.f_blocks if disk.f_blocks else 1.0
        return self._free >= self._least_free

    def load(self) -> None:
        """Take the ballast on board again, if there is room for it several times."""
        with suppress(FileNotFoundError):
            if os.stat(self._ballast()).st_size == BALLAST_BYTES:
                return
        disk = os.statvfs(self.folder)
        if disk.f_bavail * disk.f_frsize < 4 * BALLAST_BYTES:
            return
        descriptor = os.open(self._ballast(), os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            with suppress(OSError):  # the room went to somebody else: next time
                os.posix_fallocate(descriptor, 0, BALLAST_BYTES)
        finally:
            os.close(descriptor)

    def throw_off(self) -> bool:
        """Free the ballast; ``False`` when there was none."""
        try:
            os.unlink(self._ballast())
        except FileNotFoundError:
            return False
        return True
