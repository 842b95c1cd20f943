"""A reducer: how writes of several branches to one key of the state become one value at their join."""

from __future__ import annotations

from agentflow_kernel.errors import StateConflict, UsageError

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
    deletion clears the value so far. A key without one may be written by one branch only.

    Raises:
        StateConflict: two branches wrote a key without a reducer; it names both.
        UsageError: a reducer cannot take what was written.
    """
    merged: dict[str, list[object]] = {}
    writer: dict[str, str] = {}
    for path, diffs in writers:
        for diff in diffs:
            for key, change in diff.items():
                reducer = reducers.get(key)
                if reducer is None:
                    if writer.setdefault(key, path) != path:
                        raise StateConflict(key, (writer[key], path))
                    merged[key] = change
                elif not change:
                    merged[key] = []
                else:
                    before = merged[key] if key in merged else [values[key]] if key in values else []
                    merged[key] = [_reduced(key, reducer, before[0] if before else None, change[0], path)]
    return merged


def _reduced(key: str, reducer: str | Reduce, before: object, value: object, path: str) -> object:
    reduce = REDUCERS[reducer] if isinstance(reducer, str) else reducer
    try:
        return reduce(before, value)
    except (TypeError, ValueError) as error:
        name = reducer if isinstance(reducer, str) else getattr(reducer, "__name__", "its reducer")
        raise UsageError(
            f"State key {key!r}: {name!r} cannot take a {type(value).__name__} written by {path!r} "
            f"after a {type(before).__name__}: {error}."
        ) from error
