"""BehaviorTree.CPP: its XML read into documents of ours, and documents of ours written as its XML (format 4)."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

from agentflow_kernel.contracts.finding import PlanFinding
from agentflow_kernel.errors import PlanInvalid
from agentflow_planner_bt import _dialect
from agentflow_planner_bt._kinds import DEEP, EXPRESSION, SCRIPT, SEMANTICS
from agentflow_planner_bt._reading import MAX_DEPTH, MAX_NODES
from agentflow_planner_bt._tags import EXPLICIT, MODIFIERS, OWN_NAMES, TAGS
from agentflow_planner_bt.port import guessed, reference

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from xml.etree.ElementTree import Element

    from agentflow_planner_bt.leaf import Leaf

MAX_FILES = 100
"""Files that a file may include, directly or not."""

_KINDS = SEMANTICS["btcpp"]
_DIRECTIONS = {"input_port": "in", "output_port": "out", "inout_port": "inout"}


def read_xml(text: str | bytes, *, file: str | os.PathLike[str] | None = None) -> dict[str, Any]:
    """The document that an XML text of BehaviorTree.CPP 4 says; octets are decoded as the XML itself declares.

    ``file`` is where the text was read from: files that it includes lie in the same folder or below it. Without it
    nothing is included.

    Raises:
        PlanInvalid: it is no XML, not sound, or has entities or a document type; ``findings`` holds all faults.
        OSError: an included file cannot be read.
    """
    importer = _Importer(file)
    importer.file(text, "")
    if importer.findings:
        raise PlanInvalid(importer.main, importer.findings)
    return importer.document()


def write_xml(source: Any, leaves: Mapping[str, Leaf] | None = None) -> str:
    """A document, as a mapping, a text or a file, as XML of BehaviorTree.CPP 4.

    Nodes that BehaviorTree.CPP does not have are written under their own names, and read again by :func:`read_xml`;
    there they need to be registered. ``leaves`` are those that the document uses and does not declare.

    Raises:
        PlanInvalid: the document is not valid, or says what BehaviorTree.CPP cannot, such as ``in`` in a condition.
    """
    from agentflow_planner_bt._text import document_of  # lazy: it imports this module where it meets XML
    from agentflow_planner_bt._xml_writing import Writing  # lazy: only for XML
    from agentflow_planner_bt.tree import define  # lazy: the tree does not need XML

    definition = define(document_of(source), leaves or {})
    if definition.findings:
        raise PlanInvalid(definition.main, definition.findings)
    return Writing(definition).text()


_ATTRIBUTE = re.compile(r"""=\s*(?:"[^"]*"|'[^']*')""")
_BARE = re.compile(r"&(?!(?:\w+|#\d+|#x[0-9a-fA-F]+);)")


def _escaped(found: re.Match[str]) -> str:
    """An attribute whose value holds ``<`` or ``&`` as they are, which the parser of BehaviorTree.CPP lets pass."""
    return _BARE.sub("&amp;", found[0]).replace("<", "&lt;")


def _mended(text: str | bytes) -> str | bytes:
    """The text with all such attributes escaped; octets stay in their encoding, of which only ASCII is looked at."""
    if isinstance(text, bytes):
        return _ATTRIBUTE.sub(_escaped, text.decode("latin-1")).encode("latin-1")
    return _ATTRIBUTE.sub(_escaped, text)


class _Importer:
    """One import: trees, models of leaves and of subtrees, and what is wrong."""

    def __init__(self, file: str | os.PathLike[str] | None) -> None:
        self.folder = None if file is None else os.path.dirname(os.path.realpath(file))
        self.findings: list[PlanFinding] = []
        self.trees: dict[str, dict[str, Any]] = {}
        self.leaves: dict[str, Any] = {}
        self.models: dict[str, Any] = {}
        self.main = ""
        self.files: set[str] = set() if file is None else {os.path.realpath(file)}
        self.nodes = 0

    def found(self, code: str, text: str, *where: str | int) -> None:
        """Note one fault."""
        self.findings.append(PlanFinding(code, text, *where))

    def document(self) -> dict[str, Any]:
        """All that was read, as one document."""
        for id, ports in self.models.items():
            if id in self.trees:
                self.trees[id]["ports"] = ports
        document: dict[str, Any] = {"trees": self.trees}
        if self.leaves:
            document["leaves"] = self.leaves
        main = self.main or (next(iter(self.trees)) if len(self.trees) == 1 else "")
        return {**document, "main": main} if main else document

    def file(self, text: str | bytes, name: str) -> None:
        """Read one file."""
        root = self._parsed(text)
        if root is None:
            return
        if root.tag != "root":
            self.found("P001", f"The first element is <root>, not <{root.tag}>.")
            return
        if root.get("BTCPP_format", "4") != "4":
            self.found("P001", f'Only BTCPP_format="4" can be read, not {root.get("BTCPP_format")!r}.')
        if not name:
            self.main = root.get("main_tree_to_execute", "")
        for element in root:
            if element.tag == "include":
                self._include(element, name)
        several = sum(element.tag == "BehaviorTree" for element in root) > 1
        for element in root:
            if element.tag == "BehaviorTree":
                self._tree(element, several=several)
            elif element.tag == "TreeNodesModel":
                self._model(element)
            elif element.tag != "include" and isinstance(element.tag, str):
                self.found("P001", f"Unknown element <{element.tag}> below <root>.")

    def _parsed(self, text: str | bytes) -> Element | None:
        try:
            try:
                root: Element = fromstring(text, forbid_dtd=True)
            except ParseError:
                mended = _mended(text)
                if mended == text:
                    raise
                root = fromstring(mended, forbid_dtd=True)
        except DefusedXmlException:
            self.found("P001", "XML with a document type or entities is refused.")
        except (ParseError, ValueError, LookupError) as error:  # LookupError: nobody knows its encoding
            self.found("P001", f"This is not XML: {error}.")
        else:
            return root
        return None

    def _include(self, element: Element, name: str) -> None:
        path = element.get("path", "")
        if not path or element.get("ros_pkg") or self.folder is None:
            known = "a file read from a folder" if self.folder is None else "the path of a file"
            self.found("P001", f"<include> needs {known}.", "include")
            return
        base = self.folder
        full = os.path.realpath(os.path.join(base, os.path.dirname(name), path))
        if os.path.commonpath((base, full)) != base:
            self.found("P001", f"The included file {path!r} lies outside of the folder of the first one.", "include")
            return
        if full in self.files:
            return
        self.files.add(full)
        if len(self.files) > MAX_FILES:
            self.found("P011", f"More than {MAX_FILES} files are included.", "include")
            return
        from agentflow_planner_bt._text import read_file  # lazy: it imports this module where it meets XML

        self.file(read_file(full), os.path.relpath(full, base))

    def _tree(self, element: Element, *, several: bool) -> None:
        id = element.get("ID", "")
        if not id and several:
            self.found("P002", "Of several trees each needs an ID.")
            return
        id = id or "MainTree"
        if id in self.trees:
            self.found("P002", f"The tree {id!r} is there twice.", "trees", id)
            return
        if len(element) != 1:
            self.found("P001", f"The tree {id!r} needs exactly 1 child, not {len(element)}.", "trees", id)
            return
        root = self._node(element[0], ("trees", id), 1)
        self.trees[id] = {"root": root}

    def _model(self, element: Element) -> None:
        """The ports of leaves and subtrees."""
        for item in element:
            id = item.get("ID")
            if not id:
                self.found("P001", f"<{item.tag}> in <TreeNodesModel> needs an ID.", "leaves")
                continue
            ports = {}
            for port in item:
                direction = _DIRECTIONS.get(str(port.tag))
                if direction is None:
                    continue
                fields: dict[str, Any] = {direction: port.get("type", "any")}
                if (default := port.get("default")) is not None:
                    fields["default"] = default
                elif item.tag == "SubTree":
                    fields["required"] = True
                ports[port.get("name", "")] = fields
            if item.tag == "SubTree":
                self.models[id] = ports
            elif item.tag in {"Action", "Condition"} and id not in TAGS:
                self.leaves[id] = ports

    # -- nodes

    def _node(self, element: Element, where: tuple[str | int, ...], depth: int) -> dict[str, Any]:
        self.nodes += 1
        if depth > MAX_DEPTH or self.nodes > MAX_NODES:
            limit = f"nested more than {MAX_DEPTH} deep" if depth > MAX_DEPTH else f"more than {MAX_NODES:,}"
            if not any(finding.code == "P011" for finding in self.findings):
                self.found("P011", f"Elements are {limit}.", *where)
            return {"always_failure": None}
        tag = str(element.tag)
        attributes = dict(element.attrib)
        if tag in EXPLICIT:
            id = attributes.pop("ID", "")
            if not id:
                self.found("P001", f"<{tag}> needs an ID.", *where)
                return {"always_failure": None}
            tag = "SubTree" if tag == "SubTree" else id
        elif "ID" in attributes:
            self.found("P001", f"<{tag}> has no ID.", *where)
        if element.tag == "SubTree":
            return self._subtree(element, id, attributes, where)
        kind, names, fixed = TAGS.get(tag, (tag, OWN_NAMES if tag in _KINDS else {}, {}))
        if tag.startswith("Loop") and "queue" in attributes:  # also loops over types of C++ that are not ours
            kind = "for_each"
        if tag.startswith("Switch") and tag[6:].isdigit():
            kind = "switch"
            cases = [attributes.pop(f"case_{number}", "") for number in range(1, int(tag[6:]) + 1)]
            fixed = {"cases": cases}
        node = self._attributes(attributes, where)
        if tag == "ScriptCondition" and (made := self._assigning(attributes.get("code", ""), where)):
            return {"sequence": made, **node}
        below = [self._node(child, (*where, kind, number), depth + 1) for number, child in enumerate(element)]
        known = _KINDS.get(kind)
        ports = {
            names.get(name, name): self._value(kind, names.get(name, name), text, where)
            for name, text in attributes.items()
        }
        if tag.startswith("Loop") and isinstance(ports.get("queue"), str) and reference(ports["queue"]) is None:
            items = [item.strip() for item in ports["queue"].split(";")] if ports["queue"].strip() else []
            ports["queue"] = items if tag == "LoopString" else [guessed(item) for item in items]
        if known is not None and known.group in {"control", "decorator"}:
            return {kind: below, **ports, **fixed, **node}
        if below:
            self.found("P001", f"<{tag}> is a leaf, it has no children.", *where)
        return {kind: {**ports, **fixed} or None, **node}

    def _attributes(self, attributes: dict[str, str], where: tuple[str | int, ...]) -> dict[str, Any]:
        """Name, conditions and scripts, taken out of the attributes; others with an underscore are for editors."""
        node: dict[str, Any] = {}
        for name in list(attributes):
            if name == "name":
                node["name"] = attributes.pop(name)
            elif name in MODIFIERS:
                ours = MODIFIERS[name]
                read = _dialect.condition if ours.endswith("_if") or ours == "while" else _dialect.script
                node[ours] = self._script(read, attributes.pop(name), where)
            elif name == "_errors":
                node["errors"] = attributes.pop(name)
            elif name == "_description":
                node["description"] = attributes.pop(name)
            elif name.startswith("_"):
                attributes.pop(name)
        return node

    def _script(self, read: Callable[[str], str], text: str, where: tuple[str | int, ...]) -> str:
        try:
            return read(text)
        except ValueError as error:
            self.found("P004", f"This is no script: {error}.", *where)
            return "true"

    def _assigning(self, text: str, where: tuple[str | int, ...]) -> list[dict[str, Any]]:
        """A condition that makes assignments first, as two nodes; nothing for others."""
        try:
            script, condition = _dialect.statements_and_condition(text)
        except ValueError:
            return []  # it is read once more, and then its fault is noted
        return [{"script": script}, {"check": condition}] if script else []

    def _value(self, kind: str, port: str, text: str, where: tuple[str | int, ...]) -> Any:
        known = _KINDS.get(kind)
        declared = known.ports.get(port) if known is not None else None
        if declared is not None and declared.type == EXPRESSION:
            return self._script(_dialect.condition, text, where)
        if declared is not None and declared.type == SCRIPT:
            return self._script(_dialect.script, text, where)
        if text.startswith("json:"):
            try:
                return json.loads(text[5:])
            except (ValueError, RecursionError):
                self.found("P004", f"The port {port!r} holds no JSON.", *where)
        return guessed(text) if declared is not None and declared.type in {"any", DEEP} else text

    def _subtree(
        self, element: Element, id: str, attributes: dict[str, str], where: tuple[str | int, ...]
    ) -> dict[str, Any]:
        if len(element):
            self.found("P001", f"<SubTree> {id!r} has no children.", *where)
        auto = attributes.pop("_autoremap", attributes.pop("__autoremap", "false"))
        node = self._attributes(attributes, where)
        ports = {name: text if reference(text) is not None else guessed(text) for name, text in attributes.items()}
        fields: dict[str, Any] = {"subtree": id, **node}
        if ports:
            fields["ports"] = ports
        if auto in {"true", "1", "True"}:
            fields["autoremap"] = True
        return fields
