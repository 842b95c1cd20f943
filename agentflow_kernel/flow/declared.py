"""A declared state: what is checked of a flow's state keys, and of what reads and writes them, before it runs."""

from __future__ import annotations

from agentflow_kernel.contracts.finding import Finding
from agentflow_kernel.errors import nearest
from agentflow_kernel.flow.asking import schema_problems
from agentflow_kernel.flow.finding import OPTION, STATE_KEY, UNKNOWN_VALUE, UNWRITTEN
from agentflow_kernel.flow.key import NOTHING, SCOPES
from agentflow_kernel.flow.reducer import REDUCERS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from typing import Any

    from agentflow_kernel.flow.key import StateKey
    from agentflow_kernel.flow.reducer import Reduce

    Read = tuple[str, str, tuple[str | int, ...]]
    """A key that is read, by what, and where that stands."""


def check_keys(keys: Mapping[str, StateKey[Any]], reducers: Mapping[str, str | Reduce]) -> Iterator[Finding]:
    """Findings about what keys declare."""
    for name, key in keys.items():
        where = ("state", name)
        if key.scope not in SCOPES:
            text = f"state key {name!r}: scope must be one of {', '.join(map(repr, SCOPES))}, not {key.scope!r}"
            yield Finding(OPTION, text, *where, "scope")
        if key.reducer is not None and not callable(key.reducer) and key.reducer not in REDUCERS:
            known = ", ".join(map(repr, REDUCERS))
            text = f"state key {name!r}: reducer must be one of {known} or a function, not {key.reducer!r}"
            yield Finding(OPTION, text + _hint(str(key.reducer), REDUCERS), *where, "reducer")
        if name in reducers and key.reducer is not None:
            yield Finding(STATE_KEY, f"state key {name!r} has two reducers", *where, "reducer")
        for problem in schema_problems(f"state key {name!r}: its schema", key.schema):
            yield Finding(OPTION, problem, *where, "schema")
        default = key.fresh()
        misfit = None if default is NOTHING else key.problem(default)
        if misfit is not None:
            place = f" at {misfit[0]}" if misfit[0] else ""
            text = f"the default of state key {name!r} does not fit its own schema{place}: {misfit[1]}"
            yield Finding(STATE_KEY, text, *where, "default")
    for name in reducers if keys else ():
        if name not in keys:
            text = f"the reducer of {name!r} is for a key that is not declared{_hint(name, keys)}"
            yield Finding(STATE_KEY, text, "reducers", name)


def check_reads(
    keys: Mapping[str, StateKey[Any]], reads: Iterable[Read], written: Collection[str] | None
) -> Iterator[Finding]:
    """Findings about keys that are read although they are not declared, or although nobody writes them.

    ``written`` are the keys that nodes may write, ``None`` where they may write any.
    """
    for name, what, where in reads:
        key = keys.get(name)
        if keys and key is None:
            text = f"{what} reads state key {name!r}, which is not declared{_hint(name, keys)}"
            yield Finding(UNKNOWN_VALUE, text, *where)
        elif key is not None and key.scope == "node":
            yield Finding(UNKNOWN_VALUE, f"{what} reads state key {name!r}, which is private to each node", *where)
        elif written is not None and name not in written and (key is None or _is_open(key)):
            yield Finding(UNWRITTEN, f"{what} reads state key {name!r}, which no node writes", *where)


def _is_open(key: StateKey[Any]) -> bool:
    """Whether the key has no value unless a node of this flow writes it."""
    return key.default is NOTHING and key.scope != "run"


def _hint(name: str, known: Collection[str]) -> str:
    close = nearest(name, known)
    return f" (did you mean {close!r}?)" if close else f" (known: {', '.join(map(repr, known)) or 'none'})"
