"""A reducer: how writes of several branches to one key of the state become one value at their join."""

from __future__ import annotations

from agentflow_kernel.errors import StateConflict, UsageError
from agentflow_kernel.flow.state import copied

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    Reduce = Callable[[Any, Any], object]
    Diff = Mapping[str, list[object]]


def _last(before: Any, value: Any) -> object:
    return value


def _append(before: Any, value: Any) -> object:
    return [value] if before is None else [*before, value]


def _merge(before: Any, value: Any) -> object:
    return dict(value) if before is None else {**before, **value}


def _add(before: Any, value: Any) -> object:
    return value if before is None else before + value


def _max(before: Any, value: Any) -> object:
    return value if before is None else max(before, value)


REDUCERS: dict[str, Reduce] = {"last": _last, "append": _append, "merge": _merge, "add": _add, "max": _max}
"""By name. ``append`` adds the written value as one item; ``add`` adds numbers and joins lists and texts."""


def joined(
    values: Mapping[str, object], reducers: Mapping[str, str | Reduce], writers: Sequence[tuple[str, Sequence[Diff]]]
) -> dict[str, list[object]]:
    """The difference that a join commits: key → ``[value]``, or ``[]`` for a deletion.

    ``values`` is the state at the fork, ``writers`` the path of each branch with its writes, in declared order. A key
    with a reducer gets ``reduce(value so far, written value)`` for each write, ``None`` standing for no value; a
    deletion clears the value so far, a value written past the reducer replaces it. A key without a reducer may be
    written by one branch only, and be written past its reducer by one only, unless that takes the last one anyway.

    Raises:
        StateConflict: two branches wrote a key without a reducer, or past it; it names both.
        UsageError: a reducer cannot take what was written.
    """
    merged: dict[str, list[object]] = {}
    writer: dict[str, str] = {}
    for path, diffs in writers:
        for diff in diffs:
            for key, change in diff.items():
                reducer = reducers.get(key.rpartition("\x1f")[2])
                kind = change[1] if len(change) > 1 else "write"
                if reducer is None or (kind == "overwrite" and reducer != "last"):
                    if writer.setdefault(key, path) != path:
                        advice = "Give it a reducer." if reducer is None else "Both went past its reducer: use set()."
                        raise StateConflict(key.rpartition("\x1f")[2], (writer[key], path), advice=advice)
                    merged[key] = change[:1]
                elif not change:
                    merged[key] = []
                else:
                    found = merged[key] if key in merged else [values[key]] if key in values else []
                    value = found[0] if found else None
                    for item in change[0] if kind == "reduce" else change[:1]:  # type: ignore[attr-defined]  # a list
                        value = reduced(key.rpartition("\x1f")[2], reducer, value, item, path)
                    merged[key] = [value]
    return merged


def reduced(key: str, reducer: str | Reduce, before: object, value: object, path: str) -> object:
    """What a reducer makes of the value so far and the one that the visit or branch at ``path`` has written."""
    try:
        if isinstance(reducer, str):
            return REDUCERS[reducer](before, value)
        return reducer(copied(before), copied(value))  # it may be tried before it counts, and may change them in place
    except (TypeError, ValueError) as error:
        name = reducer if isinstance(reducer, str) else getattr(reducer, "__name__", "its reducer")
        raise UsageError(
            f"State key {key!r}: {name!r} cannot take a {type(value).__name__} written by {path!r} "
            f"after a {type(before).__name__}: {error}."
        ) from error
