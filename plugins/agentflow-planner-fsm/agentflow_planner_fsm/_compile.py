"""A compiler: it turns a document into a chart, or says everything that is wrong with it."""

from __future__ import annotations

from itertools import pairwise

from agentflow_kernel.errors import PlanInvalid
from agentflow_kernel.errors.hints import nearest
from agentflow_planner_fsm._content import read_block, read_blocks
from agentflow_planner_fsm._event import Event, plain_descriptors
from agentflow_planner_fsm._fault import ContentFailed
from agentflow_planner_fsm._invocation import find_source, read_invokes
from agentflow_planner_fsm._memo import Memo
from agentflow_planner_fsm._reading import (
    DUPLICATE,
    MOST_FINDINGS,
    SCHEMA,
    TOO_LARGE,
    UNKNOWN_NAME,
    UNKNOWN_TARGET,
    Reading,
    microseconds,
    shown,
)
from agentflow_planner_fsm.chart import Chart, State, Transition, mask_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from agentflow_planner_fsm._invocation import Invoke
    from agentflow_planner_fsm._reading import Value, Where
    from agentflow_planner_fsm._session import Session
    from agentflow_planner_fsm.chart import Kind, Op

MOST_STATES = 100_000
MOST_TRANSITIONS = 1_000_000
DEEPEST = 100
"""How deep states may be within each other."""
DEEPEST_CHART = 8
"""How deep charts may be within each other's invocations."""

_ROOT = ("name", "description", "initial", "states", "data", "binding", "script")
_COMMON = ("description", "transitions", "enter", "exit", "invoke", "after", "data")
_KEYS: Mapping[str, tuple[str, ...]] = {
    "atomic": (*_COMMON, "parallel", "final"),
    "compound": (*_COMMON, "initial", "states", "parallel", "final"),
    "parallel": (*_COMMON, "states", "parallel", "final"),
    "final": ("description", "final", "enter", "exit", "data", "params", "parallel"),
    "history": ("description", "history", "default", "transitions"),
}
_TRANSITION = ("event", "when", "target", "do", "internal", "description")


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
        self.always_uses_event = False

    def read(self, fields: Mapping[str, Any]) -> None:
        """All of it: first the tree of states, so that every target is known, then what they do."""
        reading, chart = self.reading, self.chart
        outer, reading.uses_event = reading.uses_event, False
        root = State(0, "", "compound", None, self.where)
        chart.states.append(root)
        self.sources.append(fields)
        binding = fields.get("binding", "early")
        if binding not in ("early", "late"):
            reading.find(SCHEMA, f"Expected early or late, not {shown(binding)}.", *self.where, "binding")
        self.late = binding == "late"
        self._tree(root, fields)
        root.end = len(chart.states)
        if not root.children:
            reading.find(SCHEMA, "A statechart needs at least one state.", *self.where, "states")
        chart.own = frozenset(self._variables(fields.get("data", {}), (*self.where, "data"), late=False))
        for state in chart.states:
            reading.step = state.id
            self._state(state, self.sources[state.index])
        reading.step = ""
        self._apart()
        if "script" in fields:
            chart.script = read_block(reading, fields["script"], (*self.where, "script"))
        self._close()
        reading.uses_event = outer

    def _close(self) -> None:
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
        chart.always_uses_event = self.always_uses_event
        chart.memo = Memo(chart)

    # -- the tree

    def _tree(self, parent: State, fields: Mapping[str, Any]) -> None:
        reading, chart = self.reading, self.chart
        where = (*parent.where, "states")
        states = fields.get("states", {})
        if not isinstance(states, dict):
            reading.find(SCHEMA, f"Expected a mapping of states, not {shown(states)}.", *where)
            return
        if states and parent.depth >= DEEPEST:
            reading.find(TOO_LARGE, f"States are nested more than {DEEPEST} deep.", *where)
            return
        for key, value in states.items():
            if len(chart.states) > MOST_STATES:
                if len(chart.states) == MOST_STATES + 1 and not reading.dropped:
                    reading.find(TOO_LARGE, f"There are more than {MOST_STATES:,} states.", *where)
                return
            name = str(key)
            reading.step = name
            place = (*where, name)
            if not isinstance(key, str) or not name or len(name) > 200 or name.split() != [name]:
                reading.find(SCHEMA, f"Expected a name without blanks for a state, not {shown(key)}.", *place)
            source = {} if value is None else value
            kind = self._kind(source, place)
            state = State(len(chart.states), name, kind, parent, place)
            if name in chart.by_id:
                other = "/".join(map(str, chart.by_id[name].where))
                reading.find(DUPLICATE, f"The state {name!r} is there already, at {other}.", *place)
            else:
                chart.by_id[name] = state
            chart.states.append(state)
            self.sources.append(reading.fields(source, _KEYS[kind], place, _called(kind)))
            (parent.histories if kind == "history" else parent.children).append(state)
            if parent.kind == "parallel" and kind == "final":
                reading.find(SCHEMA, "A parallel state cannot have a final state as its child.", *place)
            if kind in ("compound", "parallel"):
                self._tree(state, source)
                if not state.children:
                    reading.find(SCHEMA, "It has history states only.", *place, "states")
            state.end = len(chart.states)

    def _kind(self, source: Any, where: Where) -> Kind:
        if not isinstance(source, dict):
            return "atomic"
        marks = [mark for mark in ("parallel", "final", "history") if source.get(mark) not in (None, False)]
        if len(marks) > 1:
            self.reading.find(SCHEMA, f"A state cannot be both {' and '.join(marks)}.", *where, marks[1])
        for mark in ("parallel", "final"):
            if mark in source:
                self.reading.flag(source[mark], (*where, mark), f"{mark!r}")
        if "history" in source:
            if source["history"] not in ("shallow", "deep"):
                text = f"Expected shallow or deep, not {shown(source['history'])}."
                self.reading.find(SCHEMA, text, *where, "history")
            return "history"
        if source.get("final") is True:
            return "final"
        if source.get("states"):
            return "parallel" if source.get("parallel") is True else "compound"
        if source.get("parallel") is True:
            self.reading.find(SCHEMA, "A parallel state needs states in it.", *where, "states")
        return "atomic"

    # -- what states do

    def _state(self, state: State, fields: Mapping[str, Any]) -> None:
        reading, where = self.reading, state.where
        if state.kind == "history":
            self._history(state, fields)
            return
        if state.kind == "compound":
            self._initial(state, fields)
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
            values = self._variables(fields["data"], (*where, "data"), late=self.late)
            state.data = tuple((name, first) for name, first in values.items()) if self.late else ()
        if "transitions" in fields:
            self._transitions(state, fields["transitions"], (*where, "transitions"))
        if "after" in fields:
            self._after(state, fields["after"], (*where, "after"))
        if "invoke" in fields:
            state.invokes = read_invokes(
                reading, fields["invoke"], (*where, "invoke"), state, compile_late, self._nested
            )
        self._sort(state)
        state.busy = bool(state.enter or state.exit or state.invokes or state.data)

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
                if one.state is other.state or _meet(one.state, other.state):
                    self.reading.step = other.state.id
                    text = f"The id {id!r} of an invocation is taken by one of the state {one.state.id!r}."
                    hint = "Give each of those that may be at work together an id of its own."
                    self.reading.find(DUPLICATE, text, *other.state.where, "invoke", suggestion=hint)
        self.reading.step = ""

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

    def _initial(self, state: State, fields: Mapping[str, Any]) -> None:
        reading, where = self.reading, (*state.where, "initial")
        value = fields.get("initial")
        if value is None:
            state.initial = tuple(state.children[:1])
            return
        if isinstance(value, dict):
            value = reading.fields(value, ("target", "do"), where, "'initial'")
            state.initial_actions = read_block(reading, value.get("do", []), (*where, "do"))
            where = (*where, "target")
            value = value.get("target")
        targets = self._targets(value, where)
        for target in targets:
            if not target.is_below(state):
                inside = f"the state {state.id!r}" if state.id else "the chart"
                reading.find(UNKNOWN_TARGET, f"The initial state {target.id!r} is not in {inside}.", *where)
        state.initial = tuple(target for target in targets if target.is_below(state)) or tuple(state.children[:1])

    def _history(self, state: State, fields: Mapping[str, Any]) -> None:
        reading, where = self.reading, state.where
        state.deep = fields.get("history") == "deep"
        holder = state.parent
        value = fields.get("default")
        place: Where = (*where, "default")
        if "transitions" in fields:
            place = (*where, "transitions")
            items = fields["transitions"]
            if value is not None or not isinstance(items, list) or len(items) != 1 or not isinstance(items[0], dict):
                reading.find(SCHEMA, "A history state has one 'default', or one transition without event.", *place)
                return
            value, place = items[0], (*place, 0)
        if isinstance(value, dict):
            value = reading.fields(value, ("target", "do"), place, "the default of a history state")
            state.initial_actions = read_block(reading, value.get("do", []), (*place, "do"))
            place = (*place, "target")
            value = value.get("target")
        if value is None:
            state.initial = tuple(holder.children) if holder.kind == "parallel" else self._default(holder)
            return
        targets = self._targets(value, place)
        for target in targets:
            if not target.is_below(holder) or target is state:
                reading.find(UNKNOWN_TARGET, f"The default {target.id!r} is not beside the history state.", *place)
        state.initial = tuple(target for target in targets if target.is_below(holder) and target is not state)

    def _default(self, holder: State) -> tuple[State, ...]:
        """What a history state without default leads to: what its state is entered with by default."""
        value = self.sources[holder.index].get("initial")
        names = value.get("target") if isinstance(value, dict) else value
        found = [self.chart.by_id.get(name) for name in (names.split() if isinstance(names, str) else names or [])]
        plain = tuple(each for each in found if each is not None and each.kind != "history")
        return plain or tuple(holder.children[:1])

    def _targets(self, value: Any, where: Where) -> tuple[State, ...]:
        reading, chart = self.reading, self.chart
        found: dict[str, State] = {}
        for name in reading.names_in(value, where, "the target"):
            state = chart.by_id.get(name)
            if state is None:
                worth = len(chart.by_id) < 2_000 and len(reading.findings) < MOST_FINDINGS
                near = nearest(name, chart.by_id) if worth else None
                hint = f"Did you mean {near!r}?" if near else ""
                reading.find(UNKNOWN_TARGET, f"There is no state {name[:80]!r}.", *where, suggestion=hint)
            else:
                found[name] = state
        targets = tuple(found.values())
        if len(targets) > 1:
            self._orthogonal(targets, where)
        return targets

    def _orthogonal(self, targets: tuple[State, ...], where: Where) -> None:
        """Several targets must be able to be active together: any two are parallel, or one within the other."""
        ordered = sorted(targets, key=lambda state: state.index)
        for one, other in pairwise(ordered):
            if not _meet(one, other):
                text = f"The targets {one.id!r} and {other.id!r} cannot be active at the same time."
                self.reading.find(UNKNOWN_TARGET, text, *where)

    def _transitions(self, state: State, items: Any, where: Where) -> None:
        reading = self.reading
        if isinstance(items, dict):
            items = [items]
        if not isinstance(items, list):
            reading.find(SCHEMA, f"Expected a list of transitions, not {shown(items)}.", *where)
            return
        for at, item in enumerate(items):
            place = (*where, at)
            fields = reading.fields(item, _TRANSITION, place, "a transition")
            if fields and not {"event", "when", "target"} & set(fields):
                reading.find(SCHEMA, "A transition needs an 'event', a 'when' or a 'target'.", *place)
            transition = self._transition(state, fields, place)
            if "event" in fields:
                transition.events = self._events(fields["event"], (*place, "event"))
                transition.label = " ".join(transition.events) + transition.label

    def _events(self, value: Any, where: Where) -> tuple[str, ...]:
        names = self.reading.names_in(value, where, "'event'")
        try:
            return plain_descriptors(names)
        except ValueError as error:
            text = f"Expected events such as 'order.paid', 'order.*' or '*', not {shown(str(error))}."
            self.reading.find(SCHEMA, text, *where)
            return ()

    def _transition(self, state: State, fields: Mapping[str, Any], where: Where) -> Transition:
        reading, chart = self.reading, self.chart
        transition = Transition(len(chart.transitions), state, where)
        if len(chart.transitions) == MOST_TRANSITIONS:
            reading.find(TOO_LARGE, f"There are more than {MOST_TRANSITIONS:,} transitions.", *where)
        chart.transitions.append(transition)
        state.transitions.append(transition)
        if "when" in fields:
            before, reading.uses_event = reading.uses_event, False
            transition.guard = reading.test(fields["when"], (*where, "when"), "the guard")
            if reading.uses_event and "event" not in fields:
                self.always_uses_event = True
            reading.uses_event |= before
            transition.label = f" [{fields['when']}]"
        if "target" in fields and fields["target"] is not None:
            transition.targets = self._targets(fields["target"], (*where, "target"))
        if "internal" in fields:
            transition.internal = reading.flag(fields["internal"], (*where, "internal"), "'internal'")
        if "do" in fields:
            transition.actions = read_block(reading, fields["do"], (*where, "do"))
        return transition

    def _after(self, state: State, value: Any, where: Where) -> None:
        """Transitions that are taken when the state has been active for so long."""
        reading = self.reading
        if isinstance(value, dict):
            items = [({"delay": key, **_as_fields(item)}, (*where, str(key))) for key, item in value.items()]
            spots = [place for _, place in items]
        elif isinstance(value, list):
            items = [(item, (*where, at)) for at, item in enumerate(value)]
            spots = [(*place, "delay") for _, place in items]
        else:
            reading.find(SCHEMA, f"Expected a mapping or a list for 'after', not {shown(value)}.", *where)
            return
        starts: list[Op] = []
        stops: list[Op] = []
        for at, (item, place) in enumerate(items):
            keys = ("delay", "delay_expr", *_TRANSITION[1:])
            fields = reading.fields(item, keys, place, "'after'")
            if ("delay" in fields) == ("delay_expr" in fields):
                reading.find(SCHEMA, "A delay is given by either 'delay' or 'delay_expr'.", *place)
                continue
            name = f"after.{state.id}.{at}"
            transition = self._transition(state, {"event": name, **fields}, place)
            transition.events = (name,)
            transition.label = f"after {fields.get('delay', fields.get('delay_expr'))}{transition.label}"
            fixed = reading.delay(fields["delay"], spots[at]) if "delay" in fields else 0
            expr = fields.get("delay_expr")
            late = reading.expression(expr, (*place, "delay_expr"), "the delay") if expr is not None else None
            starts.append(_starting(name, fixed, late))
            stops.append(_stopping(name))
        state.enter = (*((op,) for op in starts), *state.enter)
        state.exit = (*state.exit, tuple(stops))

    def _read(self, name: Any, where: Where) -> Any:
        """The value in a file beside the document."""
        try:
            return {"$literal": _json(find_source(self.reading.charts, name, "text"))}
        except LookupError as error:
            self.reading.find(UNKNOWN_NAME, str(error), *where, "source")
            return None

    def _variables(self, value: Any, where: Where, *, late: bool) -> dict[str, Value]:
        """The variables of a chart or state, with what gives their first values; all variables are known at once."""
        reading = self.reading
        items: list[tuple[Any, Any, Where, str]] = []
        if isinstance(value, dict):
            items = [(key, inner, (*where, str(key)), "value") for key, inner in value.items()]
        elif isinstance(value, list):
            for at, item in enumerate(value):
                fields = reading.fields(item, ("id", "expr", "value", "source"), (*where, at), "a variable")
                source = next((key for key in ("expr", "source") if key in fields), "value")
                items.append((fields.get("id"), fields.get(source), (*where, at), source))
        else:
            reading.find(SCHEMA, f"Expected a mapping of variables, not {shown(value)}.", *where)
        found: dict[str, Value] = {}
        for name, inner, place, source in items:
            if not isinstance(name, str) or not name.isidentifier() or not name.isascii() or name[:1] == "_":
                text = f"Expected a name of letters, digits and '_' for a variable, not {shown(name)}."
                reading.find(SCHEMA, text, *place, suggestion="Names with '_' at the front belong to the system.")
                continue
            if name in self.data:
                reading.find(DUPLICATE, f"The variable {name!r} is there already.", *place)
            if source == "expr" and inner is not None:
                found[name] = reading.expression(inner, place, f"the value of {name!r}")
            else:
                found[name] = reading.template(self._read(inner, place) if source == "source" else inner, place)
            self.data[name] = found[name] if not late else None
        return found


def _json(text: str) -> Any:
    """The value of a text: JSON, or else the text with single blanks."""
    import json  # lazy: only for data from elsewhere

    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return " ".join(text.split())


def _meet(one: State, other: State) -> bool:
    """Whether two states can be active together: the later one is in the other, or in a region beside it."""
    holder = one
    while not other.is_below(holder) and holder.depth:
        holder = holder.parent
    return holder is one or holder.kind == "parallel"


def _as_fields(item: Any) -> Mapping[str, Any]:
    return item if isinstance(item, dict) else {"target": item}


def _called(kind: Kind) -> str:
    return "an atomic state" if kind == "atomic" else f"a {kind} state"


def compile_late(document: Any) -> Chart:
    """The chart of a document that only the run knows: a mapping, or the text of one; a text is never a path.

    Raises:
        PlanInvalid: the document is wrong.
    """
    from agentflow_planner_fsm.document import read_text  # lazy: only charts that come as data

    return compile_chart(read_text(document) if isinstance(document, str) else document)


def _starting(name: str, fixed: int, late: Value | None) -> Op:
    def start(session: Session) -> None:
        delay = fixed
        if late is not None:
            try:
                delay = microseconds(late(session))
            except ValueError as error:
                raise ContentFailed(str(error)) from None
        session.hub.schedule(session, Event(name, None, "platform"), delay, "", name)

    return start


def _stopping(name: str) -> Op:
    return lambda session: session.hub.timers.take_back(session, name)
