"""A graph: the nodes of one flow. Every route leads to a node, every node is reached, every ``$ref`` has a value.

What goes beyond names is checked on a sketch of the flow, by the same rules as a flow that is built in Python.
"""

from __future__ import annotations

from agentflow_kernel.contracts.finding import Finding
from agentflow_kernel.flow.condition import cases_of
from agentflow_kernel.flow.declared import check_keys, check_reads
from agentflow_kernel.flow.finding import OPTION
from agentflow_kernel.flow.fork import Branch, Parallel
from agentflow_kernel.flow.graph import actions_of
from agentflow_kernel.flow.key import NOTHING, StateKey
from agentflow_kernel.flow.node import DEFAULT, END
from agentflow_kernel.flow.reducer import REDUCERS
from agentflow_kernel.flow.sketch import Sketch, check_nodes, check_output, check_way
from agentflow_kernel.manifest._kinds import RESERVED_NODES
from agentflow_kernel.manifest._path import linked, steps, unrolled
from agentflow_kernel.manifest._wording import either, listed, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from typing import Any

    from agentflow_kernel.flow.asking import Ask, Wait
    from agentflow_kernel.manifest._context import Context, Mention
    from agentflow_kernel.manifest._path import Step
    from agentflow_kernel.manifest._resource import Resource

_OF_A_NODE = ("result",)
"""What a ``$ref`` may take from a node."""


def check_flow(flow: Resource, context: Context, *, sound: bool) -> None:
    """Add findings about the flow's graph.

    ``sound`` is false where its shape has findings already: then only what cannot follow from those is looked for.
    """
    nodes = flow.given("nodes")
    if not nodes:
        return
    routes: dict[str, list[str]] = {}
    names_known = True
    for name in nodes:
        routes[name] = []
        for path, target in _targets(flow, name):
            if _is_node(target, nodes, path, flow, context):
                routes[name].append(target)
            else:
                names_known = False
    start = flow.spec.get("start")
    before = len(context.scope.findings)
    if isinstance(start, str) and _is_node(start, nodes, ("spec", "start"), flow, context) and sound:
        _check_reachable(flow, context, routes, start)
        if names_known and len(context.scope.findings) == before:
            _check_sketch(flow, context, start)
    for mention in context.data:
        _check_data(mention, nodes, flow, context)


def check_trigger_data(context: Context) -> None:
    """Add findings for those ``$ref`` of a trigger that do not begin at the event."""
    for mention in context.data:
        if steps(mention.name)[0] != "event":
            problem = f"Unknown value {shown(mention.name)}. Known here: 'event', such as 'event.data'."
            context.found(problem, (mention.node.line, mention.node.column), mention.path)


def _targets(flow: Resource, name: str) -> Iterator[tuple[tuple[Step, ...], str]]:
    """Where a node leads: path of the text and the node named there."""
    node: Any = flow.spec["nodes"].get(name, {})
    if "next" in node:
        yield ("spec", "nodes", name, "next"), node["next"]
    for action, target in node.get("routes", {}).items():
        if target is not None:
            yield ("spec", "nodes", name, "routes", action), target
    for index, case in enumerate(node.get("when", ())):
        if case.get("next") is not None:
            yield ("spec", "nodes", name, "when", index, "next"), case["next"]
    if "join" in node:
        yield ("spec", "nodes", name, "join"), node["join"]
    for index, target in enumerate(node.get("fan_out", ())):
        yield ("spec", "nodes", name, "fan_out", index), target


def _is_node(name: str, nodes: Collection[str], path: tuple[Step, ...], flow: Resource, context: Context) -> bool:
    if name in nodes:
        return True
    problem = f"Unknown node {shown(name)}. Nodes: {listed(nodes)}."
    hint = context.scope.findings.suggest(name, nodes)
    context.found(problem, flow.positions.locate(path), linked(path), hint=hint)
    return False


def _check_reachable(flow: Resource, context: Context, routes: dict[str, list[str]], start: str) -> None:
    reached = {start}
    waiting = [start]
    while waiting:
        for target in routes[waiting.pop()]:
            if target not in reached:
                reached.add(target)
                waiting.append(target)
    place = flow.positions.value["spec"].value["nodes"].key_place
    for name in routes:
        if name not in reached:
            problem = f"Node {shown(name)} cannot be reached from {shown(start)}."
            hint = "A node without 'next' and 'routes' ends the flow: name this one in one of them, or remove it."
            context.found(problem, place(name), (((None, "spec"), "nodes"), name), hint=hint)


def _check_sketch(flow: Resource, context: Context, start: str) -> None:
    """Add the findings about conditions, joins, loops and inputs, each at its place in the file."""
    spec = flow.spec
    nodes = {name: _sketch(name, spec["nodes"][name]) for name in spec["nodes"]}
    for mention in context.data:
        path = unrolled(mention.path)
        root = str(steps(mention.name)[0])
        if path[:2] == ("spec", "nodes") and root in nodes:
            nodes[str(path[2])].reads.append((root, path[1:]))
    findings = [*_asking_findings(spec["nodes"]), *_reducer_findings(spec.get("reducers", {}))]
    findings += [*_state_findings(spec, context), *check_nodes(nodes)]
    findings += check_way(nodes, start, bounded="max_steps" in flow.given())
    own = [(unrolled(mention.path), str(steps(mention.name)[0])) for mention in context.data]
    findings += check_output(nodes, start, [(root, path[1:]) for path, root in own if path[1] == "output"])
    for finding in findings:
        path = ("spec", *finding.where)
        context.found(f"{finding[0].upper()}{finding[1:]}.", flow.positions.locate(path), linked(path))


def _asking_findings(nodes: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    """Findings about what nodes and their branches ask or wait for."""
    for name, node in nodes.items():
        branches = node["parallel"]["branches"] if "parallel" in node else {}
        below = [(("parallel", "branches", each), branch) for each, branch in branches.items()]
        for place, part in [((), node), *below]:
            target = _asked(part)
            for problem in () if target is None else target.problems():
                yield Finding(OPTION, f"node {name!r}: {problem}", "nodes", name, *place, target.kind)  # type: ignore[union-attr]  # it has problems


def _reducer_findings(reducers: Mapping[str, str]) -> Iterator[Finding]:
    for key, reducer in reducers.items():
        if reducer not in REDUCERS and not reducer.startswith("./"):
            text = f"the reducer of {key!r} must be one of {', '.join(map(repr, REDUCERS))} or './file.py:function'"
            yield Finding(OPTION, f"{text}, not {reducer!r}", "reducers", key)


def _state_findings(spec: Mapping[str, Any], context: Context) -> Iterator[Finding]:
    """Findings about declared keys, and about what references and conditions take from the state."""
    keys = {
        name: StateKey(
            name,
            default=declared.get("default", NOTHING),
            reducer=_known_reducer(declared.get("reducer")),
            scope=declared["scope"],
            schema=declared.get("schema"),
        )
        for name, declared in spec.get("state", {}).items()
    }
    reads = []
    for mention in context.data:
        path, parts = unrolled(mention.path), steps(mention.name)
        if parts[0] == "state" and len(parts) > 1 and path[0] == "spec":
            what = f"node {path[2]!r}" if path[1] == "nodes" else f"its {path[1]}"
            reads.append((str(parts[1]), what, path[1:]))
    for name, node in spec["nodes"].items():
        conditions = _sketch(name, node).conditions()
        for condition, where in conditions:
            keys_read = [str(path[1]) for path in condition.paths if path[0] == "state" and len(path) > 1]
            reads += [(key, f"node {name!r}", where) for key in keys_read]
    yield from check_keys(keys, spec.get("reducers", {}))
    if spec.get("scope") != "shared":  # else the flow round it may declare and write what is read here
        yield from check_reads(keys, reads, None if _may_write(spec["nodes"].values()) else ())


def _known_reducer(text: str | None) -> Any:
    """The name of a reducer; a function stands for one that is loaded later."""
    return text if text is None or not text.startswith("./") else _known_reducer


def _may_write(nodes: Iterable[Mapping[str, Any]]) -> bool:
    """Whether one of the nodes may write to the state: code, or a flow, which may share keys."""
    for node in nodes:
        if "uses" in node or "flow" in node:
            return True
        if "parallel" in node and _may_write(node["parallel"]["branches"].values()):
            return True
    return False


def _sketch(name: str, node: Mapping[str, Any]) -> Sketch:
    fork = node.get("parallel")
    routes = {DEFAULT: node["next"]} if "next" in node else node.get("routes", {})
    parallel = None
    if fork is not None:
        branches = {each: Branch(None, only_if=branch.get("if")) for each, branch in fork["branches"].items()}
        parallel = Parallel(branches, join=fork["join"], rest=fork["rest"], concurrency=fork["concurrency"])
    target = _asked(node)
    sketch = Sketch(
        name,
        routes={action: END if target is None else target for action, target in routes.items()},
        when=cases_of(name, node.get("when", ())),
        fan_out=node.get("fan_out", ()),
        rigid="uses" not in node or "each" in node,
        limited="max_visits" in node,
        each="each" in node,
        parallel=parallel,
    )
    sketch.join = node.get("join")
    sketch.may = actions_of(target, approve=node.get("approve") not in (None, False))
    return sketch


def _asked(node: Mapping[str, Any]) -> Ask | Wait | None:
    """What a node asks or waits for."""
    if "ask" not in node and "wait" not in node:
        return None
    from agentflow_kernel.flow.asking import read_ask, read_wait  # lazy: only flows that ask or wait pay

    return read_ask(node["ask"]) if "ask" in node else read_wait(node["wait"])


def _check_data(mention: Mention, nodes: Collection[str], flow: Resource, context: Context) -> None:
    place = (mention.node.line, mention.node.column)
    root, *rest = steps(mention.name)
    if root in nodes:
        if not rest or rest[0] not in _OF_A_NODE:
            meant = ".".join([str(root), _OF_A_NODE[0], *map(str, rest)])
            problem = f"A node has {either(_OF_A_NODE)}, found {shown(mention.name)}."
            context.found(problem, place, mention.path, hint=f"Did you mean {shown(meant)}?")
        return
    if root == "item" and not _has_item(unrolled(mention.path), flow):
        problem = "'item' is known only in the 'input' of a node that has 'each'."
        context.found(problem, place, mention.path)
    elif root not in RESERVED_NODES:
        suggest = context.scope.findings.suggest
        problem = (
            f"Unknown value {shown(str(root))}. Known: {either(RESERVED_NODES, 'and')}, and the nodes {listed(nodes)}."
        )
        hint = suggest(str(root), RESERVED_NODES) or suggest(str(root), nodes)
        context.found(problem, place, mention.path, hint=hint)


def _has_item(path: tuple[Step, ...], flow: Resource) -> bool:
    """Whether the path lies in the input of a node that has ``each``."""
    if "compensate" in path[3:]:
        return True
    if path[3:5] == ("parallel", "branches"):
        return path[6:7] == ("input",) and "each" in flow.given(*map(str, path[1:6]))
    return len(path) > 3 and path[3] == "input" and "each" in flow.given("nodes", str(path[2]))
