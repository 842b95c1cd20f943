"""Schemas: what steps take and give, and whether one can fit the other, as far as that can be told before a run."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import cast
from urllib.parse import unquote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    from agentflow_kernel.contracts.tool import Tool
    from agentflow_kernel.contracts.values import JSON
    from agentflow_planner_llm.plan.step import Step

    Object: TypeAlias = Mapping[str, JSON]

RETURNS = "x-returns"
"""In a tool's parameters: the JSON Schema of its result."""
TRUSTED = "x-trusted"
"""In the schema of a parameter: true where no untrusted data may reach it."""
BATCH = "x-batch"
"""In a tool's parameters: ``{"tool": …, "parameter": …, "list": …}``, the tool that does many calls of this at once."""

_HOPS = 16
"""References of a schema that lead to each other and are followed in a row."""
_FORMS = 3
"""How many levels forms within forms count for: a small schema can have very many of them."""
ARGUMENTS_OF: Mapping[str, Object] = {
    "model": {
        "type": "object",
        "properties": {
            "prompt": {"type": "string"},
            "system": {"type": "string"},
            "with": {},
            "output_schema": {"type": "object"},
        },
        "required": ["prompt"],
        "additionalProperties": False,
    },
    "emit": {
        "type": "object",
        "properties": {"data": {}, "subject": {"type": "string"}},
        "additionalProperties": False,
    },
    "wait": {
        "type": "object",
        "properties": {"type": {"enum": ["timer", "signal", "event"]}},
        "required": ["type"],
    },
    "ask": {
        "type": "object",
        "properties": {
            "question": {"type": "string"},
            "choices": {"type": "array", "items": {"type": "string"}, "minItems": 1},
            "schema": {"type": "object"},
            "timeout_s": {"type": "number", "exclusiveMinimum": 0},
            "by": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["question"],
        "additionalProperties": False,
    },
    **{
        kind: {"type": "object", "properties": {"input": {}}, "additionalProperties": False}
        for kind in ("agent", "flow", "plan")
    },
}
"""The schema of ``args`` for the kinds of steps other than tools."""


def _wait(needed: str, rule: JSON, more: Object) -> Object:
    fields: Object = {"type": {"type": "string"}, needed: rule, **more}
    return {"type": "object", "properties": fields, "required": [needed], "additionalProperties": False}


_ANSWER: Object = {"schema": {"type": "object"}, "timeout_s": {"type": "number", "exclusiveMinimum": 0}}
_WAITS: Mapping[str, Object] = {
    "timer": _wait("seconds", {"type": "number", "exclusiveMinimum": 0}, {}),
    "signal": _wait("name", {"type": "string", "pattern": r"^[^!@/\[\]:]+$"}, _ANSWER),
    "event": _wait("event", {"type": "string"}, {"if": {"type": "string"}, **_ANSWER}),
}
"""The schema of the arguments of each type of wait."""


def arguments_of(kind: str, args: Object) -> Object | None:
    """The schema of the arguments of a step that calls no tool; that of a wait by its type."""
    if kind == "wait" and isinstance(args.get("type"), str):
        return _WAITS.get(str(args["type"]), ARGUMENTS_OF["wait"])
    return ARGUMENTS_OF.get(kind)


def result_schema(step: Step, tools: Mapping[str, Tool]) -> Object | None:
    """The schema of what a step gives, or ``None`` where nobody says it."""
    if step.returns is not None:
        return step.returns
    if step.kind == "tool":
        tool = tools.get(step.name)
        return None if tool is None else _object(tool.parameters.get(RETURNS))
    if step.kind == "model":
        return _object(step.args.get("output_schema")) or {"type": "string"}
    if step.kind == "emit" or (step.kind == "wait" and step.args.get("type") == "timer"):
        return {"type": "null"}
    if step.kind == "wait":
        return _EVENT if step.args.get("type") == "event" else _object(step.args.get("schema"))
    if step.kind == "ask":
        choices = step.args.get("choices")
        if isinstance(choices, list) and all(isinstance(choice, str) for choice in choices):
            return {"enum": choices}
        return _object(step.args.get("schema"))
    return None


_EVENT: Object = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "type": {"type": "string"},
        "source": {"type": "string"},
        "subject": {},
        "data": {},
    },
    "additionalProperties": False,
}
"""What a wait for an event gives."""


def _object(value: JSON) -> Object | None:
    return value if isinstance(value, Mapping) else None


def follow_path(schema: Object, path: Sequence[str | int]) -> tuple[Object | None, str | None]:
    """The schema of what a path leads to, ``None`` where nothing is said of it; and why the path leads nowhere."""
    at = _resolved(schema, schema)
    for part in path:
        names = _types(at)
        if isinstance(part, int):
            if names is not None and "array" not in names:
                return None, f"[{part}] looks into {_shown(names)}"
            inner = _item(at, part)
        else:
            if names is not None and "object" not in names:
                return None, f"{part!r} looks into {_shown(names)}"
            properties = properties_of(at)
            if part not in properties and at.get("patternProperties"):
                return None, None
            if part not in properties and at.get("additionalProperties") is False:
                return None, f"there is no {part!r}, only {', '.join(properties) or 'nothing'}"
            inner = properties.get(part)
        if not isinstance(inner, Mapping):
            return None, None
        at = _resolved(inner, schema)
    return at, None


def _resolved(schema: Object, root: Object) -> Object:
    """What a schema refers to, the schema itself where it refers to nothing; ``{}`` where that cannot be found."""
    for _ in range(_HOPS):
        if "$ref" not in schema:
            return schema
        schema = referred(root, schema["$ref"]) or {}
    return {}


def properties_of(schema: Object) -> Object:
    """The schemas of the properties, by name; none where the schema is not well formed."""
    return _object(schema.get("properties")) or {}


def parts_of_object(schema: Object, name: str) -> list[JSON]:
    """What holds for one property: its own schema and those of the patterns in its name, else that of the rest."""
    named = properties_of(schema)
    found: list[JSON] = [named[name]] if name in named else []
    patterns = _object(schema.get("patternProperties")) or {}
    found += [rule for pattern, rule in patterns.items() if _has_pattern(name, pattern)]
    return found or [schema.get("additionalProperties", True)]


def _has_pattern(name: str, pattern: str) -> bool:
    """Whether the pattern occurs in a name; one that Python cannot read is taken to."""
    try:
        return re.search(pattern, name) is not None
    except re.error:
        return True


def list_of(value: JSON) -> Sequence[JSON]:
    """A list as it is, an empty one for anything else."""
    return value if isinstance(value, list | tuple) else ()


def _item(schema: Object, index: int) -> JSON:
    """The schema of one item of a list; the first ones may have their own."""
    first = schema.get("prefixItems")
    if isinstance(first, list | tuple) and 0 <= index < len(first):
        return cast("JSON", first[index])
    return schema.get("items")


def required_of(schema: Object) -> Sequence[str]:
    """The names of the properties that must be there."""
    names = schema.get("required")
    return [name for name in names if isinstance(name, str)] if isinstance(names, list | tuple) else ()


def forms_of(root: Object, schemas: Sequence[Object]) -> list[Object] | None:
    """The schemas and all that they are composed of at the same place, or ``None`` where one refers to nothing here."""
    found: dict[int, Object] = {}
    waiting = list(schemas)
    while waiting:
        schema = waiting.pop()
        if id(schema) in found:
            continue
        found[id(schema)] = schema
        if "$ref" in schema or "$dynamicRef" in schema:
            target = referred(root, schema.get("$ref"))
            if target is None:
                return None
            waiting.append(target)
        for keyword in ("anyOf", "oneOf", "allOf"):
            waiting += _objects(schema.get(keyword))
        waiting += _objects([schema.get(keyword) for keyword in ("if", "then", "else", "not")])
        waiting += _objects(list((_object(schema.get("dependentSchemas")) or {}).values()))
    return list(found.values())


def children_of(schema: Object, part: str | int | None = None) -> list[Object]:
    """The schemas that may hold for a key or an index of a value, for any where none is given."""
    found: list[Object] = []
    if not isinstance(part, int):
        named = properties_of(schema)
        found += _objects(list(named.values()) if part is None else [named.get(part)])
        found += _objects(list((_object(schema.get("patternProperties")) or {}).values()))
        if part is None or part not in named:
            found += _objects([schema.get("additionalProperties"), schema.get("unevaluatedProperties")])
    if not isinstance(part, str):
        first = schema.get("prefixItems")
        listed = list(first) if isinstance(first, list | tuple) else []
        if part is None or part >= len(listed):
            found += _objects([schema.get("items"), schema.get("unevaluatedItems")])
        found += _objects(listed if part is None else listed[part : part + 1])
        found += _objects([schema.get("contains")])
    return found


def _objects(schemas: JSON) -> list[Object]:
    return [each for each in schemas if isinstance(each, Mapping)] if isinstance(schemas, list | tuple) else []


def referred(root: Object, reference: JSON) -> Object | None:
    """What a reference within a schema's own document leads to."""
    if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
        return None
    at: JSON = root
    for part in unquote(reference).split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(at, Mapping) and name in at:
            at = at[name]
        elif isinstance(at, list | tuple) and name.isdecimal() and int(name) < len(at):
            at = at[int(name)]
        else:
            return None
    return at if isinstance(at, Mapping) else {} if at is True or at is False else None


def mismatch(given: Object, wanted: Object, roots: tuple[Object, Object], depth: int = 8) -> str | None:
    """Why no value of one schema fits another, or ``None`` where one may: only what is certain is said.

    ``roots`` are the schemas that the two are parts of.
    """
    if depth <= 0:
        return None
    given, wanted = _resolved(given, roots[0]), _resolved(wanted, roots[1])
    for keyword in ("anyOf", "oneOf"):
        some = [mismatch(form, wanted, roots, depth - _FORMS) for form in _objects(given.get(keyword))]
        wished = [mismatch(given, form, roots, depth - _FORMS) for form in _objects(wanted.get(keyword))]
        for forms, schema in ((some, given), (wished, wanted)):
            if forms and None not in forms and len(forms) == len(list_of(schema[keyword])):
                return "; ".join(dict.fromkeys(map(str, forms)))
    return _mismatch_of_types(given, wanted, roots, depth)


def _mismatch_of_types(given: Object, wanted: Object, roots: tuple[Object, Object], depth: int) -> str | None:
    some, allowed = given.get("enum"), wanted.get("enum")
    if isinstance(some, list) and isinstance(allowed, list) and not any(choice in allowed for choice in some):
        return f"{some} has none of {allowed}"
    have, want = _types(given), _types(wanted)
    if have is None or want is None:
        return None
    if "number" in want:
        want = want | {"integer"}
    if "number" in have and "integer" in want:
        have = have | {"integer"}
    if not have & want:
        return f"{_shown(have)} where {_shown(want)} is wanted"
    if have == {"object"}:
        return _mismatch_of_objects(given, wanted, roots, depth)
    if have == {"array"}:
        if "prefixItems" in given or "prefixItems" in wanted:
            return None
        items, wished = _object(given.get("items")), _object(wanted.get("items"))
        problem = None if items is None or wished is None else mismatch(items, wished, roots, depth - 1)
        return None if problem is None else f"items: {problem}"
    return None


def _mismatch_of_objects(given: Object, wanted: Object, roots: tuple[Object, Object], depth: int) -> str | None:
    have, always, wish = properties_of(given), required_of(given), properties_of(wanted)
    closed = given.get("additionalProperties") is False and not given.get("patternProperties")
    for name in required_of(wanted):
        if name not in have and closed:
            return f"there is no {name!r}, which is required"
    patterns = bool(wanted.get("patternProperties"))
    for name, inner in have.items():
        if name not in always:
            continue
        if name not in wish and wanted.get("additionalProperties") is False and not patterns:
            return f"{name!r} is not allowed"
        schema, wished = _object(inner), _object(wish.get(name))
        problem = None if schema is None or wished is None else mismatch(schema, wished, roots, depth - 1)
        if problem is not None:
            return f"{name}: {problem}"
    return None


def _types(schema: Object) -> set[str] | None:
    """The types that a schema allows by ``type``, ``const`` or ``enum``; ``None`` where it does not say."""
    rule = schema.get("type")
    if isinstance(rule, str):
        return {rule}
    if isinstance(rule, list):
        return {str(name) for name in rule}
    values = schema.get("enum") if "enum" in schema else [schema["const"]] if "const" in schema else None
    return {_type_of(value) for value in values} if isinstance(values, list) else None


def _type_of(value: JSON) -> str:
    if value is None or isinstance(value, bool):
        return "null" if value is None else "boolean"
    if isinstance(value, int | float):
        return "integer" if isinstance(value, int) or value.is_integer() else "number"
    if isinstance(value, str):
        return "string"
    return "object" if isinstance(value, Mapping) else "array"


def _shown(names: set[str]) -> str:
    return " or ".join(sorted(names))
