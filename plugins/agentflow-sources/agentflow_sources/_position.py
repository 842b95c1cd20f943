"""A position: how far a stream of lines has been spooled, and what tells its file from another one."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from typing import NamedTuple, cast

from agentflow_kernel.errors import InputInvalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow_kernel.contracts.values import JSON

PRINT_BYTES = 256
"""How many bytes at the beginning, and before the offset, are remembered by their SHA-256."""


class Fingerprint(NamedTuple):
    """What the file of a position holds at its beginning and just before the offset.

    An inode alone does not tell a file from its successor: it is given to the next file, and a file that is emptied
    in place keeps it.
    """

    offset: int = 0
    head_bytes: int = 0
    head_sha256: str = hashlib.sha256().hexdigest()
    tail_bytes: int = 0
    tail_sha256: str = hashlib.sha256().hexdigest()

    @classmethod
    def of(cls, offset: int, head: bytes, tail: bytes) -> Fingerprint:
        """The fingerprint at an offset, from the first bytes of the file and those just before the offset."""
        head, tail = head[:PRINT_BYTES], tail[-PRINT_BYTES:]
        return cls(offset, len(head), _sha256(head), len(tail), _sha256(tail))

    def fits(self, fd: int) -> bool:
        """Whether the open file holds the same bytes in both places. Reads at most 512 bytes."""
        if os.fstat(fd).st_size < self.offset:
            return False
        head = os.pread(fd, self.head_bytes, 0)
        tail = os.pread(fd, self.tail_bytes, self.offset - self.tail_bytes)
        return (_sha256(head), _sha256(tail)) == (self.head_sha256, self.tail_sha256)


class Position(NamedTuple):
    """Where a stream goes on after a chunk."""

    log: str
    """Path of the log, `-` for standard input."""
    chunk: int
    """Number of the chunk that ends here, from 0; -1 before the first one."""
    line: int
    """How many lines of the stream are before it."""
    generation: int
    """Raised each time that the log is rotated or truncated, from 0."""
    fingerprint: Fingerprint = Fingerprint()
    device: int | None = None
    inode: int | None = None
    modified_ns: int | None = None
    """Time of last change of the file when the chunk was cut, in nanoseconds since 1970."""
    rotated: tuple[tuple[int, int], ...] = ()
    """At offset 0, device and inode of the rotated files that are older."""

    @classmethod
    def from_json(cls, document: JSON, source: str) -> Position | None:
        """The position that :meth:`to_json` wrote; `None` is the beginning.

        Raises :class:`InputInvalid`, naming the source, for anything else.
        """
        if document is None:
            return None
        fields = dict(document) if isinstance(document, Mapping) else {}
        names = (*Fingerprint._fields, *(name for name in cls._fields if name != "fingerprint"))
        if set(fields) != set(names) or not all(_KINDS[name](value) for name, value in fields.items()):
            problem = f"{document!r} is no cursor of this source. Take one that it gave, or none to begin anew."
            raise InputInvalid(f"Cursor of source {source!r}", problem)
        fingerprint = Fingerprint(**{name: fields.pop(name) for name in Fingerprint._fields})  # type: ignore[arg-type]  # each has just been looked at
        pairs = cast("Sequence[tuple[int, int]]", fields.pop("rotated"))
        rotated = tuple((device, inode) for device, inode in pairs)
        return cls(fingerprint=fingerprint, rotated=rotated, **fields)  # type: ignore[arg-type]  # each has just been looked at

    def to_json(self) -> dict[str, JSON]:
        """The position as a flat JSON object."""
        fields = self._asdict()
        rotated = [list(pair) for pair in fields.pop("rotated")]
        return {**fields.pop("fingerprint")._asdict(), **fields, "rotated": rotated}


def _sha256(piece: bytes) -> str:
    return hashlib.sha256(piece).hexdigest()


def _is_natural(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_integer_or_none(value: object) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool))


def _are_pairs(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(pair, list) and len(pair) == 2 and all(_is_natural(number) for number in pair) for pair in value
    )


def _is_number(value: object) -> bool:
    return _is_natural(value) or value == -1


def _is_length(value: object) -> bool:
    return _is_natural(value) and cast("int", value) <= PRINT_BYTES


_KINDS = {
    "log": _is_text,
    "chunk": _is_number,
    "line": _is_natural,
    "generation": _is_natural,
    "offset": _is_natural,
    "head_bytes": _is_length,
    "head_sha256": _is_text,
    "tail_bytes": _is_length,
    "tail_sha256": _is_text,
    "device": _is_integer_or_none,
    "inode": _is_integer_or_none,
    "modified_ns": _is_integer_or_none,
    "rotated": _are_pairs,
}
"""What each field of a cursor must be."""
