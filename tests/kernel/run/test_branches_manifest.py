"""Branches, conditions and loops in YAML: the same graph as in Python, and findings at their place in the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest
from engine_kit import DurableJournal

from agentflow_kernel import Flow, Kernel
from agentflow_kernel.errors import ManifestErrors
from agentflow_kernel.flow import Branch, Graph, Parallel
from agentflow_kernel.manifest import read

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "apiVersion: agentflow.dev/v1\nkind: Flow\nmetadata: {name: f}\nspec:\n"
CODE = """
from agentflow_kernel import Node
from agentflow_kernel.flow import Goto

def plan(value):
    return [Goto("work", number) for number in range(value)]

def work(value):
    return value * 10

def total(values):
    return sum(values)

def both(before, value):
    return (before or 0) * 10 + value

class One(Node):
    async def post(self, shared, prepared, result):
        shared.set("n", 1)

class Two(Node):
    async def post(self, shared, prepared, result):
        shared.set("n", 2)
"""
YAML = (
    HEAD
    + """
  reducers: {n: "./nodes.py:both", seen: append}
  output: [{$ref: state.n}, {$ref: fork.result.work}, {$ref: input}]
  nodes:
    plan:
      uses: ./nodes.py:plan
      fan_out: [work]
      concurrency: 2
      max_visits: 3
      next: total
    work: {uses: ./nodes.py:work}
    total:
      uses: ./nodes.py:total
      when:
        - {if: "result < 30 and len(plan.result) > 0", next: plan}
        - {next: fork}
    fork:
      parallel:
        join: or
        rest: wait
        concurrency: 3
        branches:
          one: {uses: ./nodes.py:One}
          two: {uses: ./nodes.py:Two, effect: pure}
          work: {uses: ./nodes.py:work, each: [1, 2], input: {$ref: item}}
          never: {uses: ./nodes.py:work, if: "value < 0"}
      next: null_end
    null_end: {emit: it.ended}
"""
)


def same(value: object) -> object:
    return value


def built() -> Flow:
    """The same graph as :data:`YAML`, fluently."""
    flow = Flow("f", reducers={"n": max, "seen": "append"})
    flow.step(same, name="plan", fan_out=["work"], concurrency=2, max_visits=3).step(
        same,
        name="total",
        when=[{"if": "result < 30 and len(plan.result) > 0", "next": "plan"}, {"next": "fork"}],
    )
    flow.aside(same, name="work")
    return flow.parallel(
        {
            "one": same,
            "two": Branch(same, effect="pure"),
            "work": Branch(same, each=[1, 2], input={"$ref": "item"}),
            "never": Branch(same, only_if="value < 0"),
        },
        name="fork",
        join="or",
        rest="wait",
        concurrency=3,
    ).step(None, name="null_end", emits="it.ended")


def shape(graph: Graph) -> object:
    """Everything that a graph declares but for the code itself."""
    found = {}
    for step in graph.steps.values():
        fork = step.target if isinstance(step.target, Parallel) else None
        branches = {name: _options(branch) for name, branch in fork.steps.items()} if fork else {}
        conditions = {name: condition.text for name, condition in fork.conditions.items()} if fork else {}
        found[step.name] = (
            _options(step),
            step.routes,
            [(case.condition.text if case.condition else None, case.target) for case in step.when],
            (fork.join, fork.rest, fork.concurrency) if fork else None,
            branches,
            conditions,
        )
    return found


def _options(step: object) -> list[object]:
    names = ("fan_out", "max_visits", "concurrency", "effect", "emits", "on_item_error")
    templates = [getattr(getattr(step, name), "source", None) for name in ("input", "each")]
    return [*(getattr(step, name) for name in names), *templates]


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    """A kernel for :data:`YAML`."""
    (tmp_path / "nodes.py").write_text(CODE, encoding="utf-8")
    (tmp_path / "m.yaml").write_text(YAML, encoding="utf-8")
    kernel = Kernel.from_manifest(str(tmp_path / "m.yaml"), journal=DurableJournal(), trust_code=True)
    graph_of(kernel)  # code is read before there is a loop
    return kernel


def graph_of(kernel: Kernel) -> Graph:
    """The graph itself, which nothing public gives."""
    return kernel._wiring.composition.flow("f")


def test_yaml_and_python_give_the_same_graph_and_it_runs(kernel: Kernel) -> None:
    """Journalled, with code of its own for nodes and for a reducer."""

    async def main() -> object:
        async with kernel:
            return await kernel.run("flow/f", 3)

    assert anyio.run(main) == [12, [10, 20], 3]
    assert shape(graph_of(kernel)) == shape(built())
    built().check()


@pytest.mark.parametrize(
    ("nodes", "findings"),
    [
        (
            'a: {emit: x, when: [{if: "result >", next: a}, {next: null}]}',
            ["m.yaml:6:30: spec.nodes.a.when[0].if: Node 'a': condition 'result >'", "[F015]."],
        ),
        (
            'a: {emit: x, when: [{if: "rsult > 1", next: null}]}',
            [
                "m.yaml:6:25: spec.nodes.a.when[0]: Node 'a': the last entry of 'when' must have no 'if'",
                "condition 'rsult > 1' asks for unknown 'rsult'; known: input, state, result, a.result [F006].",
            ],
        ),
        (
            "a: {parallel: {join: {n_of_m: 3}, branches: {x: {emit: x}, y: {emit: y}}}}",
            ["spec.nodes.a.parallel.join: Node 'a': the join of 3 can never be reached with 2 branches [F014]."],
        ),
        (
            'a: {parallel: {branches: {x: {emit: x, if: "value"}, y: {emit: y}}}}',
            ["Node 'a': join 'all' is never reached when the condition of 'x' does not hold", "[F014]."],
        ),
        (
            "a: {parallel: {branches: {x: {emit: x, input: {$ref: b.result}}}}, next: b}\n    b: {emit: y}",
            ["m.yaml:6:58: spec.nodes.a.parallel.branches.x.input.$ref: Node 'a' takes the result of 'b'", "[F012]."],
        ),
        (
            "a: {emit: x, next: b}\n    b: {emit: y, next: a}",
            ["m.yaml:6:8: spec.nodes.a: Nodes 'a', 'b' form a loop without exit", "[F013]."],
        ),
        ("a: {emit: x, routes: {no: null}}", ["dead end", "[F011].", "'no', which it can never choose [F010]."]),
        (
            "a: {emit: x, fan_out: [b], next: b}\n    b: {emit: y, each: [1]}",
            ["spec.nodes.a.fan_out[0]: Node 'a' fans out to 'b', which has routes", "[F016]."],
        ),
        ("a: {emit: x, when: [{next: c}], fan_out: [d]}", ["Unknown node 'c'.", "Unknown node 'd'."]),
        (
            "a: {emit: x}\n  state: {k: {reducer: apend}}",
            [
                "m.yaml:7:24: spec.state.k.reducer: State key 'k': reducer must be one of",
                "did you mean 'append'",
                "[F005].",
            ],
        ),
        (
            "a: {emit: x, input: {$ref: state.cuont}}\n  state: {count: {default: x, schema: {type: integer}}}",
            [
                "m.yaml:7:28: spec.state.count.default: The default of state key 'count' does not fit its own schema",
                "must be integer, not string [F017].",
                "m.yaml:6:32: spec.nodes.a.input.$ref: Node 'a' reads state key 'cuont', which is not declared",
                "(did you mean 'count'?) [F006].",
            ],
        ),
        (
            "a: {emit: x, when: [{if: state.n > 1, next: null}, {next: null}]}\n  reducers: {m: add}\n  state: {n: {}}",
            [
                "spec.nodes.a.when[0].if: Node 'a' reads state key 'n', which no node writes [F018].",
                "spec.reducers.m: The reducer of 'm' is for a key that is not declared (known: 'n') [F017].",
            ],
        ),
        ("a: {emit: x}\n  state: {n: {scope: runs}}", ["spec.state.n.scope: Expected 'flow', 'run' or 'node'"]),
        (
            "a: {emit: x}\n  reducers: {k: sum}",
            ["spec.reducers.k: The reducer of 'k' must be one of 'last'", "[F005]."],
        ),
    ],
)
def test_findings_stand_at_their_place(tmp_path: Path, nodes: str, findings: list[str]) -> None:
    """All of them at once, with their codes."""
    (tmp_path / "m.yaml").write_text(f"{HEAD}  nodes:\n    {nodes}\n", encoding="utf-8")
    with pytest.raises(ManifestErrors) as caught:
        read(str(tmp_path / "m.yaml"))
    for finding in findings:
        assert finding in str(caught.value)
