"""An operator: what ``+``, ``<``, ``in``, ``and`` and the others do with values, compiled to closures.

Types are strict. Logic takes booleans, order takes two numbers or two texts, arithmetic takes numbers; ``+`` also joins
two texts or two lists. What the right-hand side is known to be when the expression is read makes a shorter closure.
"""

from __future__ import annotations

from agentflow_kernel.expression._place import BULK
from agentflow_kernel.expression._tokens import LARGEST
from agentflow_kernel.expression._values import LARGEST_RESULT, checked, same, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from agentflow_kernel.expression._place import Part, Place, Run, Work

_HALF = 2**31
"""Two whole numbers below it cannot leave the bounds, so they need no look at the result."""


def equality(left: Part, right: Part, place: Place, *, wanted: bool) -> Run:
    """``==`` (``wanted``) or ``!=``."""
    first, second, known = left.run, right.run, right.value
    kind = type(known)
    if right.constant and kind is str:
        return lambda data, work: (type(value := first(data, work)) is str and value == known) is wanted
    if right.constant and (known is None or kind is bool):
        return lambda data, work: (first(data, work) is known) is wanted
    if right.constant and kind is not list and kind is not dict:

        def equals_number(data: dict[str, Any], work: Work) -> bool:
            value = first(data, work)
            kind = type(value)
            return ((kind is int or kind is float) and value == known) is wanted

        return equals_number
    return lambda data, work: same(first(data, work), second(data, work), place, work) is wanted


def order(sign: str, left: Part, right: Part, place: Place) -> Run:
    """``<``, ``<=``, ``>`` or ``>=``."""
    holds, first, second = _ORDERS[sign], left.run, right.run
    known = right.value
    if right.constant and type(known) in (int, float):
        return _number_orders(first, known, place)[sign]

    def ordered(data: dict[str, Any], work: Work) -> bool:
        return holds(*comparable(first(data, work), second(data, work), place, work))

    return ordered


def _number_orders(first: Run, known: float, place: Place) -> dict[str, Run]:
    """The four comparisons with a known number."""

    def number(value: Any) -> Any:
        if type(value) is int or type(value) is float:
            return value
        raise place.fail(f"{shown(value)} and {shown(known)} have no order")

    def less(data: dict[str, Any], work: Work) -> bool:
        value = first(data, work)
        return (value if type(value) is int else number(value)) < known

    def less_or_equal(data: dict[str, Any], work: Work) -> bool:
        value = first(data, work)
        return (value if type(value) is int else number(value)) <= known

    def greater(data: dict[str, Any], work: Work) -> bool:
        value = first(data, work)
        return (value if type(value) is int else number(value)) > known

    def greater_or_equal(data: dict[str, Any], work: Work) -> bool:
        value = first(data, work)
        return (value if type(value) is int else number(value)) >= known

    return {"<": less, "<=": less_or_equal, ">": greater, ">=": greater_or_equal}


_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}


def comparable(left: Any, right: Any, place: Place, work: Work) -> tuple[Any, Any]:
    """Both values, when they have an order: two numbers, or two texts (by code points)."""
    kind, other = type(left), type(right)
    numbers = (kind is int or kind is float) and (other is int or other is float)
    if not numbers and not (kind is str and other is str):
        raise place.fail(f"{shown(left)} and {shown(right)} have no order")
    if not numbers and len(left) > BULK:
        place.spend(work, len(left) // BULK)
    return left, right


def membership(left: Part, right: Part, place: Place, *, wanted: bool) -> Run:
    """``in`` (``wanted``) or ``not in``."""
    first, second = left.run, right.run
    if right.constant and type(right.value) is list and all(type(item) is str for item in right.value):
        texts = frozenset(right.value)

        def among_texts(data: dict[str, Any], work: Work) -> bool:
            value = first(data, work)
            return (type(value) is str and value in texts) is wanted

        return among_texts
    return lambda data, work: holds(first(data, work), second(data, work), place, work) is wanted


def holds(value: Any, whole: Any, place: Place, work: Work) -> bool:
    """Whether the item is in a list, the piece of text in a text, or the key in an object."""
    kind = type(whole)
    if kind is list:
        for item in whole:
            place.spend(work, 1)
            if same(item, value, place, work):
                return True
        return False
    if kind is not str and kind is not dict:
        raise place.fail(f"{shown(whole)} holds nothing; expected a list, a text or an object")
    if type(value) is not str:
        raise place.fail(f"{shown(value)} cannot be in {shown(whole)}, only text can")
    if kind is str:
        place.spend(work, len(whole) // BULK)
    return value in whole


def both(parts: list[Part]) -> Run:
    """``and`` of two or more: the first that is false ends it."""
    return _chain(parts, ends=False)


def either(parts: list[Part]) -> Run:
    """``or`` of two or more: the first that is true ends it."""
    return _chain(parts, ends=True)


def _chain(parts: list[Part], *, ends: bool) -> Run:
    pairs = [(part.run, part.place) for part in parts]
    goes_on = not ends
    if len(parts) > 2:

        def chain(data: dict[str, Any], work: Work) -> bool:
            for run, place in pairs:
                value = run(data, work)
                if value is not goes_on:
                    return boolean(value, place)
            return goes_on

        return chain
    (first, first_place), (second, second_place) = pairs

    def pair(data: dict[str, Any], work: Work) -> bool:
        value = first(data, work)
        if value is not goes_on:
            return boolean(value, first_place)
        value = second(data, work)
        return value if value is ends or value is goes_on else boolean(value, second_place)

    return pair


def negation(part: Part) -> Run:
    """``not`` or ``!``."""
    run, place = part.run, part.place
    return lambda data, work: not boolean(run(data, work), place)


def choice(cases: list[tuple[Part, Part]], otherwise: Part) -> Run:
    """``c ? a : b``, or several of them one after the other."""
    compiled = [(condition.run, condition.place, part.run) for condition, part in cases]
    last = otherwise.run

    def choose(data: dict[str, Any], work: Work) -> Any:
        for condition, place, run in compiled:
            if boolean(condition(data, work), place):
                return run(data, work)
        return last(data, work)

    return choose


def boolean(value: Any, place: Place) -> bool:
    """The value, if it is ``true`` or ``false``."""
    if value is True or value is False:
        return value
    raise place.fail(f"expected true or false, not {shown(value)}")


def arithmetic(first: Part, rest: list[tuple[str, Part, Place]]) -> Run:
    """``a + b - c …`` or ``a * b / c …`` from left to right."""
    begin = first.run
    if len(rest) == 1:
        ((sign, part, place),) = rest
        calculate, run = _SIGNS[sign], part.run
        return lambda data, work: calculate(begin(data, work), run(data, work), place, work)
    steps = [(_SIGNS[sign], part.run, place) for sign, part, place in rest]

    def fold(data: dict[str, Any], work: Work) -> Any:
        value = begin(data, work)
        for calculate, run, place in steps:
            value = calculate(value, run(data, work), place, work)
        return value

    return fold


def add(left: Any, right: Any, place: Place, work: Work) -> Any:
    """The sum of two numbers, or two texts or lists one after the other."""
    kind = type(left)
    if kind is int and type(right) is int and -_HALF < left < _HALF and -_HALF < right < _HALF:
        return left + right
    if kind is type(right) and (kind is str or kind is list):
        size = len(left) + len(right)
        if size > LARGEST_RESULT:
            what = "characters" if kind is str else "items"
            raise place.fail(f"the result has {size:,} {what}, more than {LARGEST_RESULT:,}")
        place.spend(work, size // BULK)
        return left + right
    _numbers("+", left, right, place)
    return bounded(left + right, place)


def _subtract(left: Any, right: Any, place: Place, work: Work) -> Any:
    if type(left) is int and type(right) is int and -_HALF < left < _HALF and -_HALF < right < _HALF:
        return left - right
    _numbers("-", left, right, place)
    return bounded(left - right, place)


def _multiply(left: Any, right: Any, place: Place, work: Work) -> Any:
    if type(left) is int and type(right) is int and -_HALF < left < _HALF and -_HALF < right < _HALF:
        return left * right
    _numbers("*", left, right, place)
    return bounded(left * right, place)


def _divide(left: Any, right: Any, place: Place, work: Work) -> Any:
    _numbers("/", left, right, place)
    return bounded(left / _divisor(left, right, place), place)


def _floor(left: Any, right: Any, place: Place, work: Work) -> Any:
    _numbers("//", left, right, place)
    return bounded(left // _divisor(left, right, place), place)


def _remainder(left: Any, right: Any, place: Place, work: Work) -> Any:
    _numbers("%", left, right, place)
    return bounded(left % _divisor(left, right, place), place)


_SIGNS: dict[str, Callable[[Any, Any, Place, Work], Any]] = {
    "+": add,
    "-": _subtract,
    "*": _multiply,
    "/": _divide,
    "//": _floor,
    "%": _remainder,
}


def opposite(part: Part, place: Place) -> Run:
    """``-`` before a number."""
    run = part.run

    def negative(data: dict[str, Any], work: Work) -> Any:
        value = run(data, work)
        if type(value) is not int and type(value) is not float:
            raise place.fail(f"'-' takes a number, not {shown(value)}")
        return bounded(-value, place)

    return negative


def _numbers(sign: str, left: Any, right: Any, place: Place) -> None:
    """Raise unless both are numbers within the bounds of calculation."""
    for value in (left, right):
        kind = type(value)
        if kind is int:
            if -LARGEST <= value <= LARGEST:
                continue
            raise place.fail(f"{shown(value)} is too large to calculate with, the largest is {LARGEST}")
        if kind is not float:
            takes = "two numbers, texts or lists" if sign == "+" else "two numbers"
            raise place.fail(f"{sign!r} takes {takes}, not {shown(left)} and {shown(right)}")


def _divisor(left: Any, right: Any, place: Place) -> Any:
    if right == 0:
        raise place.fail(f"{shown(left)} is divided by zero")
    return right


def bounded(value: Any, place: Place) -> Any:
    """The result of a calculation, if it is neither too large nor no number at all."""
    if type(value) is int:
        if -LARGEST <= value <= LARGEST:
            return value
        raise place.fail(f"the result is larger than the largest whole number, {LARGEST}")
    if value - value != 0:
        raise place.fail("the result is larger than the largest number, 1.8e308")
    return checked(value, place)
