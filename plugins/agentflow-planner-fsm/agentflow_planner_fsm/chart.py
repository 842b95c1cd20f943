"""A chart: a statechart made ready to run, immutable, shared by all sessions that run it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any, Literal

    from agentflow_planner_fsm._invocation import Invoke
    from agentflow_planner_fsm._memo import Memo
    from agentflow_planner_fsm._microstep import Way
    from agentflow_planner_fsm._session import Session

    Kind = Literal["atomic", "compound", "parallel", "final", "history"]
    Op = Callable[[Session], None]
    """One piece of executable content; raises :class:`ContentFailed` or ``ExpressionFailed``."""
    Block = tuple[Op, ...]
    """Content that stops as a whole at its first error."""
    Test = Callable[[Session], bool]


class Transition:
    """A way out of a state; ``events`` is ``None`` where it needs no event, ``targets`` empty where it only acts."""

    __slots__ = ("index", "source", "events", "guard", "targets", "internal", "actions", "label", "where", "way")

    def __init__(self, index: int, source: State, where: tuple[str | int, ...]) -> None:
        self.index = index
        self.source = source
        self.where = where
        self.events: tuple[str, ...] | None = None
        self.guard: Test | None = None
        self.targets: tuple[State, ...] = ()
        self.internal = False
        self.actions: Block = ()
        self.label = ""
        """Event and guard, for messages and pictures."""
        self.way: Way | None = None
        """What it leaves and enters, once that was found out and if it is always the same."""


class State:
    """One state. ``index`` is its place in document order; what is below it has the indexes up to ``end``."""

    __slots__ = (
        "index",
        "end",
        "depth",
        "id",
        "kind",
        "parent",
        "children",
        "histories",
        "where",
        "transitions",
        "table",
        "wildcards",
        "always",
        "initial",
        "initial_actions",
        "deep",
        "enter",
        "exit",
        "invokes",
        "data",
        "result",
        "busy",
    )

    def __init__(self, index: int, id: str, kind: Kind, parent: State | None, where: tuple[str | int, ...]) -> None:
        self.index = index
        self.end = index + 1
        self.depth: int = parent.depth + 1 if parent is not None else 0
        self.id = id
        self.kind: Kind = kind
        self.parent: State = parent if parent is not None else self
        """What holds it; the root holds itself."""
        self.where = where
        self.children: list[State] = []
        self.histories: list[State] = []
        self.transitions: list[Transition] = []
        self.table: dict[str, list[Transition]] = {}
        """The transitions by descriptor."""
        self.always: tuple[Transition, ...] = ()
        """The transitions without event."""
        self.initial: tuple[State, ...] = ()
        """Of a compound state where it is entered by default; of a history state its default."""
        self.initial_actions: Block = ()
        self.deep = False
        self.enter: tuple[Block, ...] = ()
        self.exit: tuple[Block, ...] = ()
        self.invokes: tuple[Invoke, ...] = ()
        self.data: tuple[tuple[str, Callable[[Session], Any]], ...] = ()
        """Variables that get their value when the state is first entered, where binding is late."""
        self.result: Callable[[Session], Any] | None = None
        """Of a final state: what its parent ends with."""
        self.busy = False
        """Whether entering or leaving it does more than to change the configuration."""

    def is_below(self, other: State) -> bool:
        """Whether it is a proper descendant of the other."""
        return other.index < self.index < other.end

    @property
    def is_leaf(self) -> bool:
        """Whether it has no states in it."""
        return self.kind in ("atomic", "final")

    def matching(self, names: Iterable[str]) -> list[Transition]:
        """The transitions with one of these descriptors, in document order."""
        found = [transition for name in names for transition in self.table.get(name, ())]
        if len(found) > 1:
            found = sorted(set(found), key=_index)
        return found


def _index(item: Transition) -> int:
    return item.index


class Chart:
    """All states in document order; the first is the root, which is never in a configuration."""

    def __init__(self, name: str, document: Mapping[str, Any]) -> None:
        self.name = name
        self.document = document
        """The document that it was made from; shared, not to be changed."""
        self.states: list[State] = []
        self.by_id: dict[str, State] = {}
        self.transitions: list[Transition] = []
        self.leaves = 0
        """The bits of all leaves."""
        self.always = 0
        """The bits of all states with a transition that needs no event."""
        self.busy = 0
        """The bits of all states that do something when they are left."""
        self.remembering = 0
        """The bits of all states with history states in them."""
        self.listening: dict[str, list[State]] = {}
        """By descriptor the states with a transition that has it, in document order."""
        self.ways = 0
        """The bits of all states with transitions."""
        self.data: tuple[tuple[str, Callable[[Session], Any] | None], ...] = ()
        """All variables with what gives their first value; ``None`` where that waits for their state."""
        self.own: frozenset[str] = frozenset()
        """The variables of the chart itself, which who starts it may give."""
        self.script: Block = ()
        """What is done once before the first state is entered."""
        self.uses_event = False
        """Whether any expression looks at ``_event``."""
        self.always_uses_event = False
        """Whether the guard of a transition that needs no event looks at ``_event``."""
        self.memo: Memo
        """What was found out about configurations so far."""

    def __deepcopy__(self, memo: object) -> Chart:
        """Itself: it never changes."""
        return self

    @property
    def root(self) -> State:
        """What holds all states."""
        return self.states[0]

    def ids(self, configuration: int) -> list[str]:
        """The ids of the states in a configuration, in document order."""
        states = self.states
        return [states[index].id for index in bits(configuration)]

    def mask(self, ids: Sequence[str]) -> int:
        """The configuration that has these states and all that hold them; raises :class:`KeyError`."""
        found = set()
        for name in ids:
            state = self.by_id[name]
            while state.depth:
                found.add(state.index)
                state = state.parent
        return mask_of(found, len(self.states))


def bits(mask: int) -> list[int]:
    """The places of the bits of a number, ascending."""
    found = []
    if mask.bit_length() <= 256:
        while mask:
            low = mask & -mask
            found.append(low.bit_length() - 1)
            mask ^= low
        return found
    text = bin(mask)[:1:-1]  # one pass over the digits: shifting a long number costs its length each time
    at = text.find("1")
    while at >= 0:
        found.append(at)
        at = text.find("1", at + 1)
    return found


def mask_of(indexes: Iterable[int], size: int) -> int:
    """The number that has these bits, all below ``size``."""
    if size <= 256:
        mask = 0
        for index in indexes:
            mask |= 1 << index
        return mask
    octets = bytearray(size // 8 + 1)
    for index in indexes:
        octets[index >> 3] |= 1 << (index & 7)
    return int.from_bytes(octets, "little")


def span(state: State) -> int:
    """The bits of everything below a state."""
    return (1 << state.end) - (1 << (state.index + 1))
