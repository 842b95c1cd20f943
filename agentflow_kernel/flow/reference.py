"""A reference: ``{"$ref": "parse.result.items[0]"}`` in a template, filled in from what a run knows so far."""

from __future__ import annotations

from agentflow_kernel.errors import InputInvalid, UsageError
from agentflow_kernel.flow.state import copied

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Fill = Callable[[Mapping[str, object], object], object]

ROOTS = ("input", "item", "event", "state")
"""Names a reference may begin with besides ``<node>.result``; no node may have one of these names."""
_SHOWN = 10
"""Names that an error lists."""


def parse_path(text: str) -> list[str | int]:
    """Split ``a.b[0].c`` into ``["a", "b", 0, "c"]``; raises :class:`UsageError` on anything else."""
    parts: list[str | int] = []
    for dotted in text.split("."):
        name, *indices = dotted.split("[")
        if name or not parts:
            parts.append(name)
        for index in indices:
            digits = index[:-1].removeprefix("-")
            if not index.endswith("]") or not (digits.isascii() and digits.isdigit()):
                raise UsageError(f"Reference {text!r}: expected an index such as [0] in {dotted!r}.")
            parts.append(int(index[:-1]))
        if not name:
            raise UsageError(f"Reference {text!r}: an empty name between dots.")
    return parts


class Template:
    """A JSON value that may hold references, compiled once and filled once per visit."""

    __slots__ = ("source", "paths", "_fill")

    def __init__(self, source: object) -> None:
        self.source = source
        self.paths: list[list[str | int]] = []
        """Every reference in it, in document order."""
        self._fill = self._compile(source)

    def fill(self, roots: Mapping[str, object], item: object = None) -> object:
        """The value with every reference replaced; ``roots`` maps node names and ``input`` to values.

        Raises :class:`InputInvalid` naming the reference and the place where it leads nowhere.
        """
        return self._fill(roots, item)

    def names(self) -> Iterator[str]:
        """What each reference begins with: the name of a node, or one of the :data:`ROOTS`."""
        return (str(path[0]) for path in self.paths)

    def _compile(self, source: object) -> Fill:
        if isinstance(source, dict):
            if set(source) == {"$ref"}:
                return self._compile_reference(source["$ref"])
            fields = {key: self._compile(value) for key, value in source.items()}
            return lambda roots, item: {key: fill(roots, item) for key, fill in fields.items()}
        if isinstance(source, list):
            items = [self._compile(value) for value in source]
            return lambda roots, item: [fill(roots, item) for fill in items]
        return lambda roots, item: source

    def _compile_reference(self, text: object) -> Fill:
        if not isinstance(text, str):
            raise UsageError(f"A $ref must be a string such as 'parse.result', not {text!r}.")
        path = parse_path(text)
        self.paths.append(path)
        if path[0] == "item":
            return lambda roots, item: _follow(item, path[1:], text)
        if path[0] not in ROOTS:
            if path[1:2] != ["result"]:
                raise UsageError(f"Reference {text!r}: a node's data is {path[0]}.result, then a path into it.")
            path = [path[0], *path[2:]]
        elif path[0] == "state":  # what its nodes have committed is theirs alone to change
            return lambda roots, item: copied(_follow(roots, path, text))
        return lambda roots, item: _follow(roots, path, text)


def _follow(value: object, path: list[str | int], text: str) -> object:
    """Walk ``path`` down from the roots."""
    for depth, part in enumerate(path):
        try:
            value = value[part]  # type: ignore[index]  # anything that cannot be indexed is caught below
        except (KeyError, IndexError, TypeError):
            so_far = ".".join(map(str, path[:depth])) or "the roots"
            known = f" It has: {_some(value)}." if isinstance(value, dict) else ""
            raise InputInvalid(f"$ref {text!r}", f"there is no {part!r} in {so_far}.{known}") from None
    return value


def _some(value: Mapping[object, object]) -> str:
    """The names in an object, the first of them where there are many."""
    names = [repr(name) for name, _ in zip(value, range(_SHOWN), strict=False)]
    return ", ".join(names) + (" …" if len(value) > _SHOWN else "")
