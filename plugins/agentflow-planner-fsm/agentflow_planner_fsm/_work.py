"""Work: what an expression or script costs, estimated from the data that it reads and gives.

One unit is about one item that is looked at or copied. The estimate depends on text and data alone, so that a run that
is repeated ends at the same place. A session notes the weight of what it has read; values never change in place.
"""

from __future__ import annotations

import re

from agentflow_kernel.errors import ExpressionFailed, PlanLoopError
from agentflow_kernel.expression import MAX_STEPS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from agentflow_kernel.expression import Expression, Script
    from agentflow_planner_fsm._session import Session

    Path = tuple[str | int, ...]
    Look = tuple[Path, int, bool]
    """A path that is read, how often at most, and whether only one of the items that it leads to."""

LARGEST = 100_000
"""The weight that nothing that is read or made exceeds: the largest result of an expression."""
_LETTERS = 256
"""Characters of a text that are moved at the price of one item."""
_LIGHT = frozenset((bool, int, float, type(None)))
_TEXT = 64
"""Characters of an expression at the price of one item."""


def metered(read: Expression | Script, run: Callable[[Mapping[str, Any]], Any]) -> Callable[[Session], Any]:
    """``run`` on the data of a session, which pays for it out of what one input may cost."""
    fixed = 1 + len(read.text) // _TEXT
    looks = _looks(read)
    names = tuple((str(path[0]), look) for look in looks if len(path := look[0]) == 1)
    paths = tuple(look for look in looks if len(look[0]) > 1)

    def give(session: Session) -> Any:
        hub, scope, cost = session.hub, session.scope, fixed
        for name, look in names:
            value = scope.get(name)
            if type(value) is list or type(value) is dict:
                cost = min(cost + _weight(session, look, value), MAX_STEPS)
        if paths:
            cost = min(cost + _beneath(session, paths), MAX_STEPS)
        hub.spent += cost
        if hub.spent > hub.most_work:  # asked here, so that a guard is no further call
            spend(session, 0, read.text)
        try:
            found = run(scope)
        except ExpressionFailed as error:
            if "more than" in error.problem:  # a bound was exceeded: all the work up to it was done
                spend(session, LARGEST, read.text)
            raise
        kind = type(found)
        if kind is dict or kind is list:
            if len(found) == 1 and kind is dict:
                (value,) = found.values()
                if type(value) in _LIGHT:  # as a script gives that sets a number
                    hub.spent += 2
                    return found
            spend(session, weigh(found)[0], read.text)
        return found

    return give


def _weight(session: Session, look: Look, value: Any) -> int:
    """What looking at a list or object costs."""
    path, uses, indexed = look
    return uses * _known(session, path, value)[indexed]


def _beneath(session: Session, looks: Sequence[Look]) -> int:
    """What looking at all that the paths lead to costs."""
    cost = 0
    for look in looks:
        value: Any = session.scope
        try:
            for step in look[0]:
                value = value[step]
        except (LookupError, TypeError):
            continue
        if type(value) is list or type(value) is dict:
            cost += _weight(session, look, value)
    return cost


def spend(session: Session, cost: int, text: str) -> None:
    """Take the cost of an expression from what one input may cost; raises :class:`PlanLoopError` beyond it."""
    hub = session.hub
    hub.spent += cost
    if hub.spent > hub.most_work:
        raise PlanLoopError(session.chart.name, hub.most_work, [f"the work of {text[:80]!r}"])


def _looks(read: Expression | Script) -> tuple[Look, ...]:
    """What is read."""
    found = []
    for path in read.paths:
        text = re.escape(".".join(map(str, path)))
        rest = re.sub(rf"\blen\(\s*{text}\s*\)", " ", read.text)
        uses = len(re.findall(rf"\b{re.escape(str(path[0]))}\b", rest))
        whole = len(re.findall(rf"\b{text}\b", rest))
        indexed = 0 < whole == len(re.findall(rf"\b{text}\s*\[", rest))
        if uses or rest == read.text:
            found.append((path, max(1, uses), indexed))
    return tuple(found)


def _known(session: Session, path: Path, value: Any) -> tuple[int, int]:
    """The weight of what is at a path, taken once for each value."""
    known = session.weights.get(path)
    if known is None or known[0] is not value:
        total, largest = weigh(value)
        known = session.weights[path] = (value, (total, largest))
    return known[1]


def weigh(value: Any) -> tuple[int, int]:
    """The items of a list or object with all that is in them, and of the largest of its items."""
    total = largest = 1
    for each in value.values() if type(value) is dict else value:
        size = _weigh(each)
        total += size
        largest = max(largest, size)
        if total >= LARGEST:
            return LARGEST, LARGEST
    return total, largest


def _weigh(value: Any) -> int:
    kind = type(value)
    if kind is str:
        return 1 + len(value) // _LETTERS
    if kind is not list and kind is not dict:
        return 1
    size, todo = 1, [value]
    while todo and size < LARGEST:
        each = todo.pop()
        size += len(each)
        if size < LARGEST:
            for item in each.values() if type(each) is dict else each:
                if type(item) is list or type(item) is dict:
                    todo.append(item)
                elif type(item) is str:
                    size += len(item) // _LETTERS
    return size
