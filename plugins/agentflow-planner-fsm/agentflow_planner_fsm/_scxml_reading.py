"""A reader of SCXML: the elements of the W3C's recommendation as a document, findings for what has no place in one."""

from __future__ import annotations

from agentflow_kernel.contracts.finding import PlanFinding
from agentflow_kernel.errors import PlanInvalid
from agentflow_planner_fsm._ecmascript import foreign_words
from agentflow_planner_fsm._event import PROCESSOR
from agentflow_planner_fsm._reading import SCHEMA, TOO_LARGE
from agentflow_planner_fsm._scxml_content import OWN, ContentReader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any
    from xml.etree.ElementTree import Element

NAMESPACE = "http://www.w3.org/2005/07/scxml"
DEEPEST = 150
MODELS = ("", "null", "agentflow", "ecmascript")
"""The data models that are read; whatever they are called, expressions are those of our language."""
MACHINES = ("", "scxml", "http://www.w3.org/TR/scxml/", "http://www.w3.org/TR/scxml", PROCESSOR)
_STATES = ("state", "parallel", "final", "history")
_CHILDREN: Mapping[str, tuple[str, ...]] = {
    "scxml": ("state", "parallel", "final", "datamodel", "script"),
    "state": (*_STATES, "onentry", "onexit", "transition", "initial", "datamodel", "invoke"),
    "parallel": ("state", "parallel", "history", "onentry", "onexit", "transition", "datamodel", "invoke"),
    "final": ("onentry", "onexit", "donedata"),
    "history": ("transition",),
}
_ATTRIBUTES: Mapping[str, tuple[str, ...]] = {
    "scxml": ("initial", "name", "datamodel", "version", "binding"),
    "state": ("id", "initial"),
    "parallel": ("id",),
    "final": ("id",),
    "history": ("id", "type"),
}
_EXPRESSIONS = frozenset(
    (
        *("cond", "expr", "array", "location", "idlocation", "namelist"),
        *("eventexpr", "targetexpr", "typeexpr", "delayexpr", "sendidexpr", "srcexpr"),
    )
)
"""The attributes that hold expressions or paths."""


def read_scxml(text: str | bytes, name: str = "") -> Mapping[str, Any]:
    """The document of an SCXML text.

    Raises:
        PlanInvalid: no well-formed XML, XML with entities or a document type, or no SCXML; with all findings.
    """
    root = _parsed(text, name)
    reader = _Reader(root.get("name") or name)
    document = reader.chart(root)
    if reader.findings:
        raise PlanInvalid(reader.name or "statechart", reader.findings)
    return document


def _parsed(text: str | bytes, name: str) -> Element:
    from xml.etree.ElementTree import ParseError, TreeBuilder  # lazy: 8 ms, only for SCXML

    from defusedxml.common import DefusedXmlException  # lazy: only for SCXML
    from defusedxml.ElementTree import DefusedXMLParser  # lazy: only for SCXML

    class Builder(TreeBuilder):
        """Counts how deep it is before anything is made of the elements."""

        depth = 0

        def start(self, tag: str, attributes: Any) -> Any:
            self.depth += 1
            if self.depth > DEEPEST:
                raise _invalid(name, f"Elements are nested more than {DEEPEST} deep.", TOO_LARGE)
            return super().start(tag, attributes)

        def end(self, tag: str) -> Any:
            self.depth -= 1
            return super().end(tag)

    parser = DefusedXMLParser(target=Builder(), forbid_dtd=True)
    try:
        parser.feed(text)
        root: Element = parser.close()
    except DefusedXmlException as error:
        raise _invalid(name, f"XML with document types, entities or outside references is refused: {error}.") from None
    except (ParseError, ValueError, LookupError) as error:
        raise _invalid(name, f"The text is not well-formed XML: {error}.") from None
    return root


def _invalid(name: str, text: str, code: str = SCHEMA) -> PlanInvalid:
    return PlanInvalid(name or "statechart", [PlanFinding(code, text)])


def local(element: Element) -> str:
    """The name of an element of SCXML; with its namespace for one of another."""
    tag: str = element.tag
    space, _, word = tag.rpartition("}")
    return word if space in ("", "{" + NAMESPACE) else tag


class _Reader(ContentReader):
    """One SCXML document; ``findings`` collects what is wrong with it."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.made = 0

    def chart(self, root: Element) -> dict[str, Any]:
        """The whole document."""
        if local(root) != "scxml":
            self.find(f"Expected <scxml> as the root, found <{local(root)[:80]}>.")
            return {}
        self._look(root, "scxml")
        model = root.get("datamodel", "")
        if model not in MODELS:
            text = f"The data model {model[:60]!r} is not read; expressions are those of AgentFlow's language."
            self.find(f"{text} Leave 'datamodel' out.")
        version = root.get("version", "1.0")
        if version != "1.0":
            self.find(f"Expected version 1.0 of SCXML, not {version[:20]!r}.")
        document: dict[str, Any] = {}
        if self.name:
            document["name"] = self.name
        for key in ("initial", "binding"):
            if key in root.attrib:
                document[key] = root.attrib[key]
        if model == "ecmascript":
            self._foreign(root)
        outer, self.model = self.model, model
        self._common(root, document)
        self.model = outer
        return document

    def _foreign(self, root: Element) -> None:
        """Find what only ECMAScript has in the expressions of one document, by its name."""
        todo = [root]
        while todo:
            element = todo.pop()
            texts = [value for key, value in element.attrib.items() if key in _EXPRESSIONS]
            if local(element) == "script":
                texts.append(element.text or "")
            found = {word: hint for text in texts for word, hint in foreign_words(text).items()}
            for word, hint in found.items():
                self.find(f"ECMAScript's {word!r} is not read; {hint}.", element)
            todo += [child for child in reversed(element) if local(child) != "scxml"]

    def _look(self, element: Element, kind: str) -> None:
        self.attributes(element, _ATTRIBUTES[kind])
        seen = set()
        for child in element:
            word = local(child)
            if word not in _CHILDREN[kind] and not word.startswith("{"):
                self.find(f"<{word[:60]}> has no place in <{kind}>.", child)
            if word in ("datamodel", "initial", "donedata", "script") and word in seen:
                self.find(f"<{kind}> has more than one <{word}>.", child)
            seen.add(word)

    def _common(self, element: Element, document: dict[str, Any]) -> None:
        """What a document and its states have in common."""
        states: dict[str, Any] = {}
        enter: list[Any] = []
        leave: list[Any] = []
        for child in element:
            word = local(child)
            if word in _STATES:
                self._add(states, child, word)
            elif word == "onentry":
                enter.append(self.content(child))
            elif word == "onexit":
                leave.append(self.content(child))
            elif word == "transition":
                document.setdefault("transitions", []).append(self._transition(child))
            elif word == "datamodel":
                document["data"] = self._data(child)
            elif word == "invoke":
                document.setdefault("invoke", []).append(self._invoke(child))
            elif word == "script":
                document["script"] = self.script(child)
        if states:
            document["states"] = states
        for key, blocks in (("enter", enter), ("exit", leave)):
            if blocks:
                document[key] = blocks[0] if len(blocks) == 1 else blocks

    def _add(self, states: dict[str, Any], element: Element, kind: str) -> None:
        self._look(element, kind)
        name = element.get("id")
        if name is None:
            self.made += 1
            name = f"{kind}.{self.made}"
        outer, self.step = self.step, name
        state: dict[str, Any] = {}
        if kind == "history":
            state["history"] = element.get("type", "shallow")
            ways = [child for child in element if local(child) == "transition"]
            if len(ways) != 1:
                self.find("<history> has one <transition>.", element)
            for way in ways:
                state["default"] = self._default(way)
        elif kind == "final":
            state["final"] = True
            for child in element:
                if local(child) == "donedata":
                    self.done_data(child, state)
            self._common(element, state)
        else:
            if kind == "parallel":
                state["parallel"] = True
            self._initial(element, state)
            self._common(element, state)
        if name in states:
            self.find(f"The state {name!r} is there twice.", element, code="P002")
        states[name] = state
        self.step = outer

    def _initial(self, element: Element, state: dict[str, Any]) -> None:
        inner = [child for child in element if local(child) == "initial"]
        if "initial" in element.attrib:
            state["initial"] = element.attrib["initial"]
            if inner:
                self.find("A state has either the attribute 'initial' or one <initial>.", inner[0])
        for child in inner[:1]:
            ways = [way for way in child if local(way) == "transition"]
            if len(ways) != 1 or len(child) != 1:
                self.find("<initial> has one <transition>.", child)
            for way in ways:
                state["initial"] = self._default(way)

    def _default(self, way: Element) -> dict[str, Any]:
        self.attributes(way, ("target", "type"))
        return (
            {"target": way.get("target", ""), "do": self.content(way)}
            if len(way)
            else {"target": way.get("target", "")}
        )

    def _transition(self, way: Element) -> dict[str, Any]:
        self.attributes(way, ("event", "cond", "target", "type"))
        found: dict[str, Any] = {}
        for key, name in (("event", "event"), ("when", "cond"), ("target", "target")):
            if name in way.attrib:
                found[key] = way.attrib[name]
        kind = way.get("type", "external")
        if kind not in ("internal", "external"):
            self.find(f"Expected internal or external, not {kind[:40]!r}.", way)
        if kind == "internal":
            found["internal"] = True
        if len(way):
            found["do"] = self.content(way)
        return found

    def _data(self, element: Element) -> list[dict[str, Any]]:
        found = []
        for child in element:
            if local(child) != "data":
                self.find(f"<{local(child)[:60]}> has no place in <datamodel>.", child)
                continue
            self.attributes(child, ("id", "expr", "src"))
            entry: dict[str, Any] = {"id": child.get("id", "")}
            inner = self.inline(child)
            if "src" in child.attrib:
                entry["source"] = child.attrib["src"]
            elif "expr" in child.attrib:
                entry["expr"] = child.attrib["expr"]
                if inner is not None:
                    self.find("<data> has either 'expr' or content.", child)
            elif inner is not None:
                entry["value"] = {"$literal": inner}
            found.append(entry)
        return found

    def _invoke(self, element: Element) -> dict[str, Any]:
        self.attributes(element, ("id", "idlocation", "type", "typeexpr", "src", "srcexpr", "namelist", "autoforward"))
        found: dict[str, Any] = {}
        for name, key in (("id", "id"), ("idlocation", "id_location"), ("namelist", "namelist")):
            if name in element.attrib:
                found[key] = element.attrib[name]
        if "autoforward" in element.attrib:
            found["autoforward"] = element.attrib["autoforward"] == "true"
        self.namelist(element, found)
        contents = []
        for child in element:
            word = local(child)
            if word == "param":
                found.setdefault("params", []).append(self.param(child))
            elif word == "finalize":
                found["finalize"] = self.content(child)
            elif word == "content":
                contents.append(child)
            else:
                self.find(f"<{word[:60]}> has no place in <invoke>.", child)
        kind = element.get("type", "")
        if "typeexpr" in element.attrib:
            found["type_expr"] = element.attrib["typeexpr"]
        if kind in MACHINES:
            self._machine(element, contents, found)
        else:
            self._action(element, kind, found)
        return found

    def _machine(self, element: Element, contents: list[Element], found: dict[str, Any]) -> None:
        sources = [name for name in ("src", "srcexpr") if name in element.attrib]
        if len(sources) + len(contents) != 1:
            self.find("<invoke> of a machine has one of 'src', 'srcexpr' and <content>.", element)
            return
        if sources:
            key = "chart_source" if sources[0] == "src" else "chart_source_expr"
            found[key] = element.attrib[sources[0]]
            return
        (content,) = contents
        if "expr" in content.attrib:
            found["chart_expr"] = content.attrib["expr"]
            return
        roots = [child for child in content if local(child) == "scxml"]
        if len(roots) != 1 or len(content) != 1:
            self.find("<content> of an invoked machine holds one <scxml>.", content)
            return
        step, name = self.step, self.name
        self.name = roots[0].get("name") or ""
        found["chart"] = self.chart(roots[0])
        self.step, self.name = step, name

    def _action(self, element: Element, kind: str, found: dict[str, Any]) -> None:
        """Ours: ``<invoke type="tool" src="files.read">`` and so on."""
        word = kind.removeprefix("agentflow:")
        if word not in OWN:
            known = "scxml, agentflow:tool, agentflow:agent, agentflow:flow and agentflow:plan"
            self.find(f"The type {kind[:60]!r} cannot be invoked; known are {known}.", element)
            return
        found[word] = element.get("src", "")
