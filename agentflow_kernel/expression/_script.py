"""A script: assignments that are made one after the other, all of them or none."""

from __future__ import annotations

from agentflow_kernel.errors import ExpressionInvalid
from agentflow_kernel.expression._operators import arithmetic
from agentflow_kernel.expression._paths import child, write
from agentflow_kernel.expression._place import Part, Place
from agentflow_kernel.expression._read_text import ReadText, exhausted, plain
from agentflow_kernel.expression._values import LARGEST_RESULT, SCALARS, copied

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from agentflow_kernel.expression._parser import Parser
    from agentflow_kernel.expression._place import Run

_ASSIGNMENTS = (":=", "=", "+=", "-=", "*=", "/=")


class _Assignment:
    """``target := value``; for ``=`` the target must be there already."""

    __slots__ = ("keys", "run", "place", "current")

    def __init__(self, keys: tuple[str | int, ...], run: Run, place: Place, current: Run | None) -> None:
        self.keys = keys
        self.run = run
        self.place = place
        self.current = current
        """Reads what the target holds, to fail where ``=`` finds nothing."""


class Script(ReadText):
    """Assignments separated by ``;``: ``total := total + item.price; done := true``. Immutable, like an expression.

    ``:=`` sets or makes, ``=`` sets what is there, ``+= -= *= /=`` calculate with what is there. A target is a name or
    a path of keys and indexes; the objects and lists on its way must exist. Each assignment sees those before it. The
    parameters are those of :class:`ReadText`; ``max_steps`` holds for a whole run.

    Raises:
        ExpressionInvalid: the text is no script.
    """

    __slots__ = ("_targets", "_assignments", "_name", "_only")

    def _compile(self, parser: Parser) -> None:
        self._assignments = _assignments(parser)
        self._targets = tuple(dict.fromkeys(item.keys for item in self._assignments))
        self._only = self._assignments[0]
        """The one assignment, where ``_name`` is what it sets."""
        plain_name = len(self._assignments) == 1 and len(self._only.keys) == 1
        self._name = str(self._only.keys[0]) if plain_name else ""

    @property
    def targets(self) -> tuple[tuple[str | int, ...], ...]:
        """What it sets, in the order of the text, each once."""
        return self._targets

    def run(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """The changes: the new value of each top-level name that is set, in the order in which they are first set.

        The data is not changed, so ``data | changes`` is what comes after. The values share nothing with the data.

        Raises:
            ExpressionFailed: an assignment failed or a bound is exceeded; then there are no changes at all.
        """
        _, allowed, left = self._limits
        work = [left, allowed]
        if left < 0:
            self._only.place.spend(work, 0)
        known = data if type(data) is dict else plain(data, self._needs)
        if self._name:
            return {self._name: self._set(known, work)}
        now = {name: known[name] for name in self._needs if name in known}
        changed: dict[str, Place] = {}
        try:
            for item in self._assignments:
                if item.current is not None:
                    item.current(now, work)
                write(now, item.keys, item.run(now, work), item.place, work)
                changed.setdefault(str(item.keys[0]), item.place)
        except RecursionError:
            raise exhausted(self._text) from None
        changes: dict[str, Any] = {}
        room = LARGEST_RESULT
        for name, place in changed.items():
            changes[name], room = copied(child(now, name), place, room)
        return changes

    def _set(self, known: dict[str, Any], work: list[int]) -> Any:
        """The value of the one assignment to a plain name: nothing has to be put together for it."""
        item = self._only
        try:
            if item.current is not None:
                item.current(known, work)
            value = item.run(known, work)
        except RecursionError:
            raise exhausted(self._text) from None
        return value if type(value) in SCALARS else copied(value, item.place)[0]


def _assignments(parser: Parser) -> list[_Assignment]:
    """All assignments of a text; there is at least one."""
    found = [_assignment(parser)]
    while parser.accept(";"):
        if parser.tokens[parser.at][0] != "end":
            found.append(_assignment(parser))
    if parser.tokens[parser.at][0] != "end":
        raise parser.unexpected("an operator, ';' or the end")
    return found


def _assignment(parser: Parser) -> _Assignment:
    if parser.tokens[parser.at][0] not in ("name", "$"):
        raise parser.unexpected("the name or path of what is set")
    target, steps = parser.path(noted=False)
    name = target.path[0] if target.path is not None else ""
    static: list[str | int] = [name]
    for step in steps:
        if isinstance(step, Part):
            raise ExpressionInvalid(parser.text, step.place.start, "a step that depends on data", "a key or an index")
        static.append(step)
    sign = parser.tokens[parser.at][0]
    if sign not in _ASSIGNMENTS:
        raise parser.unexpected("':=', '=', '+=', '-=', '*=' or '/='")
    parser.at += 1
    if sign != ":=" or steps:
        parser.note(name, steps if sign != ":=" else steps[:-1])
    value = parser.expression()
    parser.assigned.add(name)
    place = Place(parser.text, target.place.start, value.place.end)
    if sign in (":=", "="):
        return _Assignment(tuple(static), value.run, place, target.run if sign == "=" else None)
    return _Assignment(tuple(static), arithmetic(target, [(sign[0], value, place)]), place, None)
