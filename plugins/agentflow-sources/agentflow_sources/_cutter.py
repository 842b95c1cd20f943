"""A cutter: what was read and not cut yet, and where whole lines of it end."""

from __future__ import annotations


class Cutter:
    """Holds bytes in order and gives them back as chunks of at most `lines` whole lines and `chunk_bytes` bytes.

    A line that is longer than `chunk_bytes` is a chunk of its own.
    """

    def __init__(self, lines: int, chunk_bytes: int) -> None:
        self._limit = lines
        self._chunk_bytes = chunk_bytes
        self._held = bytearray()
        self._searched = 0
        """How far line feeds were looked for."""
        self.end = 0
        """Where the last whole line of the next chunk ends."""
        self.lines = 0
        """Whole lines of the next chunk."""
        self.full = False
        """Whether the next chunk has all that it may have."""

    def add(self, piece: bytes) -> None:
        """Take the next bytes."""
        self._held += piece
        self._look()

    @property
    def open_bytes(self) -> int:
        """Bytes after the whole lines of the next chunk."""
        return len(self._held) - self.end

    @property
    def held_bytes(self) -> int:
        """Bytes that were taken and not given back yet."""
        return len(self._held)

    @property
    def holds_nothing(self) -> bool:
        """Whether all that was taken has been given back."""
        return not self._held

    def cut(self) -> tuple[bytes, int]:
        """The whole lines of the next chunk, and how many they are."""
        piece, lines = bytes(self._held[: self.end]), self.lines
        del self._held[: self.end]
        self._searched, self.end, self.lines, self.full = max(self._searched - len(piece), 0), 0, 0, False
        self._look()
        return piece, lines

    def cut_all(self) -> tuple[bytes, int]:
        """As :meth:`cut`; when it takes the last whole lines, text behind them is one line more."""
        if self.full and self.open_bytes:
            return self.cut()
        piece, lines = bytes(self._held), self.lines + (self.open_bytes > 0)
        self._held.clear()
        self._searched, self.end, self.lines, self.full = 0, 0, 0, False
        return piece, lines

    def _look(self) -> None:
        """Find whole lines until the next chunk is full."""
        while not self.full:
            at = self._held.find(b"\n", max(self._searched, self.end))
            self._searched = len(self._held) if at < 0 else at
            if at < 0:
                return
            if self.lines and at + 1 > self._chunk_bytes:
                self.full = True
                return
            self.end, self.lines = at + 1, self.lines + 1
            self.full = self.lines >= self._limit or self.end >= self._chunk_bytes
