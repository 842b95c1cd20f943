"""The limits of a document: how deep it may be, and which numbers and texts it may hold, looked at before the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    Where = tuple[str | int, ...]

DEEPEST = 200
"""How deep a document may be nested; the arguments of a step less, see :data:`~.reference.DEEPEST`."""
_BITS = 1_000
"""The length of the largest whole number, a little less than what a float can hold."""
_LARGEST = 2**_BITS
_ENDLESS = float("inf")


def find_excess(document: object) -> tuple[str, Where] | None:
    """What of a value no plan may hold, and where, or ``None``; it may be nested without end."""
    if (document.__class__ is dict or document.__class__ is list) and _is_sound(document):
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


def _is_sound(document: object) -> bool:
    """Whether a value is surely one that a plan may hold, told level by level and without keeping the places."""
    texts: list[str] = []
    level: list[Any] = [document]
    for _ in range(DEEPEST + 1):
        below: list[Any] = []
        for value in level:
            if value.__class__ is dict:
                texts += value
                value = value.values()  # noqa: PLW2901 - of both the items are looked at
            for item in value:
                kind = item.__class__
                if kind is str:
                    texts.append(item)
                elif kind is dict or kind is list:
                    below.append(item)
                elif kind is int:
                    if not -_LARGEST < item < _LARGEST:
                        return False
                elif kind is float:
                    if not -_ENDLESS < item < _ENDLESS:
                        return False
                elif item is not None and kind is not bool:
                    return False
        if not below:
            break
        level = below
    else:
        return False
    try:
        whole = "".join(texts)
    except TypeError:  # a key is no text
        return False
    return whole.isascii() or not _is_broken(whole)


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
