"""A graph is checked as a whole, before anything in it runs."""

from __future__ import annotations

import pytest

from agentflow_kernel.errors import FlowInvalid, UsageError
from agentflow_kernel.flow import END, Graph, Step
from agentflow_kernel.flow.graph import next_of


def same(value: object) -> object:
    """The node of most graphs here."""
    return value


def graph_of(*steps: Step, **options: object) -> Graph:
    """A graph of these steps."""
    graph = Graph("orders", **options)
    for step in steps:
        graph.add(step)
    return graph


def findings_of(graph: Graph) -> tuple[str, ...]:
    """What the check says; nothing for a sound graph."""
    try:
        graph.check()
    except FlowInvalid as error:
        return error.findings
    return ()


def test_a_sound_graph_has_no_findings() -> None:
    """Nodes, routes, loops and references that lead somewhere pass."""
    graph = graph_of(
        Step("parse", same, routes={"default": "judge", "again": "parse"}),
        Step("judge", same, input={"of": {"$ref": "parse.result"}}, routes={"default": END}),
    )
    assert findings_of(graph) == ()


def test_an_empty_graph_says_how_to_fill_it() -> None:
    """A flow without nodes cannot run and is told so, instead of returning nothing."""
    assert findings_of(Graph("orders")) == ("it has no node; add one with .step(function) [F001]",)


def test_the_first_step_starts_unless_start_says_otherwise() -> None:
    """``start`` defaults to the first step, and names a node."""
    assert graph_of(Step("a", same), Step("b", same)).start == "a"
    graph = graph_of(Step("first", same), start="frist")
    assert findings_of(graph)[0] == "start names no node: 'frist' (did you mean 'first'?) [F002]"


def test_the_check_lists_all_findings_at_once() -> None:
    """A person mends a graph in one go: no fault hides another."""
    graph = graph_of(
        Step("parse", same, routes={"default": "jugde", "stop": "end"}),
        Step("judge", same, input={"$ref": "prase.result"}, each={"$ref": "parse.result"}, concurrency=0),
        Step("a.b", same, routes={"default": "judge"}, on_item_error="ignore"),
    )
    assert findings_of(graph) == (
        "node 'parse' routes 'default' to unknown node 'jugde' (did you mean 'judge'?) [F003]",
        "node 'judge' refers to unknown node 'prase' (did you mean 'parse'?) [F006]",
        "node 'judge': concurrency must be a whole number of at least 1, not 0 [F005]",
        (
            "node name 'a.b' is not allowed: a text without dots, blanks, line ends, slashes, brackets, @ and !, "
            "and not ('input', 'item', 'event', 'state', 'end') [F004]"
        ),
        "node 'a.b': on_item_error must be one of 'fail', 'skip', 'collect', not 'ignore' [F005]",
        "node 'judge' is not reachable from 'parse' [F009]",
        "node 'a.b' is not reachable from 'parse' [F009]",
    )


def test_the_error_of_the_check_names_the_flow() -> None:
    """All findings stand in one error, which names the flow and keeps them apart."""
    with pytest.raises(FlowInvalid, match="Flow 'orders' is not valid: it has no node") as caught:
        Graph("orders").check()
    assert (caught.value.flow, len(caught.value.findings), caught.value.executed) == ("orders", 1, "no")


@pytest.mark.parametrize("name", ["", "a/b", "a[0]", "a b", "a@2", "a!", "input", "item", "event", "state", "end"])
def test_a_name_that_could_be_taken_for_something_else_is_refused(name: str) -> None:
    """Paths, references and routes are made of names, so none may look like a part of them."""
    assert f"node name {name!r} is not allowed" in findings_of(graph_of(Step(name, same)))[0]


@pytest.mark.parametrize(
    ("option", "value"),
    [("batch_size", 0), ("batch_size", "2"), ("concurrency", -1), ("effect", "none"), ("blocking", "process")],
)
def test_an_option_with_a_value_it_cannot_have_is_a_finding(option: str, value: object) -> None:
    """No option is silently taken for another."""
    (finding,) = findings_of(graph_of(Step("parse", same, **{option: value})))
    assert finding.startswith(f"node 'parse': {option} must be ")
    assert finding.endswith(f", not {value!r} [F005]")


def test_an_option_that_does_not_exist_is_refused_by_name() -> None:
    """A misspelt option is an error of the call."""
    with pytest.raises(TypeError, match=r"Step 'parse' has no option 'concurency'\."):
        Step("parse", same, concurency=4)


def test_a_second_node_of_one_name_is_refused() -> None:
    """Names are unique in a flow."""
    graph = graph_of(Step("parse", same))
    with pytest.raises(UsageError, match="already has a node 'parse'"):
        graph.add(Step("parse", same))


@pytest.mark.parametrize(
    ("options", "finding"),
    [
        ({"input": {"$ref": "item"}}, "node 'parse' refers to 'item', which only the input of a node with each has"),
        ({"each": {"$ref": "item.parts"}}, "node 'parse' refers to 'item', which only the input of a node with each"),
    ],
)
def test_the_item_exists_only_in_the_input_of_a_batch(options: dict[str, object], finding: str) -> None:
    """Elsewhere a reference to it would silently be nothing."""
    assert findings_of(graph_of(Step("parse", same, **options)))[0].startswith(finding)


def test_output_and_display_refer_to_nodes_that_exist() -> None:
    """A misspelt output is found before the flow has done its work."""
    from agentflow_kernel.flow import Template

    graph = graph_of(Step("report", same))
    graph.output = Template({"text": {"$ref": "reprot.result.text"}})
    graph.display = Template({"$ref": "item"})
    assert findings_of(graph) == (
        "its output refers to unknown node 'reprot' (did you mean 'report'?) [F006]",
        "its display refers to 'item', which only a node with each has [F007]",
    )


def test_a_flow_that_holds_itself_is_refused_however_deep() -> None:
    """Nesting is finite; a loop is written with routes."""
    outer, middle = Graph("outer"), Graph("middle")
    outer.add(Step("middle", middle))
    middle.add(Step("outer", outer))
    assert "it holds itself as a node [F008]" in findings_of(outer)
    assert "it holds itself as a node [F008]" in findings_of(middle)


def test_two_nodes_may_hold_the_same_flow() -> None:
    """A flow used twice is no cycle."""
    inner = graph_of(Step("parse", same))
    graph = Graph("outer")
    graph.add(Step("one", inner, routes={"default": "two"}))
    graph.add(Step("two", inner))
    assert findings_of(graph) == ()


@pytest.mark.parametrize(
    ("routes", "action", "target"),
    [({"default": "b"}, "default", "b"), ({"x": END}, "x", None), ({}, "default", None), ({"x": "c"}, "x", "c")],
)
def test_an_action_leads_where_its_route_says(routes: dict[str, str], action: str, target: str | None) -> None:
    """A route, the end, or for a node without routes the end."""
    assert next_of(routes, action, flow="orders", node="a") == target


def test_an_unknown_action_names_the_nearest_route() -> None:
    """A misspelt action never ends a flow by accident."""
    with pytest.raises(
        FlowInvalid, match=r"chose action 'rejct', .*routes: 'reject', 'accept'; did you mean 'reject'\?"
    ):
        next_of({"reject": "b", "accept": "c"}, "rejct", flow="orders", node="a")


def test_a_node_that_must_route_but_did_not_is_refused() -> None:
    """Without a route for the default action the node has to choose one."""
    with pytest.raises(FlowInvalid, match="node 'a' chose action 'default', which is not routed"):
        next_of({"reject": "b"}, "default", flow="orders", node="a")


def test_an_action_without_any_route_is_refused() -> None:
    """Only the default action may end a flow without a route."""
    with pytest.raises(FlowInvalid, match=r"chose action 'retry', which is not routed \(routes: none\)"):
        next_of({}, "retry", flow="orders", node="a")
