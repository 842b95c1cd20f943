"""A set of characters: what one step of a regular expression accepts."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def fold(char: str) -> str:
    """A character as it is compared where case does not count: in lower case, if that is one character.

    A letter beyond ASCII never becomes an ASCII letter (KELVIN SIGN stays), so that text and bytes agree.
    """
    lower = char.lower()
    return lower if len(lower) == 1 and (char.isascii() or not lower.isascii()) else char


def is_word(char: str) -> bool:
    r"""Whether ``\w`` accepts a character: letters, digits and the underscore, of all alphabets."""
    return char.isalnum() or char == "_"


CATEGORIES: dict[str, Callable[[str], bool]] = {"d": str.isdecimal, "s": str.isspace, "w": is_word}
r"""What ``\d``, ``\s`` and ``\w`` accept; the capital letters accept all else."""


class CharSet:
    """Characters by range and by category, or all others."""

    __slots__ = ("_categories", "_negated", "_ranges")

    def __init__(
        self, ranges: tuple[tuple[str, str], ...] = (), categories: tuple[str, ...] = (), *, negated: bool = False
    ) -> None:
        self._ranges = ranges
        self._categories = categories
        self._negated = negated

    def accepts(self, char: str, *, ignore_case: bool) -> bool:
        """Whether the character, or with `ignore_case` one that differs in case only, is in the set."""
        found = self._holds(char)
        if ignore_case and not found:
            found = any(fold(other) == fold(char) and self._holds(other) for other in (fold(char), char.upper()))
        return found is not self._negated

    def _holds(self, char: str) -> bool:
        return any(low <= char <= high for low, high in self._ranges) or any(
            CATEGORIES[category](char) if category.islower() else not CATEGORIES[category.lower()](char)
            for category in self._categories
        )
