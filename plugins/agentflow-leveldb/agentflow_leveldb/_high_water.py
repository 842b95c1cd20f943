"""A high-water mark: a file beside the store that says how far it had got, so that a missing end is seen.

LevelDB takes a cut or zeroed end of its log for a torn write and says nothing. The mark holds the number of the last
synced record and where the runs of late stood; it is synced itself within a second, and when the store is closed.
"""

from __future__ import annotations

import json
import os
import threading
import zlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Mark = tuple[int, dict[str, int]]
    """The number of the last record, and the next ``seq`` of the runs that were appended to of late."""

REMEMBERED = 1000
"""Runs whose end the mark holds."""
PERIOD_S = 1.0


def read_mark(path: str) -> Mark | None:
    """The mark, or ``None`` where there is none that can be trusted."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError:
        return None
    if data[:9] != b"%08x " % zlib.crc32(data[9:]):
        return None
    last, runs = json.loads(data[9:])
    return last, runs


def write_mark(path: str, mark: Mark) -> None:
    """Replace the mark, durably."""
    body = json.dumps(mark, separators=(",", ":")).encode()
    descriptor = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        os.write(descriptor, b"%08x " % zlib.crc32(body) + body)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(f"{path}.new", path)
    sync_folder(os.path.dirname(path))


def sync_folder(path: str) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Keeper:
    """A thread that writes the mark within :data:`PERIOD_S` after the store has got further; ``mark`` gives it."""

    __slots__ = ("_path", "_mark", "_behind", "_stop", "_thread")

    def __init__(self, path: str, mark: Callable[[], Mark]) -> None:
        self._path = path
        self._mark = mark
        self._behind = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="agentflow-leveldb-mark", daemon=True)
        self._thread.start()

    def advance(self) -> None:
        """The store has got further."""
        if not self._behind.is_set():  # asked for first, which takes a sixth of the calls
            self._behind.set()

    def close(self) -> None:
        """End the thread, with whatever it has still to write."""
        self._stop.set()
        self._behind.set()
        self._thread.join()

    def _work(self) -> None:
        while True:
            self._behind.wait()
            if self._stop.wait(PERIOD_S):
                return
            self._behind.clear()
            try:
                write_mark(self._path, self._mark())
            except OSError:  # a full disk: the next second may be better, and the store says so itself
                self._behind.set()
