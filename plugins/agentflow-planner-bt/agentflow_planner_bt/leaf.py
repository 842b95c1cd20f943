"""A leaf: what a tree does or asks at its ends, written in Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentflow_planner_bt._run import RUN, failed
from agentflow_planner_bt.port import NOTHING, Port

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agentflow_planner_bt._run import Memory


class Leaf:
    """A leaf with ports.

    ``action`` is a function of nothing, or of one :class:`Context`, that gives a status or a boolean; or an object, or
    a class without arguments, with the method ``start`` and, as wanted, ``running``, ``halted`` and ``end``, each of
    nothing or of a context (``end`` also of the status). Of a class every node gets an object of its own.

    ``start`` is called on a tick of a node that is not RUNNING, ``running`` on each tick after it while it is; where it
    is missing the node stays RUNNING. ``halted`` is called when the node is halted while RUNNING; ``end`` once for each
    ``start``, with the status, IDLE after a halt. What must survive a snapshot belongs into ``context.memory``.
    """

    __slots__ = ("action", "ports", "stateful", "takes_context")

    def __init__(self, action: Any, ports: Mapping[str, Port] | None = None) -> None:
        self.stateful = hasattr(action, "start")
        if not self.stateful and not callable(action):
            raise TypeError(f"A leaf is a function or has a method start(), not {type(action).__name__}.")
        self.action = action
        self.ports = dict(ports or {})
        self.takes_context = not self.stateful and _arity(action, 1) == 1

    def made(self) -> Methods:
        """The methods of a stateful leaf, of an object of their own where it is a class."""
        return Methods(self.action() if isinstance(self.action, type) else self.action)


class Methods:
    """The methods of a stateful leaf, all callable with a context."""

    __slots__ = ("start", "running", "halted", "end")

    def __init__(self, leaf: Any) -> None:
        self.start = _taking_context(leaf.start)
        self.running = _taking_context(getattr(leaf, "running", None))
        self.halted = _taking_context(getattr(leaf, "halted", None))
        end = getattr(leaf, "end", None)
        self.end: Callable[[Context, Any], Any] | None = None
        if end is not None:
            two = _arity(end, 2) == 2
            self.end = end if two else lambda context, status: end(status)


def _taking_context(function: Any) -> Any:
    if function is None or _arity(function, 1) == 1:
        return function
    return lambda context: function()


def _arity(function: Any, most: int) -> int:
    """How many positional arguments it is called with: as many as it takes, at most ``most``."""
    import inspect  # lazy: 19 ms, when a tree with leaves of Python is loaded

    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # a builtin without a signature
        return 0
    taken = 0
    for parameter in parameters:
        if parameter.kind is parameter.VAR_POSITIONAL:
            return most
        if parameter.kind in {parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD}:
            taken += 1
    return min(taken, most)


class Info:
    """What is fixed about a node with a leaf: path, name, cell of its memory, how its ports are read and written."""

    __slots__ = ("path", "name", "cell", "readers", "writers")

    def __init__(self, path: str, name: str, cell: int) -> None:
        self.path = path
        self.name = name
        self.cell = cell
        self.readers: dict[str, Callable[[Memory], Any]] = {}
        self.writers: dict[str, Callable[[Memory, Any], None]] = {}


class Context:
    """What a leaf sees of its node while it is called; not to be kept after that, except for :meth:`wake`."""

    __slots__ = ("_m", "_info")

    def __init__(self, m: Memory, info: Info) -> None:
        self._m = m
        self._info = info

    @property
    def name(self) -> str:
        """The node's name."""
        return self._info.name

    @property
    def path(self) -> str:
        """The node's place in the tree."""
        return self._info.path

    @property
    def now(self) -> float:
        """Seconds on the clock of the tree."""
        return float(self._m[RUN].now)

    @property
    def memory(self) -> dict[str, Any]:
        """A dictionary of the node's own, JSON, kept in snapshots; empty at first and never emptied by the tree."""
        if self._m[self._info.cell] is None:
            self._m[self._info.cell] = {}
        memory: dict[str, Any] = self._m[self._info.cell]
        return memory

    def get(self, port: str) -> Any:
        """What an input port gives.

        Raises:
            PlanError: the leaf has no such port, the document and the port's declaration give it nothing, the
                blackboard has no such entry, or its value does not fit the port's type.
        """
        value = self._read(port)
        if value is NOTHING:
            raise failed(self.path, LookupError(f"the port {port!r} has no value"))
        return value

    def find(self, port: str, default: Any = None) -> Any:
        """What an input port gives, or the default where it has no value."""
        value = self._read(port)
        return default if value is NOTHING else value

    def _read(self, port: str) -> Any:
        reader = self._info.readers.get(port)
        if reader is None:
            known = ", ".join(map(repr, self._info.readers)) or "none"
            raise failed(self.path, LookupError(f"no input port {port!r}; it has {known}"))
        return reader(self._m)

    def set(self, port: str, value: Any) -> None:
        """Write to an output port; where the document does not connect it, nothing happens.

        Raises:
            PlanError: the leaf has no such port, or the value is not JSON or of another type than the entry has.
        """
        writer = self._info.writers.get(port)
        if writer is None:
            known = ", ".join(map(repr, self._info.writers)) or "none"
            raise failed(self.path, LookupError(f"no output port {port!r}; it has {known}"))
        writer(self._m, value)

    def wake(self) -> None:
        """Ask for another tick; the only method that other threads may call, at any time."""
        self._m[RUN].wake()


def as_leaf(action: Any) -> Leaf:
    """The leaf itself, or one without ports."""
    return action if isinstance(action, Leaf) else Leaf(action)
