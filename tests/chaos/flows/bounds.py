"""Bounds: what happens when time is over, an action is unknown, an ``exec`` or several branches fail; waves; ways."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel

from agentflow_kernel import Flow, Node, Route
from agentflow_kernel.errors import UsageError
from flows.case import Case, paths

if TYPE_CHECKING:
    from agentflow_kernel import Context
    from flows.case import World

DAYS_S = 1e7
"""More than disks that are slow and clocks that jump can come to."""


def _hanging(world: World) -> Any:
    async def hang(value: Any, context: Context) -> None:
        world.effect(context)
        await anyio.sleep_forever()

    return hang


def late_node(world: World) -> Flow:
    """A node that takes too long fails its run; the effect in its middle stays."""
    return Flow("late_node").step(world.noted(), name="before").step(_hanging(world), name="hang", timeout_s=20)


def late_items(world: World) -> Flow:
    """One item that takes too long leaves its error in its place."""

    async def work(value: int, context: Context) -> int:
        world.effect(context)
        if value == 2:
            await anyio.sleep_forever()
        return value

    flow = Flow("late_items").step(work, each={"$ref": "input"}, timeout_s=20, on_item_error="collect")
    return flow.step(world.noted(lambda found: [each if each in (1, 3) else each["error"]["code"] for each in found]),
                     name="show")  # fmt: skip


def late_flow(world: World) -> Flow:
    """A nested flow that takes too long; its deadline is on record, and no restart moves it."""
    inner = Flow("inner").step(world.noted(), name="one").wait("never", name="wait").limited(timeout_s=20)
    return Flow("late_flow").step(world.noted(), name="before").step(inner)


def late_run(world: World) -> Flow:
    """A whole run that takes too long is undone."""
    flow = Flow("late_run").step(world.noted(), name="before", compensate=world.noted()).wait("never", name="wait")
    return flow.limited(timeout_s=20)


def in_time(world: World) -> Flow:
    """Limits that are kept change nothing."""
    inner = Flow("inner").step(world.noted(), name="one", timeout_s=DAYS_S).limited(timeout_s=DAYS_S)
    return Flow("in_time").step(inner).step(world.noted(), name="after").limited(timeout_s=DAYS_S)


def unknown_action(world: World) -> Flow:
    """An action that leads nowhere ends the flow, where that is asked for."""
    flow = Flow("unknown_action")
    flow.step(world.noted(lambda value: Route("other", value)), name="choose", routes={"ok": "never"})
    return flow.aside(world.noted(), name="never").limited(on_unknown_action="end")


class _Unlucky(Node):
    def __init__(self, world: World) -> None:
        self.world = world

    async def exec(self, prepared):
        await anyio.lowlevel.checkpoint()
        raise ValueError("no")

    async def exec_fallback(self, prepared, error):
        return [type(error).__name__, prepared]


def fallback(world: World) -> Flow:
    """A result in place of an ``exec`` that failed."""
    return Flow("fallback").step(_Unlucky(world), name="try").step(world.noted(), name="after")


def several_errors(world: World) -> Flow:
    """Branches that fail together: the run ends with the code of the first, and names all."""

    def failing(text: str) -> Any:
        async def fail(value: Any, context: Context) -> None:
            world.effect(context)
            await anyio.lowlevel.checkpoint()
            raise UsageError(text)

        return fail

    return Flow("several_errors").parallel({"a": failing("one"), "b": failing("two")}, name="fork")


def waves(world: World) -> Flow:
    """Two items at a time, the next two when both are done."""
    flow = Flow("waves").step(
        world.noted(lambda value: value * 2), name="double", each={"$ref": "input"}, concurrency=2, batch_mode="waves"
    )
    return flow.step(world.noted(sum), name="all")


def several_ways(world: World) -> Flow:
    """A node chooses two of three ways, one of two nodes; they come together where it says."""
    flow = Flow("several_ways")
    routes = {"urgent": "page", "spam": "mark", "plain": "reply"}
    choose = world.noted(lambda value: Route(["urgent", "spam"], value))
    flow.add_step("sort", choose, {"routes": routes, "join": "reply"})
    flow.add_step("page", world.noted(lambda value: value + 1), {"routes": {"default": "call"}})
    flow.add_step("call", world.noted(lambda value: value * 10), {"routes": {"default": "reply"}})
    flow.add_step("mark", world.noted(), {"routes": {"default": "reply"}})
    flow.add_step("reply", world.noted(), {})
    return flow


CASES = (
    Case(
        "late_node", late_node, 1, timed=True, status="failed", code="AF-FLOW-ELAPSED",
        effects=paths("before hang"),
    ),
    Case(
        "late_items", late_items, [1, 2, 3], timed=True, output=[1, "AF-FLOW-ELAPSED", 3],
        effects=paths("work[0] work[1] work[2] show"),
    ),
    Case(
        "late_flow", late_flow, 1, timed=True, status="failed", code="AF-FLOW-ELAPSED",
        effects=paths("before inner/one"),
    ),
    Case(
        "late_run", late_run, 1, timed=True, status="failed", code="AF-FLOW-ELAPSED",
        effects=paths("before before!compensate"),
    ),
    Case("in_time", in_time, 1, output=1, effects=paths("inner/one after")),
    Case("unknown_action", unknown_action, 1, output=1, effects=paths("choose")),
    Case("fallback", fallback, 1, output=["ValueError", 1], effects=paths("after")),
    Case(
        "several_errors", several_errors, 1, status="failed", code="AF-USAGE", effects=paths("fork/a fork/b"),
    ),
    Case("waves", waves, [1, 2, 3], output=12, effects=paths("double[0] double[1] double[2] all")),
    Case(
        "several_ways", several_ways, 1, output={"urgent": 20, "spam": 1},
        effects=paths("sort sort/urgent/page sort/urgent/call sort/spam/mark reply"),
    ),
)  # fmt: skip
