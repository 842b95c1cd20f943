"""An annotation: a plain JSON type of Python, read as a JSON Schema without the module ``typing``."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_PLAIN: Mapping[str, str] = {
    "str": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "None": "null",
    "NoneType": "null",
    "list": "array",
    "dict": "object",
}


def schema_of(annotation: object, names: Mapping[str, object] | None = None) -> dict[str, Any] | None:
    """The schema of ``str``, ``list[int]``, ``dict[str, X]``, ``X | None`` and the like; ``None`` for any other type.

    A text is read as source; a name that ``names`` (the globals of its module) give another meaning is not known.
    """
    if annotation is None:
        return {"type": "null"}
    if isinstance(annotation, str):
        return _of_text(annotation.strip(), names or {})
    arguments: tuple[object, ...] = getattr(annotation, "__args__", ())
    origin = getattr(annotation, "__origin__", None)
    if type(annotation).__name__ in ("UnionType", "Union", "_UnionGenericAlias"):
        return _any_of([schema_of(each, names) for each in arguments])
    if origin is None:
        return _named(annotation.__name__) if annotation in _TYPES else None  # type: ignore[attr-defined]  # a type
    return _container(origin.__name__, [schema_of(each, names) for each in arguments]) if origin in _TYPES else None


_TYPES: tuple[object, ...] = (str, int, float, bool, type(None), list, dict)


def _of_text(text: str, names: Mapping[str, object]) -> dict[str, Any] | None:
    """The schema of an annotation as it stands in the source."""
    if text[:1] in ("'", '"') and text[-1:] == text[:1]:
        return _of_text(text[1:-1].strip(), names)
    members = _split(text, "|")
    if len(members) > 1:
        return _any_of([_of_text(each, names) for each in members])
    name, bracket, rest = text.partition("[")
    if name in names or name not in _PLAIN:
        return None
    if not bracket:
        return _named(name)
    return _container(name, [_of_text(each, names) for each in _split(rest[:-1], ",")]) if rest[-1:] == "]" else None


def _split(text: str, mark: str) -> list[str]:
    """The parts between marks that stand in no brackets."""
    parts, depth, start = [], 0, 0
    for index, char in enumerate(text):
        depth += (char == "[") - (char == "]")
        if char == mark and not depth:
            parts.append(text[start:index].strip())
            start = index + 1
    return [*parts, text[start:].strip()]


def _named(name: str) -> dict[str, Any]:
    return {"type": _PLAIN[name]}


def _container(name: str, parts: list[dict[str, Any] | None]) -> dict[str, Any] | None:
    if name == "list" and len(parts) == 1:
        return {"type": "array"} if parts[0] is None else {"type": "array", "items": parts[0]}
    if name == "dict" and len(parts) == 2:
        return {"type": "object"} if parts[1] is None else {"type": "object", "additionalProperties": parts[1]}
    return None


def _any_of(parts: list[dict[str, Any] | None]) -> dict[str, Any] | None:
    known = [part for part in parts if part is not None]
    return {"anyOf": known} if known and len(known) == len(parts) else None
