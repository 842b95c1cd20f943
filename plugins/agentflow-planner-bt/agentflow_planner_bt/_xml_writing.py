"""A writing: a document as the XML of BehaviorTree.CPP, format 4; what that cannot say is refused, never left out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from agentflow_kernel.contracts.finding import PlanFinding
from agentflow_kernel.errors import PlanInvalid
from agentflow_planner_bt import _dialect
from agentflow_planner_bt._kinds import EXPRESSION, NAMES, SCRIPT
from agentflow_planner_bt._tags import MODIFIERS, OWN_NAMES, TAGS
from agentflow_planner_bt.port import NOTHING, guessed, reference

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentflow_planner_bt._definition import Definition, Node
    from agentflow_planner_bt.port import Port

_TAG_OF: dict[str, str] = {}
for _tag, (_kind, _, _fixed) in TAGS.items():
    if not _fixed:
        _TAG_OF.setdefault(_kind, _tag)
_ATTRIBUTE_OF = {ours: theirs for theirs, ours in MODIFIERS.items()}
_PORT_TAGS = {"in": "input_port", "out": "output_port", "inout": "inout_port"}
_MOST_CASES = 6
"""The largest switch of BehaviorTree.CPP."""


class Writing:
    """One document being written; ``findings`` grows."""

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.findings: list[PlanFinding] = []

    def text(self) -> str:
        """The XML.

        Raises:
            PlanInvalid: it says what BehaviorTree.CPP cannot.
        """
        given = self.definition
        for name, unsaid in (
            ("semantics", given.semantics != "btcpp"),
            ("enums", bool(given.enums)),
            ("blackboard", bool(given.blackboard)),
            ("tick_every_s", given.tick_every_s is not None),
            ("errors", given.errors != "raise"),
        ):
            if unsaid:
                self._found(f"{name!r} has no place in the XML of BehaviorTree.CPP.", name)
        root = Element("root", BTCPP_format="4", main_tree_to_execute=given.main)
        for id, tree in given.trees.items():
            self._node(SubElement(root, "BehaviorTree", ID=id), tree.root)
        self._model(root)
        if self.findings:
            raise PlanInvalid(given.main, self.findings)
        indent(root, "  ")
        return tostring(root, encoding="unicode") + "\n"

    def _found(self, text: str, *where: str | int) -> None:
        self.findings.append(PlanFinding("P001", text, *where))

    def _model(self, root: Element) -> None:
        ported = {id: tree.ports for id, tree in self.definition.trees.items() if tree.ports}
        if not ported and not self.definition.leaves:
            return
        model = SubElement(root, "TreeNodesModel")
        for id, ports in self.definition.leaves.items():
            self._ports(SubElement(model, "Action", ID=id), ports)
        for id, ports in ported.items():
            self._ports(SubElement(model, "SubTree", ID=id), ports)

    def _ports(self, element: Element, ports: Mapping[str, Port]) -> None:
        for name, port in ports.items():
            item = SubElement(element, _PORT_TAGS[port.direction], name=name, type=port.type)
            if port.default is not NOTHING:
                item.set("default", self._literal(port.default))

    # -- nodes

    def _node(self, above: Element, node: Node) -> None:
        kind = node.kind.name
        ports = dict(node.ports)
        tag = _TAG_OF.get(kind, kind)
        names = {ours: theirs for theirs, ours in (TAGS[tag][1] if tag in TAGS else OWN_NAMES).items()}
        if kind in {"sequence", "fallback"} and ports.pop("yields", False) is True:
            tag = f"Async{tag}"
        elif kind == "subtree":
            tag, ports = "SubTree", self._subtree(ports)
        elif kind == "switch":
            cases = ports.pop("cases")
            tag = f"Switch{len(cases)}"
            if not 2 <= len(cases) <= _MOST_CASES:
                self._found(f"BehaviorTree.CPP has switches of 2 to {_MOST_CASES} cases only.", *node.where)
            ports |= {f"case_{number}": case for number, case in enumerate(cases, 1)}
        elif kind == "for_each":
            tag, ports["queue"] = self._queue(ports["queue"])
        elif kind in {"delay", "timeout", "sleep"} and "seconds" in ports:
            seconds = ports.pop("seconds")
            if isinstance(seconds, str):
                self._found("Times from a blackboard are milliseconds in XML: write 'msec'.", *node.where)
            else:
                ports["msec"] = round(seconds * 1000)
        element = SubElement(above, tag)
        self._attributes(element, node)
        for port, value in ports.items():
            element.set(names.get(port, port), self._value(node, port, value))
        for child in node.children:
            self._node(element, child)

    def _attributes(self, element: Element, node: Node) -> None:
        if node.name:
            element.set("name", node.name)
        for ours, text in node.modifiers.items():
            element.set(_ATTRIBUTE_OF[ours], self._script(node, text))
        if node.errors:
            element.set("_errors", node.errors)

    @staticmethod
    def _subtree(ports: dict[str, Any]) -> dict[str, Any]:
        given = {"ID": ports["tree"], **ports.get("ports", {})}
        return {**given, "_autoremap": True} if ports.get("autoremap") else given

    @staticmethod
    def _queue(queue: Any) -> tuple[str, Any]:
        """The loop for items of their type, and the list as text."""
        if not isinstance(queue, list):
            return "LoopString", queue
        for tag, types in (("LoopBool", {bool}), ("LoopInt", {int}), ("LoopDouble", {int, float})):
            if {type(item) for item in queue} <= types:
                return tag, ";".join(json.dumps(item) for item in queue)
        return "LoopString", ";".join(map(str, queue))

    def _script(self, node: Node, text: str) -> str:
        try:
            return _dialect.exported(text)
        except ValueError as error:
            self._found(f"{error}.", *node.where)
            return ""

    def _value(self, node: Node, port: str, value: Any) -> str:
        declared = node.declared.get(port)
        if declared is not None and declared.type in {EXPRESSION, SCRIPT}:
            return self._script(node, value if isinstance(value, str) else json.dumps(value))
        if node.type in NAMES and node.kind.group != "subtree" and isinstance(value, str):
            ambiguous = guessed(value) != value or value.startswith("json:")
            if ambiguous and declared is not None and declared.type in {"any", "deep"} and reference(value) is None:
                return f"json:{json.dumps(value)}"
        return self._literal(value)

    @staticmethod
    def _literal(value: Any) -> str:
        if isinstance(value, str):
            return value
        text = json.dumps(value)
        return f"json:{text}" if isinstance(value, dict | list) or value is None else text
