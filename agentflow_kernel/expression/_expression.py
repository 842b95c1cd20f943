"""An expression: a text that gives a JSON value when it is evaluated with data."""

from __future__ import annotations

from agentflow_kernel.expression._place import Place
from agentflow_kernel.expression._read_text import ReadText, exhausted, plain
from agentflow_kernel.expression._values import SCALARS, copied, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from agentflow_kernel.expression._parser import Parser


class Expression(ReadText):
    """An expression, read once; the parameters and errors are those of :class:`ReadText`."""

    __slots__ = ("_run", "_place")

    def _compile(self, parser: Parser) -> None:
        self._run = parser.whole().run
        self._place = Place(parser.text, 0, len(parser.text))

    def evaluate(self, data: Mapping[str, Any]) -> Any:
        """The value with these data, a JSON value that shares nothing with them.

        Raises:
            ExpressionFailed: data is missing or is not JSON, types do not fit, or a bound is exceeded.
        """
        value = self._value(data)
        return value if type(value) in SCALARS else copied(value, self._place)[0]

    def test(self, data: Mapping[str, Any]) -> bool:
        """Whether it is true with these data.

        Raises:
            ExpressionFailed: as for :meth:`evaluate`, and for a value that is neither true nor false.
        """
        _, allowed, left = self._limits
        if type(data) is not dict or left < 0:
            value = self._value(data)
        else:  # without a call in between: guards are asked at every step
            try:
                value = self._run(data, [left, allowed])
            except RecursionError:
                raise exhausted(self._text) from None
        if value is True or value is False:
            return value
        raise self._place.fail(f"a condition must give true or false, not {shown(value)}")

    def _value(self, data: Mapping[str, Any]) -> Any:
        _, allowed, left = self._limits
        if left < 0:
            self._place.spend([left, allowed], 0)
        try:
            return self._run(data if type(data) is dict else plain(data, self._needs), [left, allowed])
        except RecursionError:
            raise exhausted(self._text) from None
