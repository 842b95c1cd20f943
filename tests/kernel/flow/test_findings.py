"""What the check of a graph says about its way: each fault once, with its code and its place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agentflow_kernel.errors import FlowInvalid
from agentflow_kernel.flow import Branch, Graph, Parallel, Step, finding


def same(value: object) -> object:
    """The node of every graph here."""
    return value


def codes_of(*steps: Step, **options: object) -> list[tuple[str, tuple[object, ...]]]:
    """Code and place of every finding about a graph of these steps."""
    graph = Graph("g", **options)
    for step in steps:
        graph.add(step)
    try:
        graph.check()
    except FlowInvalid as error:
        return [(found.code, found.where) for found in error.findings]
    return []


def to(*names: str) -> dict[str, str]:
    """Routes; the first is the default one."""
    return {"default" if not index else f"x{index}": name for index, name in enumerate(names)}


FORK = ("nodes", "a", "parallel")


@pytest.mark.parametrize(
    ("steps", "codes"),
    [
        ([Step("a", same, input={"$ref": "b.result"}, routes=to("b")), Step("b", same)], [("F012", ("nodes", "a"))]),
        ([Step("a", same, input={"$ref": "a.result"})], [("F012", ("nodes", "a"))]),
        ([Step("a", same, input={"$ref": "a.result"}, routes=to("a", "end"))], []),
        ([Step("a", same, fan_out=["b"], routes=to("c")), Step("b", same), Step("c", same, input={"$ref": "b.result"})],
         [("F012", ("nodes", "c"))]),
        ([Step("a", same, fan_out=["b"]), Step("b", same, input={"$ref": "a.result"})], []),
        ([Step("a", Parallel({"x": Branch(same, input={"$ref": "b.result"})}), routes=to("b")), Step("b", same)],
         [("F012", ("nodes", "a"))]),
        ([Step("a", None, emits="x", routes={"on": "end"})],
         [("F010", ("nodes", "a", "routes", "on")), ("F011", ("nodes", "a", "routes"))]),
        ([Step("a", same, each=[1], routes=to("end", "end"))], [("F010", ("nodes", "a", "routes", "x1"))]),
        ([Step("a", same, routes=to("a"))], [("F013", ("nodes", "a"))]),
        ([Step("a", same, routes=to("a"), max_visits=3)], []),
        ([Step("a", Parallel({}))], [("F014", (*FORK, "branches"))]),
        ([Step("a", Parallel({"x": same}, join=2))], [("F014", (*FORK, "join"))]),
        ([Step("a", Parallel({"x": same}, join=0))], [("F014", (*FORK, "join"))]),
        ([Step("a", Parallel({"x": same}, join="most"))], [("F005", (*FORK, "join"))]),
        ([Step("a", Parallel({"x": same}, rest="leave"))], [("F005", (*FORK, "rest"))]),
        ([Step("a", Parallel({"x": same}, concurrency=0))],
         [("F005", ("nodes", "a", "the concurrency of its branches"))]),
        ([Step("a", Parallel({"x": Branch(same, only_if="value")}))], [("F014", (*FORK, "join"))]),
        ([Step("a", Parallel({"x": Branch(same, only_if="result")}, join="or"))],
         [("F006", (*FORK, "branches", "x", "if"))]),
        ([Step("a", Parallel({"x y": same}))], [("F004", ("nodes", "x y"))]),
        ([Step("a", same, fan_out=["b", "c"]), Step("b", same, routes=to("end"))],
         [("F016", ("nodes", "a", "fan_out", 0)), ("F003", ("nodes", "a", "fan_out", 1))]),
        ([Step("a", same, each=[1], fan_out=["b"]), Step("b", same)], [("F016", ("nodes", "a", "fan_out"))]),
        ([Step("a", same, max_visits=0)], [("F005", ("nodes", "a", "max_visits"))]),
        ([Step("a", same, when=[{"next": None}], routes=to("end"))], [("F005", ("nodes", "a", "when"))]),
    ],
)  # fmt: skip
def test_each_fault_is_found_once(steps: list[Step], codes: list[object]) -> None:
    """And nothing that only follows from it."""
    assert codes_of(*steps) == codes


def test_a_reducer_is_a_known_name_or_a_function() -> None:
    """Found before anything is written."""
    graph = Graph("g")
    graph.add(Step("a", same))
    graph.reducers = {"k": "sum", "m": max, "n": "add"}
    with pytest.raises(FlowInvalid, match=r"the reducer of 'k' must be one of 'last', .* not 'sum' \[F005\]"):
        graph.check()


def test_a_flow_in_a_branch_may_not_hold_the_fork() -> None:
    """Nesting is finite through forks too."""
    graph = Graph("g")
    graph.add(Step("a", Parallel({"x": graph})))
    with pytest.raises(FlowInvalid, match=r"it holds itself as a node \[F008\]"):
        graph.check()


def test_every_code_is_documented() -> None:
    """In the reference, each once."""
    known = sorted(
        value for value in vars(finding).values() if isinstance(value, str) and re.fullmatch(r"F\d{3}", value)
    )
    page = Path(__file__).parents[3] / "docs" / "reference" / "flows.md"
    assert re.findall(r"^\| `(F\d{3})` \|", page.read_text(encoding="utf-8"), re.MULTILINE) == known
