"""A write-ahead log: looked at for damage that SQLite would take for the torn end of a write and pass over in silence.

SQLite reads the log up to the first frame whose check sum does not match, and ignores the rest. That is right for what
a crash has torn, which is the last transaction: each one is synced before the next one begins. Where another one
follows, the frame was whole once, and what stands from it on was acknowledged.
Source: https://sqlite.org/fileformat2.html#walformat, sections 4.1 to 4.4 (November 2026).
"""

from __future__ import annotations

import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER = 32
FRAME = 24
MAGIC = (0x377F0682, 0x377F0683)
TRIES = 3
"""Readings before damage is believed: another process may begin the log anew while it is read."""


def find_damage(path: str) -> str:
    """What is wrong with the log at ``path``, or ``""``; one that is not there is whole. Blocks, reads all of it."""
    problem = ""
    for _ in range(TRIES):
        try:
            with open(path, "rb") as file:
                content = file.read()
                file.seek(0)
                header = file.read(HEADER)
        except FileNotFoundError:
            return ""
        problem = _problem_of(content) if header == content[:HEADER] else problem
        if not problem:
            return ""
    return problem


def _problem_of(content: bytes) -> str:
    if len(content) <= HEADER:
        return ""
    magic, _, size, *_, sum_1, sum_2 = struct.unpack(">8I", content[:HEADER])
    if magic not in MAGIC or _add(content[: HEADER - 8], (0, 0), magic) != (sum_1, sum_2):
        return "its header is damaged"
    sums, salt = (sum_1, sum_2), content[16:24]
    bad, commits_after = -1, 0
    for number, start in enumerate(range(HEADER, len(content) - FRAME - size + 1, FRAME + size)):
        head = content[start : start + FRAME]
        if bad < 0:
            sums = _add(content[start + FRAME : start + FRAME + size], _add(head[:8], sums, magic), magic)
            if head[8:16] == salt and struct.unpack(">2I", head[16:]) == sums:
                continue
            bad = number
        elif head[8:16] != salt:
            continue
        elif commits_after:
            return f"frame {bad + 1} is damaged, and transactions that were acknowledged follow it"
        commits_after += head[4:8] != bytes(4)
    return ""


def _add(data: bytes, sums: tuple[int, int], magic: int) -> tuple[int, int]:
    """The check sums with ``data`` added to them."""
    first, second = sums
    for one, two in _pairs(data, magic):
        first = (first + one + second) & 0xFFFFFFFF
        second = (second + two + first) & 0xFFFFFFFF
    return first, second


def _pairs(data: bytes, magic: int) -> Iterator[tuple[int, int]]:
    pairs: Iterator[tuple[int, int]] = struct.iter_unpack(">2I" if magic & 1 else "<2I", data)
    return pairs
