"""Folded: runs whose history becomes a snapshot every few records, with all that a snapshot has to hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio.lowlevel

from agentflow_kernel import Flow, Node
from agentflow_kernel.errors import UsageError
from agentflow_kernel.run.history_limits import Limits
from flows.case import Case, Send, paths

if TYPE_CHECKING:
    from agentflow_kernel import Context
    from flows.case import World

FEW = Limits(snapshot_records=6)
SHORT = Limits(snapshot_records=6, compact=True)
"""What lies before each snapshot is deleted, too."""


class _Counts(Node):
    """Keeps the count in the state; has an effect on each visit."""

    def __init__(self, world: World, rounds: int) -> None:
        self.world = world
        self.rounds = rounds

    async def prep(self, shared, value):
        return shared.get("count", 0) + 1

    async def exec(self, prepared):
        await anyio.lowlevel.checkpoint()
        return prepared

    async def post(self, shared, prepared, result):
        shared.set("count", prepared)
        return "again" if prepared < self.rounds else "done"


def folded_loop(world: World) -> Flow:
    """A loop with state, a durable call and a timer in it; it is folded several times."""

    async def work(value: int, context: Context) -> int:
        if value % 2 == 0:
            await context.sleep(1)
        world.effect(context)
        return await context.step("double", lambda number: number * 2, value)

    flow = Flow("folded_loop", max_steps=100).step(_Counts(world, 5), name="count")
    flow.steps["count"].routes.update({"again": "work", "done": "after"})
    flow.add_step("work", work, {"routes": {"default": "count"}})
    flow.add_step("after", world.noted(), {})
    return flow.returns({"$ref": "state.count"})


def folded_waits(world: World) -> Flow:
    """A signal that came early, a patch, a fork and an event: all of it is still known behind the snapshots."""

    async def patched(value: Any, context: Context) -> Any:
        return [value, context.patched("one")]

    async def wait(value: Any, context: Context) -> Any:
        return [value, await context.wait("go"), await context.wait("early"), context.patched("two")]

    flow = Flow("folded_waits").step(patched).step(None, name="tell", emits="nobody.cares")
    for name in ("a", "b", "c"):
        flow.step(world.noted(), name=name, input=1)
    flow.parallel({"left": world.noted(), "right": world.noted()}, name="fork")
    flow.step(wait).step(world.noted(), name="after")
    return flow.returns([{"$ref": "patched.result"}, {"$ref": "after.result"}])


def folded_undone(world: World) -> Flow:
    """What a failure has to undo stays, however often the history is folded."""

    def fail(value: Any) -> None:
        raise UsageError("no")

    flow = Flow("folded_undone")
    for name in ("flight", "hotel", "car"):
        flow.step(world.noted(), name=name, compensate=world.noted(), input=1)
        flow.step(world.noted(), name=f"after_{name}", input=2)
    return flow.step(world.noted(fail), name="pay")


CASES = (
    Case(
        "folded_loop", folded_loop, 1, output=5, timed=True, limits=FEW,
        effects=paths("work work@2 work@3 work@4 after"),
    ),
    Case(
        "folded_waits", folded_waits, 1, output=[[1, True], [{"left": 1, "right": 1}, 5, 7, True]], limits=FEW,
        effects=paths("a b c fork/left fork/right after"),
        sends=[Send("", "signal", "early", 7, "early-1"), Send("wait.opened:go", "signal", "go", 5, "go-1")],
    ),
    Case(
        "folded_undone", folded_undone, 1, status="failed", code="AF-USAGE", limits=FEW,
        effects=paths(
            "flight after_flight hotel after_hotel car after_car pay",
            "flight!compensate hotel!compensate car!compensate",
        ),
    ),
)  # fmt: skip
