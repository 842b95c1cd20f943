"""Transitions: the ways out of a state, by an event, without one, or when time has passed."""

from __future__ import annotations

from agentflow_planner_fsm._content import read_block
from agentflow_planner_fsm._event import Event, plain_descriptors
from agentflow_planner_fsm._fault import ContentFailed
from agentflow_planner_fsm._reading import SCHEMA, TOO_LARGE, microseconds, shown
from agentflow_planner_fsm._recovery import told_of
from agentflow_planner_fsm._targets import read_targets
from agentflow_planner_fsm.chart import Transition

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from agentflow_planner_fsm._invocation import Invoke
    from agentflow_planner_fsm._reading import Reading, Value, Where
    from agentflow_planner_fsm._recovery import Errors
    from agentflow_planner_fsm._session import Session
    from agentflow_planner_fsm.chart import Chart, Op, State, Test

MOST_TRANSITIONS = 1_000_000
_KEYS = ("event", "when", "target", "do", "internal", "description")


def read_transitions(reading: Reading, chart: Chart, state: State, items: Any) -> None:
    """The transitions of a state, in their order."""
    where: Where = (*state.where, "transitions")
    if isinstance(items, dict):
        items = [items]
    if not isinstance(items, list):
        reading.find(SCHEMA, f"Expected a list of transitions, not {shown(items)}.", *where)
        return
    for at, item in enumerate(items):
        place = (*where, at)
        fields = reading.fields(item, _KEYS, place, "a transition")
        if fields and not {"event", "when", "target"} & set(fields):
            reading.find(SCHEMA, "A transition needs an 'event', a 'when' or a 'target'.", *place)
        transition = _read(reading, chart, state, fields, place)
        if "event" in fields:
            transition.events = _events(reading, fields["event"], (*place, "event"))
            transition.label = " ".join(transition.events) + transition.label


def read_after(reading: Reading, chart: Chart, state: State, value: Any) -> None:
    """The transitions that are taken when a state has been active for so long."""
    where: Where = (*state.where, "after")
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
        keys = ("delay", "delay_expr", *_KEYS[1:])
        fields = reading.fields(item, keys, place, "'after'")
        if ("delay" in fields) == ("delay_expr" in fields):
            reading.find(SCHEMA, "A delay is given by either 'delay' or 'delay_expr'.", *place)
            continue
        name = f"after.{state.id}.{at}"
        transition = _read(reading, chart, state, {"event": name, **fields}, place)
        transition.events = (name,)
        transition.label = f"after {fields.get('delay', fields.get('delay_expr'))}{transition.label}"
        fixed = reading.delay(fields["delay"], spots[at]) if "delay" in fields else 0
        expr = fields.get("delay_expr")
        late = reading.expression(expr, (*place, "delay_expr"), "the delay") if expr is not None else None
        starts.append(_starting(name, fixed, late))
        stops.append(_stopping(name))
    state.enter = (*((op,) for op in starts), *state.enter)
    state.exit = (*state.exit, tuple(stops))


def read_catching(reading: Reading, chart: Chart, state: State) -> None:
    """The transitions that the invocations of a state catch their errors with; they come before its others."""
    for invoke in state.invokes:
        for catch in invoke.catches:
            transition = _read(reading, chart, state, catch.fields, catch.where)
            transition.events = (f"error.invoke.{invoke.id or state.id}",)
            transition.guard = _catching(invoke, catch.errors)
            transition.label = transition.events[0]
            if catch.errors is not None:
                transition.label += f" [{' '.join(sorted(catch.errors))}]"
            reading.uses_event = True


def _catching(invoke: Invoke, errors: Errors) -> Test:
    """Whether the event is an error of this invocation, and one of these."""

    def catches(session: Session) -> bool:
        event = session.scope["_event"]
        invocation = session.invocations.get(event["invokeid"])
        if invocation is None or invocation.spec is not invoke:
            return False
        return errors is None or told_of(event["data"], "code") in errors

    return catches


def _as_fields(item: Any) -> Mapping[str, Any]:
    return item if isinstance(item, dict) else {"target": item}


def _read(reading: Reading, chart: Chart, state: State, fields: Mapping[str, Any], where: Where) -> Transition:
    transition = Transition(len(chart.transitions), state, where)
    if len(chart.transitions) == MOST_TRANSITIONS:
        reading.find(TOO_LARGE, f"There are more than {MOST_TRANSITIONS:,} transitions.", *where)
    chart.transitions.append(transition)
    state.transitions.append(transition)
    if "when" in fields:
        before, reading.uses_event = reading.uses_event, False
        guard = reading.test(fields["when"], (*where, "when"), "the guard")
        transition.guard = None if reading.is_certain(fields["when"]) else guard
        if reading.uses_event and "event" not in fields:
            chart.always_uses_event = True
        reading.uses_event |= before
        transition.label = f" [{fields['when']}]"
    if "target" in fields and fields["target"] is not None:
        transition.targets = read_targets(reading, chart, fields["target"], (*where, "target"))
    if "internal" in fields:
        transition.internal = reading.flag(fields["internal"], (*where, "internal"), "'internal'")
    if "do" in fields:
        transition.actions = read_block(reading, fields["do"], (*where, "do"))
    return transition


def _events(reading: Reading, value: Any, where: Where) -> tuple[str, ...]:
    names = reading.names_in(value, where, "'event'")
    try:
        return plain_descriptors(names)
    except ValueError as error:
        text = f"Expected events such as 'order.paid', 'order.*' or '*', not {shown(str(error))}."
        reading.find(SCHEMA, text, *where)
        return ()


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
