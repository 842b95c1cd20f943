"""A place: the sub-expression that an evaluation stands at, and the steps that it may still take.

An expression has no loop, so each of its parts is evaluated at most once and the parts are paid for in advance. What
remains to be counted is work that depends on the data: one step for each item compared or looked at, one for each
:data:`BULK` characters or items that are read or moved together.
"""

from __future__ import annotations

from agentflow_kernel.errors import ExpressionFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Work = list[int]
    """The steps left and the steps allowed; made anew for each evaluation."""
    Run = Callable[[dict[str, Any], Work], Any]
    """A compiled part: gives a value whose kind is one of JSON, and whose items have not been looked at."""

BULK = 256


class Place:
    """The characters ``start`` to ``end`` of an expression."""

    __slots__ = ("source", "start", "end")

    def __init__(self, source: str, start: int, end: int) -> None:
        self.source = source
        self.start = start
        self.end = end

    def fail(self, problem: str) -> ExpressionFailed:
        """The error to raise when this part has no value."""
        return ExpressionFailed(self.source, self.source[self.start : self.end], problem)

    def spend(self, work: Work, steps: int) -> None:
        """Take so many steps from those left; raises :class:`ExpressionFailed` when there are not enough."""
        work[0] -= steps
        if work[0] < 0:
            raise self.fail(f"the evaluation takes more than {work[1]:,} steps")


class Part:
    """A compiled sub-expression: how it is evaluated and what is known without data."""

    __slots__ = ("run", "place", "constant", "value", "path")

    def __init__(self, run: Run, place: Place) -> None:
        self.run = run
        self.place = place
        self.constant = False
        self.value: Any = None
        """The value of a constant; shared by all evaluations, so never to be changed."""
        self.path: tuple[str, list[str | int | Part], list[Place]] | None = None
        """Of a data path: its name, its steps, and the places of the name and of each step."""


def constant(value: Any, place: Place) -> Part:
    """A part whose value is known."""
    part = Part(lambda data, work: value, place)
    part.constant = True
    part.value = value
    return part
