"""A reader of calls: numbered lines such as ``2. files.read({"path": $1})``, read piece by piece as they are written.

The one place where text such as ``$1`` is a reference, and only where it stands as a value of its own: in a string it
is a piece of that string.
"""

from __future__ import annotations

import json
import re
from typing import cast

from agentflow_kernel.contracts.values import Value
from agentflow_planner_llm.plan.limits import find_excess

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from agentflow_kernel.contracts.values import JSON

_LINE = re.compile(r"\s*(\d{1,4})\s*[.)]\s*([A-Za-z_][\w.\-]*)\s*\((.*)\)\s*;?\s*$", re.DOTALL)
_NAME = re.compile(r"\s*([A-Za-z_]\w*)\s*=")
_REFERENCE = re.compile(r"\$(?:(\d{1,4})|\{(\d{1,4})\})((?:\.\w+|\[\d+\])*)")


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{text[:40]} is no number that can be stored")
    return number


_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite)
JOIN = "join"
"""The name of the call that ends a plan."""


class Call(Value):
    """One call that was read: its number, the tool, and the arguments with references as plans write them."""

    __slots__ = ("number", "tool", "args")

    def __init__(self, number: int, tool: str, args: dict[str, JSON]) -> None:
        self.number = number
        self.tool = tool
        self.args = args

    def to_step(self) -> dict[str, JSON]:
        """The call as a step of a plan."""
        return {"id": f"s{self.number}", "kind": "tool", "name": self.tool, "args": self.args}


class CallReader:
    """Reads calls from text that comes in pieces; ``problems`` are the lines that are no calls, each with the reason.

    Lines that begin with no number are thoughts and passed over. ``joined`` says that the plan was ended. ``rest`` is
    the line that is not whole yet, with which another reader goes on.
    """

    __slots__ = ("problems", "joined", "rest")

    def __init__(self, rest: str = "") -> None:
        self.problems: list[str] = []
        self.joined = False
        self.rest = rest

    def feed(self, text: str) -> list[Call]:
        """The calls that are complete with this piece."""
        lines = (self.rest + text).split("\n")
        self.rest = lines.pop()
        return self._read(lines)

    def close(self) -> list[Call]:
        """The calls of what is left, at the end of the text."""
        lines, self.rest = [self.rest], ""
        return self._read(lines)

    def _read(self, lines: list[str]) -> list[Call]:
        found: list[Call] = []
        for line in lines:
            if self.joined or not line.lstrip()[:1].isdigit():
                continue
            matched = _LINE.match(line)
            if matched is None:
                self.problems.append(f"{line.strip()[:200]!r} is no call such as 1. tool({{...}})")
                continue
            number, tool, inside = int(matched[1]), matched[2], matched[3]
            if tool == JOIN:
                self.joined = True
                continue
            try:
                arguments = _read_arguments(inside.strip())
            except (ValueError, RecursionError) as fault:
                self.problems.append(f"call {number}: {fault}")
                continue
            excess = find_excess(arguments)
            if excess is None:
                found.append(Call(number, tool, arguments))
            else:
                self.problems.append(f"call {number}: {excess[0]}")
        return found


def _read_arguments(text: str) -> dict[str, JSON]:
    """One JSON object, or ``name=value`` pairs; raises :class:`ValueError`."""
    if text.startswith("{"):
        value, end = _value(text, 0)
        if text[end:].strip() or not isinstance(value, dict):
            raise ValueError(f"expected one JSON object, not {text[:100]!r}")
        return cast("dict[str, JSON]", value)
    found: dict[str, JSON] = {}
    at = 0
    while at < len(text):
        matched = _NAME.match(text, at)
        if matched is None:
            raise ValueError(f"expected name=value at {text[at : at + 40]!r}")
        found[matched[1]], at = _value(text, matched.end())
        rest = text[at:].lstrip()
        if rest and not rest.startswith(","):
            raise ValueError(f"expected a comma at {rest[:40]!r}")
        at = len(text) - len(rest) + (1 if rest else 0)
    return found


def _value(text: str, at: int) -> tuple[JSON, int]:
    """The value that begins at a place, and where it ends: JSON in which ``$1`` may stand for a value."""
    while at < len(text) and text[at].isspace():
        at += 1
    if text[at : at + 1] == "$":
        matched = _REFERENCE.match(text, at)
        if matched is None:
            raise ValueError(f"expected $ and a number at {text[at : at + 20]!r}")
        return {"$ref": f"s{int(matched[1] or matched[2])}.result{matched[3]}"}, matched.end()
    if text[at : at + 1] in {"{", "["}:
        return _container(text, at)
    value, end = _DECODER.raw_decode(text, at)
    return value, end


def _container(text: str, at: int) -> tuple[JSON, int]:
    """An object or a list, which may hold references."""
    opening = text[at]
    closing = "}" if opening == "{" else "]"
    fields: dict[str, JSON] = {}
    items: list[JSON] = []
    at += 1
    while True:
        at = _skip(text, at, "," if fields or items else "")
        if text[at : at + 1] == closing:
            return (fields if opening == "{" else items), at + 1
        if opening == "{":
            name, at = _DECODER.raw_decode(text, at)
            at = _skip(text, at, ":")
            fields[str(name)], at = _value(text, at)
        else:
            value, at = _value(text, at)
            items.append(value)


def _skip(text: str, at: int, mark: str) -> int:
    """Past blanks and one mark, if it is there; raises :class:`ValueError` at the end of the text."""
    while at < len(text) and (text[at].isspace() or text[at] == mark):
        mark = "" if text[at] == mark else mark
        at += 1
    if at >= len(text):
        raise ValueError("the arguments are not closed")
    return at
