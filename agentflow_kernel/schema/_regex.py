r"""A regex: a pattern of JSON Schema as Python reads it.

The two agree but for a few things: what only ECMAScript has (`\p{L}`, `(?<name>…)`), what it alone allows (`[\w-.]`,
`[]`), and what Python warns of since it may mean something else there one day (`[[]`, `[a&&b]`).
"""

from __future__ import annotations

import re

UNREADABLE = (re.error, RecursionError, OverflowError)
"""What :func:`compiled` raises for patterns that Python cannot read; those may be good ones of JSON Schema."""

_SURE = (
    "missing )", "unbalanced parenthesis", "nothing to repeat", "multiple repeat", "min repeat greater than max repeat",
    "unterminated character set", "bad character range",
)  # fmt: skip
"""How errors begin that are errors of ECMAScript too."""
_READ_OTHERWISE = ("[]", "[^]", "{,", "\\A", "\\Z")
"""What ECMAScript takes for something else than Python: where it occurs, no error is sure."""
_DOUBTED = ("[[", "--", "&&", "||", "~~")
"""What Python warns of where it stands in a set of characters."""
_SETS = re.compile(r"\\.|(\[\^?)(\]?(?:\\.|[^\]\\])*)", re.DOTALL)
"""An escape, or a set without its end."""
_RANGES = re.compile(r"(\\.|[^\\])(?:-(\\.|[^\\]))?", re.DOTALL)
"""A character in a set, or a range of them."""


def compiled(pattern: str) -> re.Pattern[str]:
    """The pattern, ready to search with; raises one of :data:`UNREADABLE`. No warning comes out of it."""
    if any(sign in pattern for sign in _DOUBTED):
        pattern = _SETS.sub(_plain_set, pattern)
    return re.compile(pattern)


def mistake_in(pattern: str) -> str | None:
    """What is wrong with the pattern where that is an error in ECMAScript as well; else ``None``."""
    try:
        compiled(pattern)
    except re.error as error:
        if error.msg.startswith(_SURE) and not any(sign in pattern for sign in _READ_OTHERWISE):
            of_classes = error.msg.startswith("bad character range") and "\\" in error.msg
            return None if of_classes else error.msg
    except UNREADABLE:
        pass
    return None


def _plain_set(found: re.Match[str]) -> str:
    """The same set with each character escaped that Python would warn of."""
    if found[1] is None:
        return found[0]
    return found[1] + _RANGES.sub(_plain_range, found[2])


def _plain_range(found: re.Match[str]) -> str:
    first, last = (f"\\{end}" if end and end in "[-&|~" else end for end in found.groups())
    return str(first) if last is None else f"{first}-{last}"
