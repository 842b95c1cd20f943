"""A fit: a quick look at whether arguments surely fit a schema, worked out once for each schema of a plan's tools.

It knows the words that nearly all schemas of tools are made of. What it does not take may fit nevertheless: the full
check has the last word, and the sentences.
"""

from __future__ import annotations

from collections.abc import Mapping

from agentflow_kernel.schema import find_problems

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from agentflow_kernel.contracts.values import JSON

    Object: TypeAlias = Mapping[str, JSON]
    Fit: TypeAlias = Callable[[object], bool]

_CLASSES: Mapping[str, tuple[type, ...]] = {
    "string": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,), "null": (type(None),)
}  # fmt: skip
_NOTES = frozenset({
    "title", "description", "default", "examples", "format", "deprecated", "readOnly", "writeOnly", "$comment", "$defs",
    "definitions",
})  # fmt: skip
"""Words that refuse nothing."""
_OF_OBJECTS = frozenset({"type", "properties", "required", "additionalProperties"})
_OF_LISTS = frozenset({"type", "items"})
_DEEPEST = 8
"""How deep a schema is looked into."""


def make_fit(schema: Object) -> Fit:
    """Whether a value surely fits; a reference in it fits anywhere."""
    return _make(schema, schema, _DEEPEST)


def _make(schema: JSON, root: Object, depth: int) -> Fit:
    if not isinstance(schema, Mapping):
        return _any if schema is True else _reference
    words = {word for word in schema if word not in _NOTES and not word.startswith("x-")}
    kind = schema.get("type")
    if not words:
        return _any
    if depth:
        if (kind == "object" or kind is None) and words <= _OF_OBJECTS:
            return _object(schema, root, depth - 1)
        if kind == "array" and words <= _OF_LISTS:
            return _list(_make(schema.get("items", True), root, depth - 1))
    if words == {"type"} and isinstance(kind, str) and kind in _CLASSES:
        return _plain(*_CLASSES[kind])
    return _scalar(schema, root)


def _any(_value: object) -> bool:
    return True


def _reference(value: object) -> bool:
    return value.__class__ is dict and "$ref" in value


def _none(_value: object) -> bool:
    return False


def _plain(*kinds: type) -> Fit:
    return lambda value: value.__class__ in kinds or _reference(value)


def _scalar(schema: Object, root: Object) -> Fit:
    """For any other schema: what has no inside is checked in full."""

    def fits(value: JSON) -> bool:
        if value.__class__ is dict or value.__class__ is list:
            return _reference(value)
        return not find_problems(value, schema, root)

    return fits  # type: ignore[return-value]  # whatever is in a plan is JSON


def _list(item: Fit) -> Fit:
    def fits(value: object) -> bool:
        return all(map(item, value)) if value.__class__ is list else _reference(value)

    return fits


def _object(schema: Object, root: Object, depth: int) -> Fit:
    named, more, names = (
        schema.get("properties", {}),
        schema.get("additionalProperties", True),
        schema.get("required", ()),
    )
    if not isinstance(named, Mapping) or not isinstance(names, list | tuple):
        return _reference  # a schema that is none has its own sentence
    if not all(isinstance(name, str) for name in names):
        return _reference
    fields = {name: _make(part, root, depth) for name, part in named.items()}
    other = _none if more is False else _make(more, root, depth)
    required = frozenset(map(str, names))

    def fits(value: dict[str, object]) -> bool:
        if value.__class__ is not dict:
            return False
        if "$ref" in value:
            return True
        for name, item in value.items():
            if not fields.get(name, other)(item):
                return False
        return value.keys() >= required

    return fits  # type: ignore[return-value]  # asked of any value
