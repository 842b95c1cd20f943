"""A finding: one fault of a graph, as a sentence with a stable code and the place in the flow where it stands."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self


class Finding(str):
    """The sentence, ending in its code: ``… [F009]``. ``where`` is the path below the flow's spec, ``()`` for all."""

    __slots__ = ("code", "where")

    code: str
    where: tuple[str | int, ...]

    def __new__(cls, code: str, text: str, *where: str | int) -> Self:
        """Made of code, sentence and place."""
        finding = super().__new__(cls, f"{text} [{code}]")
        finding.code = code
        finding.where = where
        return finding


EMPTY = "F001"
START = "F002"
UNKNOWN_NODE = "F003"
NAME = "F004"
OPTION = "F005"
UNKNOWN_VALUE = "F006"
ITEM = "F007"
HOLDS_ITSELF = "F008"
UNREACHABLE = "F009"
UNKNOWN_ACTION = "F010"
DEAD_END = "F011"
MISSING_INPUT = "F012"
ENDLESS = "F013"
JOIN = "F014"
CONDITION = "F015"
FAN_OUT = "F016"
STATE_KEY = "F017"
UNWRITTEN = "F018"
MAY_NOT_RUN = "F019"
MISMATCH = "F020"
