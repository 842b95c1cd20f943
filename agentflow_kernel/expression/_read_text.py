"""A read text: what an expression and a script have in common, before they are evaluated."""

from __future__ import annotations

from agentflow_kernel.errors import ExpressionFailed, ExpressionInvalid
from agentflow_kernel.expression._functions import FUNCTIONS
from agentflow_kernel.expression._parser import Parser
from agentflow_kernel.expression._tokens import KEYWORDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import Any

MAX_LENGTH = 4_096
MAX_STEPS = 10_000


class ReadText:
    """A text that was read once, and immutable: it may be used by many threads, and is equal to one of the same text.

    ``predicates`` are functions of one text lent by who evaluates: ``In("paid")`` is true if the list that the data
    holds under ``In()`` has ``"paid"``. ``max_length`` is in characters. ``max_steps`` bounds what one evaluation
    does, in parts of the expression evaluated and items of the data looked at.

    Raises:
        ExpressionInvalid: the text cannot be read, is too long, or nested more than 64 deep.
    """

    __slots__ = ("_text", "_predicates", "_paths", "_needs", "_limits")

    def __init__(
        self,
        text: str,
        *,
        predicates: Collection[str] = (),
        max_length: int = MAX_LENGTH,
        max_steps: int = MAX_STEPS,
    ) -> None:
        try:
            parser = _opened(text, max_length, predicates)
            self._compile(parser)
        except RecursionError:
            raise ExpressionInvalid(text, 0, "a program without room on its stack", "a shallower caller") from None
        self._text = text
        self._predicates = tuple(sorted(set(predicates)))
        self._paths = tuple(parser.paths)
        self._needs = {str(path[0]) for path in self._paths}.union(f"{name}()" for name in predicates)
        self._limits = (max_length, max_steps, max_steps - len(parser.tokens))

    def _compile(self, parser: Parser) -> None:
        """Read all of the text."""
        raise NotImplementedError

    @property
    def text(self) -> str:
        """The text as it was given."""
        return self._text

    @property
    def names(self) -> frozenset[str]:
        """The top-level names of the data that it may read, before it has set them itself."""
        return frozenset(str(path[0]) for path in self._paths)

    @property
    def paths(self) -> tuple[tuple[str | int, ...], ...]:
        """The data paths that it may read, in the order of the text, each once.

        A path ends before the first step that only the data knows: that of ``items[n].price`` is ``("items",)``.
        """
        return self._paths

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._text)

    def _key(self) -> tuple[object, ...]:
        return self._text, self._predicates, self._limits

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._text!r})"

    def __reduce__(self) -> tuple[object, ...]:
        from functools import partial  # lazy: only for copies

        length, steps, _ = self._limits
        return partial(type(self), predicates=self._predicates, max_length=length, max_steps=steps), (self._text,)


def _opened(text: str, max_length: int, predicates: Collection[str]) -> Parser:
    """A parser for a text of at most so many characters."""
    if type(text) is not str:
        raise TypeError(f"An expression is a text, not {type(text).__name__}.")
    if len(text) > max_length:
        raise ExpressionInvalid(text, max_length, f"{len(text):,} characters", f"at most {max_length:,}")
    for name in predicates:
        if not name.isidentifier() or name in FUNCTIONS or name in ("has", "default", *KEYWORDS):
            raise ValueError(f"{name!r} cannot be a predicate: expected a name that is no function or keyword.")
    return Parser(text, predicates)


def plain(data: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """The data as a plain dictionary; of other mappings only what is needed is read."""
    if type(data) is dict:
        return data
    from collections.abc import Mapping as Kind  # lazy: only for data that is no dictionary

    if not isinstance(data, Kind):
        raise TypeError(f"The data of an expression is a mapping, not {type(data).__name__}.")
    return {name: data[name] for name in names if name in data}


def exhausted(text: str) -> ExpressionFailed:
    """The error when the program has used up its stack before the expression was evaluated."""
    return ExpressionFailed(text, text, "the program has no room left on its stack")
