"""Executable content of SCXML, read into what a document has for it."""

from __future__ import annotations

from agentflow_planner_fsm._scxml_element import ElementReader, is_location, nowhere

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any
    from xml.etree.ElementTree import Element

OWN = ("tool", "agent", "flow", "plan")
"""The kinds of actions that have a form in SCXML."""
_SEND: Mapping[str, str] = {
    "event": "event",
    "eventexpr": "event_expr",
    "target": "to",
    "targetexpr": "to_expr",
    "type": "type",
    "typeexpr": "type_expr",
    "id": "id",
    "idlocation": "id_location",
    "delay": "delay",
    "delayexpr": "delay_expr",
    "namelist": "namelist",
}


class ContentReader(ElementReader):
    """Reads what is to be done."""

    def content(self, element: Element) -> list[Any]:
        """Everything to be done in an element, in order."""
        found = []
        for child in element:
            word = self.word(child)
            read = _READERS.get(word)
            if read is None:
                self.find(f"<{word[:80]}> is nothing that can be done.", child)
            else:
                found.append(read(self, child))
        return found

    def script(self, element: Element) -> Any:
        """A script: assignments."""
        self.attributes(element, ("src",))
        if "src" in element.attrib:
            self.refuse_source(element)
        text = (element.text or "").strip()
        return {"script": text} if text else []

    def read_raise(self, element: Element) -> dict[str, Any]:
        """An internal event."""
        self.attributes(element, ("event",))
        return {"raise": element.get("event", "")}

    def read_assign(self, element: Element) -> dict[str, Any]:
        """An assignment."""
        self.attributes(element, ("location", "expr"))
        found: dict[str, Any] = {"location": element.get("location", "").strip()}
        if not is_location(found["location"]):
            return {"script": f"{nowhere(found['location'])} = null"}
        inner = self.inline(element)
        if "expr" in element.attrib:
            found["expr"] = element.attrib["expr"]
            if inner is not None:
                self.find("<assign> has either 'expr' or content.", element)
        else:
            found["value"] = {"$literal": inner}
        return {"assign": found}

    def read_log(self, element: Element) -> dict[str, Any]:
        """A note in the trace."""
        self.attributes(element, ("label", "expr"))
        return {"log": {key: element.attrib[key] for key in ("label", "expr") if key in element.attrib}}

    def read_cancel(self, element: Element) -> dict[str, Any]:
        """A delayed event taken back."""
        self.attributes(element, ("sendid", "sendidexpr"))
        if ("sendid" in element.attrib) == ("sendidexpr" in element.attrib):
            self.find("<cancel> has either 'sendid' or 'sendidexpr'.", element)
        if "sendidexpr" in element.attrib:
            return {"cancel": {"id_expr": element.attrib["sendidexpr"]}}
        return {"cancel": element.get("sendid", "")}

    def read_send(self, element: Element) -> dict[str, Any]:
        """An event sent."""
        self.attributes(element, _SEND)
        found: dict[str, Any] = {key: element.attrib[name] for name, key in _SEND.items() if name in element.attrib}
        self.namelist(element, found)
        for child in element:
            if self.word(child) == "param":
                found.setdefault("params", []).append(self.param(child))
            elif self.word(child) == "content":
                found["data"] = self.content_value(child)
            else:
                self.find(f"<{self.word(child)[:60]}> has no place in <send>.", child)
        kind = str(found.get("type", ""))
        return self.own(element, found, kind[10:]) if kind.startswith("agentflow:") else {"send": found}

    def own(self, element: Element, found: dict[str, Any], kind: str) -> dict[str, Any]:
        """Ours: ``<send type="agentflow:emit">`` emits, ``<send type="agentflow:tool">`` and so on call."""
        del found["type"]
        name = found.pop("event", "")
        if kind == "emit":
            return {"emit": {"type": name, **found}}
        if kind not in OWN:
            self.find(f"The type 'agentflow:{kind[:40]}' is none of {', '.join(OWN)}, emit.", element)
        if "data" in found:
            found["with" if kind == "tool" else "input"] = found.pop("data")
        return {kind: name, **found}

    def read_if(self, element: Element) -> dict[str, Any]:
        """A choice."""
        self.attributes(element, ("cond",))
        found: dict[str, Any] = {"if": element.get("cond", ""), "then": []}
        block = found["then"]
        for child in element:
            word = self.word(child)
            if word in ("elseif", "else") and "else" in found:
                self.find(f"<{word}> stands after <else>.", child)
            elif word == "elseif":
                self.attributes(child, ("cond",))
                case: dict[str, Any] = {"when": child.get("cond", ""), "then": []}
                found.setdefault("elseif", []).append(case)
                block = case["then"]
            elif word == "else":
                block = found["else"] = []
            elif word in _READERS:
                block.append(_READERS[word](self, child))
            else:
                self.find(f"<{word[:80]}> is nothing that can be done.", child)
        return found

    def read_foreach(self, element: Element) -> dict[str, Any]:
        """A loop."""
        self.attributes(element, ("array", "item", "index"))
        found: dict[str, Any] = dict(element.attrib)
        found["do"] = self.content(element)
        for key in ("item", "index"):
            if not found.get(key, "x").isidentifier():
                return {"script": f"{nowhere(found[key])} = null"}
        return {"foreach": found}


_READERS = {
    "raise": ContentReader.read_raise,
    "assign": ContentReader.read_assign,
    "log": ContentReader.read_log,
    "cancel": ContentReader.read_cancel,
    "send": ContentReader.read_send,
    "if": ContentReader.read_if,
    "foreach": ContentReader.read_foreach,
    "script": ContentReader.script,
}
