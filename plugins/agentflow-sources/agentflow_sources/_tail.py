"""A tail: the bytes of a log as they are appended, across rotation, truncation and replacement."""

from __future__ import annotations

import os
from itertools import takewhile

from agentflow_kernel.errors import InputInvalid
from agentflow_sources._compressed import holds_no_more
from agentflow_sources._opening import diagnose, locate, open_descriptor
from agentflow_sources._position import PRINT_BYTES, Fingerprint, Position
from agentflow_sources._siblings import files_beside, identity, rotated_after, rotated_files
from agentflow_sources._stream import Sign

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentflow_sources.settings import FileSettings

_ATTEMPTS = 16
"""How often the next file is chosen anew because the log was rotated meanwhile."""


class Tail:
    """Follows one path, as a :class:`~agentflow_sources._stream.Stream`.

    The file that is read stays open, so that it can be renamed or deleted meanwhile.
    """

    def __init__(self, folder: str, source: str, settings: FileSettings) -> None:
        self.log = settings.path
        self._folder = folder
        self.volatile = False
        self.finite = settings.quiet_s is not None
        self.notices: list[tuple[str, dict[str, object]]] = []
        self._source = source
        self._settings = settings
        self._fd = -1
        self.generation = 0
        self.offset = 0
        self._head = b""
        self._tail = b""
        self._print = Fingerprint()
        self._device: int | None = None
        self._inode: int | None = None
        self._modified_ns: int | None = None
        self._sought: Position | None = None
        """The position whose file is still to be found."""
        self._emptied = False
        """Whether the next generation is the same file, from its beginning."""
        self._left_at: float | None = None
        """When it was first seen that the path names another file."""
        self._rotated: set[tuple[int, int]] = set()
        """Device and inode of the rotated files that were there when this generation began."""
        self._news_at: float | None = None
        """When the last bytes came."""

    def start(self, position: Position | None) -> bool:
        """Look for the file of the position; a log that is not there yet is waited for, unless it must exist."""
        self.log = locate(self._folder, self._settings.path)
        if position is not None and position.log == self.log:
            self.generation = position.generation
            self._sought = position if position.inode is not None else None  # it was never there
        if self._settings.must_exist and not os.path.exists(self.log):
            problem = f"there is no file {self.log!r}. Create it, change `path`, or leave out `must_exist` to wait."
            raise InputInvalid(f"Source {self._source!r}", problem)
        return position is not None and position.log == self.log

    @property
    def is_open(self) -> bool:
        """Whether there is a file that is read."""
        return self._fd >= 0

    def read(self, limit: int, now: float) -> bytes | Sign:
        """The next bytes of this generation."""
        if self._news_at is None:
            self._news_at = now
        try:
            if self._fd < 0 and not self._find():
                return self._idle(now)
            piece = os.pread(self._fd, limit, self.offset)
            if not self._print.fits(self._fd):
                return self._go_on_in_a_copy()
            if self.offset == 0 and self._skipped_a_rotation():
                return Sign.IDLE
            if piece:
                self._take(piece, now)
                return piece
            return self._look(now)
        except OSError as error:
            raise diagnose(error, self.log, self._source) from error

    def _skipped_a_rotation(self) -> bool:
        """As long as nothing was read of a file: go to one that it was copied to before it was emptied.

        The file itself cannot tell.
        """
        ours = (self._device, self._inode)
        older = list(takewhile(lambda rotated: rotated.identity != ours, files := rotated_files(self.log)))
        if len(older) == len(files) and identity(self.log) != ours:
            return False  # deleted or moved away: what is older cannot be told
        new = [rotated.path for rotated in older if rotated.identity not in self._rotated]
        if not new:
            return False
        try:
            fd, status = open_descriptor(new[0], self._source)
        except InputInvalid:  # renamed meanwhile: looked for again at the next read
            return True
        os.close(self._fd)
        self._begin(fd, status, self.generation)
        return True

    def _take(self, piece: bytes, now: float) -> None:
        self.offset += len(piece)
        self._head = (self._head + piece[:PRINT_BYTES])[:PRINT_BYTES]
        self._tail = (self._tail + piece[-PRINT_BYTES:])[-PRINT_BYTES:]
        self._print = Fingerprint.of(self.offset, self._head, self._tail)
        self._news_at, self._left_at = now, None

    def _look(self, now: float) -> Sign:
        """At the end of the file: whether the path names another one by now."""
        if identity(self.log) in {None, (self._device, self._inode)}:
            return self._idle(now)
        if self._left_at is None:
            self._left_at = now  # what was written before it was renamed is read once more, after we know
            return Sign.IDLE
        return Sign.TURN if now - self._left_at >= self._settings.rotation_s else Sign.IDLE

    def _idle(self, now: float) -> Sign:
        quiet_s = self._settings.quiet_s
        ended = quiet_s is not None and self._news_at is not None and now - self._news_at >= quiet_s
        return Sign.END if ended else Sign.IDLE

    def turn(self) -> None:
        """Close this generation and open the next: a rotated file that was not read yet, else what the path names."""
        try:
            if self._emptied:
                self._emptied = False
                self._begin(self._fd, os.fstat(self._fd), self.generation + 1)
                return
            self._modified_ns = os.fstat(self._fd).st_mtime_ns
            self._open_next(self.generation + 1)
        except OSError as error:
            raise diagnose(error, self.log, self._source) from error

    def _open_next(self, generation: int) -> bool:
        """Open what comes after the file of which device and inode are set; returns whether there is something yet."""
        ours = (self._device, self._inode)
        before = self._fd
        for _ in range(_ATTEMPTS):
            newer = rotated_after(self.log, ours, self._modified_ns)
            path = newer[0] if newer else self.log
            try:
                fd, status = open_descriptor(path, self._source)
            except InputInvalid:  # renamed meanwhile, or not there yet
                continue
            again = rotated_after(self.log, ours, self._modified_ns)
            if identity(again[0] if again else self.log) == (status.st_dev, status.st_ino):
                self._begin(fd, status, generation)
                if before >= 0:
                    os.close(before)
                return True
            os.close(fd)
        return False

    def _begin(self, fd: int, status: os.stat_result, generation: int) -> None:
        """Read an open file from its beginning."""
        self._fd, self.generation, self.offset = fd, generation, 0
        self._device, self._inode, self._modified_ns = status.st_dev, status.st_ino, status.st_mtime_ns
        self._head = self._tail = b""
        self._print = Fingerprint()
        self._left_at = None
        self._rotated = {rotated.identity for rotated in rotated_files(self.log)}

    def _go_on_in_a_copy(self) -> Sign:
        """The file was emptied in place: what was not read of it yet stands in the copy, if there is one."""
        found = self._find_copy(self._print)
        if found is None:
            if not holds_no_more(self.log, self._print):
                self._tell_missed("was emptied in place, without a copy beside it that holds what was read of it")
            self._emptied = True
            return Sign.TURN
        os.close(self._fd)
        self._fd, status = found
        self._device, self._inode, self._modified_ns = status.st_dev, status.st_ino, status.st_mtime_ns
        return Sign.IDLE

    def _find_copy(self, print_: Fingerprint) -> tuple[int, os.stat_result] | None:
        """A file beside the log, of a name that begins like its own, that holds the same up to the offset."""
        named = [(status.st_mtime_ns, path) for path, status in files_beside(self.log, os.path.basename(self.log))]
        for _, path in sorted(named, reverse=True):
            if print_.offset and path != self.log and (fd := self._open_fitting(path, print_)) is not None:
                return fd, os.fstat(fd)
        return None

    def _open_fitting(self, path: str, print_: Fingerprint) -> int | None:
        """The descriptor of a file that has this fingerprint."""
        try:
            fd, _ = open_descriptor(path, self._source)
        except InputInvalid:
            return None
        try:
            fits = print_.fits(fd)
        except OSError:
            os.close(fd)
            raise
        if not fits:
            os.close(fd)
        return fd if fits else None

    def _find(self) -> bool:
        """Open the file to begin with; returns whether there is one yet."""
        position = self._sought
        if position is None:
            try:
                fd, status = open_descriptor(self.log, self._source)
            except InputInvalid:
                return False
            self._begin(fd, status, self.generation)
            return True
        if self._find_again(position):
            self._sought = None
            return True
        self._device, self._inode, self._modified_ns = position.device, position.inode, position.modified_ns
        if not self._open_next(position.generation + 1):
            return False
        self._sought = None
        if not holds_no_more(self.log, position.fingerprint):
            self._tell_missed("was deleted, moved away or compressed; what was not read of it is lost")
        return True

    def _find_again(self, position: Position) -> bool:
        """Open the file of a position where it was left: by its inode, or the copy of one that was emptied."""
        print_ = position.fingerprint
        places = [self.log, *(path for path, status in files_beside(self.log) if status.st_ino == position.inode)]
        emptied = False
        for path in places:
            found = identity(path)
            same = found is not None and found[1] == position.inode
            if same and (fd := self._open_fitting(path, print_)) is not None:
                return self._resume(fd, position)
            emptied = emptied or same
        if emptied and (copy := self._find_copy(print_)) is not None:
            return self._resume(copy[0], position)
        return False

    def _resume(self, fd: int, position: Position) -> bool:
        print_ = position.fingerprint
        self._begin(fd, os.fstat(fd), position.generation)
        self.offset, self._print = print_.offset, print_
        self._head = os.pread(fd, print_.head_bytes, 0)
        self._tail = os.pread(fd, print_.tail_bytes, print_.offset - print_.tail_bytes)
        if print_.offset == 0:
            self._rotated = set(position.rotated)
        return True

    def _tell_missed(self, reason: str) -> None:
        self.notices.append(("source.lines_missed", {"log": self.log, "reason": f"The followed file {reason}."}))

    def position(self, offset: int, tail: bytes) -> Position:
        """A position in the file that is read now."""
        if self._fd >= 0:
            self._modified_ns = os.fstat(self._fd).st_mtime_ns
        print_ = Fingerprint.of(offset, self._head[:offset], tail)
        position = Position(self.log, -1, 0, self.generation, print_, self._device, self._inode, self._modified_ns)
        return position if offset else position._replace(rotated=tuple(sorted(self._rotated)))

    def close(self) -> None:
        """Close the file."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
