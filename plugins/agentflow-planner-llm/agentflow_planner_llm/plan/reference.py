"""A reference: ``{"$ref": "parse.result.items[0]"}`` in a plan, filled in from what the run knows by then."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from agentflow_kernel.contracts.values import Value
from agentflow_kernel.errors import InputInvalid, UsageError
from agentflow_kernel.flow.reference import parse_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow_kernel.contracts.values import JSON

PARTS = ("result", "error", "status")
"""What a reference may ask of a step: its result, ``{code, message}`` of its failure, or how it ended."""
DEEPEST = 64
"""How deep the arguments of a step may be nested."""
ROOTS = ("input", "state")
"""Names a reference may begin with besides the id of a step; no step may have one of these ids."""


class Reference(Value):
    """One reference: ``root`` is the id of a step, ``input`` or ``state``; ``path`` is what follows it.

    ``tolerant`` ones have a default: what they point to may be absent, or its step skipped. ``where`` is the path of
    the reference in the value it was found in.
    """

    __slots__ = ("text", "root", "path", "tolerant", "where")

    def __init__(
        self,
        text: str,
        root: str,
        path: Sequence[str | int],
        where: tuple[str | int, ...] = (),
        *,
        tolerant: bool = False,
    ) -> None:
        self.text = text
        self.root = root
        self.path = path
        self.tolerant = tolerant
        self.where = where


def may_refer(args: Mapping[str, JSON]) -> bool:
    """Whether a reference can stand in arguments: a quick look, for the many that have no inside."""
    for item in args.values():
        if item.__class__ is dict or item.__class__ is list:
            return True
    return "$ref" in args


def find_references(
    value: JSON, where: tuple[str | int, ...], found: list[Reference], faults: list[tuple[str, tuple[str | int, ...]]]
) -> None:
    """Add every reference below a value to ``found``, and what is no reference but looks like one to ``faults``."""
    kind = value.__class__
    if len(where) > DEEPEST:
        faults.append((f"A value may not be nested more than {DEEPEST} deep.", where[:3]))
    elif kind is dict:
        fields = cast("dict[str, JSON]", value)
        if "$ref" in fields:
            try:
                found.append(read_reference(fields, where))
            except UsageError as error:
                faults.append((str(error), where))
            return
        for name, item in fields.items():
            if item.__class__ is dict or item.__class__ is list:
                find_references(item, (*where, name), found, faults)
    elif kind is list:
        for index, item in enumerate(cast("list[JSON]", value)):
            if item.__class__ is dict or item.__class__ is list:
                find_references(item, (*where, index), found, faults)


_BRANCHES = (dict, list)


def read_reference(fields: Mapping[str, JSON], where: tuple[str | int, ...] = ()) -> Reference:
    """The reference that an object with ``$ref`` is; raises :class:`UsageError` saying what is wrong with it."""
    text = fields["$ref"]
    if not isinstance(text, str):
        raise UsageError("A $ref must be a string such as 'parse.result'.")
    if len(fields) > 1 and (len(fields) > 2 or "default" not in fields):
        raise UsageError(f"$ref {text!r}: beside $ref only 'default' may stand.")
    path: Sequence[str | int] = text.split(".") if _is_plain(text) else parse_path(text)
    root = str(path[0])
    if len(path) < 2 or path[1] not in PARTS:
        if root not in ROOTS:
            raise UsageError(f"$ref {text!r}: of a step write {root}.result, {root}.error or {root}.status.")
        if root == "state" and len(path) < 2:
            raise UsageError(f"$ref {text!r}: of the state write state and a key, such as state.total.")
    return Reference(text, root, path[1:], where, tolerant=len(fields) > 1)


def fill(value: JSON, data: Mapping[str, JSON]) -> JSON:
    """The value with every reference replaced by what it points to in ``data``.

    Raises :class:`InputInvalid` for a reference that leads nowhere and has no default.
    """
    if value.__class__ is dict:
        fields = cast("dict[str, JSON]", value)
        if "$ref" in fields:
            return _follow(fields, data)
        return {name: fill(item, data) if item.__class__ in _BRANCHES else item for name, item in fields.items()}
    if value.__class__ is list:
        return [fill(item, data) if item.__class__ in _BRANCHES else item for item in cast("list[JSON]", value)]
    return value


def _is_plain(text: str) -> bool:
    """Whether a reference is made of names and single dots only."""
    return "[" not in text and ".." not in text and text[:1] != "." and text[-1:] != "."


def _follow(fields: Mapping[str, JSON], data: Mapping[str, JSON]) -> JSON:
    text = cast("str", fields["$ref"])
    found: JSON = data
    path: Sequence[str | int] = text.split(".") if _is_plain(text) else parse_path(text)
    for depth, part in enumerate(path):
        try:
            found = _child(found, part)
        except (KeyError, IndexError):
            if "default" in fields:
                return fields["default"]
            so_far = ".".join(map(str, path[:depth])) or "the plan"
            known = f" It has: {', '.join(map(repr, list(found)[:20]))}." if isinstance(found, Mapping) else ""
            raise InputInvalid(f"$ref {text!r}", f"there is no {part!r} in {so_far}.{known}") from None
    return found


def _child(value: JSON, part: str | int) -> JSON:
    """What a key or an index leads to; raises ``KeyError`` or ``IndexError``, also for a value that has no inside."""
    if isinstance(value, dict) and isinstance(part, str):
        found: JSON = value[part]
        return found
    if isinstance(value, list) and isinstance(part, int):
        item: JSON = value[part]
        return item
    raise KeyError(part)
