"""A definition: a document that was read and found sound, as nodes and trees without any behaviour."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentflow_kernel.contracts.finding import PlanFinding
    from agentflow_planner_bt._kinds import Kind
    from agentflow_planner_bt.port import Port

Where = tuple[str | int, ...]


class Node:
    """One node of a document. ``ports`` holds what the document gives, defaults not filled in."""

    __slots__ = ("kind", "type", "name", "where", "children", "ports", "declared", "modifiers", "errors")

    def __init__(self, kind: Kind, type: str, where: Where) -> None:
        self.kind = kind
        self.type = type
        """What the document calls it: the kind's name, or that of a leaf."""
        self.name = ""
        self.where = where
        self.children: list[Node] = []
        self.ports: dict[str, Any] = {}
        self.declared: Mapping[str, Port] = kind.ports
        self.modifiers: dict[str, str] = {}
        self.errors = ""
        """``failure``, ``raise``, or ``""`` for what holds for the whole document."""


class TreeDefinition:
    """One tree: its first node, and its ports, None where it declares none and takes all."""

    __slots__ = ("id", "root", "ports", "where")

    def __init__(self, id: str, root: Node, ports: Mapping[str, Port] | None, where: Where) -> None:
        self.id = id
        self.root = root
        self.ports = ports
        self.where = where


class Definition:
    """A whole document."""

    __slots__ = (
        "trees",
        "main",
        "semantics",
        "enums",
        "blackboard",
        "tick_every_s",
        "errors",
        "leaves",
        "findings",
        "warnings",
    )

    def __init__(self) -> None:
        self.trees: dict[str, TreeDefinition] = {}
        self.main = ""
        self.semantics = "btcpp"
        self.enums: dict[str, Any] = {}
        self.blackboard: dict[str, Any] = {}
        self.tick_every_s: float | None = None
        self.errors = "raise"
        self.leaves: dict[str, Mapping[str, Port]] = {}
        """The ports of leaves that the document itself declares."""
        self.findings: list[PlanFinding] = []
        """What is wrong; nodes that could not be read are stood in for."""
        self.warnings: list[PlanFinding] = []
