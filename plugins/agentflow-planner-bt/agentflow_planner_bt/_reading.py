"""A reading: a document, as YAML gives it, turned into a definition; every fault is found, not only the first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentflow_kernel.contracts.finding import PlanFinding
from agentflow_kernel.errors import nearest
from agentflow_planner_bt._bounds import LONGEST, MAX_VALUES, is_too_large, not_json
from agentflow_planner_bt._definition import Definition, Node, TreeDefinition, Where
from agentflow_planner_bt._kinds import ATTRIBUTES, MODIFIERS, NAMES, SEMANTICS, Kind
from agentflow_planner_bt.port import NOTHING, Port, is_key

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_NODES = 30_000
"""Nodes of a document, and of a tree with all its subtrees."""
MAX_DEPTH = 256
"""Nodes one below the other, subtrees included; BehaviorTree.CPP has the same limit."""

_FORBIDDEN = frozenset(" \t\n\r<>&\"'/\\:*?|.#")
"""Characters that no tree, leaf or port may have in its name: those of BehaviorTree.CPP, and one more of paths."""
_IN_PATHS = frozenset("/#")
"""Characters that no node may have in its name: paths are made with them."""
_DOCUMENT = (
    "semantics",
    "main",
    "trees",
    "root",
    "ports",
    "leaves",
    "enums",
    "blackboard",
    "tick_every_s",
    "errors",
    "description",
)
_ERRORS = ("raise", "failure")


class Reading:
    """One document being read; ``findings`` grows. What could not be read is stood in for, so that the rest can be."""

    def __init__(self, leaves: Mapping[str, Mapping[str, Port] | None]) -> None:
        self.definition = Definition()
        self.findings = self.definition.findings
        self.leaves: dict[str, dict[str, Port]] = {name: dict(ports or {}) for name, ports in leaves.items()}
        self.kinds: Mapping[str, Kind] = SEMANTICS["btcpp"]
        self.nodes = 0
        for name in leaves:
            if name in NAMES:
                self.found("P002", f"{name!r} is a node of every tree, no leaf can have that name.")
            else:
                self._name("leaf", name, ())

    def found(self, code: str, text: str, *where: str | int, step: str = "", suggestion: str = "") -> None:
        """Note one fault."""
        self.findings.append(PlanFinding(code, text, *where, step=step, suggestion=suggestion))

    def document(self, document: Any) -> None:
        """Read all of it."""
        if not isinstance(document, dict):
            self.found("P001", f"A behaviour tree is a mapping, not {_what(document)}.")
            return
        if is_too_large(document):
            self.found("P011", f"The document holds more than {MAX_VALUES:,} values.")
            return
        if "trees" not in document and "root" not in document:
            self._whole_is_a_node(document)
        else:
            self._header(document)
            self._trees(document)
        if self.nodes > MAX_NODES:
            self.found("P011", f"The document has more than {MAX_NODES:,} nodes.")

    # -- the document

    def _whole_is_a_node(self, document: dict[str, Any]) -> None:
        if not any(key in self.kinds or key in self.leaves or key == "selector" for key in document):
            self.found("P001", "A document needs 'root', 'trees', or to be a node itself.")
            return
        self.definition.trees["main"] = TreeDefinition("main", self.node(document, (), 1), None, ())
        self.definition.main = "main"

    def _header(self, document: dict[str, Any]) -> None:
        for key in document:
            if key not in _DOCUMENT:
                self._unknown("P001", "field", str(key), _DOCUMENT, (str(key),))
        semantics = document.get("semantics", "btcpp")
        if type(semantics) is not str or semantics not in SEMANTICS:
            self.found("P001", f"'semantics' is 'btcpp' or 'py_trees', not {semantics!r}.", "semantics")
        else:
            self.definition.semantics = semantics
            self.kinds = SEMANTICS[semantics]
        for name, ports in self._mapping(document, "leaves").items():
            self._leaf(name, ports)
        self.definition.enums = self._mapping(document, "enums")
        for name, value in self.definition.enums.items():
            if not is_key(name) or type(value) not in {int, float, str}:
                self.found("P001", f"The enum {name!r} is no name with a number or text.", "enums", name)
        self.definition.blackboard = self._mapping(document, "blackboard")
        for name in self.definition.blackboard:
            if not is_key(name):
                self.found("P001", f"{name!r} cannot be an entry of a blackboard.", "blackboard", name)
            if fault := not_json(self.definition.blackboard[name]):
                self.found("P001", f"The entry {name!r} cannot have this value: {fault}.", "blackboard", name)
        every = document.get("tick_every_s")
        if every is not None and (type(every) not in {int, float} or not 0 < every <= LONGEST):
            self.found("P001", f"'tick_every_s' is a number of seconds above 0, not {every!r}.", "tick_every_s")
        self.definition.tick_every_s = every
        self.definition.errors = document.get("errors", "raise")
        if self.definition.errors not in _ERRORS:
            self.found("P001", f"'errors' is 'raise' or 'failure', not {self.definition.errors!r}.", "errors")

    def _mapping(self, document: dict[str, Any], key: str) -> dict[str, Any]:
        value = document.get(key, {})
        if value is None:
            return {}
        if not isinstance(value, dict) or any(type(name) is not str for name in value):
            self.found("P001", f"{key!r} is a mapping of names, not {_what(value)}.", key)
            return {}
        return value

    def _leaf(self, name: str, ports: Any) -> None:
        if name in NAMES:
            self.found("P002", f"{name!r} is a node of every tree, no leaf can have that name.", "leaves", name)
            return
        self._name("leaf", name, ("leaves", name))
        declared = self._ports(ports, ("leaves", name))
        self.definition.leaves[name] = declared or {}
        if declared is not None and not self.leaves.get(name):
            self.leaves[name] = declared

    def _ports(self, ports: Any, where: Where) -> dict[str, Port] | None:
        """The ports that a leaf or a tree declares."""
        if not isinstance(ports, dict):
            if ports is not None:
                self.found("P001", f"Ports are a mapping of names, not {_what(ports)}.", *where)
            return {}
        found: dict[str, Port] = {}
        for name, fields in ports.items():
            self._name("port", name, (*where, str(name)))
            try:
                found[name] = port = Port.read(fields if isinstance(fields, dict) else {str(fields): "any"})
            except ValueError as error:
                self.found("P001", str(error), *where, str(name))
                continue
            if port.default is not NOTHING and (fault := not_json(port.default)):
                self.found("P001", f"The port {name!r} cannot have this default: {fault}.", *where, str(name))
        return found

    def _trees(self, document: dict[str, Any]) -> None:
        trees = dict(self._mapping(document, "trees"))
        places: dict[str, Where] = {name: ("trees", name) for name in trees}
        if "root" in document:
            if "main" in trees:
                self.found("P002", "The tree 'main' is there twice: under 'trees' and as 'root'.", "root")
            trees["main"] = {"root": document["root"], "ports": document.get("ports")}
            places["main"] = ()
        for name, tree in trees.items():
            self._tree(name, tree, places[name])
        main = document.get("main", next(iter(trees), "") if len(trees) == 1 else "main")
        if type(main) is not str:
            self.found("P001", f"'main' is the name of a tree, not {_what(main)}.", "main")
        elif main not in trees:
            self._unknown("P005", "tree", main, trees, ("main",))
        self.definition.main = str(main)

    def _tree(self, name: str, tree: Any, where: Where) -> None:
        self._name("tree", name, where)
        if name in NAMES or name in self.leaves:
            self.found("P002", f"The tree {name!r} has the name of a node.", *where, step=name)
        ports = None
        body: Any = tree
        if isinstance(tree, dict) and "root" in tree:
            for key in tree:
                if key not in {"root", "ports", "description"}:
                    self._unknown("P001", "field", str(key), ("root", "ports", "description"), (*where, str(key)))
            body = tree["root"]
            if tree.get("ports") is not None:
                ports = self._ports(tree["ports"], (*where, "ports"))
            where = (*where, "root")
        self.definition.trees[name] = TreeDefinition(name, self.node(body, where, 1), ports, where)

    # -- nodes

    def _stand_in(self, where: Where) -> Node:
        """Stands where no node could be read."""
        return Node(self.kinds["always_failure"], "always_failure", where)

    def node(self, value: Any, where: Where, depth: int) -> Node:
        """One node with all below it, or what stands in for it."""
        self.nodes += 1
        if self.nodes > MAX_NODES:
            return self._stand_in(where)
        if depth > MAX_DEPTH:
            self.found("P011", f"Nodes are nested more than {MAX_DEPTH} deep.", *where)
            return self._stand_in(where)
        fields = {value: None} if type(value) is str else value
        if not isinstance(fields, dict) or any(type(key) is not str for key in fields):
            self.found("P001", f"A node is a name or a mapping with the name of its type, not {_what(value)}.", *where)
            return self._stand_in(where)
        type_ = self._type_of(fields, where)
        if type_ is None:
            return self._stand_in(where)
        kind = self.kinds.get("fallback" if type_ == "selector" else type_)
        if kind is None:
            kind = Kind(type_, "leaf", self.leaves[type_], children=(0, 0), main="", waits=False)
        node = Node(kind, type_, where)
        self._attributes(node, fields)
        content = fields[type_]
        if kind.group in {"control", "decorator"}:
            self._children(node, content, depth)
        else:
            self._content(node, content)
        for key, item in fields.items():
            if key != type_ and key not in ATTRIBUTES:
                self._port(node, key, item, (*where, key))
        for port, item in node.ports.items():
            if fault := not_json(item):
                text = f"The port {port!r} of {type_!r} cannot have this value: {fault}."
                self.found("P004", text, *where, type_, step=node.name)
        return node

    def _type_of(self, fields: dict[str, Any], where: Where) -> str | None:
        """The one key that names a type of node."""
        types = [key for key in fields if key in self.kinds or key in self.leaves or key == "selector"]
        types = [key for key in types if key not in ATTRIBUTES]
        if len(types) > 1:  # `switch` may have a port named like a leaf; what comes first is the type
            first = types[0]
            kind = self.kinds.get(first)
            ports = kind.ports if kind is not None else self.leaves.get(first, {})
            types = [first, *(key for key in types[1:] if key not in ports)]
        if len(types) == 1:
            return types[0]
        if types:
            text = f"A node has one type, not {' and '.join(map(repr, types))}; children are listed below it."
            self.found("P001", text, *where)
            return None
        unknown = next((key for key in fields if key not in ATTRIBUTES), "")
        known = [*self.kinds, *self.leaves]
        self._unknown("P003", "node type", unknown, known, where)
        return None

    def _attributes(self, node: Node, fields: dict[str, Any]) -> None:
        name = fields.get("name", "")
        if type(name) is not str or any(char < " " or char == "\x7f" for char in name):
            self.found("P001", f"A name is text without control characters, not {name!r}.", *node.where, "name")
            name = ""
        elif bad := next((char for char in name if char in _IN_PATHS), ""):
            reason = f"{bad!r} is reserved for the paths of nodes"
            self.found("P001", f"{name!r} cannot be the name of a node: {reason}.", *node.where, "name")
            name = ""
        node.name = name
        for key in MODIFIERS:
            text = fields.get(key)
            if text is None:
                continue
            if type(text) is bool:
                text = "true" if text else "false"
            if type(text) is not str:
                self.found("P001", f"{key!r} is an expression or script, as text, not {_what(text)}.", *node.where, key)
            elif self.definition.semantics == "py_trees":
                self.found("P001", f"Trees with the semantics of py_trees have no {key!r}.", *node.where, key)
            else:
                node.modifiers[key] = text
        node.errors = fields.get("errors", "")
        if node.errors not in (*_ERRORS, ""):
            self.found("P001", f"'errors' is 'raise' or 'failure', not {node.errors!r}.", *node.where, "errors")

    def _children(self, node: Node, content: Any, depth: int) -> None:
        kind = node.kind
        items = content if kind.group == "control" else [content]
        if not isinstance(items, list):
            text = f"{node.type!r} has a list of children, not {_what(content)}."
            self._childless(node, text)
            return
        if kind.group == "decorator" and isinstance(content, list):
            items = content
        if not kind.least <= len(items) <= kind.most or (kind.group == "decorator" and content is None):
            exactly = f"{kind.least}" if kind.least == kind.most else f"at least {kind.least}"
            wanted = exactly if kind.most > 3 or kind.least == kind.most else f"{kind.least} or {kind.most}"
            found = 0 if content is None else len(items)
            text = f"{node.type!r} needs {wanted} {'child' if wanted.endswith('1') else 'children'}, not {found}."
            self._childless(node, text)
            return
        for number, item in enumerate(items):
            below = (*node.where, node.type, number) if isinstance(content, list) else (*node.where, node.type)
            node.children.append(self.node(item, below, depth + 1))

    def _childless(self, node: Node, text: str) -> None:
        """Note what is wrong with a node's children, and stand in for them."""
        self.found("P001", text, *node.where, node.type, step=node.name)
        node.children = [self._stand_in(node.where) for _ in range(node.kind.least)]

    def _content(self, node: Node, content: Any) -> None:
        """What stands behind the type of a leaf: its ports, or the value of its main port."""
        kind, where = node.kind, (*node.where, node.type)
        if content is None:
            return
        if isinstance(content, dict) and (not kind.main or all(key in kind.ports for key in content)):
            for key, item in content.items():
                self._port(node, str(key), item, (*where, str(key)))
        elif kind.main:
            node.ports[kind.main] = content
        elif isinstance(content, list):
            self.found("P001", f"{node.type!r} is a leaf, it has no children.", *where, step=node.name)
        else:
            self.found("P001", f"The ports of {node.type!r} are a mapping of names, not {_what(content)}.", *where)

    def _port(self, node: Node, name: str, value: Any, where: Where) -> None:
        if name not in node.declared:
            known = [*node.declared, *ATTRIBUTES]
            self._unknown("P005", f"port of {node.type!r}:", name, node.declared, where, also=known)
        elif name in node.ports:
            self.found("P002", f"The port {name!r} is given twice.", *where, step=node.name)
        else:
            node.ports[name] = value

    # -- words

    def _name(self, what: str, name: Any, where: Where) -> None:
        """A name that stands for a tree, a leaf or a port has none of the reserved characters."""
        bad = [char for char in name if char in _FORBIDDEN or char < " " or char == "\x7f"] if type(name) is str else []
        if type(name) is not str or not name or bad:
            found = f"; {bad[0]!r} is reserved" if bad else ""
            self.found("P001", f"{name!r} cannot be the name of a {what}{found}.", *where)
        elif what == "tree" and name in {"root", "Root"}:
            self.found("P001", "'root' is reserved and cannot be the name of a tree.", *where)
        elif what == "port" and (name in ATTRIBUTES or not is_key(name) or name[0] in "@_"):
            self.found("P001", f"{name!r} cannot be the name of a port.", *where)

    def _unknown(self, code: str, what: str, name: str, known: Any, where: Where, *, also: Any = ()) -> None:
        close = nearest(name, list(also or known)) if name else None
        names = sorted(map(str, known))
        shown = ", ".join(map(repr, names[:40])) + (", …" if len(names) > 40 else "")
        text = f"Unknown {what} {name!r}. Known: {shown or 'none'}."
        self.found(code, text, *where, suggestion=f"Did you mean {close!r}?" if close else "")


def _what(value: Any) -> str:
    if value is None:
        return "nothing"
    names = {bool: "a boolean", int: "a number", float: "a number", str: "text", list: "a list", dict: "a mapping"}
    return names.get(type(value), f"a {type(value).__name__}")
