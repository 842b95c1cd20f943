"""A graph as a chart: every shape, and no name that could be taken for syntax."""

from __future__ import annotations

import pytest

from agentflow_kernel.flow import Branch, Graph, Parallel, Step
from agentflow_kernel.flow.mermaid import to_mermaid


def same(value: object) -> object:
    """The node of every graph here."""
    return value


def graph_of(*steps: Step) -> Graph:
    """A graph of these steps."""
    graph = Graph("g")
    for step in steps:
        graph.add(step)
    return graph


def test_every_shape_is_drawn() -> None:
    """Routes, conditions, fan-outs, forks, flows, batches and events."""
    inner = graph_of(Step("one", same, routes={"default": "two"}), Step("two", same))
    fork = Parallel({"left": same, "right": Branch(inner)}, join="any")
    graph = graph_of(
        Step("plan", same, fan_out=["work"], routes={"default": "fork", "stop": "end"}),
        Step("work", same),
        Step("fork", fork, routes={"default": "many"}),
        Step("many", same, each=[1], when=[{"if": 'result[0] > "a"', "next": "plan"}, {"next": "tell"}]),
        Step("tell", None, emits="it.happened", routes={"default": "two"}),
        Step("two", Parallel({"a": same, "b": same, "c": same}, join=2)),
    )
    assert to_mermaid(graph) == (
        "flowchart TD\n"
        '  start(["start"])\n'
        '  n0["plan"]\n'
        '  n1["work"]\n'
        '  subgraph n2 ["fork (join: any)"]\n'
        '    n2_0["left"]\n'
        '    subgraph n2_1 ["right"]\n'
        '      n2_1_0["one"]\n'
        '      n2_1_1["two"]\n'
        "      n2_1_0 --> n2_1_1\n"
        "    end\n"
        "  end\n"
        '  n3[["many"]]\n'
        '  n4>"tell: it.happened"]\n'
        '  subgraph n5 ["two (2 of 3)"]\n'
        '    n5_0["a"]\n'
        '    n5_1["b"]\n'
        '    n5_2["c"]\n'
        "  end\n"
        "  n0 --> n2\n"
        '  n0 -->|"stop"| stop\n'
        '  n0 -.->|"each"| n1\n'
        "  n2 --> n3\n"
        '  n3 -->|"if result[0] #62; #34;a#34;"| n0\n'
        '  n3 -->|"else"| n4\n'
        "  n4 --> n5\n"
        "  n5 --> stop\n"
        "  start --> n0\n"
        '  stop(["end"])\n'
    )


@pytest.mark.parametrize("name", ["end", 'a"b', "subgraph", "a]b", "a|b", "x\ny", "<b>", "#35;", "n0", "a-->b", "ü"])
def test_a_name_is_never_syntax(name: str) -> None:
    """It stands only in quotes, on one line, without a mark that would end them."""
    text = to_mermaid(graph_of(Step("first", same, routes={name: "other", "default": "other"}), Step("other", same)))
    lines = text.splitlines()
    assert len(lines) == 9
    assert lines[4].startswith('  n0 -->|"')
    assert lines[5] == "  n0 --> n1"
    for line in to_mermaid(graph_of(Step(name, same))).splitlines():
        assert line.count('"') in (0, 2)
        assert not any(mark in line for mark in "<|&") or "-->" in line


def test_a_graph_that_is_not_valid_is_drawn_as_far_as_it_goes() -> None:
    """Unknown targets are left out; a flow that holds itself is drawn once; a long text is cut."""
    graph = graph_of(Step("a", same, routes={"default": "nowhere"}))
    assert to_mermaid(graph) == 'flowchart TD\n  start(["start"])\n  n0["a"]\n  start --> n0\n'
    graph.add(Step("self", graph))
    assert to_mermaid(graph).count('"self"') == 1
    assert to_mermaid(Graph("empty")) == 'flowchart TD\n  start(["start"])\n'
    assert f'"{"x" * 59}…"' in to_mermaid(graph_of(Step("x" * 80, same)))
