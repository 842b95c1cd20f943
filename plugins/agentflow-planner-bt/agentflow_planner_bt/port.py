"""A port: what a node reads or writes, with its direction, type and default."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

from agentflow_kernel.contracts.values import Value

if TYPE_CHECKING:
    from collections.abc import Mapping

Direction = Literal["in", "out", "inout"]


class _Nothing:
    """There is no value, which is not the same as null."""

    def __repr__(self) -> str:
        return "NOTHING"

    def __bool__(self) -> bool:
        return False


NOTHING: Any = _Nothing()
"""Stands for a value that was not given."""

_ALIASES = {
    **dict.fromkeys(("", "any", "BT::Any", "AnyTypeAllowed"), "any"),
    **dict.fromkeys(("boolean", "bool"), "boolean"),
    **dict.fromkeys(("integer", "int", "unsigned", "unsigned int", "int64_t", "uint64_t", "size_t"), "integer"),
    **dict.fromkeys(("number", "float", "double"), "number"),
    **dict.fromkeys(("string", "str", "std::string"), "string"),
    **dict.fromkeys(("array", "list"), "array"),
    **dict.fromkeys(("object", "dict"), "object"),
    "status": "status",
}
TYPES = tuple(dict.fromkeys(_ALIASES.values()))
"""The types of ports; other spellings of them (``int``, ``double``, ``std::string``) are understood too."""

KINDS: dict[type, str] = {
    bool: "boolean",
    int: "number",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
    type(None): "null",
}
"""What a value is on a blackboard, where whole numbers and fractions may take each other's place."""

_REFERENCE = re.compile(r"\s*\{\s*(@?[^\s{}\"',]+)\s*\}\s*")
_KEY = re.compile(r"@?[^\W\d]\w*(?:-\w+)*")
_INTEGER = re.compile(r"[+-]?\d{1,19}")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_TRUE, _FALSE = ("true", "True", "TRUE", "1"), ("false", "False", "FALSE", "0")


class Port(Value):
    """One port of a node.

    ``type`` is one of :data:`TYPES`. ``default`` stands for what the document leaves out: a literal, or ``"{key}"``.
    ``required``: a document that leaves it out is refused, unless there is a default.
    """

    __slots__ = ("direction", "type", "default", "required")

    def __init__(
        self, direction: Direction = "in", type: str = "any", default: Any = NOTHING, *, required: bool = False
    ) -> None:
        if direction not in {"in", "out", "inout"}:
            raise ValueError(f"A port is 'in', 'out' or 'inout', not {direction!r}.")
        if type not in _ALIASES:
            raise ValueError(f"{type!r} is no type of a port. Types: {', '.join(TYPES)}.")
        self.direction = direction
        self.type = _ALIASES[type]
        self.default = default
        self.required = required

    @classmethod
    def read(cls, fields: Mapping[str, Any]) -> Port:
        """The port that a document declares: ``{in: string, default: x}``, ``{out: number}``.

        Raises:
            ValueError: it has no direction, more than one, or an unknown field or type.
        """
        directions = [name for name in ("in", "out", "inout") if name in fields]
        unknown = [name for name in fields if name not in {"in", "out", "inout", "default", "required", "description"}]
        if len(directions) != 1 or unknown:
            found = f"the field {unknown[0]!r}" if unknown else f"{len(directions)} directions"
            raise ValueError(f"A port is written {{in: type}}, {{out: type}} or {{inout: type}}, not with {found}.")
        (direction,) = directions
        kind, default = fields[direction], fields.get("default", NOTHING)
        if type(kind) is not str:
            kind = "any" if kind is None else repr(kind)
        return cls(direction, kind, default, required=fields.get("required") is True)  # type: ignore[arg-type]


def reference(value: Any) -> str | None:
    """What ``"{key}"`` names, a key or a path such as ``order.total``; None for every other value."""
    if type(value) is str and value.lstrip()[:1] == "{" and (found := _REFERENCE.fullmatch(value)):
        return found[1]
    return None


def is_key(name: str) -> bool:
    """Whether a name may be an entry of a blackboard: letters, digits, ``_`` and ``-``, perhaps after an ``@``."""
    return _KEY.fullmatch(name) is not None


def converted(value: Any, kind: str) -> Any:
    """The value as one of the port's type; text is read as what it spells, as in XML.

    Raises:
        ValueError: it cannot be one.
    """
    found = type(value)
    if kind == "any":
        return value
    if kind == "string" and found in {int, float}:
        return str(value)
    if kind == "number" and found in {int, float}:
        return value
    if kind == "integer":
        if found is int:
            return value
        if found is float and value.is_integer():
            return int(value)
        if found is str and _INTEGER.fullmatch(value.strip()):
            return int(value)
    elif found is str:
        return _from_text(value, kind)
    elif kind == KINDS.get(found):
        return value
    raise ValueError(f"{_shown(value)} is no {kind}")


def _from_text(text: str, kind: str) -> Any:
    if kind == "string":
        return text
    stripped = text.strip()
    if kind == "number" and _NUMBER.fullmatch(stripped):
        return int(stripped) if _INTEGER.fullmatch(stripped) else float(stripped)
    if kind == "boolean" and stripped in (*_TRUE, *_FALSE):
        return stripped in _TRUE
    if kind == "status" and stripped.upper() in {"SUCCESS", "FAILURE", "SKIPPED", "RUNNING"}:
        return stripped.upper()
    if kind in {"array", "object"}:
        return _structure(stripped, kind)
    raise ValueError(f"{_shown(text)} is no {kind}")


def _structure(text: str, kind: str) -> Any:
    """A list or an object: JSON, or for a list the items between ``;``."""
    import json  # lazy: only for structured literals

    text = text.removeprefix("json:").strip()
    if text[:1] in {"[", "{"}:
        try:
            value = json.loads(text)
        except ValueError:
            value = None
        if KINDS[type(value)] == kind:
            return value
    elif kind == "array":
        return [guessed(item.strip()) for item in text.split(";")] if text else []
    raise ValueError(f"{_shown(text)} is no {kind}")


def guessed(text: str) -> Any:
    """The number or boolean that a text spells, otherwise the text: for XML, where everything is text."""
    if _INTEGER.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(text):
        return float(text)
    return {"true": True, "false": False}.get(text, text)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
