"""The form of a schema: that what stands for a JSON Schema in a plan is one."""

from __future__ import annotations

import re
from collections.abc import Mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TYPES = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})


def find_fault(schema: object, place: str = "") -> str | None:
    """What is wrong with a schema, with a JSON pointer into it, or ``None``; unknown words are taken."""
    if schema is True or schema is False:
        return None
    if not isinstance(schema, Mapping):
        return f"{place or 'it'} must be an object or a boolean"
    for keyword, rule in schema.items():
        check = _KEYWORDS.get(keyword)
        if check is not None and (expected := check(rule)) is not None:
            return f"{place}/{keyword} must be {expected}"
        for below, inner in _schemas_in(keyword, rule):
            fault = find_fault(inner, f"{place}/{below}")
            if fault is not None:
                return fault
    return None


def _schemas_in(keyword: str, rule: object) -> Iterator[tuple[str, object]]:
    """The schemas that a keyword holds, each with its place."""
    if keyword in _ONE:
        yield keyword, rule
    elif keyword in _MANY and isinstance(rule, list | tuple):
        for index, schema in enumerate(rule):
            yield f"{keyword}/{index}", schema
    elif keyword in _NAMED and isinstance(rule, Mapping):
        for name, schema in rule.items():
            yield f"{keyword}/{name}", schema


def _type(rule: object) -> str | None:
    names = [rule] if isinstance(rule, str) else rule
    if isinstance(names, list | tuple) and names and all(isinstance(name, str) and name in TYPES for name in names):
        return None
    return f"one or a list of {', '.join(sorted(TYPES))}"


def _list(rule: object) -> str | None:
    return None if isinstance(rule, list | tuple) else "a list"


def _texts(rule: object) -> str | None:
    good = isinstance(rule, list | tuple) and all(isinstance(name, str) for name in rule)
    return None if good else "a list of texts"


def _object(rule: object) -> str | None:
    return None if isinstance(rule, Mapping) else "an object"


def _patterns(rule: object) -> str | None:
    if not isinstance(rule, Mapping):
        return "an object"
    return next((problem for pattern in rule if (problem := _pattern(pattern)) is not None), None)


def _text(rule: object) -> str | None:
    return None if isinstance(rule, str) else "a text"


def _flag(rule: object) -> str | None:
    return None if isinstance(rule, bool) else "true or false"


def _pattern(rule: object) -> str | None:
    if not isinstance(rule, str):
        return "a regular expression, as a text"
    try:
        re.compile(rule)
    except (re.error, RecursionError, OverflowError) as error:
        return f"a regular expression ({error})"
    return None


def _number(rule: object) -> str | None:
    return None if isinstance(rule, int | float) and not isinstance(rule, bool) else "a number"


def _step(rule: object) -> str | None:
    return None if isinstance(rule, int | float) and not isinstance(rule, bool) and rule > 0 else "a number above 0"


def _size(rule: object) -> str | None:
    good = isinstance(rule, int | float) and not isinstance(rule, bool) and rule >= 0 and rule == int(rule)
    return None if good else "a whole number that is not negative"


_ONE = frozenset({
    "items", "additionalProperties", "propertyNames", "not", "contains", "if", "then", "else", "unevaluatedItems",
    "unevaluatedProperties",
})  # fmt: skip
_MANY = frozenset({"prefixItems", "anyOf", "oneOf", "allOf"})
_NAMED = frozenset({"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"})
_KEYWORDS: Mapping[str, Callable[[object], str | None]] = {
    "type": _type, "enum": _list, "required": _texts, "pattern": _pattern, "patternProperties": _patterns,
    "uniqueItems": _flag, "$ref": _text, "multipleOf": _step,
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _number),
    **dict.fromkeys(
        ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"), _size
    ),
    **dict.fromkeys(sorted(_MANY), _list),
    **dict.fromkeys(sorted(_NAMED - {"patternProperties"}), _object),
}  # fmt: skip
