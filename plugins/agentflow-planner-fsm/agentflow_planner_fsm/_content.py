"""Content: what a state or transition does, compiled from the document to a row of plain functions."""

from __future__ import annotations

from agentflow_kernel.contracts.planner import Action
from agentflow_kernel.errors import PlanLoopError
from agentflow_planner_fsm._event import PROCESSOR, Event
from agentflow_planner_fsm._fault import FAULTS, ContentFailed
from agentflow_planner_fsm._reading import SCHEMA, Named, microseconds, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from agentflow_kernel.contracts.policy import ActionKind
    from agentflow_planner_fsm._reading import Reading, Value, Where
    from agentflow_planner_fsm._session import Session
    from agentflow_planner_fsm.chart import Block, Op, Test

CALLS: tuple[ActionKind, ...] = ("tool", "agent", "flow", "plan", "ask", "wait")
"""The kinds of actions that content and invocations may start."""
GIVEN = {"tool": "with", "agent": "input", "flow": "input", "plan": "input", "ask": "with", "wait": "with"}
"""Under which key each of them is told its arguments."""
TYPES = ("", "scxml", PROCESSOR, "http://www.w3.org/TR/scxml/")
_DEEPEST = 32
_SEND = ("event", "event_expr", "to", "to_expr", "type", "type_expr", "id", "id_location", "delay", "delay_expr")
_DATA = ("data", "params", "namelist")


def read_blocks(reading: Reading, value: Any, where: Where) -> tuple[Block, ...]:
    """The blocks of a list of content: the list itself, or where it holds lists, each of them."""
    if isinstance(value, list) and value and all(isinstance(item, list) for item in value):
        blocks = [read_block(reading, item, (*where, at)) for at, item in enumerate(value)]
    else:
        blocks = [read_block(reading, value, where)]
    return tuple(block for block in blocks if block)


def read_block(reading: Reading, value: Any, where: Where, depth: int = 0) -> Block:
    """One block: a list of content, or a single piece of it."""
    if depth > _DEEPEST:
        reading.find("P011", f"Content is nested more than {_DEEPEST} deep.", *where)
        return ()
    if not isinstance(value, list):
        return _read_piece(reading, value, where, depth)
    ops: list[Op] = []
    for at, item in enumerate(value):
        ops.extend(_read_piece(reading, item, (*where, at), depth))
    return tuple(ops)


def _read_piece(reading: Reading, item: Any, where: Where, depth: int) -> Block:
    if isinstance(item, str):
        return reading.script(item, where)
    if not isinstance(item, dict):
        reading.find(SCHEMA, f"Expected something to do, not {shown(item)}.", *where)
        return ()
    words = [word for word in item if word in _PIECES]
    if len(words) != 1:
        known = ", ".join(_PIECES)
        found = "none" if not words else " and ".join(map(repr, words))
        reading.find(SCHEMA, f"Expected one of {known} as what is to be done, found {found}.", *where)
        return ()
    keys, read = _PIECES[words[0]]
    reading.fields(item, (words[0], *keys), where, f"{words[0]!r}")
    return read(reading, item, where, depth)


def _script(reading: Reading, item: Mapping[str, Any], where: Where, depth: int) -> Block:
    return reading.script(item["script"], (*where, "script"))


def _assign(reading: Reading, item: Mapping[str, Any], where: Where, depth: int) -> Block:
    value, place = item["assign"], (*where, "assign")
    if isinstance(value, str):
        return reading.script(value, place)
    fields = reading.fields(value, ("location", "expr", "value"), place, "'assign'")
    if ("expr" in fields) == ("value" in fields):
        reading.find(SCHEMA, "An assignment has either 'expr' or 'value'.", *place)
        return ()
    if "expr" in fields:
        return reading.assignment(fields.get("location", ""), fields["expr"], place)
    path = reading.path(fields.get("location"), (*place, "location"))
    if path is None:
        return ()
    fill = reading.template(fields["value"], (*place, "value"))
    (store,) = reading.assignment(fields["location"], "_value", place)

    def assign(session: Session) -> None:
        session.scope["_value"] = fill(session)
        try:
            store(session)
        finally:
            del session.scope["_value"]

    return (assign,)


def _raise(reading: Reading, item: Mapping[str, Any], where: Where, depth: int) -> Block:
    value, place = item["raise"], (*where, "raise")
    fields = {"event": value} if isinstance(value, str) else reading.fields(value, ("event", *_DATA), place, "'raise'")
    name = reading.text(fields.get("event"), place, "the event to raise")
    data = reading.payload(fields, place)

    def raise_event(session: Session) -> None:
        session.queue(Event(name, data(session) if data is not None else None, "internal"))

    return (raise_event,)


def _send(reading: Reading, item: Mapping[str, Any], where: Where, depth: int) -> Block:
    value, place = item["send"], (*where, "send")
    known = (*_SEND, *_DATA)
    fields = {"event": value} if isinstance(value, str) else reading.fields(value, known, place, "'send'")
    for one in ("event", "to", "type", "id", "delay"):
        other = "id_location" if one == "id" else f"{one}_expr"
        if one in fields and other in fields:
            reading.find(SCHEMA, f"{one!r} and {other!r} exclude each other.", *place, other)
    if "event" not in fields and "event_expr" not in fields:
        reading.find(SCHEMA, "What is sent needs an 'event'.", *place)
    if fields.get("to") in ("internal", "#_internal") and ("delay" in fields or "delay_expr" in fields):
        reading.find(SCHEMA, "What goes to the session itself at once cannot have a delay.", *place)
    text = _texts(reading, fields, place)
    payload = reading.payload(fields, place)
    id_path = fields.get("id_location")
    store = reading.assignment(id_path, "_value", place) if id_path is not None else ()
    fixed = reading.delay(fields["delay"], (*place, "delay")) if "delay" in fields else 0
    late = (
        reading.expression(fields["delay_expr"], (*place, "delay_expr"), "the delay")
        if "delay_expr" in fields
        else None
    )

    def send(session: Session) -> None:
        send_id = text["id"](session) if "id" in fields else None
        if store:
            send_id = f"send{session.hub.next()}"
            keep(session, store, send_id)
        try:
            kind = text["type"](session)
            if kind not in TYPES:
                raise ContentFailed(f"{kind[:80]!r} is no type of send")
            name, target = text["event"](session), text["to"](session)
            delay = fixed
            if late is not None:
                try:
                    delay = microseconds(late(session))
                except ValueError as error:
                    raise ContentFailed(str(error)) from None
            data = payload(session) if payload is not None else None
        except FAULTS as error:
            raise ContentFailed(str(error), send_id=send_id) from None
        _dispatch(session, Event(name, data, send_id=send_id, origin=f"#_scxml_{session.id}"), target, delay)

    return (send,)


def _texts(reading: Reading, fields: Mapping[str, Any], place: Where) -> dict[str, Callable[[Session], str]]:
    """What gives each of the texts of a send: fixed, from an expression, or none."""
    found: dict[str, Callable[[Session], str]] = {}
    for name in ("event", "to", "type", "id"):
        if f"{name}_expr" in fields and name != "id":
            value = reading.expression(fields[f"{name}_expr"], (*place, f"{name}_expr"), f"{name!r}")
            found[name] = _as_text(value, name)
        else:
            fixed = reading.text(fields[name], (*place, name), f"{name!r} of a send") if name in fields else ""
            found[name] = lambda session, fixed=fixed: fixed  # type: ignore[misc]  # the default binds it
    return found


def _as_text(value: Value, what: str) -> Callable[[Session], str]:
    def give(session: Session) -> str:
        text = value(session)
        if not isinstance(text, str) or (what == "event" and not text):
            raise ContentFailed(f"{what!r} of a send must be a text, not {shown(text)}")
        return text

    return give


def keep(session: Session, store: Block, value: Any) -> None:
    """Assign a value that the session made to a location."""
    session.scope["_value"] = value
    try:
        for op in store:
            op(session)
    finally:
        del session.scope["_value"]


def _dispatch(session: Session, event: Event, target: str, delay: int) -> None:
    if target in ("internal", "#_internal"):
        if delay:
            raise ContentFailed("an internal event cannot have a delay", send_id=event.send_id)
        session.queue(Event(event.name, event.data, "internal", send_id=event.send_id))
    elif delay:
        session.hub.schedule(session, event, delay, target, event.send_id or "")
    else:
        session.hub.deliver(session, event, target)


def _cancel(reading: Reading, item: Mapping[str, Any], where: Where, depth: int) -> Block:
    value, place = item["cancel"], (*where, "cancel")
    if isinstance(value, str):
        name = value
        return (lambda session: _take_back(session, name),)
    fields = reading.fields(value, ("id", "id_expr"), place, "'cancel'")
    if "id_expr" in fields:
        give = _as_text(reading.expression(fields["id_expr"], (*place, "id_expr"), "the id"), "id")
        return (lambda session: _take_back(session, give(session)),)
    name = reading.text(fields.get("id"), place, "the id of what to cancel")
    return (lambda session: _take_back(session, name),)


def _take_back(session: Session, name: str) -> None:
    session.hub.timers.take_back(session, name)
    session.hub.cancel_call(session, name)


def _if(reading: Reading, item: Mapping[str, Any], where: Where, depth: int) -> Block:
    fields, place = item, where
    if isinstance(item["if"], dict):
        place = (*where, "if")
        fields = reading.fields(item["if"], ("when", "then", "elseif", "else"), place, "'if'")
        condition = fields.get("when")
    else:
        condition = item["if"]
    key = "when" if fields is not item else "if"
    cases: list[tuple[Test, Block]] = [
        (
            reading.test(condition, (*place, key), "the condition"),
            read_block(reading, fields.get("then", []), (*place, "then"), depth + 1),
        )
    ]
    others = fields.get("elseif", [])
    for at, other in enumerate(others if isinstance(others, list) else [others]):
        spot = (*place, "elseif", at)
        other = reading.fields(other, ("when", "then"), spot, "'elseif'")  # noqa: PLW2901 -- checked
        test = reading.test(other.get("when"), (*spot, "when"), "the condition")
        cases.append((test, read_block(reading, other.get("then", []), (*spot, "then"), depth + 1)))
    otherwise = read_block(reading, fields.get("else", []), (*place, "else"), depth + 1)

    def choose(session: Session) -> None:
        chosen = otherwise
        for test, block in cases:
            try:
                holds = test(session)
            except FAULTS as error:
                session.fail(error)
                continue
            if holds:
                chosen = block
                break
        for op in chosen:
            op(session)

    return (choose,)


def _foreach(reading: Reading, item: Mapping[str, Any], where: Where, depth: int) -> Block:
    place = (*where, "foreach")
    keys = ("array", "item", "index", "do")
    fields = reading.fields(item["foreach"], keys, place, "'foreach'")
    array = reading.expression(fields.get("array"), (*place, "array"), "what to go through")
    name = _variable(reading, fields.get("item"), (*place, "item"))
    count = _variable(reading, fields["index"], (*place, "index")) if "index" in fields else ""
    body = read_block(reading, fields.get("do", []), (*place, "do"), depth + 1)

    def loop(session: Session) -> None:
        items, hub, scope = array(session), session.hub, session.scope
        if not isinstance(items, list):
            raise ContentFailed(f"foreach goes through a list, not {shown(items)}")
        scope.setdefault(name, None)
        if count:
            scope.setdefault(count, None)
        for at, each in enumerate(items):
            hub.items += 1
            if hub.items > hub.most_items:
                raise PlanLoopError(session.chart.name, hub.most_items, [f"foreach over {name!r}"])
            scope[name] = each
            if count:
                scope[count] = at
            for op in body:
                op(session)

    return (loop,)


def _variable(reading: Reading, value: Any, where: Where) -> str:
    if isinstance(value, str) and value.isidentifier() and value.isascii() and value[:1] != "_":
        return value
    reading.find(SCHEMA, f"Expected the name of a variable, not {shown(value)}.", *where)
    return "item"


def _log(reading: Reading, item: Mapping[str, Any], where: Where, depth: int) -> Block:
    value, place = item["log"], (*where, "log")
    if isinstance(value, str):
        value = {"label": value}
    fields = reading.fields(value, ("label", "expr"), place, "'log'")
    label = fields.get("label", "")
    shows = reading.expression(fields["expr"], (*place, "expr"), "what to log") if "expr" in fields else None

    def log(session: Session) -> None:
        found = {"value": shows(session)} if shows is not None else {}
        session.hub.tell("log.written", session, label=label, **found)

    return (log,)


def _emit(reading: Reading, item: Mapping[str, Any], where: Where, depth: int) -> Block:
    value, place = item["emit"], (*where, "emit")
    keys = ("type", "subject", "key", *_DATA)
    fields = {"type": value} if isinstance(value, str) else reading.fields(value, keys, place, "'emit'")
    name = reading.text(fields.get("type"), (*place, "type"), "the type of the event")
    data = reading.payload(fields, place)
    more = {key: reading.template(fields[key], (*place, key)) for key in ("subject", "key") if key in fields}

    def emit(session: Session) -> None:
        arguments = {"data": data(session) if data is not None else None}
        for key, fill in more.items():
            arguments[key] = fill(session)
        session.hub.call(session, Action(action_id(name, session.hub.next()), "emit", name, arguments), "")

    return (emit,)


def action_id(name: str, number: int) -> str:
    """The id of an action: readable, and without the signs that paths of runs are made of."""
    return f"{''.join('-' if sign in '/!@' or sign <= ' ' else sign for sign in name)[:80]}#{number}"


def _call(reading: Reading, item: Mapping[str, Any], where: Where, depth: int) -> Block:
    kind: ActionKind = next(word for word in CALLS if word in item)
    name, fill = read_call(reading, item, where, kind)
    call = reading.text(item["id"], (*where, "id"), "'id'") if "id" in item else name or kind

    def start(session: Session) -> None:
        arguments = fill(session)
        action = Action(action_id(call, session.hub.next()), kind, name, arguments)
        session.hub.call(session, action, call)

    return (start,)


def read_call(reading: Reading, item: Mapping[str, Any], where: Where, kind: str) -> tuple[str, Value]:
    """The name of what is called, and what gives its arguments."""
    key = GIVEN[kind]
    named = item[kind]
    if kind == "ask" and isinstance(named, str):
        return "", reading.template({"question": named, **_mapping(item.get("with"))}, (*where, "with"))
    if kind in ("ask", "wait"):
        if not isinstance(named, dict):
            reading.find(SCHEMA, f"Expected a mapping for {kind!r}, not {shown(named)}.", *where, kind)
        return "", reading.template(named, (*where, kind))
    name = reading.text(named, (*where, kind), f"the name of the {kind}")
    given = item.get(key)
    reading.names.append(Named(kind, name, given if key in item else None, (*where, kind), reading.step))
    value = reading.payload(item, where, key)
    if kind == "tool":
        if key in item and not isinstance(given, dict):
            reading.find(SCHEMA, f"Expected a mapping for 'with', not {shown(given)}.", *where, key)
        return name, value if value is not None else lambda session: {}
    return name, lambda session: {"input": value(session) if value is not None else None}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


_PIECES: dict[str, tuple[tuple[str, ...], Callable[[Reading, Mapping[str, Any], Where, int], Block]]] = {
    "script": ((), _script),
    "assign": ((), _assign),
    "raise": ((), _raise),
    "send": ((), _send),
    "cancel": ((), _cancel),
    "if": (("then", "elseif", "else"), _if),
    "foreach": ((), _foreach),
    "log": ((), _log),
    "emit": ((), _emit),
    **{kind: ((GIVEN[kind], "id", "params", "namelist"), _call) for kind in CALLS},
}
"""What may be done, with the further keys of each and what reads it."""
