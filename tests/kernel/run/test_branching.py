"""Branches are chosen by actions; an action that leads nowhere is an error, never a quiet end."""

from __future__ import annotations

import pytest

from agentflow_kernel import END, Flow, Route
from agentflow_kernel.errors import FlowInvalid

pytestmark = pytest.mark.anyio


async def sort_out(value: int) -> object:
    """Chooses by the size of a number."""
    if value < 0:
        return Route("negative", -value)
    if value == 0:
        return Route("stop", "zero")
    return value


def sorter(choose: object = sort_out) -> Flow:
    """A flow that branches by the sign of its input."""
    return (
        Flow("sorter")
        .step(choose, name="choose", routes={"negative": "mirror", "stop": END, "default": "plain"})
        .step(lambda value: ["mirrored", value], name="mirror", blocking="inline", routes={"default": END})
        .step(lambda value: ["plain", value], name="plain", blocking="inline", routes={"default": END})
    )


@pytest.mark.parametrize(("value", "output"), [(-3, ["mirrored", 3]), (4, ["plain", 4]), (0, "zero")])
async def test_the_action_chooses_the_branch_and_carries_the_value(value: int, output: object) -> None:
    """``Route(action, value)`` goes where its action leads; a bare value takes the default."""
    assert await sorter().run(value) == output


async def test_a_route_to_the_end_ends_the_flow_with_its_value() -> None:
    """``END`` in the routes is the end."""
    assert await sorter().run(0) == "zero"


async def test_an_unknown_action_names_flow_node_and_nearest_route() -> None:
    """PocketFlow would end the flow here with a warning."""

    async def misspell(value: object) -> Route:
        return Route("negativ", value)

    with pytest.raises(FlowInvalid, match=r"'sorter'.* node 'choose' chose action 'negativ'.*did you mean 'negative'"):
        await sorter(misspell).run(1)


async def test_a_node_that_must_route_but_did_not_fails() -> None:
    """Where no route stands for the default action, a bare value is a mistake."""
    flow = Flow("f").step(sort_out, routes={"negative": "other"}).step(lambda value: value, name="other")
    with pytest.raises(FlowInvalid, match="node 'sort_out' chose action 'default', which is not routed"):
        await flow.run(1)


async def test_a_step_with_routes_is_not_linked_to_the_next_one() -> None:
    """Only a step without routes of its own is followed by the step after it."""
    flow = Flow("f").step(sort_out, routes={"default": END, "negative": END, "stop": END})
    flow.step(lambda value: "never", name="next")
    with pytest.raises(FlowInvalid, match="node 'next' is not reachable from 'sort_out'"):
        await flow.run(1)


async def test_a_loop_visits_a_node_again_with_the_new_value() -> None:
    """Routes may lead back."""

    async def countdown(value: int) -> object:
        return Route("again", value - 1) if value else "lift off"

    flow = Flow("f").step(countdown, routes={"again": "countdown", "default": END})
    assert await flow.run(5) == "lift off"


async def test_references_see_the_latest_result_of_a_node() -> None:
    """In a loop a node's result is that of its last visit."""

    async def grow(value: int) -> object:
        return Route("again", value + 1) if value < 3 else Route("done", value)

    flow = Flow("f").step(grow, routes={"again": "grow", "done": "show"})
    flow.step(lambda value: value, name="show", input={"last": {"$ref": "grow.result"}}, blocking="inline")
    assert await flow.run(0) == {"last": 3}


async def test_the_default_action_may_be_chosen_by_name() -> None:
    """``Route("default", value)`` is the same as the value."""

    async def by_name(value: int) -> Route:
        return Route("default", value)

    assert await Flow("f").step(by_name).step(lambda value: value + 1, name="next", blocking="inline").run(1) == 2


@pytest.mark.parametrize("value", [-3, 4, 0])
async def test_branches_are_the_same_quiet_listened_to_and_without_a_loop(value: int) -> None:
    """The short way through the engine decides like the long one."""

    def choose(number: int) -> object:
        return Route("negative", -number) if number < 0 else (number or Route("stop", "zero"))

    flow = sorter(choose)
    quiet = await flow.run(value)
    assert await flow.run(value, listener=lambda progress: None) == quiet
    assert flow.run_sync(value) == quiet


async def test_start_may_name_another_node_than_the_first() -> None:
    """Steps before it are reached by routes only."""
    flow = Flow("f", start="two")
    flow.add_step("one", lambda value: value + 1, {"routes": {"default": END}, "blocking": "inline"})
    flow.add_step("two", lambda value: value * 10, {"routes": {"default": "one"}, "blocking": "inline"})
    assert await flow.run(1) == 11
