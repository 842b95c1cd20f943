"""A sound schema: one that says what its author meant, as far as that can be seen before a value is there.

A schema that is none, or is misspelt, would refuse nothing, or everything, and tell nobody. Words that JSON Schema does
not know are annotations and allowed, unless they look like a slip of the pen in one that it knows.
"""

from __future__ import annotations

from collections.abc import Mapping

from agentflow_kernel.errors import nearest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    Problems = Iterator[tuple[str, str]]

_MOST = 5
"""Problems named at a time."""
_REMEMBERED = 256
"""Sound schemas that are kept in mind."""
TYPES = ("object", "array", "string", "number", "integer", "boolean", "null")
_OTHERS = frozenset((
    "$schema", "$id", "$anchor", "$comment", "$vocabulary", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "id",
    "title", "description", "default", "example", "examples", "deprecated", "readOnly", "writeOnly", "format",
    "contentEncoding", "contentMediaType", "contentSchema", "dependentRequired", "dependencies", "minContains",
    "maxContains", "nullable", "discriminator", "xml", "externalDocs",
))  # fmt: skip
"""Words of JSON Schema and OpenAPI that are not checked."""

_sound: dict[int, object] = {}
"""Schemas that were found sound, by ``id``; each is held, so that no other can have its ``id``."""


def find_schema_problems(schema: Any) -> list[str]:
    """What is wrong with a JSON Schema, at most five sentences that name the place; empty for a sound one.

    A schema that was sound is not looked at again while it is among the last of them: one object that is given with
    each call is checked once.
    """
    if id(schema) in _sound:
        return []
    try:
        found = [f"{where or 'the whole schema'}: {problem}" for where, problem in _walk(schema, "", schema)]
    except RecursionError:
        return ["the whole schema: is nested too deeply, or holds itself"]
    if not found:
        if len(_sound) >= _REMEMBERED:
            _sound.clear()
        _sound[id(schema)] = schema
    return found[:_MOST]


def _walk(schema: Any, where: str, root: Any) -> Problems:
    if isinstance(schema, bool):
        return
    if not isinstance(schema, (dict, Mapping)):
        yield where, f"a JSON Schema is an object, true or false, not {_shown(schema)}"
        return
    for word, rule in schema.items():
        if word == "$ref":
            yield from _reference(rule, f"{where}/$ref", root)
            continue
        check = _RULES.get(word)
        if check is not None:
            yield from check(rule, f"{where}/{_escaped(word)}", root)
        elif word not in _OTHERS and not (isinstance(word, str) and word.startswith(("x-", "$"))):
            close = _slip_of(word)
            if close is not None:
                text = f"is no word of JSON Schema (did you mean {close!r}?); one of your own begins with 'x-'"
                yield f"{where}/{_escaped(word)}", text


def _type(rule: Any, where: str, root: Any) -> Problems:
    names = rule if isinstance(rule, (list, tuple)) and rule else [rule]
    for name in names:
        if name not in TYPES:
            close = nearest(name, TYPES) if isinstance(name, str) else None
            hint = f" (did you mean {close!r}?)" if close else ""
            yield where, f"{_shown(name)} is no type{hint}, expected {', '.join(TYPES)} or a list of them"


def _schemas_by_name(rule: Any, where: str, root: Any) -> Problems:
    if not isinstance(rule, (dict, Mapping)):
        yield where, f"must be an object of schemas, not {_shown(rule)}"
        return
    for name, part in rule.items():
        yield from _walk(part, f"{where}/{_escaped(name)}", root)


def _schemas(rule: Any, where: str, root: Any) -> Problems:
    if not isinstance(rule, (list, tuple)) or not rule:
        yield where, f"must be a list of schemas with at least one, not {_shown(rule)}"
        return
    for index, part in enumerate(rule):
        yield from _walk(part, f"{where}/{index}", root)


def _items(rule: Any, where: str, root: Any) -> Problems:
    if isinstance(rule, (list, tuple)):
        yield where, "must be one schema for all items; 'prefixItems' takes a list, one for each"
    else:
        yield from _walk(rule, where, root)


def _names(rule: Any, where: str, root: Any) -> Problems:
    if not isinstance(rule, (list, tuple)) or not all(isinstance(name, str) for name in rule):
        yield where, f"must be a list of names, not {_shown(rule)}"


def _values(rule: Any, where: str, root: Any) -> Problems:
    if not isinstance(rule, (list, tuple)):
        yield where, f"must be a list of the allowed values, not {_shown(rule)}"


def _anything(rule: Any, where: str, root: Any) -> Problems:
    return iter(())


def _flag(rule: Any, where: str, root: Any) -> Problems:
    if not isinstance(rule, bool):
        yield where, f"must be true or false, not {_shown(rule)}"


def _pattern(rule: Any, where: str, root: Any) -> Problems:
    if not isinstance(rule, str):
        yield where, f"must be a text, not {_shown(rule)}"
        return
    from agentflow_kernel.schema._regex import mistake_in  # lazy: 8 ms, only for schemas with patterns

    mistake = mistake_in(rule)
    if mistake is not None:
        yield where, f"{_shown(rule)} is no regular expression: {mistake}"


def _patterns(rule: Any, where: str, root: Any) -> Problems:
    yield from _schemas_by_name(rule, where, root)
    for pattern in rule if isinstance(rule, (dict, Mapping)) else ():
        yield from _pattern(pattern, where, root)


def _count(rule: Any, where: str, root: Any) -> Problems:
    if not _is_number(rule) or rule < 0 or rule != int(rule):
        yield where, f"must be a whole number of at least 0, not {_shown(rule)}"


def _number(rule: Any, where: str, root: Any) -> Problems:
    if not _is_number(rule):
        yield where, f"must be a number, not {_shown(rule)}"


def _step(rule: Any, where: str, root: Any) -> Problems:
    if not _is_number(rule) or rule <= 0:
        yield where, f"must be a number above 0, not {_shown(rule)}"


def _reference(rule: Any, where: str, root: Any) -> Problems:
    """A reference into the document must lead somewhere; where others lead is not ours to find."""
    if not isinstance(rule, str):
        yield where, f"must be a text, not {_shown(rule)}"
    elif rule.startswith("#/"):
        from agentflow_kernel.schema._keywords import lookup  # lazy: only schemas with references pay

        if not lookup(root, rule):
            yield where, f"{rule!r} leads nowhere in this schema"


def _is_number(rule: Any) -> bool:
    return isinstance(rule, (int, float)) and not isinstance(rule, bool) and rule - rule == 0


_RULES: Mapping[str, Callable[[Any, str, Any], Problems]] = {
    "type": _type,
    "enum": _values,
    "const": _anything,
    **dict.fromkeys(("properties", "$defs", "definitions", "dependentSchemas"), _schemas_by_name),
    **dict.fromkeys(("anyOf", "oneOf", "allOf", "prefixItems"), _schemas),
    **dict.fromkeys(("additionalProperties", "propertyNames", "not", "contains", "if", "then", "else"), _walk),
    **dict.fromkeys(("unevaluatedItems", "unevaluatedProperties", "additionalItems"), _walk),
    "items": _items,
    "required": _names,
    "uniqueItems": _flag,
    "pattern": _pattern,
    "patternProperties": _patterns,
    "multipleOf": _step,
    **dict.fromkeys(("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"), _count),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _number),
}
"""What each word must be given."""


def _slip_of(word: object) -> str | None:
    """The word that is meant where one differs from it by about a letter; short words are like too many others."""
    if not isinstance(word, str):
        return None
    import difflib  # lazy: 4 ms, only for words that JSON Schema does not know

    known = [each for each in _RULES if len(each) > 3 and abs(len(each) - len(word)) < 2]
    found = difflib.get_close_matches(word, known, n=1, cutoff=0.75)
    return found[0] if found else None


def _escaped(name: object) -> str:
    return str(name).replace("~", "~0").replace("/", "~1")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
