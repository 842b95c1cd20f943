"""A JSON value: fields that hold any value, and references to values of the run in them."""

from __future__ import annotations

from agentflow_kernel.manifest._context import REJECTED, Mention
from agentflow_kernel.manifest._node import BROKEN
from agentflow_kernel.manifest._path import steps
from agentflow_kernel.manifest._shape import Shape, expanded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agentflow_kernel.manifest._context import Context
    from agentflow_kernel.manifest._node import Node
    from agentflow_kernel.manifest._path import Path


class Json(Shape):
    """Any JSON value, or any ``mapping``. Only a ``setting`` takes variables; ``data`` looks for ``{"$ref": …}``."""

    __slots__ = ("data", "mapping", "setting")

    def __init__(self, expected: str, *, mapping: bool = False, setting: bool = False, data: bool = False) -> None:
        super().__init__(expected)
        self.mapping = mapping
        self.setting = setting
        self.data = data

    def read(self, node: Node, path: Path, context: Context) -> Any:
        """The value."""
        if self.mapping and node.value.__class__ is not dict:
            return context.wrong(node, path, self.expected)
        return self._read(node, path, context)

    def _read(self, node: Node, path: Path, context: Context) -> Any:
        value = node.value
        kind = value.__class__
        if kind is str:
            return expanded(node, path, context, setting=self.setting) if "${" in value else value
        if kind is dict:
            if self.data and "$ref" in value:
                return read_reference(node, path, context)
            return {key: self._read(child, (path, key), context) for key, child in value.items()}
        if kind is list:
            return [self._read(child, (path, index), context) for index, child in enumerate(value)]
        return REJECTED if value is BROKEN else value


class Schema(Json):
    """A JSON Schema that means what it says; a misspelt one is a finding."""

    __slots__ = ()

    def read(self, node: Node, path: Path, context: Context) -> Any:
        """The schema."""
        known = len(context.scope.findings)
        value = super().read(node, path, context)
        if len(context.scope.findings) == known:  # else parts of it may be missing
            from agentflow_kernel.schema import find_schema_problems  # only manifests with schemas pay

            for problem in find_schema_problems(value):
                value = context.found(f"This is no sound JSON Schema: {problem}.", (node.line, node.column), path)
        return value


class Data(Shape):
    """A reference to a value of the run, ``{"$ref": "parse.result.items"}``, or a ``list`` or ``text`` in its place."""

    __slots__ = ("instead", "items")

    def __init__(self, instead: str = "") -> None:
        other = {"": "", "list": ", or a list", "text": ", or a string"}[instead]
        super().__init__('a reference such as {"$ref": "parse.result"}' + other)
        self.instead = instead
        self.items = Json("any value", data=True)

    def read(self, node: Node, path: Path, context: Context) -> Any:
        """The reference object, the list or the text."""
        value = node.value
        if value.__class__ is dict and "$ref" in value:
            return read_reference(node, path, context)
        if (value.__class__ is list and self.instead == "list") or (value.__class__ is str and self.instead == "text"):
            return self.items.read(node, path, context)
        return context.wrong(node, path, self.expected)


def read_reference(node: Node, path: Path, context: Context) -> Any:
    """The object ``{"$ref": text}``; the text is kept in ``context.data`` until all nodes are known."""
    text = node.value["$ref"]
    inner = (path, "$ref")
    if len(node.value) > 1:
        other = next(key for key in node.value if key != "$ref")
        return context.found("An object with '$ref' has no other fields.", node.key_place(other), (path, other))
    if text.value.__class__ is not str or not text.value:
        return context.wrong(text, inner, "the path of a value, such as 'parse.result.items[0]'")
    problem = _malformed(text.value)
    if problem:
        return context.found(f"Malformed reference: {problem}.", (text.line, text.column), inner)
    context.data.append(Mention((), text.value, text, inner))
    return {"$ref": text.value}


def _malformed(reference: str) -> str:
    """What is wrong with the form of a reference, or nothing."""
    if '"' in reference:
        return "a key in quotes cannot be referred to"
    try:
        steps(reference)
    except ValueError as exc:
        return str(exc)
    return ""
