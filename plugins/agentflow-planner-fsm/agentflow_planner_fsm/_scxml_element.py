"""An element of SCXML: its attributes, and what values and parameters stand in it."""

from __future__ import annotations

import json

from agentflow_kernel.contracts.finding import PlanFinding
from agentflow_kernel.errors import ExpressionInvalid
from agentflow_kernel.expression import Expression, Script
from agentflow_planner_fsm._reading import MOST_FINDINGS, SCHEMA

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any
    from xml.etree.ElementTree import Element

NAMESPACE = "http://www.w3.org/2005/07/scxml"


class ElementReader:
    """Reads elements; ``findings`` collects what is wrong."""

    def __init__(self) -> None:
        self.findings: list[PlanFinding] = []
        self.step = ""
        self.model = ""

    def find(self, text: str, element: Element | None = None, *, code: str = SCHEMA) -> None:
        """Note a fault, in the state that is being read."""
        if len(self.findings) < MOST_FINDINGS:
            place = f" (in the state {self.step!r})" if self.step else ""
            self.findings.append(PlanFinding(code, f"{text[:-1]}{place}.", step=self.step))

    def attributes(self, element: Element, known: Collection[str]) -> None:
        """Find attributes that an element does not have; those of other namespaces are passed over."""
        for name in element.attrib:
            if name not in known and not name.startswith("{"):
                self.find(f"<{self.word(element)[:60]}> has no attribute {name[:60]!r}.", element)

    @staticmethod
    def word(element: Element) -> str:
        """The name of an element; of one from another namespace with that."""
        space, _, word = str(element.tag).rpartition("}")
        return word if space in ("", "{" + NAMESPACE) else str(element.tag)

    def refuse_source(self, element: Element) -> None:
        """Nothing but the document itself is read."""
        self.find(f"<{self.word(element)}> cannot have 'src': write its content inline.", element)

    def inline(self, element: Element) -> Any:
        """What stands inside an element: JSON, else XML as text, else text with single blanks; ``None`` for nothing."""
        if len(element):
            from xml.etree.ElementTree import tostring  # lazy: only for XML as data

            return "".join(tostring(child, encoding="unicode").strip() for child in element)
        text = (element.text or "").strip()
        if not text:
            return None
        try:
            return json.loads(text, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            return " ".join(text.split())

    def param(self, element: Element) -> dict[str, Any]:
        """A parameter."""
        self.attributes(element, ("name", "expr", "location"))
        found: dict[str, Any] = {
            key: element.attrib[key] for key in ("name", "expr", "location") if key in element.attrib
        }
        if not is_location(found.get("location", "x")):
            found["expr"] = nowhere(found.pop("location"))
        return found

    def namelist(self, element: Element, found: dict[str, Any]) -> None:
        """The names of a namelist as parameters, those that are no locations as ones without a value."""
        for word in found.pop("namelist", "").split():
            source = {"location": word} if is_location(word) else {"expr": nowhere(word)}
            found.setdefault("params", []).append({"name": word, **source})

    def done_data(self, element: Element, state: dict[str, Any]) -> None:
        """What a final state ends with."""
        for child in element:
            if self.word(child) == "param":
                state.setdefault("params", []).append(self.param(child))
            elif self.word(child) == "content":
                state["data"] = self.content_value(child)
            else:
                self.find(f"<{self.word(child)[:60]}> has no place in <donedata>.", child)
        if "data" in state and "params" in state:
            self.find("<donedata> has either <param> or one <content>.", element)
            del state["params"]

    def content_value(self, element: Element) -> Any:
        """The value that a ``<content>`` stands for."""
        self.attributes(element, ("expr",))
        inner = self.inline(element)
        if "expr" in element.attrib:
            if inner is not None:
                self.find("<content> has either 'expr' or something inside.", element)
            return {"$expr": element.attrib["expr"]}
        return {"$literal": inner}


def is_location(text: str) -> bool:
    """Whether a text is the path of a variable."""
    try:
        return len(Expression(text).paths) == 1 and len(Script(f"{text} := 0").targets) == 1
    except ExpressionInvalid:
        return False


def nowhere(text: str) -> str:
    """An expression that fails: what is no location is an error when it is used, as the recommendation wants it."""
    return f"$[{json.dumps(text)}]"


def _no_constant(text: str) -> Any:
    raise ValueError(text)
