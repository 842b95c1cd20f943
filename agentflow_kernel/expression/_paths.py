"""A data path: ``order.items[0].price`` followed through objects and lists, never through attributes."""

from __future__ import annotations

from agentflow_kernel.expression._place import BULK, Part, Place
from agentflow_kernel.expression._values import SOUND, brief, checked, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from agentflow_kernel.expression._place import Run, Work

    Steps = list[str | int | Part]
    """Keys, indexes, and parts that give one or the other when they are evaluated."""

MISSING = object()
"""Stands for a place of the data where there is nothing."""


def reader(name: str, steps: Steps, places: list[Place]) -> Run:
    """Reads what a path leads to; ``places`` are those of the name and of each step."""
    if not steps:

        def read_name(data: dict[str, Any], work: Work) -> Any:
            value = data.get(name, MISSING)
            return value if type(value) in SOUND else settled(data, name, value, places, 0)

        return read_name
    if len(steps) == 1 and type(steps[0]) is str:
        key = steps[0]

        def read_field(data: dict[str, Any], work: Work) -> Any:
            parent = data.get(name, MISSING)
            if type(parent) is dict:
                value = parent.get(key, MISSING)
                return value if type(value) in SOUND else settled(parent, key, value, places, 1)
            return settled(settled(data, name, parent, places, 0), key, MISSING, places, 1)

        return read_field
    return follower(reader(name, [], places), steps, places)


def follower(base: Run, steps: Steps, places: list[Place]) -> Run:
    """Reads what the steps lead to from the value of ``base``."""
    numbered = [(number, step.run if type(step) is Part else None, step) for number, step in enumerate(steps, 1)]

    def read(data: dict[str, Any], work: Work) -> Any:
        value = base(data, work)
        for number, run, step in numbered:
            key = step if run is None else _key(run(data, work), places[number])
            below = child(value, key)
            value = below if type(below) in SOUND else settled(value, key, below, places, number)
        return value

    return read


def finder(name: str, steps: Steps, places: list[Place]) -> Run:
    """Like :func:`reader`, but gives :data:`MISSING` where the path leads nowhere."""
    numbered = [(place, step) for place, step in zip(places[1:], steps, strict=True)]

    def find(data: dict[str, Any], work: Work) -> Any:
        value = data.get(name, MISSING)
        if value is not MISSING:
            checked(value, places[0])
        for place, step in numbered:
            key = _key(step.run(data, work), place) if type(step) is Part else step
            value = child(value, key)
            if value is not MISSING:
                checked(value, place)
        return value

    return find


def child(value: Any, key: Any) -> Any:
    """What an object has under a key or a list at an index; negative indexes count from the end."""
    kind = type(value)
    if kind is dict:
        return value.get(key, MISSING) if type(key) is str else MISSING
    if kind is list and type(key) is int and -len(value) <= key < len(value):
        return value[key]
    return MISSING


def _key(key: Any, place: Place) -> Any:
    if type(key) is str or type(key) is int:
        return key
    raise place.fail(f"{shown(key)} is neither the key of an object nor the index of a list")


def settled(parent: Any, key: Any, value: Any, places: list[Place], number: int) -> Any:
    """The value checked to be JSON; raises with what there is instead where it is :data:`MISSING`."""
    if type(value) in SOUND:
        return value
    place = places[number]
    if value is not MISSING:
        return checked(value, place)
    kind = type(parent)
    if number == 0:
        raise place.fail(f"the data has no {key!r}{_known(parent)}")
    if kind is dict and type(key) is str:
        raise place.fail(f"there is no {brief(key)} in {_up_to(places, number)}{_known(parent)}")
    if kind is list and type(key) is int:
        raise place.fail(f"there is no index {brief(key)} in {_up_to(places, number)}, a list of {len(parent):,}")
    wanted = f"the field {brief(key)}" if type(key) is str else f"the index {brief(key)}"
    raise place.fail(f"{_up_to(places, number)} is {shown(parent)}, which cannot have {wanted}")


def _up_to(places: list[Place], number: int) -> str:
    before = places[number - 1]
    return before.source[before.start : before.end]


def _known(parent: dict[Any, Any]) -> str:
    """The first keys of an object, for a message."""
    first = [key for _, key in zip(range(8), parent, strict=False) if type(key) is str and len(key) <= 40]
    more = ", …" if len(parent) > len(first) else ""
    return f"; it has {', '.join(map(repr, first))}{more}" if first else ""


def write(data: dict[str, Any], keys: Sequence[str | int], value: Any, place: Place, work: Work) -> None:
    """Put a value where the keys and indexes lead to: the objects and lists on the way are copied first, not changed.

    The last key may be new in its object; a list keeps its length. Raises :class:`ExpressionFailed` where the path
    leads through nothing.
    """
    target: Any = data
    for number, key in enumerate(keys[:-1], 1):
        below = keys[number]
        parent = child(target, key)
        kind = type(parent)
        fits = (kind is dict and type(below) is str) or (kind is list and child(parent, below) is not MISSING)
        if not fits:
            found = "nothing" if parent is MISSING else shown(parent)
            raise place.fail(f"there is no place for {below!r}: {key!r} leads to {found}")
        place.spend(work, 1 + len(parent) // BULK)
        target[key] = dict(parent) if kind is dict else list(parent)
        target = target[key]
    target[keys[-1]] = value
