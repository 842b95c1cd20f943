"""A value: JSON as expressions see it, by exact type, so that no method of an object given as data is ever called.

``type(value)`` is asked everywhere instead of ``isinstance`` or ``value.__class__``: neither a subclass nor an object
that lies about its class gets through.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agentflow_kernel.expression._place import Place, Work

LARGEST_RESULT = 100_000
"""Characters of a text, and items and characters of a list or object in total."""
DEEPEST_RESULT = 200

SOUND = frozenset((bool, int, str, type(None), dict, list))
"""The kinds of JSON that need no further look; a float may still be infinite or no number."""
PLAIN = frozenset((bool, int, type(None)))
SCALARS = frozenset((bool, int, float, type(None)))
"""The kinds of results that are as small as can be, and shared with nothing."""
NAMES: dict[type, str] = {int: "number", float: "number", str: "text"}


def shown(value: Any) -> str:
    """A value in a message, in at most some sixty characters: kind and, where it is short, content."""
    kind = type(value)
    if kind is bool:
        return "true" if value else "false"
    if kind is str or kind is int or kind is float:
        return f"{NAMES[kind]} {brief(value)}"
    if kind is list or kind is dict:
        return f"{'a list' if kind is list else 'an object'} of {len(value):,}"
    return "null" if value is None else f"a Python {type.__dict__['__name__'].__get__(kind)}"


def brief(value: Any) -> str:
    """A text or number in a message."""
    if type(value) is str:
        return repr(value) if len(value) <= 40 else f"{value[:39]!r}… of {len(value):,} characters"
    return repr(value) if type(value) is float or -(10**30) < value < 10**30 else "of more than 30 digits"


def checked(value: Any, place: Place) -> Any:
    """The value, if it is JSON as far as one can see without looking at its items; raises otherwise."""
    kind = type(value)
    if kind in SOUND:
        return value
    if kind is not float:
        raise place.fail(f"the data holds {shown(value)}, which is not JSON")
    if value - value != 0:
        raise place.fail(f"the data holds the number {value}, which is not JSON")
    return value


def same(left: Any, right: Any, place: Place, work: Work) -> bool:
    """Whether two values are equal: values of different types never are, ``1`` and ``1.0`` are."""
    todo = [(left, right)]
    while todo:
        left, right = todo.pop()
        kind, other = type(checked(left, place)), type(checked(right, place))
        if kind is not other:
            if not ((kind is int and other is float) or (kind is float and other is int)) or left != right:
                return False
        elif kind is list or kind is dict:
            if len(left) != len(right):
                return False
            place.spend(work, len(left))
            if kind is list:
                todo += zip(left, right, strict=True)
                continue
            for key, value in left.items():
                if type(key) is not str or key not in right:
                    return False
                todo.append((value, right[key]))
        else:
            if kind is str and len(left) > 256:
                place.spend(work, len(left) // 256)
            if left != right:
                return False
    return True


def copied(value: Any, place: Place, room: int = LARGEST_RESULT) -> tuple[Any, int]:
    """A copy that shares nothing with the data, checked to be JSON in every item, and how much of ``room`` is left.

    Raises :class:`ExpressionFailed` for a value that is not JSON, larger than ``room`` or nested too deeply.
    """
    root: list[Any] = []
    todo: list[tuple[Any, Any, int]] = [([value], root, 0)]
    while todo:
        source, target, depth = todo.pop()
        if depth > DEEPEST_RESULT:
            raise place.fail(f"the result is nested more than {DEEPEST_RESULT} deep")
        items = source.items() if type(source) is dict else enumerate(source)
        for key, item in items:
            kind = type(item)
            room -= 1
            if kind is str:
                room -= len(item)
            if type(source) is dict:
                if type(key) is not str:
                    raise place.fail(f"an object has the key {shown(key)}; JSON has only text")
                room -= len(key)
            if room < 0:
                raise place.fail(f"the result has more than {LARGEST_RESULT:,} items and characters")
            if kind is list or kind is dict:
                fresh: Any = [] if kind is list else {}
                todo.append((item, fresh, depth + 1))
                item = fresh  # noqa: PLW2901 -- the copy takes the place of the original
            elif kind not in PLAIN and kind is not str:
                checked(item, place)
            if type(target) is dict:
                target[key] = item
            else:
                target.append(item)
    return root[0], room
