"""A memo: what is known about a chart's configurations, so that a step seen before costs one look into a table.

Which transitions an event may enable depends on the configuration alone; only guards are asked anew. Without guards the
whole microstep is known. The memo is bounded, shared by all sessions, and may be emptied at any time.
"""

from __future__ import annotations

from agentflow_planner_fsm._event import prefixes
from agentflow_planner_fsm._microstep import Microstep, filtered, plan
from agentflow_planner_fsm.chart import bits, mask_of, span

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentflow_planner_fsm._microstep import History
    from agentflow_planner_fsm.chart import Chart, Transition

    Row = dict[str | None, object]
    """By event name, ``None`` for no event: :data:`NOTHING`, a :class:`Microstep`, or :class:`Walks`."""

NOTHING = None
_MOST = 16_384
_ROOM = 32_000_000
"""Octets that configurations in the memo may take."""


class Walks:
    """The transitions to try, a tuple for each active leaf: the first of each whose guard holds is taken.

    ``only`` are those of the one leaf, where there is but one; ``steps`` are the microsteps of those that were taken.
    """

    __slots__ = ("walks", "only", "steps")

    def __init__(self, walks: tuple[tuple[Transition, ...], ...]) -> None:
        self.walks = walks
        self.only = walks[0] if len(walks) == 1 else None
        self.steps: dict[Transition, Microstep] = {}


class Memo:
    """The tables of one chart."""

    __slots__ = ("chart", "rows", "steps", "heard", "size", "most")

    def __init__(self, chart: Chart) -> None:
        self.chart = chart
        self.rows: dict[int, Row] = {}
        self.steps: dict[tuple[int, tuple[int, ...]], Microstep] = {}
        self.heard: dict[str | None, tuple[int, dict[int, list[Transition]]]] = {None: (chart.always, {})}
        """By event name the bits of the states with a transition for it, and those transitions as they were needed."""
        self.size = 0
        self.most = max(64, min(_MOST, _ROOM // (len(chart.states) // 4 + 64)))

    def row(self, configuration: int) -> Row:
        """What is known about a configuration; to be filled by :meth:`find`."""
        row = self.rows.get(configuration)
        if row is None:
            self._count()
            row = self.rows[configuration] = {}
        return row

    def find(self, row: Row, configuration: int, name: str | None, history: History) -> object:
        """What an event may do in a configuration; remembered in its row."""
        found: object = NOTHING
        walks = self._walks(configuration, name)
        if walks:
            if any(walk[0].guard is not None for walk in walks):
                found = Walks(walks)
            else:
                found = self._planned(configuration, tuple(dict.fromkeys(walk[0] for walk in walks)), history)
                if not found.lasting:
                    return found
        self._count()
        row[name] = found
        return found

    def step(self, configuration: int, transitions: tuple[Transition, ...], history: History) -> Microstep:
        """The microstep that takes these transitions, in the order in which they were selected."""
        key = configuration, tuple([transition.index for transition in transitions])
        step = self.steps.get(key)
        if step is None:
            step = self._planned(configuration, transitions, history)
            if step.lasting:
                self._count()
                self.steps[key] = step
        return step

    def _planned(self, configuration: int, transitions: tuple[Transition, ...], history: History) -> Microstep:
        """The microstep, made anew; one that lasts knows the row of what comes after it."""
        chosen = transitions
        if len(transitions) > 1:
            chosen = filtered(self.chart, configuration, transitions, history)
        step = plan(self.chart, configuration, chosen, history)
        if step.lasting:
            for transition in transitions:
                if transition.way is None and any(target.kind == "history" for target in transition.targets):
                    step.lasting = False
                    return step
            step.row = self.row(step.after)
        return step

    def _count(self) -> None:
        self.size += 1
        if self.size > self.most:
            self.size = 0
            self.rows = {}
            self.steps = {}
            self.heard = {None: (self.chart.always, {})}

    def _listeners(self, name: str | None) -> tuple[int, dict[int, list[Transition]]]:
        """Which states have a transition for an event."""
        found = self.heard.get(name)
        if found is None:
            chart = self.chart
            self._count()
            states = {state.index for word in prefixes(str(name)) for state in chart.listening.get(word, ())}
            found = self.heard[name] = mask_of(states, len(chart.states)), {}
        return found

    def _walks(self, configuration: int, name: str | None) -> tuple[tuple[Transition, ...], ...]:
        """From each active leaf upward, the transitions that an event may enable, up to the first without guard."""
        mask, known = self._listeners(name)
        hits = configuration & mask
        if not hits:
            return ()
        states = self.chart.states
        leaves = configuration & self.chart.leaves
        below = hits & leaves
        for index in bits(hits ^ below):
            below |= leaves & span(states[index])
        walks: dict[tuple[Transition, ...], None] = {}
        names = prefixes(name) if name is not None else []
        for index in bits(below):
            walk: list[Transition] = []
            state = states[index]
            while state.depth:
                if hits >> state.index & 1:
                    found = known.get(state.index)
                    if found is None:
                        found = known[state.index] = list(state.always) if name is None else state.matching(names)
                    walk += found
                    if any(transition.guard is None for transition in found):
                        break
                state = state.parent
            walks[tuple(walk)] = None
        return tuple(walks)
