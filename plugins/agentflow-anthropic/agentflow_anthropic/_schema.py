"""A native schema: an output schema in the part of JSON Schema that the vendor's structured outputs take.

What is left out (lengths, ranges, patterns) stands in descriptions instead, and is checked when the answer has come.
Source: https://platform.claude.com/docs/en/build-with-claude/structured-outputs, and summaries of its limits by others,
read through stored copies on 2026-11-21.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from agentflow_kernel.schema import write_compactly

if TYPE_CHECKING:
    from agentflow_kernel.contracts.values import JSON

_KEPT = {"type", "enum", "const", "title", "default", "description", "required"}
_FORMATS = {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}
_CHILD_LISTS = {"anyOf": "anyOf", "oneOf": "anyOf"}
_CHILD_MAPS = {"properties", "$defs", "definitions"}
_TOLD = {
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "pattern",
    "minItems", "maxItems", "uniqueItems", "format", "minProperties", "maxProperties",
}  # fmt: skip
_MOST_OPTIONAL = 24
"""Optional properties that one request may have."""


class _NotNative(Exception):
    """The vendor's mode cannot express the schema."""


def find_native_schema(schema: Mapping[str, JSON]) -> dict[str, JSON] | None:
    """The schema as the vendor takes it; ``None`` where it cannot say what is meant.

    That is so for a whole that is no object, for objects with names that are not known beforehand, for references
    that lead back to themselves, and for keywords that combine schemas in other ways.
    """
    if schema.get("type") != "object":
        return None
    try:
        return _Translation(schema).translate(schema, ())
    except _NotNative:
        return None


class _Translation:
    __slots__ = ("_root", "_optional")

    def __init__(self, root: Mapping[str, JSON]) -> None:
        self._root = root
        self._optional = 0

    def translate(self, schema: JSON, within: tuple[str, ...]) -> dict[str, JSON]:
        """One schema; ``within`` are the references that led here."""
        if not isinstance(schema, Mapping):
            raise _NotNative
        native: dict[str, JSON] = {}
        told: list[str] = []
        for keyword, rule in schema.items():
            if keyword in _KEPT:
                native[keyword] = rule
            elif keyword in _CHILD_LISTS and isinstance(rule, (list, tuple)):
                native[_CHILD_LISTS[keyword]] = [self.translate(child, within) for child in rule]
            elif keyword in _CHILD_MAPS and isinstance(rule, Mapping):
                native[keyword] = {name: self.translate(child, within) for name, child in rule.items()}
            elif keyword == "items":
                native[keyword] = self.translate(rule, within)
            elif keyword == "$ref":
                native[keyword] = self._follow(str(rule), within)
            elif (keyword == "format" and rule in _FORMATS) or (keyword == "minItems" and rule in {0, 1}):
                native[keyword] = rule
            elif keyword in _TOLD:
                told.append(f"{keyword}: {write_compactly(rule)}")
            elif keyword not in {"additionalProperties", "$schema", "$id", "$comment", "examples"}:
                raise _NotNative
        if told:
            native["description"] = " ".join(
                [*filter(None, [str(native.get("description", ""))]), f"({', '.join(told)})"]
            )
        if _holds_object(schema):
            self._close(schema, native)
        return native

    def _close(self, schema: Mapping[str, JSON], native: dict[str, JSON]) -> None:
        """Objects have no further properties on the vendor's side; one that is meant to cannot be expressed."""
        properties = schema.get("properties")
        if not isinstance(properties, Mapping) or not properties or schema.get("additionalProperties"):
            raise _NotNative
        native["additionalProperties"] = False
        required = schema.get("required")
        self._optional += len(properties) - (len(required) if isinstance(required, (list, tuple)) else 0)
        if self._optional > _MOST_OPTIONAL:
            raise _NotNative

    def _follow(self, reference: str, within: tuple[str, ...]) -> str:
        """The reference, if it leads to a definition of the whole and not round in a circle."""
        found: JSON = self._root
        for step in reference.removeprefix("#/").split("/"):
            found = found.get(step) if isinstance(found, Mapping) else None
        if not reference.startswith("#/") or found is None or reference in within:
            raise _NotNative
        self.translate(found, (*within, reference))
        return reference


def _holds_object(schema: Mapping[str, JSON]) -> bool:
    kind = schema.get("type")
    return kind == "object" or (isinstance(kind, (list, tuple)) and "object" in kind) or "properties" in schema
