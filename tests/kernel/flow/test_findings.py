"""What the check of a graph says about its way: each fault once, with its code and its place."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from agentflow_kernel.errors import FlowInvalid, UsageError
from agentflow_kernel.flow import Branch, Graph, Parallel, Step, Template, finding


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


def findings_of(graph: Graph) -> list[finding.Finding]:
    """All findings about a graph, none where it is valid."""
    try:
        graph.check()
    except FlowInvalid as error:
        return list(error.findings)
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


def text_of(number: int) -> str:
    return str(number)


def halve(number: float) -> float:
    return number / 2


def nothing(number: int) -> None:
    raise ValueError(number)


def maybe(number: int) -> int | None:
    return number or None


def names_of(value: dict[str, int]) -> list[str]:
    return list(value)


def total(values: list[int]) -> int:
    return sum(values)


class Sealed:
    """An agent or a tool, as far as the check sees it."""

    kind = "tool"

    def __init__(self, gives: object = None, takes: object = None) -> None:
        self.output_schema = gives
        self.tool = type("Tool", (), {"parameters": takes})

    async def perform(self, context: object, value: object) -> object:
        return value


def record(**fields: str) -> dict[str, object]:
    """A closed object that requires its fields."""
    properties = {name: {"type": kind} for name, kind in fields.items()}
    return {"type": "object", "properties": properties, "required": list(fields), "additionalProperties": False}


@pytest.mark.parametrize(
    ("gives", "takes", "problem"),
    [
        (text_of, halve, "node 'a' gives string, but node 'b' takes number"),
        (names_of, total, "node 'a' gives string at /*, but node 'b' takes number"),
        (total, names_of, "node 'a' gives number, but node 'b' takes object"),
        (Sealed(record(x="string")), Sealed(takes=record(x="integer")),
         "node 'a' gives string at /x, but node 'b' takes number"),
        (Sealed(record(x="string")), Sealed(takes=record(y="string")),
         "node 'a' gives an object without 'y', but node 'b' takes one with 'y'"),
        (text_of, Parallel({"x": same, "y": halve}),
         "node 'a' gives string, but branch 'y' of node 'b' takes number"),
        (Parallel({"x": same}), halve, "node 'a' gives object, but node 'b' takes number"),
        (nothing, halve, ""), (halve, text_of, ""), (maybe, halve, ""), (same, halve, ""), (text_of, same, ""),
        (Sealed(record(x="string")), Sealed(takes={"type": "object"}), ""),
        (Sealed(), halve, ""), (text_of, Sealed, ""), (text_of, str.upper, ""), (text_of, lambda value: value, ""),
        (text_of, Parallel({"y": Branch(halve, input=1)}), ""),
    ],
)  # fmt: skip
def test_types_that_have_nothing_in_common_do_not_meet(gives: object, takes: object, problem: str) -> None:
    """Only what is certain is a finding."""
    graph = Graph("g")
    graph.add(Step("a", gives, routes={"default": "b"}))
    graph.add(Step("b", takes))
    assert findings_of(graph) == ([f"{problem} [F020]"] if problem else [])


def test_the_input_of_a_flow_meets_its_first_node_and_a_batch_gives_a_list() -> None:
    """Each item by itself."""
    graph = Graph("g")
    graph.input_schema = {"type": "string"}
    graph.add(Step("a", halve, routes={"default": "b"}))
    graph.add(Step("b", halve, each={"$ref": "input"}, routes={"default": "c"}))
    graph.add(Step("c", halve))
    with pytest.raises(FlowInvalid) as caught:
        graph.check()
    assert [(found.code, found.where) for found in caught.value.findings] == [
        ("F020", ("nodes", "a")),
        ("F020", ("nodes", "c")),
    ]


@pytest.mark.parametrize(
    ("steps", "codes"),
    [
        ([Step("a", same, routes=to("b", "c")), Step("b", same), Step("c", same)], ["F019"]),
        ([Step("a", same, routes={"x": "b", "y": "c"}), Step("b", same), Step("c", same)], ["F019", "F019"]),
        (
            [Step("a", same, when=[{"if": "result", "next": "b"}, {"next": "c"}]), Step("b", same), Step("c", same)],
            ["F019", "F019"],
        ),
        ([Step("a", same, routes=to("b", "c")), Step("b", same, routes=to("c")), Step("c", same)], ["F019"]),
        ([Step("a", same, routes=to("b")), Step("b", same, routes=to("c")), Step("c", same)], []),
        ([Step("a", same, routes=to("b")), Step("b", same, routes=to("c", "b")), Step("c", same)], []),
    ],
)
def test_an_output_is_taken_from_nodes_that_every_way_comes_through(steps: list[Step], codes: list[str]) -> None:
    """The first node always runs."""
    graph = Graph("g")
    for step in steps:
        graph.add(step)
    graph.output = Template([{"$ref": "a.result"}, {"$ref": "b.result"}, {"$ref": "c.result"}])
    assert [found.code for found in findings_of(graph)] == codes


def test_a_reducer_is_a_known_name_or_a_function() -> None:
    """Found before anything is written."""
    graph = Graph("g")
    graph.add(Step("a", same))
    graph.reducers = {"k": "sum", "m": max, "n": "add"}
    with pytest.raises(FlowInvalid, match=r"the reducer of 'k' must be one of 'last', .* not 'sum' \[F005\]"):
        graph.check()


@pytest.mark.parametrize("name", [5, "", "a b", "a\nb", "a/b"])
def test_a_name_that_is_none_is_a_finding(name: Any) -> None:
    """Of a node as of a branch."""
    assert ("F004", ("nodes", name)) in codes_of(Step(name, same))
    assert ("F004", ("nodes", name)) in codes_of(Step("a", Parallel({name: same})))


@pytest.mark.parametrize("max_steps", [0, -1, 2.5, "10"])
def test_the_bound_of_a_flow_is_a_whole_number(max_steps: Any) -> None:
    assert codes_of(Step("a", same), max_steps=max_steps) == [("F005", ("max_steps",))]


def test_a_route_may_end_the_flow_by_none_and_leads_to_nothing_else_that_is_no_name() -> None:
    """As in YAML."""
    assert codes_of(Step("a", same, routes={"default": None})) == []
    assert codes_of(Step("a", same, routes={"default": 3})) == [("F003", ("nodes", "a", "routes", "default"))]


@pytest.mark.parametrize("option", ["routes", "when", "max_visits", "fan_out", "join"])
def test_a_branch_leads_nowhere_but_to_its_join(option: str) -> None:
    with pytest.raises(UsageError, match=f"Branch 'x' cannot have '{option}'"):
        Parallel({"x": Branch(same, **{option: ()})})


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
