"""A stored run: what :meth:`Machine.dump` wrote, every field of it looked at before anything is made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from agentflow_kernel.contracts.planner import Action
from agentflow_kernel.errors import NewerSchema, PlanError, ProtocolViolation
from agentflow_planner_bt._bounds import LONGEST
from agentflow_planner_bt._run import HEAD, Entry
from agentflow_planner_bt.port import KINDS
from agentflow_planner_bt.status import STATUSES

if TYPE_CHECKING:
    from agentflow_planner_bt._machine import Compiled

VERSION = 1
_ACTION = {"id", "kind", "name", "arguments"}
_TYPES = frozenset(KINDS.values())


def checked_version(document: Any, newest: int) -> dict[str, Any]:
    """The stored state itself, a mapping of a version that is known here.

    Raises:
        NewerSchema: a newer version wrote it.
        ProtocolViolation: it has no version.
    """
    version = document.get("version") if isinstance(document, dict) else None
    if type(version) is not int or version < 1:
        raise _broken("version", version)
    if version > newest:
        raise NewerSchema("The state of a behaviour tree", version, newest)
    return cast("dict[str, Any]", document)


class Stored:
    """A stored run of one tree, sound and sharing nothing with the document.

    Raises:
        NewerSchema: a newer version wrote it.
        PlanError: it is of another tree.
        ProtocolViolation: it is no stored run of this tree.
    """

    def __init__(self, compiled: Compiled, document: Any) -> None:
        fields = checked_version(document, VERSION)
        if type(fields.get("tree")) is not str:
            raise _broken("tree", fields.get("tree"))
        if fields["tree"] != compiled.digest:
            raise PlanError(compiled.main, "the stored run is of another tree, or of another version of this one")
        try:
            self._fields: dict[str, Any] = copied(fields)
        except RecursionError:
            raise ProtocolViolation("This is no stored run of a behaviour tree: it is nested too deeply.") from None
        self.status: int = self._checked("status", _is_status)
        self.now: float = self._checked("now", _is_number)
        self.ticked_at: float = self._checked("ticked_at", _is_number)
        self.woken: bool = self._checked("woken", _is_boolean)
        self.again: bool = self._checked("again", _is_boolean)
        self.more: bool = self._checked("more", _is_boolean)
        self.memory: list[Any] = self._checked("memory", lambda value: _is_memory(value, compiled))
        number = len(compiled.constants)
        self.scopes: list[dict[str, Any]] = self._checked(
            "scopes", lambda value: type(value) is list and len(value) == number and all(map(_is_mapping, value))
        )
        entries = self._checked("entries", self._are_entries)
        self.entries = [{key: Entry(*item) for key, item in kept.items()} for kept in entries]
        self.open: dict[str, int] = self._checked("open", lambda value: _are_cells(value, len(compiled.initial)))
        self.cancels: list[str] = self._checked("cancels", _are_texts)
        self.starts = [Action.from_json(item) for item in self._checked("starts", _are_actions)]

    def _checked(self, name: str, is_sound: Any) -> Any:
        value = self._fields.get(name)
        if not is_sound(value):
            raise _broken(name, value)
        return value

    def _are_entries(self, value: Any) -> bool:
        """Whether every entry that has a value has a type, and a number of writes, and no other has."""
        if type(value) is not list or len(value) != len(self.scopes):
            return False
        return all(
            _is_mapping(kept) and kept.keys() == scope.keys() and all(map(_is_entry, kept.values()))
            for kept, scope in zip(value, self.scopes, strict=True)
        )


def copied(value: Any) -> Any:
    """A copy of JSON that shares nothing; tuples become lists, other sequences and mappings plain ones."""
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [copied(item) for item in value]
    return value


def _broken(name: str, value: Any) -> ProtocolViolation:
    found = f"a {type(value).__name__}" if isinstance(value, dict | list) else f"{str(value)[:60]!r}"
    text = "is missing" if value is None else f"cannot be {found}"
    return ProtocolViolation(f"This is no stored run of this behaviour tree: {name!r} {text}. Start the run anew.")


def _is_status(value: Any) -> bool:
    return type(value) is int and 0 <= value < len(STATUSES)


def _is_number(value: Any) -> bool:
    return type(value) in {int, float} and -LONGEST <= value <= LONGEST


def _is_boolean(value: Any) -> bool:
    return type(value) is bool


def _is_mapping(value: Any) -> bool:
    return type(value) is dict and all(type(key) is str for key in value)


def _is_entry(value: Any) -> bool:
    if type(value) is not list or len(value) != 2:
        return False
    kind, writes = value
    return type(kind) is str and kind in _TYPES and type(writes) is int and writes >= 0


def _is_memory(value: Any, compiled: Compiled) -> bool:
    """Whether there is a value for each cell: statuses, times, and whole numbers where they were in the beginning."""
    if type(value) is not list or len(value) != len(compiled.initial):
        return False
    return (
        all(_is_status(value[node.slot - HEAD]) for node in compiled.nodes)
        and all(value[cell - HEAD] is None or _is_number(value[cell - HEAD]) for cell in compiled.timers)
        and all(type(item) is int for item, first in zip(value, compiled.initial, strict=True) if type(first) is int)
    )


def _are_cells(value: Any, cells: int) -> bool:
    """Whether each action has its first cell, which is followed by two more."""
    return _is_mapping(value) and all(type(cell) is int and HEAD <= cell < HEAD + cells - 2 for cell in value.values())


def _are_texts(value: Any) -> bool:
    return type(value) is list and all(type(item) is str for item in value)


def _are_actions(value: Any) -> bool:
    return type(value) is list and all(
        _is_mapping(item)
        and item.keys() == _ACTION
        and all(type(item[name]) is str for name in ("id", "kind", "name"))
        and _is_mapping(item["arguments"])
        for item in value
    )
