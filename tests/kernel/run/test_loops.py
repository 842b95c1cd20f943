"""Loops end: by a route, or by a limit whose error tells the last visits."""

from __future__ import annotations

import pytest
from engine_kit import DurableJournal

from agentflow_kernel import Flow, Kernel
from agentflow_kernel.errors import BudgetExceeded, FlowInvalid, RunFailed

pytestmark = pytest.mark.anyio


async def more(value: int) -> int:
    return value + 1


def looping(limit: int | None = None, **options: int) -> Flow:
    """Two nodes round and round until the number is a hundred."""
    flow = Flow("f", **options).step(more, name="a")
    return flow.step(more, name="b", max_visits=limit, when=[{"if": "result < 100", "next": "a"}, {"next": None}])


async def test_a_loop_within_its_limit_ends_by_itself() -> None:
    """A limit is no exit."""
    assert await looping().run(0) == 100
    assert await looping(50).run(0) == 100


async def test_max_visits_stops_before_the_visit_that_is_too_many() -> None:
    """With the last visits, and the same in a journalled run."""
    told = "Budget \"max_visits of 'b'\" of 3 is used up: flow 'f' at 'b'; the last visits: a → b → a → b → a → b → a"
    with pytest.raises(BudgetExceeded) as caught:
        await looping(3).run(0)
    assert (str(caught.value), caught.value.executed) == (told, "no")
    async with Kernel(journal=DurableJournal()) as kernel:
        with pytest.raises(RunFailed, match="the last visits: a → b → a → b → a → b → a") as failed:
            await kernel.run(looping(3), 0)
    assert failed.value.code == "AF-BUDGET"


async def test_a_node_that_fails_to_route_on_its_last_visit_is_told_that() -> None:
    """The limit is no excuse for another fault."""
    with pytest.raises(FlowInvalid, match="node 'more' chose action 'default', which is not routed"):
        await Flow("f").step(more, max_visits=1, routes={"on": "end"}).run(1)


async def test_max_steps_tells_the_last_visits_too() -> None:
    """At most ten."""
    with pytest.raises(BudgetExceeded) as caught:
        await looping(max_steps=25).run(0)
    assert caught.value.budget == "max_steps"
    assert caught.value.trace.endswith("the last visits: " + " → ".join("bababababa"))
    with pytest.raises(BudgetExceeded, match=r"the last visits: a → b → a$"):
        await looping(max_steps=3).run(0)


def test_a_loop_without_exit_is_found_unless_it_has_a_limit() -> None:
    """Once for each circle, also where others lead into it."""

    def circle(limit: int | None = None, **options: int) -> Flow:
        flow = Flow("f", **options).step(more, name="in").step(more, name="a").step(more, name="b", max_visits=limit)
        flow.steps["b"].routes["default"] = "a"
        return flow

    with pytest.raises(FlowInvalid) as caught:
        circle().check()
    text = "nodes 'a', 'b' form a loop without exit; route out of it, or give max_visits or max_steps [F013]"
    assert caught.value.findings == (text,)
    circle(5).check()
    circle(max_steps=100).check()
