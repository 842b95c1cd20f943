"""SCXML: statecharts in the XML of the W3C, written from documents and read into them.

Source: State Chart XML, W3C recommendation of 1 September 2015. What SCXML has no word for is written with types of its
own: ``<invoke type="agentflow:tool">``, ``<send type="agentflow:emit">``; ``after`` becomes a delayed event.
"""

from __future__ import annotations

from agentflow_kernel.errors import Unsupported
from agentflow_planner_fsm._compile import compile_chart
from agentflow_planner_fsm._content import CALLS, GIVEN
from agentflow_planner_fsm._scxml_reading import NAMESPACE, read_scxml
from agentflow_planner_fsm._scxml_writing import ContentWriter, as_expression, delay_text, guard_text, listed, words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any
    from xml.etree.ElementTree import Element

__all__ = ("read_scxml", "write_scxml")


def write_scxml(document: Mapping[str, Any]) -> str:
    """The document as SCXML that :func:`read_scxml` reads as one that runs alike; ends in a newline.

    Raises:
        PlanInvalid: the document is wrong.
        Unsupported: it holds something that has no form in SCXML, such as ``on_restore``, or a control character.
    """
    from xml.etree.ElementTree import indent, tostring  # lazy: 8 ms, only where SCXML is written

    chart = compile_chart(document)
    root = _Writer().chart(chart.document)
    root.set("xmlns", NAMESPACE)
    indent(root)
    text = tostring(root, encoding="unicode") + "\n"
    strange = next((mark for mark in text if (mark < " " and mark not in "\t\r\n") or mark in "\ufffe\uffff"), None)
    if strange is not None or any("\ud800" <= mark <= "\udfff" for mark in text):
        raise Unsupported("A statechart as SCXML", "XML cannot hold control characters.")
    return text


class _Writer(ContentWriter):
    """Makes elements of what a document holds."""

    def chart(self, document: Mapping[str, Any]) -> Element:
        """The root, or the root of a machine within."""
        root = self.make("scxml", {"version": "1.0"})
        for key in ("name", "binding"):
            if key in document:
                root.set(key, str(document[key]))
        if "initial" in document:
            root.set("initial", words(document["initial"]))
        self.data(root, document)
        for piece in listed(document.get("script", [])):
            self.piece(root, piece)
        self.states(root, document)
        return root

    def states(self, holder: Element, fields: Mapping[str, Any]) -> None:
        """All states below an element."""
        for name, state in fields.get("states", {}).items():
            self.state(holder, name, state or {})

    def state(self, holder: Element, name: str, fields: Mapping[str, Any]) -> None:
        """One state of any kind."""
        if fields.get("history"):
            self.history(holder, name, fields)
            return
        kind = "final" if fields.get("final") is True else "parallel" if fields.get("parallel") is True else "state"
        element = self.add(holder, kind, {"id": name})
        if kind == "final":
            self.blocks(element, fields)
            self.done_data(element, fields)
            return
        initial = fields.get("initial")
        if isinstance(initial, dict):
            way = self.add(self.add(element, "initial"), "transition", {"target": words(initial["target"])})
            self.content(way, initial.get("do", []))
        elif initial is not None:
            element.set("initial", words(initial))
        self.data(element, fields)
        delays = _delays(name, fields.get("after", {}))
        self.blocks(element, fields, delays)
        for item in listed(fields.get("transitions", [])):
            self.transition(element, item)
        for event, item in delays.items():
            self.transition(element, {"event": event, **item})
        for item in listed(fields.get("invoke", [])):
            self.invoke(element, item)
        self.states(element, fields)

    def history(self, holder: Element, name: str, fields: Mapping[str, Any]) -> None:
        """A history state."""
        element = self.add(holder, "history", {"id": name, "type": fields["history"]})
        default = fields.get("default") or next(iter(fields.get("transitions", ())), None)
        if default is None:
            raise Unsupported("A statechart as SCXML", f"the history state {name!r} has no default.")
        default = default if isinstance(default, dict) else {"target": default}
        way = self.add(element, "transition", {"target": words(default["target"])})
        self.content(way, default.get("do", []))

    def data(self, holder: Element, fields: Mapping[str, Any]) -> None:
        """The variables."""
        if not fields.get("data"):
            return
        model = self.add(holder, "datamodel")
        values = fields["data"]
        if isinstance(values, dict):
            values = [{"id": name, "value": value} for name, value in values.items()]
        for item in values:
            if "source" in item:
                self.add(model, "data", {"id": item["id"], "src": item["source"]})
            else:
                expression = item["expr"] if "expr" in item else as_expression(item.get("value"))
                self.add(model, "data", {"id": item["id"], "expr": str(expression)})

    def blocks(self, element: Element, fields: Mapping[str, Any], delays: Mapping[str, Any] | None = None) -> None:
        """What is done on entry and exit, each block by itself."""
        for event, item in (delays or {}).items():
            timer = self.add(self.add(element, "onentry"), "send", {"event": event, "id": event})
            if "delay_expr" in item:
                timer.set("delayexpr", item.pop("delay_expr"))
            else:
                timer.set("delay", delay_text(item.pop("delay")))
        for key, tag in (("enter", "onentry"), ("exit", "onexit")):
            value = fields.get(key, [])
            nested = isinstance(value, list) and value and all(isinstance(item, list) for item in value)
            for block in value if nested else [value]:
                if block:
                    self.content(self.add(element, tag), block)
        if delays:
            leave = self.add(element, "onexit")
            for event in delays:
                self.add(leave, "cancel", {"sendid": event})

    def done_data(self, element: Element, fields: Mapping[str, Any]) -> None:
        """What a final state ends with."""
        if "data" in fields or "params" in fields:
            self.payload(self.add(element, "donedata"), fields, "data")

    def transition(self, holder: Element, fields: Mapping[str, Any]) -> None:
        """A transition."""
        way = self.add(holder, "transition")
        if "event" in fields:
            way.set("event", words(fields["event"]))
        if "when" in fields:
            way.set("cond", guard_text(fields["when"]))
        if fields.get("target") is not None:
            way.set("target", words(fields["target"]))
        if fields.get("internal"):
            way.set("type", "internal")
        self.content(way, fields.get("do", []))

    def invoke(self, holder: Element, fields: Mapping[str, Any]) -> None:
        """An invocation."""
        if fields.get("on_restore", "restart") != "restart":
            raise Unsupported("A statechart as SCXML", "'on_restore' has no form there.")
        for key in ("retry", "catch"):
            if key in fields:
                raise Unsupported("A statechart as SCXML", f"{key!r} has no form there.")
        element = self.add(holder, "invoke")
        for key, name in (("id", "id"), ("id_location", "idlocation"), ("type_expr", "typeexpr")):
            if key in fields:
                element.set(name, fields[key])
        if "autoforward" in fields:
            element.set("autoforward", "true" if fields["autoforward"] else "false")
        kind = next((each for each in CALLS if each in fields), None)
        if kind in ("ask", "wait"):
            raise Unsupported("A statechart as SCXML", f"{kind!r} has no form there.")
        if kind is not None:
            element.set("type", f"agentflow:{kind}")
            element.set("src", fields[kind])
        self.payload(element, fields, GIVEN[kind] if kind is not None else "data", within=False)
        if "chart" in fields:
            self.add(element, "content").append(self.chart(fields["chart"]))
        elif "chart_expr" in fields:
            self.add(element, "content", {"expr": fields["chart_expr"]})
        elif "chart_source" in fields or "chart_source_expr" in fields:
            key = "chart_source" if "chart_source" in fields else "chart_source_expr"
            element.set("src" if key == "chart_source" else "srcexpr", fields[key])
        if "finalize" in fields:
            self.content(self.add(element, "finalize"), fields["finalize"])


def _delays(name: str, after: Any) -> dict[str, dict[str, Any]]:
    """The delayed transitions of a state by the events that they become."""
    if isinstance(after, dict):
        items = [
            {"delay": key, **(item if isinstance(item, dict) else {"target": item})} for key, item in after.items()
        ]
    else:
        items = [dict(item) for item in after]
    return {f"after.{name}.{at}": item for at, item in enumerate(items)}
