"""A tally: what is known of a file's content after some of it has passed by."""

from __future__ import annotations

import codecs
import hashlib

from agentflow_kernel.errors import InputInvalid

TEXT_HEAD_BYTES = 65_536
"""How far a NUL byte is looked for, which text does not have."""


class Tally:
    """Counts lines and computes the SHA-256 of the pieces it is given; holds none of them.

    No piece is longer than the longest line allowed, so that a line within one piece is never too long.
    """

    def __init__(
        self, path: str, encoding: str, max_line_bytes: int, *, first_line: int = 1, refuses_binary: bool = True
    ) -> None:
        self._path = path
        self._first_line = first_line
        self._refuses_binary = refuses_binary
        self._decoder: codecs.IncrementalDecoder | None = codecs.getincrementaldecoder(encoding)()
        self._max_line_bytes = max_line_bytes
        self._sha256 = hashlib.sha256()
        self._feeds = 0
        self._open_bytes = 0
        """Bytes since the last line feed."""
        self.size_bytes = 0
        self.first_undecodable_line: int | None = None
        """Number of the first line, counted from `first_line`, whose bytes are none of the encoding."""

    @property
    def lines(self) -> int:
        """How many lines there are; text after the last line feed is a line."""
        return self._feeds + (self._open_bytes > 0)

    @property
    def ends_with_newline(self) -> bool:
        """Whether the last line is complete."""
        return self.size_bytes > 0 and self._open_bytes == 0

    @property
    def sha256(self) -> str:
        """SHA-256 of all pieces, in hexadecimal."""
        return self._sha256.hexdigest()

    def add(self, piece: bytes) -> None:
        """Take the next piece. Raises :class:`InputInvalid` for binary content and for a line that is too long."""
        if self._refuses_binary and self.size_bytes < TEXT_HEAD_BYTES:
            self._refuse_binary(piece)
        self._decode(piece, final=False)
        self._sha256.update(piece)
        self.size_bytes += len(piece)
        first = piece.find(b"\n")
        self.refuse_long(self._open_bytes + (len(piece) if first < 0 else first))
        if first < 0:
            self._open_bytes += len(piece)
        else:
            self._feeds += piece.count(b"\n")
            self._open_bytes = len(piece) - piece.rfind(b"\n") - 1

    def end(self) -> None:
        """No piece follows: half a character at the end is none."""
        self._decode(b"", final=True)

    def refuse_long(self, length: int) -> None:
        """Raise :class:`InputInvalid` for a line of so many bytes, if it is too long."""
        if length > self._max_line_bytes:
            where = f"File {self._path!r}, line {self._first_line + self._feeds}"
            found = f"it is longer than {self._max_line_bytes} bytes."
            raise InputInvalid(where, f"{found} Raise `max_line_bytes`, or name a file with shorter lines.")

    def _refuse_binary(self, piece: bytes) -> None:
        at = piece.find(b"\0", 0, TEXT_HEAD_BYTES - self.size_bytes)
        if at >= 0:
            found = f"it is no text, byte {self.size_bytes + at} is NUL."
            raise InputInvalid(f"File {self._path!r}", f"{found} Name a text file; convert UTF-16 to UTF-8 first.")

    def _decode(self, piece: bytes, *, final: bool) -> None:
        """Notice the first fault of the encoding; from there on nothing is decoded."""
        if self._decoder is None:
            return
        try:
            self._decoder.decode(piece, final)
        except UnicodeDecodeError as error:
            self.first_undecodable_line = self._first_line + self._feeds + error.object.count(b"\n", 0, error.start)
            self._decoder = None
