"""Content and values of a document, written as elements of SCXML."""

from __future__ import annotations

import json

from agentflow_kernel.errors import Unsupported
from agentflow_planner_fsm._content import CALLS, GIVEN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any
    from xml.etree.ElementTree import Element

_SEND = {"to": "target", "to_expr": "targetexpr", "type": "type", "type_expr": "typeexpr", "id": "id", "delay": "delay"}
_SEND |= {"event": "event", "event_expr": "eventexpr", "id_location": "idlocation", "delay_expr": "delayexpr"}
_TARGETS = {"parent": "#_parent", "internal": "#_internal", "self": ""}


class ContentWriter:
    """Makes elements of what is to be done."""

    def __init__(self) -> None:
        from xml.etree.ElementTree import Element, SubElement  # lazy: 8 ms, only where SCXML is written

        self.make = Element
        self.add = SubElement

    def payload(self, element: Element, fields: Mapping[str, Any], key: str, *, within: bool = True) -> None:
        """Data: parameters, or one value. ``within``: the value may stand in ``<content>``."""
        for name in words(fields.get("namelist", "")).split():
            self.add(element, "param", {"name": name, "location": name})
        for param in fields.get("params", ()):
            self.add(element, "param", {name: str(value) for name, value in param.items()})
        if key not in fields:
            return
        value = fields[key]
        if within:
            self.add(element, "content", {"expr": as_expression(value)})
        elif isinstance(value, dict) and not set(value) & {"$expr", "$ref", "$literal"}:
            for name, inner in value.items():
                self.add(element, "param", {"name": name, "expr": as_expression(inner)})
        else:
            raise Unsupported("A statechart as SCXML", "what is invoked can only be given an object there.")

    def content(self, holder: Element, value: Any) -> None:
        """Everything to be done, in order."""
        for piece in listed(value):
            self.piece(holder, piece)

    def piece(self, holder: Element, piece: Any) -> None:
        """One thing to be done."""
        if isinstance(piece, str):
            piece = {"script": piece}
        word = next(key for key in (*_PIECES, *CALLS) if key in piece)
        if word in CALLS:
            self.call(holder, piece, word)
            return
        value = piece[word]
        _PIECES[word](self, holder, piece if word == "if" else value)

    def call(self, holder: Element, piece: Mapping[str, Any], kind: str) -> None:
        """An action started by content."""
        if kind in ("ask", "wait"):
            raise Unsupported("A statechart as SCXML", f"{kind!r} has no form there.")
        element = self.add(holder, "send", {"type": f"agentflow:{kind}", "event": piece[kind]})
        if "id" in piece:
            element.set("id", piece["id"])
        self.payload(element, piece, GIVEN[kind])

    def script(self, holder: Element, value: Any) -> None:
        """Assignments."""
        self.add(holder, "script").text = value

    def assign(self, holder: Element, value: Any) -> None:
        """An assignment."""
        if isinstance(value, str):
            self.script(holder, value)
        else:
            expression = value["expr"] if "expr" in value else as_expression(value["value"])
            self.add(holder, "assign", {"location": value["location"], "expr": str(expression)})

    def raised(self, holder: Element, value: Any) -> None:
        """An internal event; one with data is sent."""
        if isinstance(value, str) or set(value) == {"event"}:
            self.add(holder, "raise", {"event": value if isinstance(value, str) else value["event"]})
        else:
            self.send(holder, {**value, "to": "internal"})

    def send(self, holder: Element, value: Any) -> None:
        """An event sent."""
        fields = {"event": value} if isinstance(value, str) else value
        element = self.add(holder, "send")
        for key, name in _SEND.items():
            if key in fields:
                text = _TARGETS.get(fields[key], fields[key]) if key == "to" else fields[key]
                text = delay_text(text) if key == "delay" else str(text)
                if text:
                    element.set(name, text)
        self.payload(element, fields, "data")

    def emit(self, holder: Element, value: Any) -> None:
        """An event for the world."""
        fields = {"type": value} if isinstance(value, str) else value
        if "subject" in fields or "key" in fields:
            raise Unsupported("A statechart as SCXML", "'subject' and 'key' of 'emit' have no form there.")
        self.payload(self.add(holder, "send", {"type": "agentflow:emit", "event": fields["type"]}), fields, "data")

    def cancel(self, holder: Element, value: Any) -> None:
        """A delayed event taken back."""
        if isinstance(value, dict) and "id_expr" in value:
            self.add(holder, "cancel", {"sendidexpr": value["id_expr"]})
        else:
            self.add(holder, "cancel", {"sendid": value["id"] if isinstance(value, dict) else value})

    def choice(self, holder: Element, piece: Any) -> None:
        """A choice."""
        fields = piece["if"] if isinstance(piece["if"], dict) else piece
        element = self.add(holder, "if", {"cond": guard_text(fields["when"] if fields is not piece else piece["if"])})
        self.content(element, fields.get("then", []))
        for case in listed(fields.get("elseif", [])):
            self.add(element, "elseif", {"cond": guard_text(case["when"])})
            self.content(element, case.get("then", []))
        if fields.get("else"):
            self.add(element, "else")
            self.content(element, fields["else"])

    def loop(self, holder: Element, value: Any) -> None:
        """A loop."""
        given = {key: str(value[key]) for key in ("array", "item", "index") if key in value}
        self.content(self.add(holder, "foreach", given), value.get("do", []))

    def log(self, holder: Element, value: Any) -> None:
        """A note in the trace."""
        fields = {"label": value} if isinstance(value, str) else value
        self.add(holder, "log", {key: str(text) for key, text in fields.items()})


_PIECES = {
    "script": ContentWriter.script,
    "assign": ContentWriter.assign,
    "raise": ContentWriter.raised,
    "send": ContentWriter.send,
    "emit": ContentWriter.emit,
    "cancel": ContentWriter.cancel,
    "if": ContentWriter.choice,
    "foreach": ContentWriter.loop,
    "log": ContentWriter.log,
}


def as_expression(value: Any) -> str:
    """A JSON value, with expressions in it, as one expression: JSON is part of the language."""
    if isinstance(value, dict):
        if len(value) == 1:
            ((key, inner),) = value.items()
            if key in ("$expr", "$ref"):
                return str(inner)
            if key == "$literal":
                return json.dumps(inner)
        return "{" + ", ".join(f"{json.dumps(str(key))}: {as_expression(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(as_expression, value)) + "]"
    return json.dumps(value)


def delay_text(value: Any) -> str:
    """A delay as SCXML writes it: seconds or milliseconds."""
    text = str(value)
    if not isinstance(value, str):
        return f"{text}s"
    from agentflow_planner_fsm._reading import microseconds  # lazy: only for delays in text

    try:
        size = microseconds(text)
    except ValueError:
        return text
    return f"{size // 1_000_000}s" if size % 1_000_000 == 0 else f"{size / 1_000:.3f}".rstrip("0").rstrip(".") + "ms"


def guard_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def words(value: Any) -> str:
    return value if isinstance(value, str) else " ".join(value)


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
