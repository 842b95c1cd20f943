"""A scope: the blackboard of one tree or subtree while it is compiled, and where each of its names leads.

Which entry a name means is settled here, once: at run time a name is the number of a blackboard and a key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentflow_kernel.expression import Expression, Script
from agentflow_planner_bt._run import SCOPES, write
from agentflow_planner_bt.port import NOTHING, converted, is_key, reference

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agentflow_planner_bt._run import Memory

    Place = tuple[int, str]
    """The number of a blackboard, and the key of an entry in it."""


class Scope:
    """``remapped`` maps names to entries of the parent; ``constants`` are entries that the document gives a value."""

    __slots__ = ("number", "parent", "remapped", "constants", "auto", "enums")

    def __init__(self, number: int, parent: Scope | None, enums: Mapping[str, Any]) -> None:
        self.number = number
        self.parent = parent
        self.remapped: dict[str, str] = {}
        self.constants: dict[str, Any] = {}
        self.auto = False
        self.enums = enums

    def place(self, name: str) -> Place:
        """The entry that a name means; ``@name`` means one of the root's."""
        scope = self
        if name[:1] == "@":
            name = name[1:]
            while scope.parent is not None:
                scope = scope.parent
        while scope.parent is not None and name not in scope.constants:
            if name in scope.remapped:
                name = scope.remapped[name]
            elif not scope.auto or name[:1] == "_":
                break
            scope = scope.parent
            if name[:1] == "@":
                return scope.place(name)
        return scope.number, name

    def data(self, names: Mapping[str, None] | frozenset[str]) -> Callable[[Memory], dict[str, Any]]:
        """Gathers what an expression reads: the blackboard itself where all names mean its own entries."""
        enums = {name: self.enums[name] for name in sorted(names) if name in self.enums}
        places = [(name, *self.place(name)) for name in sorted(names) if name not in enums]
        number = self.number
        if not enums and all(scope == number and key == name for name, scope, key in places):
            return lambda m: m[SCOPES][number]

        def gather(m: Memory) -> dict[str, Any]:
            data = dict(enums)
            scopes = m[SCOPES]
            for name, scope, key in places:
                value = scopes[scope].get(key, NOTHING)
                if value is not NOTHING:
                    data[name] = value
            return data

        return gather

    def test(self, text: str) -> Callable[[Memory], bool]:
        """A condition, compiled.

        Raises:
            ExpressionInvalid: the text is no expression.
        """
        expression = Expression(text)
        data, decide = self.data(expression.names), expression.test
        return lambda m: decide(data(m))

    def script(self, text: str) -> Callable[[Memory], None]:
        """A script, compiled: makes its assignments on the blackboards, all or none as far as the script decides.

        Raises:
            ExpressionInvalid: the text is no script.
        """
        script = Script(text)
        changed = {str(target[0]) for target in script.targets}
        data, run = self.data(script.names | changed), script.run
        places = {name: self.place(name) for name in changed}

        def execute(m: Memory) -> None:
            for name, value in run(data(m)).items():
                scope, key = places[name]
                write(m, scope, key, value)

        return execute

    def value(self, given: Any, kind: str) -> tuple[Any, Callable[[Memory], Any] | None]:
        """A port's literal, or what reads it at run time: ``"{key}"``, or ``"{order.total}"`` for a path.

        Raises:
            ValueError: a literal cannot be one of the port's type.
            ExpressionInvalid: the braces hold no key and no path.
        """
        name = reference(given)
        if name is None:
            return (converted(given, kind) if given is not None else None), None
        read = self._path(name) if "." in name or "[" in name else self._entry(name)
        if kind == "any":
            return NOTHING, read
        return NOTHING, lambda m: value if (value := read(m)) is NOTHING or value is None else converted(value, kind)

    def _entry(self, name: str) -> Callable[[Memory], Any]:
        number, key = self.place(name)
        return lambda m: m[SCOPES][number].get(key, NOTHING)

    def _path(self, name: str) -> Callable[[Memory], Any]:
        expression = Expression(name)
        data, evaluate = self.data(expression.names), expression.evaluate
        return lambda m: evaluate(data(m))

    def deep(self, given: Any) -> Callable[[Memory], Any]:
        """JSON in which every text ``"{key}"`` is read at run time; an absent entry raises LookupError."""
        if isinstance(given, dict):
            fields = [(key, self.deep(item)) for key, item in given.items()]
            return lambda m: {key: read(m) for key, read in fields}
        if isinstance(given, list):
            items = [self.deep(item) for item in given]
            return lambda m: [read(m) for read in items]
        literal, reader = self.value(given, "any")
        if reader is None:
            return lambda m: literal
        read = reader

        def present(m: Memory) -> Any:
            value = read(m)
            if value is NOTHING:
                raise LookupError(f"the blackboard has no {given}")
            return value

        return present

    def writer(self, given: Any) -> Callable[[Memory, Any], None]:
        """Writes to the entry that an output port is connected with: ``"{key}"``, or the bare key.

        Raises:
            ValueError: it names no entry.
        """
        scope, key = self.place(entry_of(given))
        return lambda m, value: write(m, scope, key, value)


def entry_of(given: Any) -> str:
    """The entry that an output names, in braces or not; raises ValueError where it names none."""
    name = reference(given) or given
    if type(name) is not str or not is_key(name):
        raise ValueError(f"{given!r} is no entry of a blackboard; an output is written '{{key}}'")
    return name
