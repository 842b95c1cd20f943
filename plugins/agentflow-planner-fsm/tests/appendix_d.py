"""A second interpreter: appendix D of the SCXML recommendation word for word, on sets of names, slow and simple.

It shares no line with the planner. What it reads is the part of the document format that random charts are made of:
states of all kinds, events, guards of one ``In()``, internal transitions, ``raise`` and ``log``.
"""

from __future__ import annotations

from collections import deque
from typing import Any


class Node:
    """A state of the document."""

    def __init__(self, name: str, fields: dict[str, Any], parent: Node | None, order: list[Node]) -> None:
        self.name, self.fields, self.parent, self.place = name, fields, parent, len(order)
        order.append(self)
        self.nodes = [Node(key, value, self, order) for key, value in fields.get("states", {}).items()]
        self.history = fields.get("history")
        self.kind = "parallel" if fields.get("parallel") else "final" if fields.get("final") else "plain"
        self.children = [node for node in self.nodes if not node.history]
        self.ways = [Way(self, item) for item in fields.get("transitions", ())]

    def ancestors(self, top: Node | None = None) -> list[Node]:
        found = []
        node = self.parent
        while node is not None and node is not top:
            found.append(node)
            node = node.parent
        return found

    def below(self, other: Node) -> bool:
        return other in self.ancestors()


class Way:
    """A transition."""

    def __init__(self, source: Node, fields: dict[str, Any]) -> None:
        self.source, self.fields = source, fields
        self.targets = fields.get("target", "").split()


class Interpreter:
    """Runs a document; ``log`` collects what its content logs."""

    def __init__(self, document: dict[str, Any], limit: int) -> None:
        self.order: list[Node] = []
        self.root = Node("", document, None, self.order)
        self.by_name = {node.name: node for node in self.order}
        self.active: set[Node] = set()
        self.remembered: dict[str, list[Node]] = {}
        self.queue: deque[str] = deque()
        self.log: list[str] = []
        self.running, self.limit, self.looped = True, limit, False
        self.enter([Way(self.root, {"target": self.default(self.root)})])
        self.macrostep()

    def default(self, node: Node) -> str:
        return str(node.fields.get("initial") or node.children[0].name)

    def configuration(self) -> list[str]:
        return [node.name for node in self.order if node in self.active]

    def ordered(self) -> list[Node]:
        return [node for node in self.order if node in self.active]

    def send(self, event: str) -> None:
        if self.running and not self.looped:
            chosen = self.select(event)
            if chosen:
                self.microstep(chosen)
            self.macrostep()

    def macrostep(self) -> None:
        steps = 0
        while self.running:
            chosen = self.select(None)
            if not chosen:
                if not self.queue:
                    return
                chosen = self.select(self.queue.popleft())
            if chosen:
                steps += 1
                if steps > self.limit:
                    self.looped = True
                    return
                self.microstep(chosen)

    def select(self, event: str | None) -> list[Way]:
        enabled: list[Way] = []
        for leaf in [node for node in self.order if node in self.active and not node.children]:
            way = next((way for node in [leaf, *leaf.ancestors()] for way in node.ways if self.takes(way, event)), None)
            if way is not None and way not in enabled:
                enabled.append(way)
        kept: list[Way] = []
        for way in enabled:
            preempted, gone = False, []
            for other in kept:
                if set(self.exits([way])) & set(self.exits([other])):
                    if way.source.below(other.source):
                        gone.append(other)
                    else:
                        preempted = True
                        break
            if not preempted:
                kept = [other for other in kept if other not in gone] + [way]
        return kept

    def takes(self, way: Way, event: str | None) -> bool:
        wanted = way.fields.get("event")
        if (event is None) != (wanted is None):
            return False
        if event is not None:
            words = event.split(".")
            prefixes = [word.removesuffix(".*").split(".") for word in wanted.split()]
            if not any(prefix in (["*"], words[: len(prefix)]) for prefix in prefixes):
                return False
        guard = way.fields.get("when")
        if guard is None:
            return True
        holds = any(node.name == guard.split("'")[1] for node in self.active)
        return holds != guard.startswith("not ")

    def effective(self, way: Way) -> list[Node]:
        found: list[Node] = []
        for name in way.targets:
            node = self.by_name[name]
            if node.history and name in self.remembered:
                found += [each for each in self.remembered[name] if each not in found]
            elif node.history:
                found += [
                    each for each in self.effective(Way(node, {"target": node.fields["default"]})) if each not in found
                ]
            elif node not in found:
                found.append(node)
        return found

    def domain(self, way: Way) -> Node | None:
        targets = self.effective(way)
        if not targets:
            return None
        compound = way.source.kind == "plain" and way.source.children
        if way.fields.get("internal") and compound and all(node.below(way.source) for node in targets):
            return way.source
        for node in way.source.ancestors():
            if (node.parent is None or node.kind == "plain") and all(target.below(node) for target in targets):
                return node
        return None

    def exits(self, ways: list[Way]) -> list[Node]:
        found: list[Node] = []
        for way in ways:
            domain = self.domain(way)
            if domain is not None:
                found += [
                    node for node in self.order if node in self.active and node.below(domain) and node not in found
                ]
        return found

    def microstep(self, ways: list[Way]) -> None:
        leaving = sorted(self.exits(ways), key=lambda node: -node.place)
        for node in leaving:
            for memory in [each for each in node.nodes if each.history]:
                if memory.history == "deep":
                    kept = [
                        each for each in self.order if each in self.active and not each.children and each.below(node)
                    ]
                else:
                    kept = [each for each in self.order if each in self.active and each.parent is node]
                self.remembered[memory.name] = kept
        for node in leaving:
            self._do(node.fields.get("exit", ()))
            self.active.discard(node)
        for way in ways:
            self._do(way.fields.get("do", ()))
        self.enter(ways)

    def enter(self, ways: list[Way]) -> None:
        self.entering: set[Node] = set()
        for way in ways:
            for name in way.targets:
                self._descend(self.by_name[name])
            domain = self.domain(way) if way.source is not self.root else self.root
            for node in self.effective(way):
                self._ascend(node, domain)
        for node in sorted(self.entering, key=lambda node: node.place):
            self.active.add(node)
            self._do(node.fields.get("enter", ()))
            if node.kind == "final":
                self._complete(node)

    def _complete(self, node: Node) -> None:
        parent = node.parent
        assert parent is not None
        if parent.parent is None:
            self.running = False
            return
        self.queue.append(f"done.state.{parent.name}")
        if parent.parent.kind == "parallel" and all(self._final(child) for child in parent.parent.children):
            self.queue.append(f"done.state.{parent.parent.name}")

    def _final(self, node: Node) -> bool:
        if node.kind == "parallel":
            return all(self._final(child) for child in node.children)
        return any(child.kind == "final" and child in self.active for child in node.children)

    def _descend(self, node: Node) -> None:
        if node.history:
            kept = self.remembered.get(node.name)
            targets = kept if kept is not None else [self.by_name[name] for name in node.fields["default"].split()]
            for target in targets:
                self._descend(target)
            for target in targets:
                self._ascend(target, node.parent)
            return
        self.entering.add(node)
        if node.kind == "parallel":
            for child in node.children:
                if not any(each.below(child) for each in self.entering):
                    self._descend(child)
        elif node.children:
            targets = [self.by_name[name] for name in self.default(node).split()]
            for target in targets:
                self._descend(target)
            for target in targets:
                self._ascend(target, node)

    def _ascend(self, node: Node, top: Node | None) -> None:
        for holder in node.ancestors(top):
            self.entering.add(holder)
            if holder.kind == "parallel":
                for child in holder.children:
                    if not any(each.below(child) for each in self.entering):
                        self._descend(child)

    def _do(self, content: Any) -> None:
        for item in content:
            if "raise" in item:
                self.queue.append(item["raise"])
            else:
                self.log.append(item["log"])
