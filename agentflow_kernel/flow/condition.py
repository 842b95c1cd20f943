"""A condition: an expression over a run's input, state and results that decides where a result goes."""

from __future__ import annotations

from agentflow_kernel.errors import ExpressionInvalid, UsageError
from agentflow_kernel.flow.node import END

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agentflow_kernel.expression import Expression

KNOWN = ("input", "state")
"""Names that every condition may use, besides its own value and ``<node>.result``."""


class Condition:
    """A text of the expression language, read once; what is wrong with it is kept for the check of the graph.

    ``value`` is the name of the value that is decided about: ``result`` behind a node, ``value`` before a branch.
    """

    __slots__ = ("text", "value", "problem", "_expression")

    def __init__(self, text: object, value: str) -> None:
        self.text = text
        self.value = value
        self.problem = ""
        self._expression: Expression | None = None
        from agentflow_kernel.expression import Expression as Read  # lazy: only flows with conditions pay

        if not isinstance(text, str):
            self.problem = f"expected a text, found {type(text).__name__}"
            return
        try:
            self._expression = Read(text)
        except ExpressionInvalid as error:
            self.problem = str(error)

    @property
    def paths(self) -> tuple[tuple[str | int, ...], ...]:
        """The data paths it may read; none where the text cannot be read."""
        return self._expression.paths if self._expression is not None else ()

    def holds(self, roots: Mapping[str, object], value: object) -> bool:
        """Whether it is true now; raises :class:`ExpressionFailed` where the data does not fit."""
        if self._expression is None:
            raise UsageError(f"Condition {self.text!r}: {self.problem}")
        data: dict[str, object] = {}
        for name in self._expression.names:
            if name == self.value:
                data[name] = value
            elif name in KNOWN:
                data[name] = roots[name]
            else:
                try:
                    data[name] = {"result": roots[name]}
                except KeyError:  # it has not run yet: `has` and `default` allow for that
                    data[name] = {}
        return self._expression.test(data)


class Case:
    """One entry of ``when``: where a result goes if the condition holds; the last entry has none and takes the rest."""

    __slots__ = ("condition", "target")

    def __init__(self, condition: Condition | None, target: str) -> None:
        self.condition = condition
        self.target = target


def cases_of(node: str, entries: Iterable[Mapping[str, object]]) -> tuple[Case, ...]:
    """The cases of ``[{"if": "result > 9", "next": "big"}, {"next": "small"}]``; ``None`` or ``END`` ends the flow."""
    cases = []
    for entry in entries:
        if "next" not in entry or set(entry) - {"if", "next"}:
            raise UsageError(
                f"Node {node!r}: an entry of 'when' has 'next' and, but for the last, 'if'; not {entry!r}."
            )
        target = entry["next"]
        condition = Condition(entry["if"], "result") if "if" in entry else None
        cases.append(Case(condition, END if target is None else str(target)))
    return tuple(cases)
