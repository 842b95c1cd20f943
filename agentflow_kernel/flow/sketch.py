"""A sketch: the nodes of a flow as bare names and edges, on which its way is checked before anything runs."""

from __future__ import annotations

from agentflow_kernel.contracts.finding import Finding
from agentflow_kernel.errors import nearest
from agentflow_kernel.flow.condition import KNOWN
from agentflow_kernel.flow.finding import (
    CONDITION,
    DEAD_END,
    ENDLESS,
    FAN_OUT,
    JOIN,
    MAY_NOT_RUN,
    MISSING_INPUT,
    NAME,
    OPTION,
    UNKNOWN_ACTION,
    UNKNOWN_NODE,
    UNKNOWN_VALUE,
    UNREACHABLE,
)  # fmt: skip
from agentflow_kernel.flow.node import DEFAULT, ELAPSED, END, REFUSED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from agentflow_kernel.flow.condition import Case, Condition
    from agentflow_kernel.flow.fork import Parallel
    from agentflow_kernel.flow.step import Step

    Where = tuple[str | int, ...]


class Sketch:
    """One node. ``rigid``: whatever it does, it never chooses an action. ``reads`` are nodes whose results it takes."""

    __slots__ = ("name", "routes", "when", "fan_out", "rigid", "limited", "each", "reads", "parallel", "may", "join")

    def __init__(
        self,
        name: str,
        *,
        routes: Mapping[str, str],
        when: Sequence[Case],
        fan_out: Sequence[str],
        rigid: bool,
        limited: bool,
        each: bool,
        parallel: Parallel | None,
    ) -> None:
        self.name = name
        self.routes = routes
        self.when = when
        self.fan_out = fan_out
        self.rigid = rigid
        self.limited = limited
        self.each = each
        self.parallel = parallel
        self.reads: list[tuple[str, Where]] = []
        self.join: str | None = None
        """Where the ways that it chooses together come together."""
        self.may: Sequence[str] = ()
        """Actions that it may choose although it is rigid; ``*`` for any."""

    @property
    def targets(self) -> list[str]:
        """Where its result may go, ``END`` for the end of the flow."""
        found = [*self.routes.values(), *(case.target for case in self.when)]
        if self.join is not None:
            found.append(self.join)
        return found or [END]

    def conditions(self) -> Iterator[tuple[Condition, Where]]:
        """Every condition at it, with its place."""
        for index, case in enumerate(self.when):
            if case.condition is not None:
                yield case.condition, ("nodes", self.name, "when", index, "if")
        if self.parallel is not None:
            for name, condition in self.parallel.conditions.items():
                yield condition, ("nodes", self.name, "parallel", "branches", name, "if")

    def taken(self) -> Iterator[tuple[str, Where]]:
        """Names of nodes whose results it takes, by references and by conditions, with their places."""
        yield from self.reads
        for condition, where in self.conditions():
            for path in condition.paths:
                name = str(path[0])
                if name not in KNOWN and name != condition.value and not (where[2] == "when" and name == self.name):
                    yield name, where


def check_nodes(nodes: Mapping[str, Sketch]) -> Iterator[Finding]:
    """Findings about each node by itself."""
    for node in nodes.values():
        yield from _check_when(node, nodes)
        yield from _check_conditions(node, nodes)
        yield from _check_actions(node)
        yield from _check_fan_out(node, nodes)
        if node.join is not None:
            yield from _check_ways(node, nodes)
        if node.parallel is not None:
            yield from _check_join(node, node.parallel)


def check_way(nodes: Mapping[str, Sketch], start: str, *, bounded: bool) -> Iterator[Finding]:
    """Findings about the ways through the flow; ``bounded``: the flow itself says after how many steps it ends."""
    walked = _from([start], nodes, fan_out=False)
    reached = _from([start], nodes, fan_out=True)
    yield from unreached(nodes, start, reached)
    read = {name for node in nodes.values() if node.name in reached for name, _ in node.taken() if name in nodes}
    after = {name: _from(_next(nodes[name], fan_out=True), nodes, fan_out=True) for name in read if name in walked}
    for node in nodes.values():
        for name, where in node.taken() if node.name in reached else ():
            if name in nodes and node.name not in after.get(name, ()):
                text = f"node {node.name!r} takes the result of {name!r}, which cannot have run before it"
                yield Finding(MISSING_INPUT, text, *where)
    if not bounded:
        yield from _check_endless(nodes, reached)


def check_output(nodes: Mapping[str, Sketch], start: str, reads: Iterable[tuple[str, Where]]) -> Iterator[Finding]:
    """Findings about what the flow itself takes, by name and place, from nodes that not every way comes through."""
    for name, where in dict.fromkeys(reads):
        if name in nodes and name != start and _ends_without(name, nodes, start):
            text = (
                f"its {where[0]} takes the result of {name!r}, which may not have run: a way to the end goes round it"
            )
            yield Finding(MAY_NOT_RUN, text, *where)


def _ends_without(name: str, nodes: Mapping[str, Sketch], start: str) -> bool:
    """Whether a way leads from the start to the end without coming through a node."""
    seen = {name}
    todo = [start]
    while todo:
        each = todo.pop()
        if each == END:
            return True
        if each not in seen and each in nodes:
            seen.add(each)
            todo += _meant(nodes[each])
    return False


def _meant(node: Sketch) -> list[str]:
    """Where a node is meant to lead: beside named actions and conditions, the default may be there only for form."""
    named = [target for action, target in node.routes.items() if action != DEFAULT]
    return [*named, *(case.target for case in node.when)] or node.targets


def unreached(nodes: Mapping[str, Sketch], start: str, reached: Collection[str]) -> Iterator[Finding]:
    """A finding for each node to which no way leads."""
    for name in nodes:
        if name not in reached:
            yield Finding(UNREACHABLE, f"node {name!r} is not reachable from {start!r}", "nodes", name)


def _check_when(node: Sketch, nodes: Mapping[str, Sketch]) -> Iterator[Finding]:
    if not node.when:
        return
    *before, last = node.when
    place = ("nodes", node.name, "when")
    if last.condition is not None:
        text = f"node {node.name!r}: the last entry of 'when' must have no 'if', so that every result has a way"
        yield Finding(CONDITION, text, *place, len(before))
    for index, case in enumerate(before):
        if case.condition is None:
            text = f"node {node.name!r}: entry {index + 1} of 'when' has no 'if', so those after it never hold"
            yield Finding(CONDITION, text, *place, index)
    if DEFAULT in node.routes:
        text = f"node {node.name!r} has both 'when' and a route for {DEFAULT!r}: the first would never be looked at"
        yield Finding(OPTION, text, *place)
    for index, case in enumerate(node.when):
        if case.target != END and case.target not in nodes:
            text = f"node {node.name!r}: 'when' leads to unknown node {case.target!r}{_hint(case.target, nodes)}"
            yield Finding(UNKNOWN_NODE, text, *place, index, "next")


def _check_conditions(node: Sketch, nodes: Mapping[str, Sketch]) -> Iterator[Finding]:
    for condition, where in node.conditions():
        if condition.problem:
            yield Finding(CONDITION, f"node {node.name!r}: condition {condition.text!r}: {condition.problem}", *where)
        for path in condition.paths:
            name = str(path[0])
            if name in KNOWN or name == condition.value:
                continue
            if name not in nodes:
                known = ", ".join((*KNOWN, condition.value, *(f"{other}.result" for other in nodes)))
                text = f"node {node.name!r}: condition {condition.text!r} asks for unknown {name!r}; known: {known}"
                yield Finding(UNKNOWN_VALUE, text, *where)
            elif path[1:2] != ("result",):
                text = f"node {node.name!r}: condition {condition.text!r}: a node's data is {name}.result"
                yield Finding(UNKNOWN_VALUE, text, *where)


def _check_actions(node: Sketch) -> Iterator[Finding]:
    if not node.rigid:
        return
    for action in node.routes:
        if action != DEFAULT and action not in node.may and "*" not in node.may:
            text = f"node {node.name!r} has a route for action {action!r}, which it can never choose"
            yield Finding(UNKNOWN_ACTION, text, "nodes", node.name, "routes", action)
    if node.routes and DEFAULT not in node.routes and not node.when and not _always_chooses(node):
        text = f"node {node.name!r} is a dead end: it always takes action {DEFAULT!r}, which is not routed"
        yield Finding(DEAD_END, text, "nodes", node.name, "routes")


def _always_chooses(node: Sketch) -> bool:
    """Whether it never takes the default action, or nobody knows: each of its choices is routed."""
    choices = set(node.may) - {REFUSED, ELAPSED}
    return "*" in choices or (bool(choices) and choices <= set(node.routes))


def _check_fan_out(node: Sketch, nodes: Mapping[str, Sketch]) -> Iterator[Finding]:
    if node.fan_out and node.each:
        text = f"node {node.name!r} has both 'each' and 'fan_out'; an item of a batch cannot fan out"
        yield Finding(FAN_OUT, text, "nodes", node.name, "fan_out")
    for index, name in enumerate(node.fan_out):
        where = ("nodes", node.name, "fan_out", index)
        target = nodes.get(name)
        if target is None:
            text = f"node {node.name!r} fans out to unknown node {name!r}{_hint(name, nodes)}"
            yield Finding(UNKNOWN_NODE, text, *where)
        elif target.routes or target.when or target.fan_out or target.each:
            text = (
                f"node {node.name!r} fans out to {name!r}, which has routes, when, each or fan_out of its own; "
                "a branch is one visit that ends at its join: make it a flow"
            )
            yield Finding(FAN_OUT, text, *where)


def _check_ways(node: Sketch, nodes: Mapping[str, Sketch]) -> Iterator[Finding]:
    """Findings about the ways that a node may choose together."""
    join, what, place = str(node.join), f"node {node.name!r}", ("nodes", node.name, "join")
    if join not in nodes:
        yield Finding(UNKNOWN_NODE, f"{what} joins at unknown node {join!r}{_hint(join, nodes)}", *place)
        return
    if node.each or node.fan_out or node.when or not node.routes:
        yield Finding(OPTION, f"{what}: a join needs routes, and goes with none of each, fan_out and when", *place)
    for action, target in node.routes.items():
        way = reach(nodes, target, join)
        if any(mark in action for mark in "/[]@!"):
            yield Finding(NAME, f"{what}: action {action!r} becomes a part of paths: no / [ ] @ !", *place)
        if END in way:
            yield Finding(JOIN, f"{what}: the way of {action!r} may end without coming to {join!r}", *place)
        if node.name in way:
            text = f"{what}: the way of {action!r} leads back to it before it comes to {join!r}"
            yield Finding(JOIN, text, *place)


def reach(nodes: Mapping[str, Step] | Mapping[str, Sketch], start: str, stop: str) -> set[str]:
    """The nodes of the way from ``start`` up to ``stop``, without that; with ``END`` where the way may end before."""
    branches = {name for node in nodes.values() for name in node.fan_out}  # a visit of these ends at another node
    seen: set[str] = set()
    todo = [start]
    while todo:
        name = todo.pop()
        if name in seen or name == stop:
            continue
        seen.add(name)
        node = nodes.get(name)
        if node is None:
            continue
        ways = [*node.routes.values(), *(case.target for case in node.when)]
        todo += [*ways, *node.fan_out, *([] if node.join is None else [node.join])]
        if not ways and name not in branches:
            todo.append(END)
    return seen


def _check_join(node: Sketch, parallel: Parallel) -> Iterator[Finding]:
    place = ("nodes", node.name, "parallel", "join")
    if parallel.rest not in ("cancel", "wait"):
        text = f"node {node.name!r}: rest must be 'cancel' or 'wait', not {parallel.rest!r}"
        yield Finding(OPTION, text, "nodes", node.name, "parallel", "rest")
    join, count = parallel.join, len(parallel.steps)
    if not count:
        yield Finding(JOIN, f"node {node.name!r} forks into no branch", "nodes", node.name, "parallel", "branches")
    elif isinstance(join, int) and not isinstance(join, bool):
        if not 1 <= join <= count:
            text = f"node {node.name!r}: the join of {join} can never be reached with {count} branches"
            yield Finding(JOIN, text, *place)
    elif join not in ("all", "any", "or"):
        text = f"node {node.name!r}: join must be 'all', 'any', 'or' or a number, not {join!r}"
        yield Finding(OPTION, text, *place)
    elif join == "all" and parallel.conditions:
        names = ", ".join(map(repr, parallel.conditions))
        text = (
            f"node {node.name!r}: join 'all' is never reached when the condition of {names} does not hold; "
            "'or' waits for those that were started"
        )
        yield Finding(JOIN, text, *place)


def _check_endless(nodes: Mapping[str, Sketch], reached: Collection[str]) -> Iterator[Finding]:
    """One finding for each circle that nothing leads out of."""
    before: dict[str, list[str]] = {}
    ends = []
    for name in reached:
        for target in nodes[name].targets:
            before.setdefault(target, []).append(name)
            if target not in nodes:  # the end, or a name about which there is a finding
                ends.append(name)
    leaves = set(ends)
    while ends:
        for name in before.get(ends.pop(), ()):
            if name not in leaves:
                leaves.add(name)
                ends.append(name)
    told: set[str] = set()
    for name in nodes:
        if name in leaves or name in told or name not in reached:
            continue
        circle = _from(nodes[name].targets, nodes, fan_out=False)
        if name not in circle:  # it leads into one
            continue
        told |= circle
        if not any(nodes[other].limited for other in circle):
            names = ", ".join(repr(other) for other in nodes if other in circle)
            text = f"nodes {names} form a loop without exit; route out of it, or give max_visits or max_steps"
            yield Finding(ENDLESS, text, "nodes", name)


def _next(node: Sketch, *, fan_out: bool) -> list[str]:
    return [*node.targets, *node.fan_out] if fan_out else node.targets


def _from(starts: Iterable[str], nodes: Mapping[str, Sketch], *, fan_out: bool) -> set[str]:
    """The nodes to which a way leads from the starts, themselves among them."""
    seen: set[str] = set()
    todo = list(starts)
    while todo:
        name = todo.pop()
        if name not in seen and name in nodes:
            seen.add(name)
            todo.extend(_next(nodes[name], fan_out=fan_out))
    return seen


def _hint(name: str, nodes: Collection[str]) -> str:
    close = nearest(name, nodes)
    return f" (did you mean {close!r}?)" if close else ""
