"""An endless way: transitions with neither event nor guard that lead round in a circle, so that nothing ever rests.

Only what is certain is told. Where a guard, a history state or a region beside it may lead out, the bound on microsteps
decides when the chart runs.
"""

from __future__ import annotations

from agentflow_planner_fsm._microstep import Entry, domain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from agentflow_planner_fsm.chart import Chart, State, Transition

_MOST = 1_000_000
"""States entered that are looked at: in a chart with more, what is left is not looked for."""


def find_endless(chart: Chart, reached: Collection[int]) -> Iterator[Sequence[tuple[State, Transition]]]:
    """Circles in which a leaf leads to the next for ever once it is active, each with the transition that it takes.

    Only leaves of the indexes ``reached`` are looked at, and no leaf is in two circles.
    """
    if not chart.always:
        return
    ways = _Ways(chart)
    seen: dict[int, int] = {}
    """By index of a leaf its place on the way that is followed, or -1 where it was followed to the end."""
    for leaf in chart.states:
        if not leaf.is_leaf or leaf.index not in reached or leaf.index in seen:
            continue
        seen[leaf.index] = 0
        path = [(leaf, iter(ways.after(leaf)))]
        while path:
            state, rest = path[-1]
            target = next(rest, None)
            if target is None:
                seen[state.index] = -1
                path.pop()
            elif target.index not in seen:
                seen[target.index] = len(path)
                path.append((target, iter(ways.after(target))))
            elif seen[target.index] >= 0:
                circle = [(state, ways.first[state.index]) for state, _ in path[seen[target.index] :]]
                yield [(state, transition) for state, transition in circle if transition is not None]
                for state, _ in path:
                    seen[state.index] = -1
                path.clear()


class _Ways:
    """Where each leaf surely leads to, whatever the data."""

    def __init__(self, chart: Chart) -> None:
        self.chart = chart
        self.left = _MOST
        self.first: list[Transition | None] = []
        """By index of a state the transition that a leaf there surely selects."""
        self.targets: dict[int, Sequence[State]] = {}
        self.any: dict[int, int] = {}
        """By index of a region, or of the parallel state with it, the transitions without event in it."""
        self.out: dict[int, int] = {}
        """Those of them that may leave the parallel state."""
        for state in chart.states:
            own = state.always[0] if state.always else None
            inherited = self.first[state.parent.index] if state.depth else None
            self.first.append(inherited if own is None else own if own.guard is None else None)
            for transition in state.always:
                self._count(transition)

    def _count(self, transition: Transition) -> None:
        top = _top(transition)
        state = transition.source
        while state.depth:
            holder = state.parent
            if holder.kind == "parallel":
                for index in (state.index, holder.index):
                    self.any[index] = self.any.get(index, 0) + 1
                    self.out[index] = self.out.get(index, 0) + (top < holder.depth)
            state = holder

    def after(self, leaf: State) -> Sequence[State]:
        """The leaves that are surely active after the next microstep because of this one."""
        transition = self.first[leaf.index]
        if transition is None or not self._prevails(leaf, transition):
            return ()
        if not transition.targets:
            return (leaf,)
        found = self.targets.get(transition.index)
        if found is None:
            found = self.targets[transition.index] = self._entered(transition)
        self.left -= len(found)
        return found if self.left > 0 else ()

    def _entered(self, transition: Transition) -> Sequence[State]:
        entry = Entry(self.chart, {})
        entry.add_targets(transition)
        entry.close()
        self.left -= len(entry.entries)
        if not entry.lasting or any(state.kind == "final" and state.depth == 1 for state in entry.entries):
            return ()
        return [state for state in entry.entries if state.is_leaf]

    def _prevails(self, leaf: State, transition: Transition) -> bool:
        """Whether no region beside it can keep the leaf from this transition, or take it elsewhere meanwhile."""
        top = _top(transition)
        state = leaf
        while state.depth:
            holder = state.parent
            if holder.kind == "parallel":
                counts = self.any if top < holder.depth else self.out
                if not transition.targets or counts.get(holder.index, 0) > counts.get(state.index, 0):
                    return False
            state = holder
        return True


def _top(transition: Transition) -> int:
    """The depth of the state within which a transition stays; 0 where only history tells."""
    if not transition.targets:
        return transition.source.depth
    if any(target.kind == "history" for target in transition.targets):
        return 0
    return domain(transition, transition.targets).depth
