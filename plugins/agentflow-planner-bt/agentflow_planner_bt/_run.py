"""A run: what one run of a tree has beside the memory of its nodes; compiled trees are shared, runs are not.

Nodes are closures over numbers of cells. All they remember is in one list, the memory ``m``: the run at
:data:`RUN`, the blackboards at :data:`SCOPES`, then one status per node and what else a node asked for. So a snapshot
is a copy of a list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentflow_kernel.errors import PlanError
from agentflow_planner_bt.port import KINDS, NOTHING

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentflow_kernel.contracts.planner import Action
    from agentflow_planner_bt.leaf import Context

    Memory = list[Any]
    Tick = Callable[[Memory], int]
    """Ticks a node: gives the number of a status, never that of IDLE."""
    Reset = Callable[[Memory], None]
    """Makes a node IDLE; halts it and all below it first if it is RUNNING."""

RUN, SCOPES, HEAD = 0, 1, 2


class Part:
    """A compiled node: the cell of its status, and what ticks and resets it."""

    __slots__ = ("slot", "tick", "reset")

    def __init__(self, slot: int, tick: Tick, reset: Reset) -> None:
        self.slot = slot
        self.tick = tick
        self.reset = reset


class Entry:
    """What is known about a blackboard entry beside its value: its type, fixed at the first write, and its writes."""

    __slots__ = ("kind", "writes")

    def __init__(self, kind: str = "null", writes: int = 0) -> None:
        self.kind = kind
        self.writes = writes


class Run:
    """One run of a compiled tree."""

    __slots__ = (
        "now",
        "ticked_at",
        "woken",
        "again",
        "more",
        "entries",
        "objects",
        "contexts",
        "trace",
        "starts",
        "cancels",
        "open",
        "errors",
        "on_wake",
    )

    def __init__(self, scopes: int, objects: list[Any]) -> None:
        self.now = 0.0
        """Seconds of the tree's clock, which only :meth:`Tree.advance` or an observation moves."""
        self.woken = False
        """Whether another round is wanted at once: a loop gave way after a turn, or a leaf called."""
        self.again = False
        """Whether a node stays RUNNING although nothing below it is: only another tick will bring it on."""
        self.more = False
        """Whether a node that has got on has more to do at the next tick: an item of a list, a turn after one that took
        time."""
        self.ticked_at = -1.0
        """The time of the last tick; timers up to then have been seen."""
        self.entries: list[dict[str, Entry]] = [{} for _ in range(scopes)]
        self.objects = objects
        """The stateful leaves of Python, one entry for each node that has one."""
        self.contexts: list[Context] = []
        """The contexts of leaves that are functions: made once, since making one costs as much as a tick."""
        self.trace: list[tuple[int, int]] | None = None
        """Node and status of each tick, where somebody listens."""
        self.starts: list[Action] = []
        self.cancels: list[str] = []
        self.open: dict[str, int] = {}
        """The first cell of each action that has begun and not ended, by the action's id."""
        self.errors: list[tuple[int, str]] = []
        """Errors of this tick that count as FAILURE: the cell of the node's status, and the text."""
        self.on_wake: Callable[[], None] | None = None

    def wake(self) -> None:
        """Ask for another tick."""
        self.woken = True
        if self.on_wake is not None:
            self.on_wake()


def clear(m: Memory, parts: tuple[Part, ...]) -> None:
    """Make these nodes IDLE, from the first to the last; those that are RUNNING are halted."""
    for part in parts:
        if m[part.slot] == 1:  # RUNNING
            part.reset(m)
        else:
            m[part.slot] = 0


def write(m: Memory, scope: int, key: str, value: Any) -> None:
    """Set an entry of a blackboard.

    Raises:
        TypeError: the value is not JSON, or of another type than the first one was.
    """
    kind = KINDS.get(type(value))
    if kind is None or value != value:  # noqa: PLR0124 -- only NaN differs from itself
        raise TypeError(f"the entry {key!r} can hold JSON only, not a Python {type(value).__name__}")
    entries = m[RUN].entries[scope]
    entry = entries.get(key)
    if entry is None:
        entry = entries[key] = Entry()
    if kind not in {entry.kind, "null"}:
        if entry.kind != "null":
            held, found = _article(entry.kind), _article(kind)
            raise TypeError(f"the entry {key!r} holds {held} since its first write, not {found}")
        entry.kind = kind
    entry.writes += 1
    m[SCOPES][scope][key] = value


def unset(m: Memory, scope: int, key: str) -> None:
    """Take an entry away, with its type."""
    m[SCOPES][scope].pop(key, None)
    m[RUN].entries[scope].pop(key, None)


def read(m: Memory, scope: int, key: str) -> Any:
    """An entry of a blackboard, or NOTHING."""
    return m[SCOPES][scope].get(key, NOTHING)


def failed(path: str, error: Exception) -> PlanError:
    """The error of a node whose data or expressions failed: one from a node below stays as it is."""
    if isinstance(error, PlanError):
        return error
    return PlanError(path, f"{error}" if not isinstance(error, LookupError) else f"{error.args[0]}")


def raised(path: str, error: Exception) -> PlanError:
    """The error of a node whose leaf raised."""
    if isinstance(error, PlanError):
        return error
    return PlanError(path, f"it raised {type(error).__name__}: {error}")


def _article(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeio' else 'a'} {kind}"
