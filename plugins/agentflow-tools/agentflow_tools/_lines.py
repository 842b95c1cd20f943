"""A line of a file: where it begins, how far it goes, and how it is shown."""

from __future__ import annotations

import codecs
from typing import NamedTuple

from agentflow_tools._bytes import pieces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentflow_tools._root import Opened
    from agentflow_tools._watch import Watch

_DECODER = codecs.getincrementaldecoder("utf-8")


class Shown(NamedTuple):
    """A line as text: without its line end, cut to a length, faults replaced by U+FFFD."""

    text: str
    was_cut: bool
    was_invalid: bool
    """Some of it is not UTF-8."""
    was_binary: bool
    """A NUL stands in it."""


class Line(NamedTuple):
    """A line as it stands in the file."""

    head: bytes
    """Its first bytes, without the line feed; all of them where it is not longer."""
    length: int
    """All its bytes, without the line feed."""
    end: int
    """Byte offset of the next line."""


def lines_from(opened: Opened, watch: Watch, offset: int, keep: int) -> Iterator[Line]:
    """Each line from a byte offset on, of each its first `keep` bytes.

    Holds one piece of the file and one line's first bytes, however long the lines are. Each line is read to its end.
    """
    head, length = b"", 0
    for piece in pieces(opened, watch, offset):
        start = 0
        while (end := piece.find(b"\n", start)) >= 0:
            head += piece[start : min(end, start + keep - len(head))]
            yield Line(head, length + end - start, offset + end + 1)
            head, length, start = b"", 0, end + 1
        head += piece[start : start + keep - len(head)]
        length += len(piece) - start
        offset += len(piece)
    if length:
        yield Line(head, length, offset)


def count_lines(opened: Opened, watch: Watch) -> int:
    """How many lines the file has; text after the last line feed is a line."""
    count, last = 0, b"\n"
    for piece in pieces(opened, watch):
        count += piece.count(b"\n")
        last = piece[-1:]
    return count + (last != b"\n")


def find_line(opened: Opened, watch: Watch, number: int) -> tuple[int, int]:
    """The byte offset at which line `number` (from 1) begins, and `number` itself.

    If there is no such line: the offset of the end, and the number that the next line would have.
    """
    offset, here = 0, 1
    last = b"\n"
    for piece in pieces(opened, watch):
        count = piece.count(b"\n")
        if here + count < number:
            here += count
            offset += len(piece)
            last = piece[-1:]
            continue
        at = 0
        while here < number:
            at = piece.find(b"\n", at) + 1
            here += 1
        return offset + at, here
    return offset, here + (last != b"\n")


def show_line(head: bytes, length: int, limit: int) -> Shown:
    """A line of `length` bytes, cut at `limit` characters; `head` is all of it, or more than ``4 * limit`` bytes."""
    whole = len(head) == length
    if whole and head.endswith(b"\r"):
        head = head[:-1]
    try:
        text, invalid = _DECODER("strict").decode(head, whole), False
    except UnicodeDecodeError:
        text, invalid = _DECODER("replace").decode(head, whole), True
    binary = "\0" in text
    if binary:
        text = text.replace("\0", "\ufffd")
    cut = not whole or len(text) > limit
    return Shown(text[:limit] + cut_mark(length) if cut else text, cut, invalid, binary)


def cut_mark(length: int) -> str:
    """What stands at the end of a line that is not shown whole."""
    return f" … [cut: this line has {length} bytes]"
