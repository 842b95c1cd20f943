"""Shared state: the key-value store of one run, written atomically per node visit, with versions and differences."""

from __future__ import annotations

from agentflow_kernel.contracts.values import overload
from agentflow_kernel.errors import StateConflict, StateInvalid, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any, TypeVar

    from agentflow_kernel.flow.key import StateKey, StateRules

    T = TypeVar("T")
    Diff = Mapping[str, list[object]]

_ABSENT: Any = object()


class SharedState:
    """The committed state of a run. Nodes see it through a :class:`StateView`; only the engine commits views.

    ``rules`` are what the flow declares about its keys. A difference is key → change; a change is ``[value]``, ``[]``
    for a deletion, ``[value, "overwrite"]`` past the reducer, or ``[[value, …], "reduce"]`` through it.
    """

    __slots__ = ("_values", "version", "rules", "_written_at", "_writer", "_whole")

    def __init__(self, values: Mapping[str, object] | None = None, rules: StateRules | None = None) -> None:
        self._values: dict[str, object] = dict(values) if values else {}
        self.version = 0
        """Grows by one with each commit that changed something."""
        self.rules = rules
        self._written_at: dict[str, int] = {}
        self._writer: dict[str, str] = {}
        self._whole = True
        """Whether a rule about the state as a whole has a say here."""

    def view(self, node: str) -> StateView:
        """A private view for one visit of ``node``."""
        return StateView(self, node)

    def get(self, key: str, default: object = None) -> object:
        """The committed value of ``key``."""
        return self._values.get(key, default)

    def version_of(self, key: str) -> int:
        """The version with which ``key`` was last committed, 0 where nobody has written it."""
        return self._written_at.get(key, 0)

    def snapshot(self) -> dict[str, object]:
        """A copy of all committed keys but private ones; the values are shared, do not change them in place."""
        if self.rules is None or not self.rules.keys:
            return dict(self._values)
        from agentflow_kernel.flow.key import visible  # only declared states pay

        return visible(self._values)

    def values(self) -> dict[str, object]:
        """A copy of everything that is kept, private values by the names they are kept under."""
        return dict(self._values)

    def diff(self, since: int = 0) -> dict[str, list[object]]:
        """What was committed after version ``since``: key → ``[value]``, or ``[]`` for a deletion."""
        values = self._values
        return {
            key: [values[key]] if key in values else [] for key, version in self._written_at.items() if version > since
        }

    def apply(self, diff: Diff, *, node: str) -> None:
        """Take a difference as :meth:`StateView.diff` gives it, unchecked: a resumed run takes those on record."""
        if not diff:
            return
        self.version += 1
        for key in diff:
            self._written_at[key] = self.version
            self._writer[key] = node
        _merge(self._values, diff, self.rules, node)

    def _refuse_stale(self, diff: Diff, node: str, base: int, seen: Mapping[str, int] | None) -> None:
        for key in diff:
            if self._written_at.get(key, 0) > (seen.get(key, base) if seen else base):
                raise StateConflict(_plain(key), (self._writer[key], node))

    def commit(
        self, diffs: Sequence[Diff], *, node: str, base: int | None = None, seen: Mapping[str, int] | None = None
    ) -> None:
        """Commit differences together, if all of them fit what the flow declares; else nothing is written.

        Raises :class:`StateInvalid` naming key, node and JSON path, and :class:`StateConflict` naming both nodes when
        another node committed one of the keys after ``base``, or after what ``seen`` has for the key.
        """
        if base is not None:
            for diff in diffs:
                self._refuse_stale(diff, node, base, seen)
        if self.rules is not None:
            candidate = dict(self._values)
            for diff in diffs:
                _merge(candidate, diff, self.rules, node)
            self.rules.check(candidate, {key for diff in diffs for key in diff}, node, whole=self._whole)
        for diff in diffs:
            self.apply(diff, node=node)


class StateView:
    """The state as one node visit sees it: a snapshot plus its own writes, which nobody else sees before commit.

    A key is a text, or a :class:`StateKey`, which types it. A visit's last write of a key is its write.
    """

    __slots__ = ("_state", "_base", "_version", "_writes", "_node", "_seen")

    def __init__(self, state: SharedState, node: str) -> None:
        self._state = state
        self._base = state.values()
        self._version = state.version
        self._writes: dict[str, list[object]] = {}
        self._node = node
        self._seen: dict[str, int] = {}

    @property
    def version(self) -> int:
        """The version of the state that this visit began with."""
        return self._version

    @overload
    def get(self, key: StateKey[T], default: T = ...) -> T: ...
    @overload
    def get(self, key: str, default: object = None) -> object: ...
    def get(self, key: str | StateKey[Any], default: object = _ABSENT) -> object:
        """The value of ``key`` as of the visit's start, with its own write.

        Lists and objects are copies: what is changed in them is written by :meth:`set`. Absent keys have ``default``;
        else a text ``None``, a :class:`StateKey` its own default. Raises :class:`UsageError` for a :class:`StateKey`
        without one.
        """
        slot = self._slot(key)
        value = self._now(slot)
        if value.__class__ in (list, dict):
            value = copied(value)
        if key.__class__ is str:
            if value is not _ABSENT:
                return value
            return self._default(slot) if default is _ABSENT else default
        declared: StateKey[Any] = key  # type: ignore[assignment]  # no text
        if value is _ABSENT:
            if default is not _ABSENT:
                return default
            value = declared.fresh()
            if value is _nothing():
                raise UsageError(f"State key {declared.name!r} has no value yet, and no default.")
        return declared.from_json(value)

    def __contains__(self, key: str | StateKey[Any]) -> bool:
        return self._now(self._slot(key)) is not _ABSENT

    @overload
    def set(self, key: StateKey[T], value: T) -> None: ...
    @overload
    def set(self, key: str, value: object) -> None: ...
    def set(self, key: str | StateKey[Any], value: object) -> None:
        """Write one key; JSON where the run is journalled. At a join, what branches have set meets in the reducer."""
        self._writes[self._slot(key)] = [self._kept(key, value)]

    def put(self, key: str | StateKey[Any], value: object) -> None:
        """Give one value to the reducer of a key, in a branch as elsewhere: an item to ``append``, a number to ``add``.

        Several are taken one after the other. Raises :class:`UsageError` for a key without a reducer.
        """
        slot = self._slot(key)
        if not self._reduces(slot):
            raise UsageError(f"State key {_plain(slot)!r} has no reducer that could take a value; use set().")
        change = self._writes.get(slot, ())
        if change[1:] == ["reduce"]:
            value = [*change[0], value]  # type: ignore[misc]  # so written here
        elif change:  # a value written before is what it begins with
            raise UsageError(f"State key {_plain(slot)!r} was set by this visit; it cannot be put to as well.")
        else:
            value = [value]
        self._writes[slot] = [value, "reduce"]

    @overload
    def overwrite(self, key: StateKey[T], value: T) -> None: ...
    @overload
    def overwrite(self, key: str, value: object) -> None: ...
    def overwrite(self, key: str | StateKey[Any], value: object) -> None:
        """Write one key past its reducer: the value replaces the one so far.

        Two branches that overwrite one key are in conflict, like two writers of a key without a reducer.
        """
        slot = self._slot(key)
        change = [self._kept(key, value)]
        self._writes[slot] = [*change, "overwrite"] if self._reduces(slot) else change

    def update(self, values: Mapping[str, object] | None = None, /, **more: object) -> None:
        """Write several keys."""
        for key, value in (*(values or {}).items(), *more.items()):
            self.set(key, value)

    @overload
    def change(self, key: StateKey[T], function: Callable[[T], T], default: T = ...) -> T: ...
    @overload
    def change(self, key: str, function: Callable[[Any], object], default: object = None) -> object: ...
    def change(self, key: Any, function: Callable[[Any], object], default: object = _ABSENT) -> object:
        """Write ``function(current value)`` and return it."""
        value = function(self.get(key, default))
        self.set(key, value)
        return value

    def delete(self, key: str | StateKey[Any]) -> None:
        """Remove one key; a key that is not there is no error."""
        self._writes[self._slot(key)] = []

    def compare_and_set(self, key: str | StateKey[Any], expected: object, value: object) -> bool:
        """Write ``value`` if the committed value is ``expected`` now; ``None`` also stands for an absent key.

        Else nothing is written, and :meth:`get` gives the value that was found, so that one can try again. A key that
        this visit has written is compared with that. Whoever commits the key before this visit does makes it fail
        with :class:`StateConflict`.
        """
        from agentflow_kernel.schema import same  # only who compares pays

        slot = self._slot(key)
        self._look(slot)
        found = self._now(slot)
        found = self._default(slot) if found is _ABSENT else found
        if not same(found, self._kept(key, expected)):  # type: ignore[arg-type]  # JSON, as everything that is kept
            return False
        self.overwrite(key, value)
        return True

    def compare_version_and_set(self, key: str | StateKey[Any], version: int, value: object) -> bool:
        """As :meth:`compare_and_set`, by the version that :meth:`version_of` gave."""
        slot = self._slot(key)
        self._look(slot)
        if self._state.version_of(slot) != version:
            return False
        self.overwrite(key, value)
        return True

    def version_of(self, key: str | StateKey[Any]) -> int:
        """The version with which ``key`` was last committed, 0 where nobody has written it."""
        return self._state.version_of(self._slot(key))

    def snapshot(self) -> dict[str, object]:
        """All keys as this visit sees them, private ones by their own names; copies, as :meth:`get` gives them."""
        found = {}
        for slot in {**self._base, **self._writes}:
            owner, mark, name = slot.rpartition("\x1f")
            value = self._now(slot)
            if value is not _ABSENT and (not mark or owner == self._node):
                found[name] = copied(value)
        return found

    def diff(self) -> dict[str, list[object]]:
        """The visit's writes as JSON: key → ``[value]`` for a write, ``[]`` for a deletion, see :class:`SharedState`.

        Private keys stand behind their node's name.
        """
        return dict(self._writes)

    def commit(self) -> dict[str, list[object]]:
        """Make the writes visible and return them; used by the engine when the visit is complete.

        They are copies: what the node keeps of them is its own from here on.
        """
        diff = {slot: copied(change) for slot, change in self._writes.items()}
        self._state.commit((diff,), node=self._node, base=self._version, seen=self._seen)
        return diff

    def _slot(self, key: str | StateKey[Any]) -> str:
        """Under which name the key is kept."""
        rules = self._state.rules
        if key.__class__ is str:
            return key if rules is None else rules.slot(key, self._node)
        declared: StateKey[Any] = key  # type: ignore[assignment]  # no text
        if rules is not None and declared.name in rules.keys:
            return rules.slot(declared.name, self._node)
        if declared.reducer is not None or declared.scope != "flow" or (rules is not None and rules.closed):
            from agentflow_kernel.flow.key import undeclared  # only mistakes pay

            raise undeclared(declared, () if rules is None else rules.keys)
        return declared.name

    def _now(self, slot: str) -> Any:
        """The value as this visit sees it."""
        change = self._writes.get(slot)
        if change is None:
            return self._base.get(slot, _ABSENT)
        if not change:
            return _ABSENT
        if change[1:] == ["reduce"]:
            seen = {slot: self._base[slot]} if slot in self._base else {}
            _merge(seen, {slot: change}, self._state.rules, self._node)
            return seen[slot]
        return change[0]

    def _default(self, slot: str) -> Any:
        """The default that the flow declares for a key, ``None`` where there is none."""
        rules = self._state.rules
        key = None if rules is None else rules.keys.get(_plain(slot))
        value = _nothing() if key is None else key.fresh()
        return None if value is _nothing() else value

    def _reduces(self, slot: str) -> bool:
        rules = self._state.rules
        return rules is not None and rules.reducer(slot) is not None

    def _kept(self, key: str | StateKey[Any], value: object) -> object:
        if key.__class__ is str:
            return value
        declared: StateKey[Any] = key  # type: ignore[assignment]  # no text
        return declared.to_json(value)

    def _look(self, slot: str) -> None:
        """See what is committed now, and answer for the key from here on."""
        self._seen[slot] = self._state.version
        value = self._state.get(slot, _ABSENT)
        if value is _ABSENT:
            self._base.pop(slot, None)
        else:
            self._base[slot] = value


class BranchState(SharedState):
    """The state as one branch of a fork sees it: a copy as of the fork, and the branch's writes in their order."""

    __slots__ = ("written",)

    def __init__(self, values: Mapping[str, object], rules: StateRules | None = None, *, whole: bool = False) -> None:
        super().__init__(values, rules)
        self._whole = whole
        self.written: list[Diff] = []
        """The difference of each commit, as nodes wrote it; the join merges these."""

    def apply(self, diff: Diff, *, node: str) -> None:
        """Take a difference for this branch, and keep it for the join."""
        super().apply(diff, node=node)
        if diff:
            self.written.append(diff)

    def commit_join(self, diff: Diff, written: Sequence[Diff], *, node: str) -> None:
        """Commit what a join inside this branch made of several writes; the outer join gets the writes themselves."""
        super().apply(diff, node=node)
        self.written.extend(written)


def copied(value: Any) -> Any:
    """A copy of lists and objects, however deep; whatever else is in them is shared. What holds itself still does."""
    kind = value.__class__
    if kind is not list and kind is not dict:
        return value
    whole = value.copy()
    made, left = {id(value): whole}, [whole]
    while left:
        copy = left.pop()
        for place, child in enumerate(copy) if copy.__class__ is list else copy.items():
            kind = child.__class__
            if kind is list or kind is dict:
                twin = made.get(id(child))
                if twin is None:
                    twin = made[id(child)] = child.copy()
                    left.append(twin)
                copy[place] = twin
    return whole


def refuse_others(diff: object, keys: Iterable[str | StateKey[Any]], node: str) -> None:
    """Raise :class:`StateInvalid` where a difference holds a key that the node does not say it writes."""
    known = {str(getattr(key, "name", key)) for key in keys}
    for slot in diff:  # type: ignore[attr-defined]  # an object
        if _plain(slot) not in known:
            raise StateInvalid(_plain(slot), node, f"is not among its writes: {', '.join(map(repr, sorted(known)))}")


def _merge(values: dict[str, object], diff: Diff, rules: StateRules | None, node: str) -> None:
    """Put a difference into ``values``."""
    for key, change in diff.items():
        if not change:
            values.pop(key, None)
        elif change[1:] == ["reduce"]:
            from agentflow_kernel.flow.reducer import reduced  # only states with reducers pay

            reducer = None if rules is None else rules.reducer(key)
            for item in change[0]:  # type: ignore[attr-defined]  # a list, written by put
                values[key] = reduced(_plain(key), reducer or "last", values.get(key), item, node)
        else:
            values[key] = change[0]


def _plain(slot: str) -> str:
    return slot.rpartition("\x1f")[2]


def _nothing() -> Any:
    from agentflow_kernel.flow.key import NOTHING  # only declared states pay

    return NOTHING
