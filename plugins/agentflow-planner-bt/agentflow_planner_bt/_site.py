"""A site: one node while it is compiled, with its children done: what its builder may ask for and reserve."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from agentflow_kernel.errors import ExpressionFailed
from agentflow_planner_bt._kinds import DEEP, EXPRESSION, SCRIPT
from agentflow_planner_bt._run import failed
from agentflow_planner_bt._scope import entry_of
from agentflow_planner_bt.port import NOTHING

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentflow_planner_bt._compiler import Compiler
    from agentflow_planner_bt._definition import Node
    from agentflow_planner_bt._run import Memory, Part
    from agentflow_planner_bt._scope import Place, Scope
    from agentflow_planner_bt.leaf import Leaf

_NOT_IN_IDS = re.compile(r"[^\w.:-]+")


class Site:
    """One node under construction. What is wrong with its ports raises ValueError or ExpressionInvalid."""

    def __init__(self, compiler: Compiler, node: Node, scope: Scope, path: str, slot: int) -> None:
        self.compiler = compiler
        self.node = node
        self.scope = scope
        self.path = path
        self.slot = slot
        self.parts: tuple[Part, ...] = ()
        self.keeps = compiler.keeps
        """Whether nodes that are done keep their status, as in py_trees."""

    # -- memory

    def cell(self, initial: Any) -> int:
        """A new cell of the memory."""
        return self.compiler.cell(initial)

    def object(self, leaf: Leaf) -> int:
        """The number under which a run keeps its object for this node."""
        self.compiler.leaves.append((self.path, leaf))
        return len(self.compiler.leaves) - 1

    def label(self) -> str:
        """A readable name for this node's actions, its own in the tree."""
        return self.compiler.label(_NOT_IN_IDS.sub("-", self.node.name or self.node.type) or "node")

    # -- ports

    def given(self, port: str) -> bool:
        """Whether the document connects the port."""
        return port in self.node.ports

    def raw(self, port: str) -> Any:
        """What the document gives, or the port's default, unread; NOTHING for neither."""
        declared = self.node.declared[port]
        value = self.node.ports.get(port, declared.default)
        if value is NOTHING and declared.required:
            raise ValueError(f"the port {port!r} is missing")
        return f"{{{port}}}" if type(value) is str and value.strip() == "{=}" else value

    def literal(self, port: str) -> Any:
        """The value that the document gives, None for a reference.

        Raises:
            ValueError: it is missing, or cannot be of the port's type.
        """
        value = self.raw(port)
        if value is NOTHING:
            return None
        if self.node.declared[port].type in {"name", "cases"}:
            if self.node.declared[port].type == "name" and (type(value) is not str or not value):
                raise ValueError(f"the port {port!r} is a name, not {value!r}")
            return value
        literal, reader = self.scope.value(value, self.node.declared[port].type)
        if reader is not None and self.node.declared[port].type == "status":
            raise ValueError(f"the port {port!r} takes a status, not {value!r}")
        return None if reader is not None else literal

    def check(self, port: str) -> None:
        """Raise ValueError where a port is missing, or given a literal that its type does not allow."""
        declared = self.node.declared[port]
        if self.raw(port) is NOTHING:
            return
        if declared.direction == "in" and declared.type not in {EXPRESSION, SCRIPT, DEEP, "any"}:
            self.literal(port)

    def reader(self, port: str) -> Callable[[Memory], Any]:
        """What reads an input of a node of our own; at run time a missing entry is an error of the node.

        Raises:
            ValueError: it is missing, or cannot be of the port's type.
        """
        given = self.raw(port)
        if given is NOTHING:
            return lambda m: None
        literal, reader = self.scope.value(given, self.node.declared[port].type)
        if reader is None:
            return lambda m: literal
        read, path = reader, self.path

        def present(m: Memory) -> Any:
            try:
                value = read(m)
            except (ValueError, ExpressionFailed) as error:
                raise failed(path, error) from None
            if value is NOTHING:
                raise failed(path, LookupError(f"the blackboard has no {given} for the port {port!r}"))
            return value

        return present

    def deep(self, port: str) -> Callable[[Memory], Any]:
        """What reads JSON with references in it."""
        given = self.raw(port)
        if given is NOTHING:
            return lambda m: None
        read, path = self.scope.deep(given), self.path

        def present(m: Memory) -> Any:
            try:
                return read(m)
            except (LookupError, ValueError, ExpressionFailed) as error:
                raise failed(path, error) from None

        return present

    def writer(self, port: str) -> Callable[[Memory, Any], None]:
        """What writes to an output."""
        return self.scope.writer(self.raw(port))

    def entry(self, port: str) -> Place:
        """The entry that a port names, in braces or not."""
        return self.scope.place(entry_of(self.raw(port)))

    # -- texts

    def test(self, port: str) -> Callable[[Memory], bool]:
        """The condition that a port holds."""
        return self.condition(self.raw(port))

    def condition(self, text: Any) -> Callable[[Memory], bool]:
        """A condition, whose failing is an error of the node."""
        if type(text) is bool:
            return lambda m: text
        if type(text) is not str:
            raise ValueError(f"a condition is text, not {text!r}")
        test, path = self.scope.test(text), self.path

        def holds(m: Memory) -> bool:
            try:
                return test(m)
            except ExpressionFailed as error:
                raise failed(path, error) from None

        return holds

    def script(self, port: str) -> Callable[[Memory], None]:
        """The script that a port holds."""
        return self.execute(self.raw(port))

    def execute(self, text: Any) -> Callable[[Memory], None]:
        """A script, whose failing is an error of the node."""
        if type(text) is not str:
            raise ValueError(f"a script is text, not {text!r}")
        run, path = self.scope.script(text), self.path

        def execute(m: Memory) -> None:
            try:
                run(m)
            except (ExpressionFailed, TypeError) as error:
                raise failed(path, error) from None

        return execute
