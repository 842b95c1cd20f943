"""A microstep: which states a set of transitions leaves and enters from a configuration.

Source: the procedures of appendix D of the SCXML recommendation (W3C, 2015): ``removeConflictingTransitions``,
``computeExitSet``, ``computeEntrySet``. A configuration is one integer, a bit for each state in document order; what is
below a state is a range of bits, so that exit sets are masks.
"""

from __future__ import annotations

from agentflow_planner_fsm.chart import bits, mask_of, span

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from agentflow_planner_fsm._memo import Row
    from agentflow_planner_fsm.chart import Block, Chart, State, Transition

    History = Mapping[int, tuple[int, ...]]
    """By the index of a history state, the indexes of the states that it recorded."""

_MOST_KEPT = 4_096
"""States of a chart whose transitions keep their masks: each takes a bit for each state."""


class Microstep:
    """What is left, done and entered, and the configuration after it.

    ``quick``: nothing but the configuration changes. ``settled``: no transition without event can follow.
    ``lasting``: it does not depend on what history states have recorded.
    """

    __slots__ = (
        "transitions",
        "left",
        "exits",
        "records",
        "entries",
        "defaults",
        "restored",
        "after",
        "quick",
        "settled",
        "lasting",
        "row",
    )

    def __init__(self, transitions: tuple[Transition, ...], entry: Entry | Way, left: int, after: int) -> None:
        self.transitions = transitions
        self.left = left
        """The bits of the states left; they are left in the order opposite to that of the document."""
        self.exits: Sequence[State] = ()
        """The states left, in this order, once they were looked up."""
        self.records: tuple[tuple[int, tuple[int, ...]], ...] = ()
        """What the history states of the states left remember."""
        self.entries = entry.entries
        """The states entered, in document order."""
        self.defaults = entry.defaults
        """Indexes of the states whose initial transition has actions to do."""
        self.restored = entry.restored
        """By index of the state, the actions of the default of its history state."""
        self.after = after
        self.quick = False
        self.settled = False
        self.lasting = True
        self.row: Row | None = None


class Way:
    """What one transition leaves and enters, whatever the configuration: a span of states, and an entry set."""

    __slots__ = ("span", "entered", "entries", "defaults", "restored", "calm")

    def __init__(self, transition: Transition, entry: Entry, size: int) -> None:
        self.span = span(domain(transition, transition.targets)) if transition.targets else 0
        self.entries = entry.entries
        self.entered = mask_of((state.index for state in entry.entries), size)
        self.defaults = entry.defaults
        self.restored = entry.restored
        self.calm = not (transition.actions or entry.defaults or any(state.busy for state in entry.entries))


def filtered(
    chart: Chart, configuration: int, transitions: Sequence[Transition], history: History
) -> tuple[Transition, ...]:
    """The transitions without those that another one preempts.

    Two are in conflict where they leave a common state. The one selected first wins, unless the source of the other
    is a descendant of its own.
    """
    kept: list[tuple[Transition, int]] = []
    left = 0
    for transition in transitions:
        leaves = _exits(transition, configuration, history)
        if not leaves & left:
            kept.append((transition, leaves))
            left |= leaves
            continue
        rivals = [other for other, mask in kept if mask & leaves]
        if all(transition.source.is_below(other.source) for other in rivals):
            kept = [pair for pair in kept if pair[0] not in rivals]
            kept.append((transition, leaves))
            left = 0
            for _, mask in kept:
                left |= mask
    return tuple(transition for transition, _ in kept)


def plan(chart: Chart, configuration: int, transitions: tuple[Transition, ...], history: History) -> Microstep:
    """The microstep that takes these transitions, which are not in conflict."""
    if len(transitions) == 1:
        way = transitions[0].way or _find_way(chart, transitions[0])
        if way is not None:
            return _take(chart, configuration, transitions, way)
    left = 0
    for transition in transitions:
        left |= _exits(transition, configuration, history)
    records = tuple(_records(left, configuration, chart))
    entry = Entry(chart, {**history, **dict(records)} if records else history)
    for transition in transitions:
        entry.add_targets(transition)
    entry.close()
    step = Microstep(transitions, entry, left, configuration & ~left | mask_of(entry.entered, len(chart.states)))
    step.records = records
    step.settled = not step.after & chart.always
    step.lasting = entry.lasting
    step.quick = not (
        records
        or left & chart.busy
        or step.defaults
        or step.restored
        or any(transition.actions for transition in transitions)
        or any(state.busy for state in step.entries)
    )
    return step


def _take(chart: Chart, configuration: int, transitions: tuple[Transition, ...], way: Way) -> Microstep:
    """The microstep of one transition that always leads the same way."""
    left = configuration & way.span
    step = Microstep(transitions, way, left, configuration & ~left | way.entered)
    if left & chart.remembering:
        step.records = tuple(_records(left, configuration, chart))
    step.settled = not step.after & chart.always
    step.quick = way.calm and not left & chart.busy and not step.records
    return step


def _find_way(chart: Chart, transition: Transition) -> Way | None:
    """The way of a transition, kept with it; ``None`` where history decides, or the chart is too large to keep all."""
    if len(chart.states) > _MOST_KEPT or any(target.kind == "history" for target in transition.targets):
        return None
    entry = Entry(chart, {})
    entry.add_targets(transition)
    entry.close()
    if not entry.lasting:
        return None
    transition.way = Way(transition, entry, len(chart.states))
    return transition.way


def beginning(chart: Chart) -> Microstep:
    """The microstep that enters the chart."""
    entry = Entry(chart, {})
    root = chart.root
    for target in root.initial:
        entry.add(target)
    for target in root.initial:
        entry.add_above(target, root)
    entry.close()
    return Microstep((), entry, 0, mask_of(entry.entered, len(chart.states)))


class Entry:
    """The states being collected that a microstep enters."""

    __slots__ = ("chart", "history", "entered", "above", "compound", "entries", "defaults", "restored", "lasting")

    def __init__(self, chart: Chart, history: History) -> None:
        self.chart = chart
        self.history = history
        self.entered: set[int] = set()
        self.above: set[int] = set()
        """Indexes of all states that have one of those entered below them."""
        self.compound: set[int] = set()
        """Indexes of those that are entered by default."""
        self.entries: tuple[State, ...] = ()
        self.defaults: frozenset[int] = frozenset()
        self.restored: dict[int, Block] = {}
        self.lasting = True

    def close(self) -> None:
        """Put what was collected into order."""
        states = self.chart.states
        self.entries = tuple(states[index] for index in sorted(self.entered))
        self.defaults = frozenset(index for index in self.compound if states[index].initial_actions)

    def add_targets(self, transition: Transition) -> None:
        """What one transition enters."""
        for target in transition.targets:
            self.add(target)
        if transition.targets:
            targets = effective(transition.targets, self.history)
            top = domain(transition, targets)
            for target in targets:
                self.add_above(target, top)
            if targets != transition.targets:
                self.lasting = False

    def add(self, state: State) -> None:
        """A state and what is entered with it by default."""
        if state.kind == "history":
            self._restore(state)
            return
        self._note(state)
        if state.kind == "compound":
            self.compound.add(state.index)
            for target in state.initial:
                self.add(target)
            for target in state.initial:
                self.add_above(target, state)
        elif state.kind == "parallel":
            self._complete(state)

    def add_above(self, state: State, top: State) -> None:
        """What holds a state, below ``top``, with the other regions of parallel states."""
        holder = state.parent
        while holder.depth and holder is not top:
            self._note(holder)
            if holder.kind == "parallel":
                self._complete(holder)
            holder = holder.parent

    def _note(self, state: State) -> None:
        if state.index in self.entered:
            return
        self.entered.add(state.index)
        holder = state.parent
        while holder.index not in self.above:
            self.above.add(holder.index)
            holder = holder.parent

    def _complete(self, state: State) -> None:
        for child in state.children:
            if child.index not in self.above and child.index not in self.entered:
                self.add(child)

    def _restore(self, state: State) -> None:
        self.lasting = False
        recorded = self.history.get(state.index)
        holder = state.parent
        if recorded is not None:
            targets: tuple[State, ...] = tuple(self.chart.states[index] for index in recorded)
        else:
            targets = state.initial
            if state.initial_actions:
                self.restored[holder.index] = state.initial_actions
        for target in targets:
            self.add(target)
        for target in targets:
            self.add_above(target, holder)


def effective(targets: tuple[State, ...], history: History) -> tuple[State, ...]:
    """The targets with each history state replaced by what it recorded, or by its default."""
    if all(target.kind != "history" for target in targets):
        return targets
    found: dict[int, State] = {}
    for target in targets:
        if target.kind != "history":
            found[target.index] = target
        else:
            holder = target.parent
            recorded = history.get(target.index)
            below = effective(target.initial, history) if recorded is None else _states(holder, recorded)
            found.update((state.index, state) for state in below)
    return tuple(found.values())


def _states(holder: State, indexes: tuple[int, ...]) -> Iterable[State]:
    """The states of these indexes, all of them below the holder."""
    for index in indexes:
        state = holder
        while state.index != index:
            state = next(child for child in state.children if child.index <= index < child.end)
        yield state


def domain(transition: Transition, targets: Sequence[State]) -> State:
    """The state whose descendants the transition leaves: its source, or the least compound state round everything."""
    source = transition.source
    if transition.internal and source.kind == "compound" and all(target.is_below(source) for target in targets):
        return source
    holder = source.parent
    while holder.depth:
        if holder.kind == "compound" and all(target.is_below(holder) for target in targets):
            return holder
        holder = holder.parent
    return holder


def _exits(transition: Transition, configuration: int, history: History) -> int:
    if not transition.targets:
        return 0
    return configuration & span(domain(transition, effective(transition.targets, history)))


def _records(left: int, configuration: int, chart: Chart) -> Iterable[tuple[int, tuple[int, ...]]]:
    """What each history state of the states left is to remember."""
    for index in bits(left & chart.remembering):
        state = chart.states[index]
        for memory in state.histories:
            if memory.deep:
                yield memory.index, tuple(bits(configuration & chart.leaves & span(state)))
            else:
                active = (child.index for child in state.children if configuration >> child.index & 1)
                yield memory.index, tuple(active)
