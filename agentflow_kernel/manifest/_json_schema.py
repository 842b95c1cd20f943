"""A JSON Schema (draft 2020-12) of each kind, for editors and for checks outside the framework.

It says all that can be said about one resource alone; names, routes, references and plugins are checked by ``read``.
"""

from __future__ import annotations

from agentflow_kernel.errors import UnknownName
from agentflow_kernel.manifest._json import Data, Json
from agentflow_kernel.manifest._kinds import KINDS, RESOURCES
from agentflow_kernel.manifest._mention import Code, Link, PrefixedLink, ToolLink
from agentflow_kernel.manifest._record import AtMostOne, ExactlyOne, FirstKey, FlagOr, Needs, Record, Short
from agentflow_kernel.manifest._shape import Choice, ListOf, MapOf, Name, Nullable, Number, Text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from agentflow_kernel.manifest._shape import Shape


def json_schema(kind: str) -> dict[str, Any]:
    """The JSON Schema of a whole resource of this kind.

    Raises:
        UnknownName: there is no such kind.
    """
    if kind not in KINDS:
        raise UnknownName("kind", kind, KINDS)
    schema = _schema(RESOURCES[kind])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": kind, **schema}


def _schema(shape: Shape) -> dict[str, Any]:
    for cls in type(shape).__mro__:
        if cls in _BY_CLASS:
            return _BY_CLASS[cls](shape)
    raise TypeError(f"{type(shape).__name__} has no JSON Schema")  # a new shape needs a line in the table below


def _text(shape: Text) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "description": shape.expected}


def _pattern(pattern: str, shape: Shape) -> dict[str, Any]:
    return {"type": "string", "pattern": f"^{pattern}$", "description": shape.expected}


def _name(shape: Name) -> dict[str, Any]:
    schema = _pattern(Name.PATTERN, shape)
    return {**schema, "not": {"enum": list(shape.reserved)}} if shape.reserved else schema


def _tool(shape: ToolLink) -> dict[str, Any]:
    tool = rf"\.{ToolLink.TOOL}"
    return _pattern(Link.PATTERN + (f"({tool})?" if shape.whole else tool), shape)


def _prefixed(shape: PrefixedLink) -> dict[str, Any]:
    return _pattern(f"({'|'.join(kind.lower() for kind in shape.kinds)})/{Link.PATTERN}", shape)


def _number(shape: Number) -> dict[str, Any]:
    limits = {"minimum": shape.minimum, "maximum": shape.maximum, "exclusiveMinimum": shape.above}
    kept = {key: limit for key, limit in limits.items() if limit is not None}
    return {"type": "integer" if shape.whole else "number", **kept}


def _nullable(shape: Nullable) -> dict[str, Any]:
    return {"anyOf": [_schema(shape.inner), {"type": "null"}], "description": shape.expected}


def _map(shape: MapOf) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object", "additionalProperties": _schema(shape.inner)}
    if shape.key is not None:
        schema["propertyNames"] = _schema(shape.key)
    if shape.minimum:
        schema["minProperties"] = shape.minimum
    return {**schema, "description": shape.expected}


def _json(shape: Json) -> dict[str, Any]:
    return {**({"type": "object"} if shape.mapping else {}), "description": shape.expected}


def _data(shape: Data) -> dict[str, Any]:
    reference: dict[str, Any] = {
        "type": "object",
        "properties": {"$ref": {"type": "string", "minLength": 1}},
        "required": ["$ref"],
        "additionalProperties": False,
    }
    other = {"": [], "list": [{"type": "array"}], "text": [{"type": "string"}]}[shape.instead]
    return {"anyOf": [reference, *other], "description": shape.expected}


def _short(shape: Short) -> dict[str, Any]:
    return {"anyOf": [_schema(shape.record.fields[shape.field]), _schema(shape.record)]}


def _record(shape: Record) -> dict[str, Any]:
    properties = {field: _schema(inner) for field, inner in shape.fields.items()}
    for field, default in shape.defaults.items():
        if not isinstance(default, FirstKey):
            properties[field]["default"] = default
    rules: list[dict[str, Any]] = []
    dependent: dict[str, Any] = {}
    for rule in shape.rules:
        present = [{"required": [field]} for field in rule.fields]
        if isinstance(rule, ExactlyOne):
            rules.append({"oneOf": present})
        elif isinstance(rule, AtMostOne):
            rules.append({"not": {"required": list(rule.fields)}})
        elif isinstance(rule, Needs):
            dependent[rule.fields[0]] = {"anyOf": present[1:]}
    return {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "description": shape.expected,
        **({"required": list(shape.required)} if shape.required else {}),
        **({"allOf": rules} if rules else {}),
        **({"dependentSchemas": dependent} if dependent else {}),
    }


_BY_CLASS: dict[type, Callable[[Any], dict[str, Any]]] = {
    Choice: lambda shape: {"enum": list(shape.words)},
    Code: lambda shape: _pattern(Code.PATTERN, shape),
    Data: _data,
    FlagOr: lambda shape: {"anyOf": [{"type": "boolean"}, _schema(shape.record)], "description": shape.expected},
    Json: _json,
    Link: lambda shape: _pattern(Link.PATTERN, shape),
    ListOf: lambda shape: {"type": "array", "items": _schema(shape.inner), "description": shape.expected},
    MapOf: _map,
    Name: _name,
    Nullable: _nullable,
    Number: _number,
    PrefixedLink: _prefixed,
    Record: _record,
    Short: _short,
    Text: _text,
    ToolLink: _tool,
}
