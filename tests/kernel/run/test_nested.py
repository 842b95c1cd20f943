"""A flow is a node of another flow: with results and state of its own, and paths that say where it stands."""

from __future__ import annotations

import pytest

from agentflow_kernel import END, Context, Flow, Node, Progress, Route
from agentflow_kernel.errors import BudgetExceeded, FlowInvalid, StopFlow

pytestmark = pytest.mark.anyio


async def where(value: list[str], context: Context) -> list[str]:
    """Adds its own path."""
    return [*value, context.path]


async def test_paths_name_every_flow_on_the_way() -> None:
    """``outer/inner/node``, without the outermost flow itself."""
    innermost = Flow("innermost").step(where, name="c")
    inner = Flow("inner").step(where, name="b").step(innermost)
    outer = Flow("outer").step(where, name="a").step(inner).step(where, name="d")
    assert await outer.run([]) == ["a", "inner/b", "inner/innermost/c", "d"]


async def test_a_second_visit_of_a_nested_flow_has_paths_of_its_own() -> None:
    """The visit is counted where it happens."""

    async def twice(value: list[str]) -> object:
        return Route("again", value) if len(value) < 4 else value

    inner = Flow("inner").step(where, name="one").step(where, name="two")
    flow = Flow("f").step(inner).step(twice, routes={"again": "inner", "default": END})
    assert await flow.run([]) == ["inner/one", "inner/two", "inner@2/one", "inner@2/two"]


async def test_the_output_of_the_inner_flow_is_the_result_of_the_node() -> None:
    """What it declares, else its last result."""
    inner = Flow("inner").step(where, name="a").step(where, name="b").returns({"first": {"$ref": "a.result"}})
    assert await Flow("outer").step(inner).run([]) == {"first": ["inner/a"]}


async def test_the_input_template_of_the_node_is_the_input_of_the_inner_flow() -> None:
    """Inside, ``input`` is what the node was given."""
    inner = Flow("inner").step(lambda value: value, name="show", input={"got": {"$ref": "input"}}, blocking="inline")
    flow = Flow("outer").step(where, name="a").step(inner, input={"from": {"$ref": "a.result"}})
    assert await flow.run([]) == {"got": {"from": ["a"]}}


async def test_inner_nodes_cannot_be_seen_from_outside() -> None:
    """Names of an inner flow are its own, so both may use the same ones."""
    inner = Flow("inner").step(where, name="a")
    flow = Flow("outer").step(where, name="a").step(inner).returns([{"$ref": "a.result"}, {"$ref": "inner.result"}])
    assert await flow.run([]) == [["a"], ["a", "inner/a"]]
    with pytest.raises(FlowInvalid, match="its output refers to unknown node 'b'"):
        await Flow("outer").step(Flow("inner").step(where, name="b")).returns({"$ref": "b.result"}).run([])


class Remember(Node):
    """Counts in the state of its flow."""

    async def post(self, shared, prepared, result):
        shared.change("count", lambda value: value + 1, 0)


async def test_state_of_an_inner_flow_is_its_own() -> None:
    """Neither side sees the other's keys."""
    inner = Flow("inner").step(Remember).step(Remember, name="again").returns({"$ref": "state"})
    flow = Flow("outer").step(Remember).step(inner).returns([{"$ref": "state"}, {"$ref": "inner.result"}])
    assert await flow.run() == [{"count": 1}, {"count": 2}]


async def test_stop_flow_ends_the_innermost_flow_only() -> None:
    """The outer flow goes on with its output."""

    async def stop(value: object) -> None:
        raise StopFlow(["stopped"])

    inner = Flow("inner").step(stop).step(where, name="never")
    assert await Flow("outer").step(inner).step(where, name="after").run([]) == ["stopped", "after"]


async def test_a_fault_inside_an_inner_flow_is_found_before_anything_runs() -> None:
    """Binding the outer flow binds the inner ones."""
    ran: list[str] = []
    inner = Flow("inner").step(where, routes={"default": "nowhere"})
    flow = Flow("outer").step(lambda value: ran.append("ran"), name="first", blocking="inline").step(inner)
    with pytest.raises(FlowInvalid, match="Flow 'inner' is not valid: node 'where' routes 'default' to unknown node"):
        await flow.run([])
    assert ran == []


def test_a_flow_that_holds_itself_is_refused_with_a_reason() -> None:
    """Neither kind of run falls into a recursion without end."""
    flow = Flow("f")
    flow.step(lambda value: value, name="a").step(flow, name="inner")
    with pytest.raises(FlowInvalid, match="it holds itself as a node"):
        flow.run_sync(1)


async def test_max_steps_counts_for_each_flow() -> None:
    """An inner flow has a bound of its own; the error names it."""
    inner = Flow("inner", max_steps=3).step(where, routes={"default": "where"})
    with pytest.raises(BudgetExceeded, match="flow 'inner' at 'where'"):
        await Flow("outer").step(inner).run([])


async def test_a_flow_that_fails_is_told_with_its_error() -> None:
    """The inner one first."""
    seen: list[tuple[str, str, object]] = []

    def fail(value: object) -> object:
        raise ValueError("no")

    def listen(progress: Progress) -> None:
        if progress.name.startswith("flow.") and progress.name != "flow.started":
            seen.append((progress.name, progress.path, progress.fields["message"]))

    with pytest.raises(ValueError, match="no"):
        await Flow("outer").step(Flow("inner").step(fail)).run([], listener=listen)
    assert seen == [("flow.failed", "inner", "ValueError: no"), ("flow.failed", "", "ValueError: no")]


async def test_progress_of_inner_nodes_carries_their_paths() -> None:
    """Started and completed enclose what is inside."""
    seen: list[tuple[str, str]] = []

    def listen(progress: Progress) -> None:
        seen.append((progress.name, progress.path))

    await Flow("outer").step(Flow("inner").step(where, name="a")).run([], listener=listen)
    assert seen == [
        ("flow.started", ""),
        ("node.started", "inner"),
        ("flow.started", "inner"),
        ("node.started", "inner/a"),
        ("node.completed", "inner/a"),
        ("flow.completed", "inner"),
        ("node.completed", "inner"),
        ("flow.completed", ""),
    ]


class Calls:
    """A policy that notes what passes through it."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str]] = []

    def wrap(self, call):
        async def noted(request):
            self.seen.append((request.kind, request.name, request.path))
            return await call(request)

        return noted


async def test_policies_of_a_nested_flow_stand_round_it_as_a_whole() -> None:
    """Those of the outer flow stand round its own calls only, those of the inner flow round the inner calls."""
    outermost, whole, inside = Calls(), Calls(), Calls()
    inner = Flow("inner", policies=[inside]).step(where, name="a")
    flow = Flow("outer", policies=[outermost]).step(where, name="b").step(inner, policies=[whole])
    assert await flow.run([]) == ["b", "inner/a"]
    assert outermost.seen == [("call", "b", "b")]
    assert whole.seen == [("flow", "inner", "inner")]
    assert inside.seen == [("call", "a", "inner/a")]
