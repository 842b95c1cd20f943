"""A record: a mapping with named fields, the rules between them, and their defaults."""

from __future__ import annotations

from agentflow_kernel.manifest._context import REJECTED
from agentflow_kernel.manifest._shape import Shape
from agentflow_kernel.manifest._wording import either

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from agentflow_kernel.manifest._context import Context
    from agentflow_kernel.manifest._node import Node
    from agentflow_kernel.manifest._path import Path


class Rule:
    """Something that must hold between the fields of a record; ``fields`` are those it speaks about."""

    __slots__ = ("fields",)

    def __init__(self, *fields: str) -> None:
        self.fields = fields

    def check(self, node: Node, path: Path | None, context: Context) -> None:
        """Add a finding where the rule does not hold."""
        raise NotImplementedError


class ExactlyOne(Rule):
    """One of the fields is there, and no other of them."""

    __slots__ = ()

    def check(self, node: Node, path: Path | None, context: Context) -> None:
        """Add a finding that says which of them were there."""
        present = [field for field in node.value if field in self.fields]
        if len(present) == 1:
            return
        place = node.key_place(present[1]) if present else (node.line, node.column)
        found = either(present, "and") if present else "none of them"
        context.found(f"Expected exactly one of {either(self.fields)}, found {found}.", place, path)


class AtMostOne(Rule):
    """No two of the fields are there together."""

    __slots__ = ()

    def check(self, node: Node, path: Path | None, context: Context) -> None:
        """Add a finding at the second of them."""
        present = [field for field in node.value if field in self.fields]
        if len(present) > 1:
            problem = f"Expected at most one of {either(self.fields)}, found {either(present, 'and')}."
            context.found(problem, node.key_place(present[1]), path)


class Needs(Rule):
    """A field, the first, has a meaning only beside one of the others; it then has the ``default``."""

    __slots__ = ("default",)

    def __init__(self, field: str, *others: str, default: Any = None) -> None:
        super().__init__(field, *others)
        self.default = default

    def check(self, node: Node, path: Path | None, context: Context) -> None:
        """Add a finding at the field that stands alone."""
        field, *others = self.fields
        if field in node.value and not any(other in node.value for other in others):
            problem = f"Field {field!r} has no meaning without {either(others)}."
            context.found(problem, node.key_place(field), (path, field))


class FirstKey:
    """A default: the first key of another field."""

    __slots__ = ("field",)

    def __init__(self, field: str) -> None:
        self.field = field


class Record(Shape):
    """A mapping with these fields and no others. ``defaults`` are filled in for optional fields that are absent."""

    __slots__ = ("defaults", "fields", "required", "rules")

    def __init__(
        self,
        expected: str,
        fields: Mapping[str, Shape],
        *,
        required: tuple[str, ...] = (),
        rules: tuple[Rule, ...] = (),
        defaults: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(expected)
        self.fields = fields
        self.required = required
        self.rules = rules
        self.defaults = {} if defaults is None else defaults

    def read(self, node: Node, path: Path | None, context: Context) -> Any:
        """The fields in document order, then the defaults."""
        entries = node.value
        if entries.__class__ is not dict:
            return context.wrong(node, path, self.expected)
        fields = self.fields
        result = {}
        for name, child in entries.items():
            shape = fields.get(name)
            if shape is None:
                context.unknown_field(node, path, name, fields)
                continue
            value = shape.read(child, (path, name), context)
            if value is not REJECTED:
                result[name] = value
        for name in self.required:
            if name not in entries:
                problem = f"Required field {name!r} is missing: expected {fields[name].expected}."
                context.found(problem, (node.line, node.column), (path, name))
        for rule in self.rules:
            rule.check(node, path, context)
        self.fill(result, entries)
        return result

    def fill(self, result: dict[str, Any], entries: Mapping[str, Node]) -> None:
        """Put the defaults of those fields into ``result`` that are not among the ``entries`` of the manifest."""
        for name, default in self.defaults.items():
            if name not in entries:
                if isinstance(default, FirstKey):
                    result[name] = next(iter(result.get(default.field, ())), "")
                else:
                    result[name] = _fresh(default)
        for rule in self.rules:
            if isinstance(rule, Needs) and rule.default is not None:
                field, *others = rule.fields
                if field not in entries and any(other in entries for other in others):
                    result[field] = _fresh(rule.default)


def _fresh(value: Any) -> Any:
    """A copy, so that no two resources share a default."""
    if isinstance(value, dict):
        return {key: _fresh(child) for key, child in value.items()}
    return list(value) if isinstance(value, list) else value


class Short(Shape):
    """A record that may be written as the string of one of its fields."""

    __slots__ = ("field", "record")

    def __init__(self, record: Record, field: str) -> None:
        super().__init__(f"{record.fields[field].expected}, or {record.expected}")
        self.record = record
        self.field = field

    def read(self, node: Node, path: Path, context: Context) -> Any:
        """The record in its long form."""
        if node.value.__class__ is dict:
            return self.record.read(node, path, context)
        if node.value.__class__ is not str:
            return context.wrong(node, path, self.expected)
        value = self.record.fields[self.field].read(node, path, context)
        if value is REJECTED:
            return REJECTED
        result = {self.field: value}
        self.record.fill(result, {self.field: node})
        return result


class FlagOr(Shape):
    """A record of options that may be written as ``true`` or ``false``."""

    __slots__ = ("record",)

    def __init__(self, record: Record) -> None:
        super().__init__(f"true, false or {record.expected}")
        self.record = record

    def read(self, node: Node, path: Path, context: Context) -> Any:
        """The truth, or the record."""
        if node.value.__class__ is dict:
            return self.record.read(node, path, context)
        return node.value if node.value.__class__ is bool else context.wrong(node, path, self.expected)
