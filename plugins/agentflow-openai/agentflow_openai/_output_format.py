"""An output format: how a request asks for JSON of a schema, by ``response_format`` or in words."""

from __future__ import annotations

import json
from typing import Literal, cast

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentflow_kernel.contracts.values import JSON

Structured = Literal["json_schema", "json_object", "prompt"]
"""What the server knows: schemas, only "some JSON object", or neither."""

_STRICT_WORDS = frozenset(
    [
        "type",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "anyOf",
        "enum",
        "const",
        "description",
        "title",
        "$ref",
        "$defs",
        "definitions",
        "pattern",
        "format",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minItems",
        "maxItems",
    ]
)
_MAPS = ("properties", "$defs", "definitions")


def encode_format(schema: Mapping[str, JSON], structured: Structured) -> dict[str, JSON] | None:
    """The field ``response_format``; ``None`` where the server has none and words must do."""
    if structured == "json_schema":
        return {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": schema, "strict": fits_strict(schema)},
        }
    return {"type": "json_object"} if structured == "json_object" else None


def ask_in_words(schema: Mapping[str, JSON]) -> str:
    """What tells the model of the schema where the server does not; ``json_object`` demands the word JSON."""
    text = json.dumps(schema, ensure_ascii=False)
    return f"Answer with one JSON value of this JSON Schema, and nothing else:\n{text}"


def fits_strict(schema: Mapping[str, JSON]) -> bool:
    """Whether the service takes the schema as ``strict``: the root an object, every member required, none added.

    Others are sent without ``strict`` and followed as well as the model can.
    Source: "Supported schemas" of the vendor's guide to structured outputs, read 2026-11-21.
    """
    return schema.get("type") == "object" and "anyOf" not in schema and _strict(schema)


def _strict(schema: JSON) -> bool:
    if not isinstance(schema, dict) or not schema.keys() <= _STRICT_WORDS:
        return False
    kinds = schema.get("type", ())
    if "object" in ([kinds] if isinstance(kinds, str) else cast("list[str]", kinds)) or "properties" in schema:
        members = schema.get("properties", {})
        required = schema.get("required", ())
        if schema.get("additionalProperties") is not False or not isinstance(members, dict):
            return False
        if not isinstance(required, (list, tuple)) or set(members) != set(required):
            return False
    inner: list[JSON] = []
    for word in _MAPS:
        found = schema.get(word, {})
        inner += found.values() if isinstance(found, dict) else [None]
    branches = schema.get("anyOf", ())
    inner += branches if isinstance(branches, (list, tuple)) else [None]
    if "items" in schema:
        inner.append(schema["items"])
    return all(_strict(one) for one in inner)
