"""A compiler: it turns a document into a chart, or says everything that is wrong with it."""

from __future__ import annotations

from itertools import pairwise

from agentflow_kernel.errors import PlanInvalid
from agentflow_planner_fsm._content import read_block, read_blocks
from agentflow_planner_fsm._invocation import read_invokes
from agentflow_planner_fsm._memo import Memo
from agentflow_planner_fsm._reading import DUPLICATE, SCHEMA, TOO_LARGE, Reading, shown
from agentflow_planner_fsm._targets import meet, read_history, read_initial
from agentflow_planner_fsm._transitions import read_after, read_catching, read_transitions
from agentflow_planner_fsm._tree import read_tree
from agentflow_planner_fsm._variables import read_variables
from agentflow_planner_fsm.chart import Chart, mask_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from agentflow_planner_fsm._invocation import Invoke
    from agentflow_planner_fsm._reading import Value, Where
    from agentflow_planner_fsm.chart import State

DEEPEST_CHART = 8
"""How deep charts may be within each other's invocations."""

_ROOT = ("name", "description", "initial", "states", "data", "binding", "script")


def compile_chart(document: Any, *, name: str = "", charts: Mapping[str, Any] | None = None) -> Chart:
    """The chart of a document; ``charts`` are documents that it may invoke by name.

    Raises:
        PlanInvalid: the document is wrong; with all findings, warnings too.
    """
    reading = Reading(charts)
    chart = read_chart(reading, document, name=name)
    if reading.failed:
        raise PlanInvalid(chart.name, reading.findings)
    return chart


def compile_late(document: Any) -> Chart:
    """The chart of a document that only the run knows: a mapping, or the text of one; a text is never a path.

    Raises:
        PlanInvalid: the document is wrong.
    """
    from agentflow_planner_fsm.document import read_text  # lazy: only charts that come as data

    return compile_chart(read_text(document) if isinstance(document, str) else document)


def read_chart(reading: Reading, document: Any, where: Where = (), *, name: str = "", depth: int = 0) -> Chart:
    """The chart of a document as far as it can be made; what is wrong is noted in the reading."""
    fields = reading.fields(document, _ROOT, where, "a statechart")
    title = fields.get("name") or name or "statechart"
    if not isinstance(title, str):
        reading.find(SCHEMA, f"Expected a text for the name of a statechart, not {shown(title)}.", *where, "name")
    chart = Chart(title if isinstance(title, str) else "statechart", fields)
    if depth > DEEPEST_CHART:
        reading.find(TOO_LARGE, f"Charts are nested more than {DEEPEST_CHART} deep.", *where)
        return chart
    _Compiler(reading, chart, where, depth).read(fields)
    return chart


class _Compiler:
    """One chart in the making."""

    def __init__(self, reading: Reading, chart: Chart, where: Where, depth: int) -> None:
        self.reading = reading
        self.chart = chart
        self.where = where
        self.depth = depth
        self.late = False
        self.sources: list[Mapping[str, Any]] = []
        """What the document has for each state, by index."""
        self.data: dict[str, Value | None] = {}

    def read(self, fields: Mapping[str, Any]) -> None:
        """All of it: first the tree of states, so that every target is known, then what they do."""
        reading, chart = self.reading, self.chart
        outer, reading.uses_event = reading.uses_event, False
        binding = fields.get("binding", "early")
        if binding not in ("early", "late"):
            reading.find(SCHEMA, f"Expected early or late, not {shown(binding)}.", *self.where, "binding")
        self.late = binding == "late"
        self.sources = read_tree(reading, chart, fields, self.where)
        reading.step = ""
        place = (*self.where, "data")
        chart.own = frozenset(read_variables(reading, self.data, fields.get("data", {}), place, late=False))
        for state in chart.states:
            reading.step = state.id
            self._state(state, self.sources[state.index])
        self._apart()
        reading.step = ""
        if "script" in fields:
            chart.script = read_block(reading, fields["script"], (*self.where, "script"))
        self._close()
        reading.uses_event = outer

    def _state(self, state: State, fields: Mapping[str, Any]) -> None:
        """What a state does."""
        reading, chart, where = self.reading, self.chart, state.where
        if state.kind == "history":
            read_history(reading, chart, state, self.sources)
            return
        if state.kind == "compound":
            read_initial(reading, chart, state, fields)
        if not state.depth:
            return
        if "enter" in fields:
            state.enter = read_blocks(reading, fields["enter"], (*where, "enter"))
        if "exit" in fields:
            state.exit = read_blocks(reading, fields["exit"], (*where, "exit"))
        if state.kind == "final":
            state.result = reading.payload(fields, where, lenient=True)
            state.busy = True
            return
        if "data" in fields:
            values = read_variables(reading, self.data, fields["data"], (*where, "data"), late=self.late)
            state.data = tuple((name, first) for name, first in values.items()) if self.late else ()
        if "invoke" in fields:
            place = (*where, "invoke")
            state.invokes = read_invokes(reading, fields["invoke"], place, state, compile_late, self._nested)
            read_catching(reading, chart, state)
        if "transitions" in fields:
            read_transitions(reading, chart, state, fields["transitions"])
        if "after" in fields:
            read_after(reading, chart, state, fields["after"])
        self._sort(state)
        state.busy = bool(state.enter or state.exit or state.invokes or state.data)

    def _nested(self, document: Any, where: Where) -> Chart:
        step = self.reading.step
        chart = read_chart(self.reading, document, where, depth=self.depth + 1)
        self.reading.step = step
        return chart

    def _sort(self, state: State) -> None:
        always = []
        for transition in state.transitions:
            if transition.events is None:
                always.append(transition)
            for name in transition.events or ():
                state.table.setdefault(name, []).append(transition)
        state.always = tuple(always)

    def _apart(self) -> None:
        """No two invocations that may be at work together have one id: an answer names the invocation by it."""
        found: dict[str, list[Invoke]] = {}
        for state in self.chart.states:
            for invoke in state.invokes:
                if invoke.id:
                    found.setdefault(invoke.id, []).append(invoke)
        for id, invokes in found.items():
            # the states are in document order, so that neighbours suffice: of three, the middle one meets one of two
            for one, other in pairwise(invokes):
                if one.state is other.state or meet(one.state, other.state):
                    self.reading.step = other.state.id
                    text = f"The id {id!r} of an invocation is taken by one of the state {one.state.id!r}."
                    hint = "Give each of those that may be at work together an id of its own."
                    self.reading.find(DUPLICATE, text, *other.state.where, "invoke", suggestion=hint)

    def _close(self) -> None:
        """Work out what sessions look up."""
        chart = self.chart
        size = len(chart.states)
        chart.leaves = mask_of((state.index for state in chart.states if state.is_leaf), size)
        chart.always = mask_of((state.index for state in chart.states if state.always), size)
        chart.busy = mask_of((state.index for state in chart.states if state.busy), size)
        chart.remembering = mask_of((state.index for state in chart.states if state.histories), size)
        for state in chart.states:
            for name in state.table:
                chart.listening.setdefault(name, []).append(state)
        chart.ways = mask_of((state.index for state in chart.states if state.transitions), size)
        chart.data = tuple(self.data.items())
        chart.uses_event = self.reading.uses_event
        chart.memo = Memo(chart)
