"""Shared state: the key-value store of one run, written atomically per node visit, with versions and differences."""

from __future__ import annotations

from agentflow_kernel.errors import StateConflict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_ABSENT = object()


class SharedState:
    """The committed state of a run. Nodes see it through a :class:`StateView`; only the engine commits views."""

    __slots__ = ("_values", "version", "_written_at", "_writer")

    def __init__(self, values: Mapping[str, object] | None = None) -> None:
        self._values: dict[str, object] = dict(values) if values else {}
        self.version = 0
        """Grows by one with each commit that changed something."""
        self._written_at: dict[str, int] = {}
        self._writer: dict[str, str] = {}

    def view(self, node: str) -> StateView:
        """A private view for one visit of ``node``."""
        return StateView(self, node)

    def snapshot(self) -> dict[str, object]:
        """A copy of all committed keys; the values themselves are shared, do not change them in place."""
        return dict(self._values)

    def apply(self, diff: Mapping[str, list[object]], *, node: str, base: int | None = None) -> None:
        """Commit a difference as :meth:`StateView.diff` gives it.

        Raises :class:`StateConflict` naming both nodes when another node committed one of its keys after ``base``.
        """
        if not diff:
            return
        if base is not None:
            for key in diff:
                if self._written_at.get(key, 0) > base:
                    raise StateConflict(key, (self._writer[key], node))
        self.version += 1
        for key, change in diff.items():
            self._written_at[key] = self.version
            self._writer[key] = node
            if change:
                self._values[key] = change[0]
            else:
                self._values.pop(key, None)


class StateView:
    """The state as one node visit sees it: a snapshot plus its own writes, which nobody else sees before commit."""

    __slots__ = ("_state", "_base", "_version", "_writes", "_node")

    def __init__(self, state: SharedState, node: str) -> None:
        self._state = state
        self._base = state.snapshot()
        self._version = state.version
        self._writes: dict[str, object] = {}
        self._node = node

    def get(self, key: str, default: object = None) -> object:
        """The value of ``key`` as of the visit's start or its own last write."""
        value = self._writes.get(key, self._base.get(key, _ABSENT))
        return default if value is _ABSENT else value

    def __contains__(self, key: str) -> bool:
        return self.get(key, _ABSENT) is not _ABSENT

    def set(self, key: str, value: object) -> None:
        """Write one key; JSON where the run is journalled."""
        self._writes[key] = value

    def update(self, values: Mapping[str, object] | None = None, /, **more: object) -> None:
        """Write several keys."""
        self._writes.update(values or {}, **more)

    def change(self, key: str, function: Callable[[object], object], default: object = None) -> object:
        """Write ``function(current value)`` and return it."""
        value = function(self.get(key, default))
        self.set(key, value)
        return value

    def delete(self, key: str) -> None:
        """Remove one key; a key that is not there is no error."""
        self._writes[key] = _ABSENT

    def snapshot(self) -> dict[str, object]:
        """All keys as this visit sees them."""
        merged = {**self._base, **self._writes}
        return {key: value for key, value in merged.items() if value is not _ABSENT}

    def diff(self) -> dict[str, list[object]]:
        """The visit's writes as JSON: key → ``[value]`` for a write, ``[]`` for a deletion."""
        return {key: [] if value is _ABSENT else [value] for key, value in self._writes.items()}

    def commit(self) -> dict[str, list[object]]:
        """Make the writes visible and return them; used by the engine when the visit is complete."""
        diff = self.diff()
        self._state.apply(diff, node=self._node, base=self._version)
        return diff


class BranchState(SharedState):
    """The state as one branch of a fork sees it: a copy as of the fork, and the branch's writes in their order."""

    __slots__ = ("written",)

    def __init__(self, values: Mapping[str, object]) -> None:
        super().__init__(values)
        self.written: list[Mapping[str, list[object]]] = []
        """The difference of each commit, as nodes wrote it; the join merges these."""

    def apply(self, diff: Mapping[str, list[object]], *, node: str, base: int | None = None) -> None:
        """Commit a difference for this branch, and keep it for the join."""
        super().apply(diff, node=node, base=base)
        if diff:
            self.written.append(diff)

    def commit_join(
        self, diff: Mapping[str, list[object]], written: Sequence[Mapping[str, list[object]]], *, node: str
    ) -> None:
        """Commit what a join inside this branch made of several writes; the outer join gets the writes themselves."""
        super().apply(diff, node=node)
        self.written.extend(written)
