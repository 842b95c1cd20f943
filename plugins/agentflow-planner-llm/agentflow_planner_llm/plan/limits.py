"""The limits of a document: how deep it may be, and which numbers and texts it may hold, looked at before the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    Where = tuple[str | int, ...]
    Inner = dict[str, object] | list[str]

DEEPEST = 200
"""How deep a document may be nested; the arguments of a step less, see :data:`~.reference.DEEPEST`."""
_BITS = 1_000
"""The length of the largest whole number, a little less than what a float can hold."""
_LARGEST = 2**_BITS
_ENDLESS = float("inf")


def find_excess(document: object) -> tuple[str, Where] | None:
    """What of a value no plan may hold, and where, or ``None``; it may be nested without end."""
    if (document.__class__ is dict or document.__class__ is list) and _is_sound(cast("Inner", document), DEEPEST):
        return None
    waiting: list[tuple[object, Where]] = [(document, ())]
    while waiting:
        value, where = waiting.pop()
        inner: Iterable[tuple[object, object]]
        if value.__class__ is dict or isinstance(value, Mapping):
            inner = value.items()
        elif isinstance(value, list | tuple):
            inner = enumerate(value)
        else:
            problem = _why_not(value)
            if problem:
                return problem, where
            continue
        if len(where) > DEEPEST:
            return f"It may not be nested more than {DEEPEST} deep", where[:3]
        listed = isinstance(value, list | tuple)
        for name, item in inner:
            if not listed:
                if not isinstance(name, str):
                    return f"Each key must be a text, not {type(name).__name__}", where
                if not name.isascii() and _is_broken(name):
                    return "A key holds half of a character, which cannot be stored", where
            if item is None or item is True or item is False or (item.__class__ is str and item.isascii()):
                continue
            waiting.append((item, (*where, cast("str | int", name))))
    return None


def _is_sound(document: Inner, depth: int) -> bool:
    """Whether a value is surely one that a plan may hold, nested no deeper; told without keeping the places."""
    items: Iterable[object] = document
    if document.__class__ is dict:
        items = cast("dict[str, object]", document).values()
        try:
            names = "".join(document)  # a key that is no text is a TypeError
        except TypeError:
            return False
        if not names.isascii() and _is_broken(names):
            return False
    for item in items:
        kind = item.__class__
        if kind is str:
            if not item.isascii() and _is_broken(item):  # type: ignore[attr-defined]  # it is a text
                return False
        elif kind is dict or kind is list:
            if not depth or not _is_sound(item, depth - 1):  # type: ignore[arg-type]  # it is one of the two
                return False
        elif kind is int:
            if not -_LARGEST < item < _LARGEST:  # type: ignore[operator]  # it is a whole number
                return False
        elif kind is float:
            if not -_ENDLESS < item < _ENDLESS:  # type: ignore[operator]  # it is a fraction
                return False
        elif item is not None and kind is not bool:
            return False
    return True


def _why_not(value: object) -> str:
    """Why a value without inside cannot be in a plan, or ``""``."""
    if value is None or isinstance(value, bool):
        return ""
    if isinstance(value, int):
        return "The number is too large" if value.bit_length() > _BITS else ""
    if isinstance(value, float):
        return "" if abs(value) < _ENDLESS else "The number is not finite, which JSON does not have"
    if isinstance(value, str):
        return "The text holds half of a character, which cannot be stored" if _is_broken(value) else ""
    return f"{type(value).__name__} is no JSON"


def _is_broken(text: str) -> bool:
    """Whether a text has a surrogate by itself, so that it cannot be written as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
