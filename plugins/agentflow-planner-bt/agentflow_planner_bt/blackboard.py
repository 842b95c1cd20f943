"""A blackboard: the entries of one tree, as users read and write them from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentflow_kernel.errors import UnknownName
from agentflow_planner_bt._run import SCOPES, unset, write
from agentflow_planner_bt.port import is_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentflow_planner_bt._machine import Machine


class Blackboard:
    """Entries by key. Values are JSON; the first write fixes an entry's type, and null fits every type.

    In a subtree a name that is remapped is the entry above, as for the subtree's own nodes.
    """

    def __init__(self, machine: Machine, number: int) -> None:
        self._machine = machine
        self._number = number

    @classmethod
    def below(cls, machine: Machine, subtree: str) -> Blackboard:
        """The entries of the subtree with this path.

        Raises:
            UnknownName: there is none.
        """
        paths = [node.path for node in machine.compiled.nodes if node.node.kind.group == "subtree"]
        if subtree not in paths:
            raise UnknownName("subtree", subtree, paths)
        return cls(machine, paths.index(subtree) + 1)

    def _place(self, key: str) -> tuple[int, str]:
        return self._machine.compiled.scopes[self._number].place(key)

    def __getitem__(self, key: str) -> Any:
        scope, name = self._place(key)
        return self._machine.m[SCOPES][scope][name]

    def __setitem__(self, key: str, value: Any) -> None:
        if not is_key(key):
            raise KeyError(f"{key!r} cannot be an entry of a blackboard.")
        write(self._machine.m, *self._place(key), value)

    def __delitem__(self, key: str) -> None:
        self[key]
        unset(self._machine.m, *self._place(key))

    def __contains__(self, key: object) -> bool:
        if not isinstance(key, str):
            return False
        scope, name = self._place(key)
        return name in self._machine.m[SCOPES][scope]

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._machine.m[SCOPES][self._number]))

    def __len__(self) -> int:
        return len(self._machine.m[SCOPES][self._number])

    def get(self, key: str, default: Any = None) -> Any:
        """The entry, or the default."""
        scope, name = self._place(key)
        return self._machine.m[SCOPES][scope].get(name, default)

    def to_json(self) -> dict[str, Any]:
        """The entries of its own, without those of trees above."""
        return dict(self._machine.m[SCOPES][self._number])
