"""A node: a value of a YAML document together with the place where it stands."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from agentflow_kernel.manifest._path import Step


class _Broken:
    """The type of :data:`BROKEN`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "BROKEN"


BROKEN = _Broken()
"""The value of a node about which a finding exists already: everything after that stays silent about it."""


class Node:
    """``value`` is ``dict[str, Node]``, ``list[Node]``, a JSON scalar or :data:`BROKEN`; its class tells which.

    ``line`` and ``column`` count from 1. A mapping or list that begins on a later line than its key stands where its
    key stands. ``keys`` holds the places of a mapping's keys and is ``None`` for all others.
    """

    __slots__ = ("column", "keys", "line", "value")

    def __init__(self, value: Any, line: int, column: int) -> None:
        self.value = value
        self.line = line
        self.column = column
        self.keys: dict[str, tuple[int, int]] | None = None

    def key_place(self, key: str) -> tuple[int, int]:
        """Line and column of a key of this mapping; the mapping's own for a key that is not there."""
        own = (self.line, self.column)
        return own if self.keys is None else self.keys.get(key, own)

    def locate(self, steps: Iterable[Step]) -> tuple[int, int]:
        """Line and column of the value under ``steps``, or of the last value on the way that is there."""
        node = self
        for step in steps:
            inner = node.value
            if inner.__class__ is list and isinstance(step, int) and 0 <= step < len(inner):
                node = inner[step]
            elif inner.__class__ is dict and str(step) in inner:
                node = inner[str(step)]  # validators give the key "7" as a number
            else:
                break
        return node.line, node.column
