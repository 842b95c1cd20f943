"""A compiler: turns a definition into closures over cells of one memory, once for all runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentflow_kernel.contracts.finding import PlanFinding
from agentflow_kernel.errors import ExpressionInvalid, PlanError, nearest
from agentflow_planner_bt import _actions, _composites, _decorators, _leaves, _parallels, _py_trees
from agentflow_planner_bt._guards import guarded, traced
from agentflow_planner_bt._kinds import CONVERTERS, NAMES
from agentflow_planner_bt._reading import MAX_DEPTH, MAX_NODES
from agentflow_planner_bt._run import HEAD, Part
from agentflow_planner_bt._scope import Scope, entry_of
from agentflow_planner_bt._site import Site
from agentflow_planner_bt.port import NOTHING, converted, is_key, reference
from agentflow_planner_bt.status import FAILURE, RUNNING, SKIPPED, SUCCESS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agentflow_planner_bt._definition import Definition, Node, TreeDefinition
    from agentflow_planner_bt.leaf import Info, Leaf

    Builder = Callable[[Site], Part]

_CONVERTING = ("inverter", "force_success", "force_failure", "keep_running_until_failure", "pass_through", *CONVERTERS)
_SHARED: dict[str, Builder] = {
    **dict.fromkeys(_CONVERTING, _decorators.converting),
    "timeout": _decorators.timeout,
    "one_shot": _decorators.one_shot,
    "eternal_guard": _decorators.eternal_guard,
    "condition": _decorators.condition,
    "count": _decorators.count,
    "status_to_blackboard": _decorators.status_to_blackboard,
    "always_success": lambda site: _leaves.constant(site, SUCCESS),
    "always_failure": lambda site: _leaves.constant(site, FAILURE),
    "always_running": lambda site: _leaves.constant(site, RUNNING),
    "scripted": _leaves.scripted,
    "script": _leaves.script,
    "check": _leaves.check,
    "set": _leaves.set_entry,
    "unset": _leaves.unset_entry,
    "sleep": _leaves.sleep,
    "was_updated": _leaves.was_updated,
    "subtree": lambda site: _decorators.framed(site, lambda m, status: status),
}
_BTCPP: dict[str, Builder] = {
    **_SHARED,
    "sequence": lambda site: _sequence(site, SUCCESS, FAILURE),
    "fallback": lambda site: _sequence(site, FAILURE, SUCCESS),
    "sequence_resume": _composites.resuming,
    "reactive_sequence": lambda site: _composites.reactive(site, SUCCESS, FAILURE),
    "reactive_fallback": lambda site: _composites.reactive(site, FAILURE, SUCCESS),
    "parallel": _parallels.parallel,
    "parallel_all": _parallels.parallel_all,
    "if_then_else": _composites.if_then_else,
    "while_do_else": _composites.while_do_else,
    "switch": _composites.switch,
    "try_catch": _composites.try_catch,
    "repeat": lambda site: _decorators.looping(site, SUCCESS, FAILURE),
    "retry": lambda site: _decorators.looping(site, FAILURE, SUCCESS),
    "run_once": _decorators.run_once,
    "delay": _decorators.delay,
    "for_each": _decorators.for_each,
    "precondition": _decorators.precondition,
    "skip_unless_updated": lambda site: _decorators.if_updated(site, SKIPPED),
    "wait_value_update": lambda site: _decorators.if_updated(site, RUNNING),
}
_PY_TREES: dict[str, Builder] = {
    **_SHARED,
    "sequence": _py_trees.sequence,
    "fallback": _py_trees.fallback,
    "parallel": _py_trees.parallel,
    "repeat": lambda site: _py_trees.looping(site, SUCCESS, FAILURE),
    "retry": lambda site: _py_trees.looping(site, FAILURE, SUCCESS),
}


def _sequence(site: Site, goes_on: int, ends: int) -> Part:
    build = _composites.yielding if site.literal("yields") else _composites.remembering
    return build(site, goes_on, ends)


class TooLarge(Exception):
    """The tree is beyond its bounds: nothing more is looked at."""


class Placed:
    """A node in its tree: where it is, what it is, and the cell of its status."""

    __slots__ = ("path", "name", "node", "slot", "parent")

    def __init__(self, path: str, node: Node, slot: int, parent: int) -> None:
        self.path = path
        self.name = node.name or node.type
        self.node = node
        self.slot = slot
        self.parent = parent
        """The number of the node above, -1 for none."""


class Compiler:
    """One tree being compiled. ``findings`` holds what only shows here: ports, expressions, subtrees, sizes."""

    def __init__(self, definition: Definition, leaves: Mapping[str, Leaf], *, traces: bool = False) -> None:
        self.definition = definition
        self.python = leaves
        self.traces = traces
        self.keeps = definition.semantics == "py_trees"
        self.errors = definition.errors
        self.builders = _PY_TREES if self.keeps else _BTCPP
        self.initial: list[Any] = []
        self.timers: list[int] = []
        self.leaves: list[tuple[str, Leaf]] = []
        """The stateful leaves, each with the path of its node."""
        self.infos: list[Info] = []
        """What the contexts of leaves that are functions are made from, once for each run."""
        self.nodes: list[Placed] = []
        self.scopes: list[Scope] = []
        self.findings: list[PlanFinding] = []
        self.types: dict[tuple[int, str], str] = {}
        """The types of entries, as far as the ports of leaves that are connected with them say."""
        self.seen: set[str] = set()
        """The trees that are part of it."""
        self._noted: set[tuple[str, str]] = set()
        self._labels: dict[str, int] = {}

    def cell(self, initial: Any) -> int:
        """A new cell, with the value that every run begins with."""
        self.initial.append(initial)
        return HEAD + len(self.initial) - 1

    def context(self, info: Info) -> int:
        """The number under which each run keeps the context of a node."""
        self.infos.append(info)
        return len(self.infos) - 1

    def label(self, name: str) -> str:
        """The name, with a number where another node has it already."""
        number = self._labels[name] = self._labels.get(name, 0) + 1
        return name if number == 1 else self.label(f"{name}.{number}")

    def found(self, code: str, text: str, node: Node, *, suggestion: str = "", warning: bool = False) -> None:
        """Note one fault, once for all places where its tree is used."""
        key = (text, repr(node.where))
        if key not in self._noted:
            self._noted.add(key)
            finding = PlanFinding(code, text, *node.where, step=node.name, suggestion=suggestion, warning=warning)
            kept = self.definition.warnings if warning else self.findings
            if finding not in kept:
                kept.append(finding)

    def tree(self, id: str) -> Part:
        """The tree with this id, and all its subtrees."""
        scope = self._scope(None)
        scope.constants.update(self.definition.blackboard)
        return self._tree(self.definition.trees[id], scope, id, -1, (), 1)

    def _scope(self, parent: Scope | None) -> Scope:
        scope = Scope(len(self.scopes), parent, self.definition.enums)
        self.scopes.append(scope)
        return scope

    def _tree(
        self, tree: TreeDefinition, scope: Scope, path: str, parent: int, above: tuple[str, ...], depth: int
    ) -> Part:
        self.seen.add(tree.id)
        place = f"{path}/{tree.root.name or tree.root.type}"
        return self._part(tree.root, _Place(scope, place, parent, (*above, tree.id), depth))

    def _part(self, node: Node, place: _Place) -> Part:
        """One node with all below it; what is wrong is noted and stands still."""
        slot = self.cell(0)
        number = len(self.nodes)
        self.nodes.append(Placed(place.path, node, slot, place.parent))
        site = Site(self, node, place.scope, place.path, slot)
        if number >= MAX_NODES or place.depth > MAX_DEPTH:
            limit = f"more than {MAX_NODES:,} nodes" if number >= MAX_NODES else f"nodes more than {MAX_DEPTH} deep"
            self.found("P011", f"With its subtrees the tree has {limit}.", node)
            raise TooLarge
        if node.kind.group == "subtree":
            below = self._subtree(site, place, number)
            site.parts = () if below is None else (below,)
            if below is None:
                return _still(slot)
        else:
            paths = _labels(node)
            site.parts = tuple(
                self._part(child, place.below(f"{place.path}/{label}", number))
                for child, label in zip(node.children, paths, strict=True)
            )
        if node.kind.name.startswith("reactive_"):
            self._warn_of_several(node, place.path)
        try:
            part = guarded(site, self._built(site))
        except ExpressionInvalid as error:
            self.found("P004", f"Node {place.path!r}: {str(error).splitlines()[0]}", node)
            return _still(slot)
        except (ValueError, TypeError, PlanError) as error:
            text = error.problem if isinstance(error, PlanError) else str(error)
            self.found("P004", f"Node {place.path!r}: {text}.", node)
            return _still(slot)
        return traced(site, part, number) if self.traces else part

    def _built(self, site: Site) -> Part:
        node = site.node
        for port in node.declared:
            site.check(port)
        if node.type not in NAMES:
            leaf = self.python.get(node.type)
            if leaf is None:
                raise ValueError(f"nothing is known about the leaf {node.type!r} but its ports")
            return _leaves.stateful(site, leaf) if leaf.stateful else _leaves.function(site, leaf)
        if node.kind.group == "action":
            return _actions.action(site)
        return self.builders[node.kind.name](site)

    def _warn_of_several(self, node: Node, path: str) -> None:
        """A reactive node with two children that take time halts one for the other."""
        if sum(self._takes_time(child, ()) for child in node.children) > 1:
            text = f"Node {path!r}: more than one child takes time; one that runs halts the others."
            self.found("P001", text, node, warning=True)

    def _takes_time(self, node: Node, above: tuple[str, ...]) -> bool:
        leaf = self.python.get(node.type)
        if node.kind.waits or (leaf is not None and leaf.stateful):
            return True
        tree = self.definition.trees.get(str(node.ports.get("tree"))) if node.kind.group == "subtree" else None
        if tree is not None and tree.id not in above:
            return self._takes_time(tree.root, (*above, tree.id))
        return any(self._takes_time(child, above) for child in node.children)

    # -- subtrees

    def _subtree(self, site: Site, place: _Place, number: int) -> Part | None:
        node = site.node
        try:
            id = str(site.literal("tree"))
            auto = bool(site.literal("autoremap"))
        except ValueError as error:
            self.found("P004", f"Node {place.path!r}: {error}.", node)
            return None
        tree = self.definition.trees.get(id)
        if tree is None:
            close = nearest(id, self.definition.trees)
            known = ", ".join(map(repr, sorted(self.definition.trees)))
            hint = f"Did you mean {close!r}?" if close else ""
            self.found("P005", f"Unknown tree {id!r}. Known: {known}.", node, suggestion=hint)
            return None
        if id in place.above:
            cycle = " -> ".join((*place.above[place.above.index(id) :], id))
            self.found("P006", f"The tree {id!r} holds itself: {cycle}.", node)
            return None
        scope = self._scope(place.scope)
        scope.auto = auto
        self._remap(site, scope, tree, node.ports.get("ports", {}))
        return self._tree(tree, scope, place.path, number, place.above, place.depth + 1)

    def _remap(self, site: Site, scope: Scope, tree: TreeDefinition, given: Any) -> None:
        node = site.node
        if not isinstance(given, dict):
            self.found("P001", f"The ports of the subtree {tree.id!r} are a mapping of names, not {given!r}.", node)
            return
        for name, value in given.items():
            port = tree.ports.get(name) if tree.ports is not None else None
            if tree.ports is not None and port is None:
                known = ", ".join(map(repr, tree.ports)) or "none"
                self.found("P005", f"The tree {tree.id!r} has no port {name!r}. It has: {known}.", node)
                continue
            if type(name) is not str or not is_key(name) or name[0] in "@_":
                self.found("P001", f"{name!r} cannot be the name of a port.", node)
                continue
            self._connect(site, scope, name, value, port.type if port is not None else "any")
        for name, port in (tree.ports or {}).items():
            if name in given or scope.auto:
                continue
            if port.default is not NOTHING:
                self._connect(site, scope, name, port.default, port.type)
            elif port.required:
                self.found("P004", f"The subtree {tree.id!r} needs the port {name!r}.", node)

    def _connect(self, site: Site, scope: Scope, name: str, value: Any, kind: str) -> None:
        """One name of a subtree: an entry of the tree above, or a value."""
        value = f"{{{name}}}" if value == "{=}" else value
        try:
            if reference(value) is not None:
                scope.remapped[name] = entry_of(value)
            else:
                scope.constants[name] = converted(value, kind) if value is not None else None
        except ValueError as error:
            self.found("P004", f"Node {site.path!r}, port {name!r}: {error}.", site.node)


class _Place:
    """Where a node stands: scope, path, the number of its parent, the trees above it, its depth."""

    __slots__ = ("scope", "path", "parent", "above", "depth")

    def __init__(self, scope: Scope, path: str, parent: int, above: tuple[str, ...], depth: int) -> None:
        self.scope = scope
        self.path = path
        self.parent = parent
        self.above = above
        self.depth = depth

    def below(self, path: str, parent: int) -> _Place:
        return _Place(self.scope, path, parent, self.above, self.depth + 1)


def _labels(node: Node) -> list[str]:
    """What the children are called in paths: their names, numbered where several have the same.

    No two are the same, since no name of a node or a leaf has a ``#`` in it.
    """
    names = [child.name or child.type for child in node.children]
    several = {name for name in names if names.count(name) > 1} if len(names) < 200 else set(names)
    return [f"{name}#{number}" if name in several else name for number, name in enumerate(names, 1)]


def _still(slot: int) -> Part:
    """Stands where a node could not be compiled; it is never ticked."""
    return Part(slot, lambda m: FAILURE, lambda m: None)
