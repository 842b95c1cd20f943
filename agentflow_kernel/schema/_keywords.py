"""The keywords: for each one of JSON Schema that is checked, the function that checks it.

Checked: ``type enum const``, ``properties required additionalProperties patternProperties propertyNames
minProperties maxProperties``, ``items prefixItems minItems maxItems uniqueItems``, ``minLength maxLength pattern``,
``minimum maximum exclusiveMinimum exclusiveMaximum multipleOf``, ``anyOf oneOf allOf not`` and ``$ref`` inside the
document. Any other keyword is taken as an annotation: it refuses nothing.

Each function takes the check, the value, what the schema gives for the keyword, that schema, and the JSON pointer of
the value, and notes what is wrong in ``check.found``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from agentflow_kernel.schema._types import has_type, may_fit, name_type
from agentflow_kernel.schema._values import same, write_compactly

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.schema._check import Check

    Object: TypeAlias = Mapping[str, JSON]
    Findings: TypeAlias = list[tuple[str, str]]
    Keyword: TypeAlias = Callable[[Check, JSON, JSON, Object, str], None]


def _type(check: Check, value: JSON, rule: JSON, _schema: Object, path: str) -> None:
    if isinstance(rule, str) and has_type(value, rule):
        return
    names = [rule] if isinstance(rule, str) else cast("Sequence[str]", rule)
    if not any(has_type(value, name) for name in names):
        check.found.append((path, f"must be {' or '.join(names)}, not {name_type(value)}"))


def _enum(check: Check, value: JSON, rule: JSON, _schema: Object, path: str) -> None:
    if not any(same(value, allowed) for allowed in cast("Sequence[JSON]", rule)):
        check.found.append((path, f"must be one of {write_compactly(rule)}"))


def _const(check: Check, value: JSON, rule: JSON, _schema: Object, path: str) -> None:
    if not same(value, rule):
        check.found.append((path, f"must be {write_compactly([rule])[1:-1]}"))


def _properties(check: Check, value: JSON, rule: JSON, _schema: Object, path: str) -> None:
    if isinstance(value, (dict, Mapping)):
        for name, part in cast("Object", rule).items():
            if name in value:
                check.value(value[name], part, _below(path, name))


def _required(check: Check, value: JSON, rule: JSON, _schema: Object, path: str) -> None:
    if isinstance(value, (dict, Mapping)):
        for name in cast("Sequence[str]", rule):
            if name not in value:
                check.found.append((_below(path, name), "is required but missing"))


def _additional_properties(check: Check, value: JSON, rule: JSON, schema: Object, path: str) -> None:
    if rule is True or not isinstance(value, (dict, Mapping)):
        return
    known = cast("Object", schema.get("properties", {}))
    patterns = cast("Object", schema.get("patternProperties", {}))
    for name, part in value.items():
        if name in known or (patterns and any(_matches(pattern, name) for pattern in patterns)):
            continue
        if rule is False:
            check.found.append((_below(path, name), f"is not allowed; known are {', '.join(known) or 'none'}"))
        else:
            check.value(part, rule, _below(path, name))


def _pattern_properties(check: Check, value: JSON, rule: JSON, _schema: Object, path: str) -> None:
    if isinstance(value, (dict, Mapping)):
        for pattern, part in cast("Object", rule).items():
            for name in value:
                if _matches(pattern, name):
                    check.value(value[name], part, _below(path, name))


def _property_names(check: Check, value: JSON, rule: JSON, _schema: Object, path: str) -> None:
    if isinstance(value, (dict, Mapping)):
        wrong = (name for name in value if check.trial(name, rule, path))
        check.found.extend((_below(path, name), "the name is not allowed") for name in wrong)


def _items(check: Check, value: JSON, rule: JSON, schema: Object, path: str) -> None:
    if isinstance(value, (list, tuple)):
        first = len(cast("Sequence[JSON]", schema.get("prefixItems", ())))
        for index in range(first, len(value)):
            check.value(value[index], rule, f"{path}/{index}")


def _prefix_items(check: Check, value: JSON, rule: JSON, _schema: Object, path: str) -> None:
    if isinstance(value, (list, tuple)):
        for index, (item, part) in enumerate(zip(value, cast("Sequence[JSON]", rule), strict=False)):
            check.value(item, part, f"{path}/{index}")


def _unique_items(check: Check, value: JSON, rule: JSON, _schema: Object, path: str) -> None:
    if rule is True and isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            if any(same(item, earlier) for earlier in value[:index]):
                check.found.append((f"{path}/{index}", "occurs twice"))
                return


def _pattern(check: Check, value: JSON, rule: JSON, _schema: Object, path: str) -> None:
    if isinstance(value, str) and not _matches(cast("str", rule), value):
        check.found.append((path, f"must match {rule}"))


def _multiple_of(check: Check, value: JSON, rule: JSON, _schema: Object, path: str) -> None:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        step = cast("float", rule)
        if isinstance(value, int) and isinstance(step, int):
            whole = value % step == 0
        else:
            times = value / step
            whole = abs(times) != _ENDLESS and abs(times - round(times)) < _TINY
        if not whole:
            check.found.append((path, f"must be a multiple of {rule}"))


def _any_of(check: Check, value: JSON, rule: JSON, _schema: Object, path: str) -> None:
    branches = cast("Sequence[JSON]", rule)
    # each branch is tried once: trying again to say why would cost twice as much at every level of nesting
    trials = [check.trial(value, branch, path) for branch in branches]
    if all(trials):
        check.found.extend(_why_none(value, branches, trials, path))


def _one_of(check: Check, value: JSON, rule: JSON, _schema: Object, path: str) -> None:
    branches = cast("Sequence[JSON]", rule)
    trials = [check.trial(value, branch, path) for branch in branches]
    fitting = trials.count([])
    if fitting == 0:
        check.found.extend(_why_none(value, branches, trials, path))
    elif fitting > 1:
        check.found.append((path, "fits several of the allowed forms, but must fit one"))


def _why_none(value: JSON, branches: Sequence[JSON], trials: list[Findings], path: str) -> Findings:
    """Why no branch fits: the only branch of the value's type says it best."""
    likely = [trial for branch, trial in zip(branches, trials, strict=True) if may_fit(value, branch)]
    return likely[0] if len(likely) == 1 else [(path, "fits none of the allowed forms")]


def _all_of(check: Check, value: JSON, rule: JSON, _schema: Object, path: str) -> None:
    for branch in cast("Sequence[JSON]", rule):
        check.value(value, branch, path)


def _not(check: Check, value: JSON, rule: JSON, _schema: Object, path: str) -> None:
    if not check.trial(value, rule, path):
        check.found.append((path, "has a form that is not allowed"))


def _ref(check: Check, value: JSON, rule: JSON, _schema: Object, path: str) -> None:
    if not isinstance(rule, str) or not (rule == "#" or rule.startswith("#/")):
        return  # an anchor or another document: not ours to find
    for part in lookup(check.root, rule):
        check.value(value, part, path)


def lookup(root: JSON, rule: str) -> Sequence[JSON]:
    """What the reference ``#`` or ``#/…`` leads to in a document, alone in a list; an empty one where it leads nowhere.

    ``rule`` begins with ``#``.
    """
    part = root
    if "%" in rule:
        from urllib.parse import unquote  # lazy: only for references with escapes

        rule = unquote(rule)
    for step in rule.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(part, (dict, Mapping)) and name in part:
            part = part[name]
        elif isinstance(part, (list, tuple)) and name.isdecimal() and int(name) < len(part):
            part = part[int(name)]
        else:
            return ()
    return (part,)


def _bound(measure: Callable[[JSON], float | None], fits: Callable[[float, float], bool], text: str) -> Keyword:
    """The check of a keyword that compares a size with a number; ``measure`` gives ``None`` where it has no say."""

    def check_bound(check: Check, value: JSON, rule: JSON, _schema: Object, path: str) -> None:
        size = measure(value)
        if size is not None and not fits(size, cast("float", rule)):
            check.found.append((path, text.format(rule)))

    return check_bound


def _number(value: JSON) -> float | None:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _length(value: JSON) -> int | None:
    return len(value) if isinstance(value, str) else None


def _count(value: JSON) -> int | None:
    return len(value) if isinstance(value, (list, tuple)) else None


def _width(value: JSON) -> int | None:
    return len(value) if isinstance(value, (dict, Mapping)) else None


def _at_least(size: float, limit: float) -> bool:
    return size >= limit


def _at_most(size: float, limit: float) -> bool:
    return size <= limit


KEYWORDS: Mapping[str, Keyword] = {
    "type": _type,
    "enum": _enum,
    "const": _const,
    "properties": _properties,
    "required": _required,
    "additionalProperties": _additional_properties,
    "patternProperties": _pattern_properties,
    "propertyNames": _property_names,
    "minProperties": _bound(_width, _at_least, "must have at least {} properties"),
    "maxProperties": _bound(_width, _at_most, "must have at most {} properties"),
    "items": _items,
    "prefixItems": _prefix_items,
    "minItems": _bound(_count, _at_least, "must have at least {} items"),
    "maxItems": _bound(_count, _at_most, "must have at most {} items"),
    "uniqueItems": _unique_items,
    "minLength": _bound(_length, _at_least, "must have at least {} characters"),
    "maxLength": _bound(_length, _at_most, "must have at most {} characters"),
    "pattern": _pattern,
    "minimum": _bound(_number, _at_least, "must be at least {}"),
    "maximum": _bound(_number, _at_most, "must be at most {}"),
    "exclusiveMinimum": _bound(_number, lambda size, limit: size > limit, "must be more than {}"),
    "exclusiveMaximum": _bound(_number, lambda size, limit: size < limit, "must be less than {}"),
    "multipleOf": _multiple_of,
    "anyOf": _any_of,
    "oneOf": _one_of,
    "allOf": _all_of,
    "not": _not,
    "$ref": _ref,
}

_TINY = 1e-9
"""How far from a whole number a multiple of a fraction may be: 0.3 / 0.1 is 2.9999999999999996."""
_ENDLESS = float("inf")


def _below(path: str, name: str) -> str:
    """The JSON pointer of a property."""
    return f"{path}/{name.replace('~', '~0').replace('/', '~1')}"


def _matches(pattern: str, text: str) -> bool:
    """Whether the pattern occurs in the text; a pattern that Python cannot read refuses nothing."""
    from agentflow_kernel.schema._regex import UNREADABLE, compiled  # lazy: 8 ms, only for schemas with patterns

    try:
        return compiled(pattern).search(text) is not None
    except UNREADABLE:
        return True
