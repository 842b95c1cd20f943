"""A function: one of the few that an expression may call, checked for the number of its arguments when it is read."""

from __future__ import annotations

from agentflow_kernel.expression._operators import bounded, comparable, holds
from agentflow_kernel.expression._place import BULK
from agentflow_kernel.expression._tokens import LARGEST
from agentflow_kernel.expression._values import LARGEST_RESULT, checked, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from agentflow_kernel.expression._place import Part, Place, Run, Work


def call(name: str, arguments: list[Part], place: Place) -> Run:
    """Calls the function of this name; the number of arguments has been checked."""
    function = FUNCTIONS[name][2]
    runs = [argument.run for argument in arguments]
    if len(runs) == 1:
        (run,) = runs
        return lambda data, work: function([run(data, work)], place, work)
    return lambda data, work: function([run(data, work) for run in runs], place, work)


def predicate(name: str, argument: Part, place: Place) -> Run:
    """Whether the text is in the list that the data holds under ``name()``; for predicates that a planner lends."""
    run, key = argument.run, f"{name}()"

    def decide(data: dict[str, Any], work: Work) -> bool:
        members, value = data.get(key), run(data, work)
        if type(members) is not list or type(value) is not str:
            raise place.fail(f"{name}() takes a text, and the data a list under {key!r}")
        return holds(value, members, place, work)

    return decide


def _length(values: list[Any], place: Place, work: Work) -> int:
    if type(values[0]) not in (str, list, dict):
        raise place.fail(f"len() takes a text, a list or an object, not {shown(values[0])}")
    return len(values[0])


def _smallest(values: list[Any], place: Place, work: Work) -> Any:
    return _extreme("min", values, place, work)


def _largest(values: list[Any], place: Place, work: Work) -> Any:
    return _extreme("max", values, place, work)


def _extreme(name: str, values: list[Any], place: Place, work: Work) -> Any:
    """The first of the smallest or largest values, given one by one or as one list."""
    if len(values) == 1:
        if type(values[0]) is not list or not values[0]:
            found = "an empty list" if values[0] == [] else shown(values[0])
            raise place.fail(f"{name}() takes values or a list of them, not {found}")
        values = values[0]
    place.spend(work, len(values))
    best = values[0]
    comparable(best, checked(best, place), place, work)
    for value in values[1:]:
        _, other = comparable(best, checked(value, place), place, work)
        if other < best if name == "min" else other > best:
            best = other
    return checked(best, place)


def _number(name: str, value: Any, place: Place) -> Any:
    if type(value) is not float:
        if type(value) is not int:
            raise place.fail(f"{name}() takes a number, not {shown(value)}")
        bounded(value, place)
    return value


def _absolute(values: list[Any], place: Place, work: Work) -> Any:
    return abs(_number("abs", values[0], place))


def _round(values: list[Any], place: Place, work: Work) -> Any:
    """To the nearest, and to the even one of two equally near; without digits a whole number."""
    value = _number("round", values[0], place)
    if len(values) == 1:
        return bounded(round(value), place)
    if type(values[1]) is not int or not 0 <= values[1] <= 15:
        raise place.fail(f"round() takes 0 to 15 digits, not {shown(values[1])}")
    return bounded(round(value, values[1]), place)


def _texts(name: str, values: list[Any], place: Place, work: Work) -> None:
    """Raise unless all are texts; pay for reading them."""
    for value in values:
        if type(value) is not str:
            raise place.fail(f"{name}() takes text, not {shown(value)}")
        place.spend(work, len(value) // BULK)


def _lower(values: list[Any], place: Place, work: Work) -> str:
    _texts("lower", values, place, work)
    return _short(values[0].lower(), place)


def _upper(values: list[Any], place: Place, work: Work) -> str:
    _texts("upper", values, place, work)
    return _short(values[0].upper(), place)


def _short(text: str, place: Place) -> str:
    if len(text) > LARGEST_RESULT:
        raise place.fail(f"the result has {len(text):,} characters, more than {LARGEST_RESULT:,}")
    return text


def _starts_with(values: list[Any], place: Place, work: Work) -> bool:
    _texts("starts_with", values, place, work)
    return bool(values[0].startswith(values[1]))


def _ends_with(values: list[Any], place: Place, work: Work) -> bool:
    _texts("ends_with", values, place, work)
    return bool(values[0].endswith(values[1]))


def _contains(values: list[Any], place: Place, work: Work) -> bool:
    return holds(values[1], values[0], place, work)


def _to_int(values: list[Any], place: Place, work: Work) -> Any:
    """A number without its fraction, or the whole number that a text is made of."""
    value = values[0]
    if type(value) is not str:
        return bounded(int(_number("int", value, place)), place)
    digits = value[1:] if value[:1] in ("-", "+") else value
    if not digits or len(digits) > 19 or not (digits.isascii() and digits.isdigit()):
        raise place.fail(f"{shown(value)} is no whole number")
    return bounded(int(value), place)


def _to_float(values: list[Any], place: Place, work: Work) -> float:
    """A number as one with a fraction, or the number that a text is made of."""
    value = values[0]
    if type(value) is not str:
        return float(_number("float", value, place))
    if not value or len(value) > 40 or not set(value) <= set("0123456789+-.eE"):  # so neither inf, nan nor 1_0
        raise place.fail(f"{shown(value)} is no number")
    try:
        number = float(value)
    except ValueError:
        raise place.fail(f"{shown(value)} is no number") from None
    bounded(number, place)
    return number


def _to_str(values: list[Any], place: Place, work: Work) -> str:
    """The text of a text, number, boolean or null, as JSON writes it but without quotes."""
    value = values[0]
    kind = type(value)
    if kind is str:
        return str(value)
    if kind is int and not -LARGEST <= value <= LARGEST:
        raise place.fail(f"{shown(value)} is too large for str()")
    if kind is list or kind is dict:
        raise place.fail(f"str() takes a text, number, boolean or null, not {shown(value)}")
    return "null" if value is None else ("true" if value else "false") if kind is bool else repr(value)


_MANY = 100

FUNCTIONS: dict[str, tuple[int, int, Callable[[list[Any], Place, Work], Any]]] = {
    "abs": (1, 1, _absolute),
    "contains": (2, 2, _contains),
    "ends_with": (2, 2, _ends_with),
    "float": (1, 1, _to_float),
    "int": (1, 1, _to_int),
    "len": (1, 1, _length),
    "lower": (1, 1, _lower),
    "max": (1, _MANY, _largest),
    "min": (1, _MANY, _smallest),
    "round": (1, 2, _round),
    "starts_with": (2, 2, _starts_with),
    "str": (1, 1, _to_str),
    "upper": (1, 1, _upper),
}
"""The fewest and most arguments of each, and what it does. ``has`` and ``default`` take a path: see the reader."""
