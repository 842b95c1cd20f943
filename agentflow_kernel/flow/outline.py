"""An outline: a flow as its manifest tells it, without the code, agents and tools behind its nodes; it cannot run."""

from __future__ import annotations

from agentflow_kernel.flow.fork import Branch, Parallel
from agentflow_kernel.flow.graph import Graph
from agentflow_kernel.flow.node import DEFAULT
from agentflow_kernel.flow.step import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


class Stand:
    """What stands in an outline for code, an agent or a tool."""

    __slots__ = ("kind", "name")

    def __init__(self, kind: str, name: str) -> None:
        self.kind = kind
        self.name = name

    def perform(self, context: object, value: object) -> object:
        """Never called: an outline cannot run."""
        raise NotImplementedError


def outline_of(name: str, specs: Mapping[str, Mapping[str, Any]]) -> Graph:
    """The flow ``name`` of these specs, flow name → ``spec`` as it stands in a manifest; it may leave out defaults.

    A flow that the specs do not hold, or that holds itself, is a node without anything in it.
    """
    return _flow(name, specs, ())


def _flow(name: str, specs: Mapping[str, Mapping[str, Any]], within: tuple[str, ...]) -> Graph:
    spec = specs[name]
    graph = Graph(name, start=spec.get("start"))
    for node_name, node in spec["nodes"].items():
        routes = {DEFAULT: node["next"]} if "next" in node else node.get("routes", {})
        target: object = None
        if "parallel" in node:
            target = _fork(node["parallel"], specs, (*within, name))
        else:
            target = _target(node, specs, (*within, name))
        graph.add(
            Step(
                node_name,
                target,
                routes=routes,
                when=node.get("when", ()),
                fan_out=node.get("fan_out", ()),
                each=node.get("each"),
                emits=node.get("emit", ""),
                compensate=_undo(node, specs, (*within, name)),
            )
        )
    return graph


def _fork(spec: Mapping[str, Any], specs: Mapping[str, Mapping[str, Any]], within: tuple[str, ...]) -> Parallel:
    branches = {
        name: Branch(
            _target(branch, specs, within),
            only_if=branch.get("if"),
            each=branch.get("each"),
            emits=branch.get("emit", ""),
            compensate=_undo(branch, specs, within),
        )
        for name, branch in spec["branches"].items()
    }
    return Parallel(branches, join=spec.get("join", "all"))


def _undo(node: Mapping[str, Any], specs: Mapping[str, Mapping[str, Any]], within: tuple[str, ...]) -> object:
    """What compensates a node or branch: named as a node is, or by its function alone."""
    undo = node.get("compensate")
    return _target({"uses": undo} if isinstance(undo, str) else undo or {}, specs, within)


def _target(node: Mapping[str, Any], specs: Mapping[str, Mapping[str, Any]], within: tuple[str, ...]) -> object:
    flow = node.get("flow")
    if flow is not None and flow in specs and flow not in within:
        return _flow(flow, specs, within)
    for field, kind in (("flow", "flow"), ("agent", "agent"), ("plan", "plan"), ("tool", "tool"), ("uses", "call")):
        if field in node:
            return Stand(kind, str(node[field]))
    for kind in ("ask", "wait"):
        if kind in node:
            return Stand(kind, "")
    return None
