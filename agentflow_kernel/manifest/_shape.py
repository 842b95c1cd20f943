"""A shape: what a value of a manifest must look like. Shapes are data; ``_kinds`` puts the resource kinds together.

Each shape reads a node into plain JSON, with defaults filled in and variables put in, or adds findings.
"""

from __future__ import annotations

from agentflow_kernel.manifest._context import REJECTED
from agentflow_kernel.manifest._wording import either

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agentflow_kernel.manifest._context import Context
    from agentflow_kernel.manifest._node import Node
    from agentflow_kernel.manifest._path import Path


class Shape:
    """Base of all shapes. ``expected`` says in a finding what should have been there."""

    __slots__ = ("expected",)

    def __init__(self, expected: str) -> None:
        self.expected = expected

    def read(self, node: Node, path: Path, context: Context) -> Any:
        """The JSON value of the node, or ``REJECTED`` after adding a finding."""
        raise NotImplementedError


class Text(Shape):
    """A string that is not empty. Only a ``setting`` takes variables."""

    __slots__ = ("setting",)

    def __init__(self, expected: str = "a string", *, setting: bool = False) -> None:
        super().__init__(expected)
        self.setting = setting

    def read(self, node: Node, path: Path, context: Context) -> Any:
        """The text, with variables put in where it is a setting."""
        value = node.value
        if value.__class__ is not str or not value:
            hint = "Quote it if it is text." if value.__class__ in {bool, int, float} else ""
            return context.wrong(node, path, self.expected, hint=hint)
        return expanded(node, path, context, setting=self.setting) if "${" in value else value


class Name(Shape):
    """The name of a resource or node: other texts point to it with ``/``, ``.`` and ``[``, so it may not hold those."""

    __slots__ = ("reserved",)

    PATTERN = "[A-Za-z0-9][A-Za-z0-9_-]{0,62}"

    def __init__(self, *reserved: str) -> None:
        but = f", but not {either(reserved)}" if reserved else ""
        super().__init__(f"a name: letters, digits, '-' and '_', at most 63, beginning with a letter or digit{but}")
        self.reserved = reserved

    def fits(self, text: object) -> bool:
        """Whether the text may be such a name."""
        if not isinstance(text, str) or not text.isascii() or text in self.reserved or len(text) > 63:
            return False
        return text[:1].isalnum() and text.replace("-", "").replace("_", "").isalnum()

    def read(self, node: Node, path: Path, context: Context) -> Any:
        """The name."""
        if self.fits(node.value):
            return node.value
        hint = "Quote it if it is text." if node.value.__class__ in {bool, int, float} else ""
        return context.wrong(node, path, self.expected, hint=hint)


class Choice(Shape):
    """One of a few words."""

    __slots__ = ("words",)

    def __init__(self, *words: str) -> None:
        super().__init__(either(words))
        self.words = words

    def read(self, node: Node, path: Path, context: Context) -> Any:
        """The word."""
        value = node.value
        if value.__class__ is str and value in self.words:
            return value
        hint = context.scope.findings.suggest(value, self.words) if value.__class__ is str else ""
        return context.wrong(node, path, self.expected, hint=hint)


class Number(Shape):
    """A number within limits, both included; ``above`` is a lower limit that is not included."""

    __slots__ = ("above", "maximum", "minimum", "whole")

    def __init__(
        self,
        *,
        whole: bool = False,
        minimum: int | None = None,
        maximum: int | None = None,
        above: int | None = None,
    ) -> None:
        limits = ((" above", above), (" of at least", minimum), (" of at most", maximum))
        text = "".join(f"{word} {limit:,}" for word, limit in limits if limit is not None)
        if minimum is not None and maximum is not None:
            text = f" from {minimum:,} to {maximum:,}"
        super().__init__(("a whole number" if whole else "a number") + text)
        self.whole = whole
        self.minimum = minimum
        self.maximum = maximum
        self.above = above

    def read(self, node: Node, path: Path, context: Context) -> Any:
        """The number."""
        value = node.value
        if value.__class__ is int or (value.__class__ is float and not self.whole):
            low = self.minimum is not None and value < self.minimum
            high = self.maximum is not None and value > self.maximum
            if not (low or high or (self.above is not None and value <= self.above)):
                return value
        text = value.__class__ is str and value[:1].isdigit()
        hint = "Numbers are written as in JSON, without quotes: 1000, 0.5." if text else ""
        return context.wrong(node, path, self.expected, hint=hint)


class Nullable(Shape):
    """A value or ``null``."""

    __slots__ = ("inner",)

    def __init__(self, inner: Shape, meaning: str) -> None:
        super().__init__(f"{inner.expected} or {meaning}")
        self.inner = inner

    def read(self, node: Node, path: Path, context: Context) -> Any:
        """The value or ``None``."""
        if node.value is None:
            return None
        if node.value.__class__ is not str:
            return context.wrong(node, path, self.expected)
        return self.inner.read(node, path, context)


class ListOf(Shape):
    """A list of values of one shape."""

    __slots__ = ("inner",)

    def __init__(self, inner: Shape, expected: str) -> None:
        super().__init__(expected)
        self.inner = inner

    def read(self, node: Node, path: Path, context: Context) -> Any:
        """The list, without those items that were rejected."""
        if node.value.__class__ is not list:
            hint = "Put it in brackets: [ ]." if node.value.__class__ is str else ""
            return context.wrong(node, path, self.expected, hint=hint)
        inner = self.inner
        items = (inner.read(child, (path, index), context) for index, child in enumerate(node.value))
        return [item for item in items if item is not REJECTED]


class MapOf(Shape):
    """A mapping from free keys to values of one shape, with at least ``minimum`` entries."""

    __slots__ = ("inner", "key", "minimum")

    def __init__(self, inner: Shape, expected: str, *, key: Name | None = None, minimum: int = 0) -> None:
        super().__init__(expected)
        self.inner = inner
        self.key = key
        self.minimum = minimum

    def read(self, node: Node, path: Path, context: Context) -> Any:
        """The mapping in document order, without those values that were rejected."""
        if node.value.__class__ is not dict or len(node.value) < self.minimum:
            return context.wrong(node, path, self.expected)
        result = {}
        for key, child in node.value.items():
            if self.key is not None and not self.key.fits(key):
                context.found(f"Expected {self.key.expected}.", node.key_place(key), (path, key))
            value = self.inner.read(child, (path, key), context)
            if value is not REJECTED:
                result[key] = value
        return result


def expanded(node: Node, path: Path, context: Context, *, setting: bool) -> Any:
    """The text of a node that holds ``${``, see :mod:`~agentflow_kernel.manifest._environment`."""
    from agentflow_kernel.manifest._environment import expand  # lazy: compiles a pattern only few manifests need

    return expand(node, path, context, setting=setting)
