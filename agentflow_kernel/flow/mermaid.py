"""A chart: a graph as text that Mermaid draws."""

from __future__ import annotations

from agentflow_kernel.flow.fork import Parallel
from agentflow_kernel.flow.graph import Graph
from agentflow_kernel.flow.node import DEFAULT, END

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentflow_kernel.flow.step import Step

_LONGEST = 60


def to_mermaid(graph: Graph) -> str:
    """The graph as a Mermaid flowchart, ending in a newline; nodes in the order in which they were added.

    Every name stands in quotes behind an identifier of its own, so that no name can be taken for syntax. Forks and
    flows are drawn with what is in them; the graph need not be valid.
    """
    lines = ["flowchart TD", '  start(["start"])', *_level(graph, "n", "  ", ())]
    if graph.start in graph.steps:
        lines.append(f"  start --> {_id(graph, graph.start, 'n')}")
    if any(" --> stop" in line or "| stop" in line for line in lines):
        lines.append('  stop(["end"])')
    return "\n".join(lines) + "\n"


def _level(graph: Graph, prefix: str, indent: str, within: tuple[Graph, ...]) -> Iterator[str]:
    """Nodes and edges of one flow; a nested flow ends where its box ends, a branch at its join."""
    for step in graph.steps.values():
        yield from _node(step, _id(graph, step.name, prefix), indent, (*within, graph))
    branches = {name for step in graph.steps.values() for name in step.fan_out}
    for step in graph.steps.values():
        here = _id(graph, step.name, prefix)
        for target, label, arrow in _edges(step):
            if target == END:
                there = "" if within or step.name in branches else "stop"
            else:
                there = _id(graph, target, prefix) if target in graph.steps else ""
            if there:
                yield f"{indent}{here} {arrow}{f'|{_quoted(label)}|' if label else ''} {there}"


def _edges(step: Step) -> Iterator[tuple[str, str, str]]:
    """Where a node leads: target, label and arrow."""
    for action, target in step.routes.items():
        yield target, "" if action == DEFAULT else action, "-->"
    for case in step.when:
        yield case.target, "else" if case.condition is None else f"if {case.condition.text}", "-->"
    if not step.routes and not step.when:
        yield END, "", "-->"
    for target in step.fan_out:
        yield target, "each", "-.->"


def _node(step: Step, name: str, indent: str, within: tuple[Graph, ...]) -> Iterator[str]:
    target = step.target
    if isinstance(target, Parallel):
        join = f"{target.join} of {len(target.steps)}" if isinstance(target.join, int) else f"join: {target.join}"
        yield f"{indent}subgraph {name} [{_quoted(f'{step.name} ({join})')}]"
        for number, branch in enumerate(target.steps.values()):
            yield from _node(branch, f"{name}_{number}", indent + "  ", within)
        yield f"{indent}end"
    elif isinstance(target, Graph) and target not in within:
        yield f"{indent}subgraph {name} [{_quoted(step.name)}]"
        yield from _level(target, f"{name}_", indent + "  ", within)
        yield f"{indent}end"
    elif step.each is not None:
        yield f"{indent}{name}[[{_quoted(step.name)}]]"
    elif step.emits:
        yield f"{indent}{name}>{_quoted(f'{step.name}: {step.emits}')}]"
    else:
        yield f"{indent}{name}[{_quoted(step.name)}]"


def _id(graph: Graph, name: str, prefix: str) -> str:
    return f"{prefix}{list(graph.steps).index(name)}"


def _quoted(text: object) -> str:
    """The text as a label: quotes, angle brackets, ampersands, hashes and line ends become character codes."""
    plain = str(text)
    plain = plain if len(plain) <= _LONGEST else f"{plain[: _LONGEST - 1]}…"
    coded = "".join(f"#{ord(mark)};" if mark in '"<>&#|`\\' or mark < " " else mark for mark in plain)
    return f'"{coded}"'
