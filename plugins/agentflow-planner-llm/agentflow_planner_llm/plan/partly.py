"""A partial check: what is certain to be wrong with a value in which references stand that are not filled in yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from agentflow_kernel.schema import find_problems, same, write_compactly
from agentflow_planner_llm.plan.schemas import list_of, parts_of_object, properties_of, referred, required_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from typing import TypeAlias

    from agentflow_kernel.contracts.values import JSON

    Object: TypeAlias = Mapping[str, JSON]
    Where: TypeAlias = tuple[str | int, ...]
    Problem: TypeAlias = tuple[Where, str]


def find_certain(value: JSON, schema: JSON, root: Object, inside: Sequence[Where] = ()) -> list[Problem]:
    """What is wrong with a value whatever stands in the places ``inside``, each with its place in the value.

    ``schema`` is a part of ``root``, or all of it. A sentence begins with its place as a JSON pointer.
    """
    check = _Check(root)
    check.value(value, schema, (), inside)
    return check.problems


class _Check:
    """One check; ``problems`` grows. ``seen`` are the schemas that lead to the present one at the same place."""

    __slots__ = ("root", "problems")

    def __init__(self, root: Object) -> None:
        self.root = root
        self.problems: list[Problem] = []

    def value(
        self, value: JSON, schema: JSON, at: Where, inside: Sequence[Where], seen: Collection[int] = frozenset()
    ) -> None:
        """Check a value; without a place ``inside`` it is a literal, and at ``()`` it is a reference itself."""
        if not inside:
            self._literal(value, schema, at)
        elif schema is False:
            self.problems.append((at, f"{_pointer(at)}: nothing is allowed here"))
        elif isinstance(schema, Mapping) and () not in inside and id(schema) not in seen:
            self._composed(value, schema, at, inside, {*seen, id(schema)})
            if self._has_kind(value, schema, at):
                if value.__class__ is list:
                    self._items(cast("list[JSON]", value), schema, at, inside)
                else:
                    self._fields(cast("dict[str, JSON]", value), schema, at, inside)

    def _literal(self, value: JSON, schema: JSON, at: Where) -> None:
        for problem in find_problems(value, schema, self.root):
            place, _, text = problem.partition(": ")
            parts = place[1:].split("/") if place.startswith("/") else []
            where = (*at, *(part.replace("~1", "/").replace("~0", "~") for part in parts))
            self.problems.append((where, f"{_pointer(where)}: {text}"))

    def _composed(self, value: JSON, schema: Object, at: Where, inside: Sequence[Where], seen: Collection[int]) -> None:
        """The schemas that hold for the same value; of several forms all must be certain not to fit."""
        if "$ref" in schema:
            self.value(value, referred(self.root, schema["$ref"]), at, inside, seen)
        for branch in list_of(schema.get("allOf")):
            self.value(value, branch, at, inside, seen)
        for keyword in ("anyOf", "oneOf"):
            branches = list_of(schema.get(keyword))
            trials: list[list[Problem]] = []
            for branch in branches:
                trial = _Check(self.root)
                trial.value(value, branch, at, inside, seen)
                trials.append(trial.problems)
            if trials and all(trials):
                none = (at, f"{_pointer(at)}: fits none of the allowed forms")
                self.problems += trials[0] if len(trials) == 1 else [none]

    def _has_kind(self, value: JSON, schema: Object, at: Where) -> bool:
        """Whether a list or an object may stand here."""
        kind = "array" if value.__class__ is list else "object"
        rule = schema.get("type", kind)
        names = [str(name) for name in list_of(rule)] if isinstance(rule, list | tuple) else [str(rule)]
        if kind not in names:
            self.problems.append((at, f"{_pointer(at)}: must be {' or '.join(names)}, not {kind}"))
            return False
        allowed = list_of(schema["enum"]) if "enum" in schema else [schema["const"]] if "const" in schema else None
        if allowed is not None and not any(isinstance(each, _KINDS[kind]) for each in allowed):
            text = "one of " + write_compactly(allowed) if "enum" in schema else write_compactly(allowed)[1:-1]
            self.problems.append((at, f"{_pointer(at)}: must be {text}"))
        return True

    def _items(self, items: list[JSON], schema: Object, at: Where, inside: Sequence[Where]) -> None:
        first = list_of(schema.get("prefixItems"))
        for index, item in enumerate(items):
            below = [each[1:] for each in inside if each[0] == index]
            rule = first[index] if index < len(first) else schema.get("items", True)
            self.value(item, rule, (*at, index), below)
        self._literal(cast("JSON", items), {name: schema[name] for name in _SIZES_OF_LISTS if name in schema}, at)
        if schema.get("uniqueItems") is True:
            filled = {each[0] for each in inside}
            known = [item for index, item in enumerate(items) if index not in filled]
            if any(same(item, other) for index, item in enumerate(known) for other in known[:index]):
                self.problems.append((at, f"{_pointer(at)}: an item occurs twice"))

    def _fields(self, fields: dict[str, JSON], schema: Object, at: Where, inside: Sequence[Where]) -> None:
        filled = dict.fromkeys(str(each[0]) for each in inside)
        for name in filled:
            below = [each[1:] for each in inside if each[0] == name]
            for rule in parts_of_object(schema, name):
                if rule is False and name not in properties_of(schema):
                    self.problems.append(((*at, name), f"{_pointer((*at, name))}: there is no such property"))
                else:
                    self.value(fields[name], rule, (*at, name), below)
        for name in required_of(schema):
            if name not in fields:
                self.problems.append(((*at, name), f"{_pointer((*at, name))}: is required but missing"))
        if len(filled) < len(fields):
            rules = {name: schema[name] for name in _PARTS_OF_OBJECTS if name in schema}
            self._literal({name: item for name, item in fields.items() if name not in filled}, rules, at)
        self._literal(fields, {name: schema[name] for name in _SIZES_OF_OBJECTS if name in schema}, at)


_KINDS: Mapping[str, tuple[type, ...]] = {"array": (list, tuple), "object": (Mapping,)}
_PARTS_OF_OBJECTS = ("properties", "additionalProperties", "patternProperties")
_SIZES_OF_OBJECTS = ("minProperties", "maxProperties", "propertyNames")
_SIZES_OF_LISTS = ("minItems", "maxItems")


def _pointer(where: Where) -> str:
    """The place as a JSON pointer, in words for the whole value."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in where) or "the whole value"
