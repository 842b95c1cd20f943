"""Cells: how wide a text is on a terminal, and texts cut, filled and folded to a width.

Source: UAX #11 (East Asian Width) in the version of Python's `unicodedata`; marks and format characters take no cell.
"""

from __future__ import annotations

import unicodedata


def width(text: str) -> int:
    """How many cells the text takes."""
    return len(text) if text.isascii() else sum(map(_cells, text))


def fill(text: str, cells: int) -> str:
    """The text with blanks up to so many cells."""
    return text + " " * (cells - width(text))


def cut(text: str, cells: int) -> str:
    """The text in at most so many cells, with an ellipsis where something is left out."""
    if width(text) <= cells:
        return text
    return _beginning(text, cells - 1).rstrip(" \u200d") + "…"


def fold(text: str, cells: int) -> list[str]:
    """The text in lines of at most so many cells, broken at blanks where there are any."""
    lines: list[str] = []
    rest = text
    while width(rest) > cells:
        line = _beginning(rest, cells) or rest[0]
        if len(line) < len(rest) and rest[len(line)] != " " and " " in line.strip():
            line = line[: line.rindex(" ")]
        lines.append(line.rstrip())
        rest = rest[len(line) :].lstrip(" ")
    return [*lines, rest] if rest or not lines else lines


def _beginning(text: str, cells: int) -> str:
    """As much of the text as has room, with the marks that belong to its last character."""
    taken = 0
    for number, character in enumerate(text):
        taken += _cells(character)
        if taken > cells:
            return text[:number]
    return text


def _cells(character: str) -> int:
    if " " <= character <= "~":
        return 1
    if unicodedata.category(character) in {"Mn", "Me", "Cf"} or "\u1160" <= character <= "\u11ff":
        return 0  # U+1160 to U+11FF: the later letters of a Korean syllable
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1
