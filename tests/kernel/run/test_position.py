"""Where a run stands in the picture of its flow, from its journal alone."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import anyio
import pytest

from agentflow_kernel import END, Flow, Kernel, Route
from agentflow_kernel.errors import RunError
from agentflow_kernel.flow.picture import picture_of
from agentflow_kernel.run.position import marks_of
from agentflow_kernel.testing import InProcessJournal

pytestmark = pytest.mark.anyio


async def same(value: Any) -> Any:
    """Hands on."""
    return value


async def fail(value: Any) -> Any:
    raise ValueError("no")


async def marks(flow: Flow, reached: anyio.Event | None = None) -> dict[str, str]:
    """The marks once the run has ended, or once it has ``reached`` the place to look from."""
    journal = InProcessJournal()
    async with Kernel(journal=journal) as kernel:
        handle = await kernel.start(flow, 1)
        if reached is None:
            with suppress(RunError):
                await handle.result()
        else:
            await reached.wait()
        return marks_of(await journal.read(handle.run_id), picture_of(flow))


async def test_a_completed_run_has_visited_what_it_came_through() -> None:
    """And nothing else."""

    async def choose(value: int) -> Route:
        return Route("left", value)

    flow = Flow("f").step(choose, routes={"left": "a", "right": "b"})
    flow.add_step("a", same, {"routes": {"default": END}})
    flow.add_step("b", same, {})
    assert await marks(flow) == {"(start)": "visited", "choose": "visited", "a": "visited", "(end)": "visited"}


async def test_a_failed_run_shows_where_and_in_what() -> None:
    """The node, and the flow round it."""
    inner = Flow("inner").step(same, name="ok").step(fail, name="bad")
    assert await marks(Flow("f").step(same, name="first").step(inner)) == {
        "(start)": "visited",
        "first": "visited",
        "inner/ok": "visited",
        "inner": "failed",
        "inner/bad": "failed",
    }


async def test_a_live_run_shows_what_is_at_work() -> None:
    """In loops, forks and batches: what was begun, and what follows on what was completed last."""
    reached = anyio.Event()

    async def stay(value: Any) -> Any:
        reached.set()
        await anyio.sleep_forever()

    async def late(value: Any) -> Any:
        for _ in range(20):
            await anyio.lowlevel.checkpoint()
        return await stay(value)

    flow = Flow("f").step(same, name="first").step(stay, name="here").step(same, name="after")
    assert await marks(flow, reached) == {"(start)": "visited", "first": "visited", "here": "working"}
    reached = anyio.Event()
    assert await marks(Flow("f").step(stay, name="only"), reached) == {"(start)": "visited", "only": "working"}
    reached = anyio.Event()
    flow = Flow("f").step(same, name="first").parallel({"x": same, "y": late}, name="fork").step(same, name="after")
    assert await marks(flow, reached) == {
        "(start)": "visited",
        "first": "visited",
        "fork/x": "visited",
        "fork": "working",
    }


async def test_a_waiting_run_shows_what_waits() -> None:
    """A node that waits for a signal."""

    async def asks(value: Any, context: Any) -> Any:
        return await context.wait("answer")

    journal = InProcessJournal()
    async with Kernel(journal=journal) as kernel:
        flow = Flow("f").step(asks, name="asks").step(same, name="after")
        handle = await kernel.start(flow, 1)
        while not any(record.type == "wait.opened" for record in await journal.read(handle.run_id)):
            await anyio.lowlevel.checkpoint()
        found = marks_of(await journal.read(handle.run_id), picture_of(flow))
    assert found == {"(start)": "visited", "asks": "waiting"}
