"""Sagas: completed steps that are undone when their run fails or is cancelled, the latest first, each once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentflow_kernel import Flow
from agentflow_kernel.errors import UsageError
from agentflow_kernel.flow.step import Compensation
from flows.case import Case, Send, paths

if TYPE_CHECKING:
    from flows.case import World


def _fail(value: Any) -> None:
    raise UsageError("no")


def undone(world: World) -> Flow:
    """The last of three steps fails: the two before it are undone, one with an input made by a template."""
    flow = Flow("undone").step(world.noted(), name="flight", compensate=world.noted())
    undo = Compensation(world.noted(), input={"$ref": "item.result"})
    return flow.step(world.noted(), name="hotel", compensate=undo).step(world.noted(_fail), name="pay")


def undone_cancelled(world: World) -> Flow:
    """Cancelled in the middle of a wait."""
    flow = Flow("undone_cancelled").step(world.noted(), name="flight", compensate=world.noted())
    return flow.step(world.noted(), name="hotel", compensate=world.noted()).wait("go", name="wait")


def undone_nested(world: World) -> Flow:
    """Steps of a nested flow, of one that has a compensation of its own, of items, visits and branches."""
    inner = Flow("inner").step(world.noted(), name="one", compensate=world.noted())
    inner.step(world.noted(), name="two", compensate=world.noted())
    whole = Flow("whole").step(world.noted(), name="part", compensate=world.noted())
    flow = Flow("undone_nested").step(inner).step(whole, compensate=world.noted())
    flow.step(world.noted(), name="each", each=[1, 2], concurrency=1, compensate=world.noted())
    return flow.step(world.noted(_fail), name="pay")


def undoing_fails(world: World) -> Flow:
    """A compensation that fails is reported, and keeps no other from being called."""
    flow = Flow("undoing_fails").step(world.noted(), name="flight", compensate=world.noted())
    flow.step(world.noted(), name="hotel", compensate=world.noted(_fail))
    return flow.step(world.noted(_fail), name="pay")


def undoing_too_long(world: World) -> Flow:
    """Compensations that are not done in time are reported, and the run ends."""

    async def forever(value: Any, context: Any) -> None:
        await context.wait("never")

    flow = Flow("undoing_too_long").step(world.noted(), name="flight", compensate=world.noted())
    flow.step(world.noted(), name="hotel", compensate=forever).step(world.noted(_fail), name="pay")
    return flow.limited(compensation_s=20)


def nothing_undone(world: World) -> Flow:
    """A run that is completed undoes nothing."""
    flow = Flow("nothing_undone").step(world.noted(), name="flight", compensate=world.noted())
    return flow.step(world.noted(), name="pay")


CASES = (
    Case(
        "undone", undone, 1, status="failed", code="AF-USAGE",
        effects=paths("flight hotel pay flight!compensate hotel!compensate"),
    ),
    Case(
        "undone_cancelled", undone_cancelled, 1, status="cancelled", code="AF-RUN-CANCELLED",
        effects=paths("flight hotel flight!compensate hotel!compensate"), sends=[Send("wait.opened:go", "cancel")],
    ),
    Case(
        "undone_nested", undone_nested, 1, status="failed", code="AF-USAGE",
        effects=paths(
            "inner/one inner/two whole/part each[0] each[1] pay inner/one!compensate inner/two!compensate",
            "whole!compensate each[0]!compensate each[1]!compensate",
        ),
    ),
    Case(
        "undoing_fails", undoing_fails, 1, status="failed", code="AF-USAGE",
        effects=paths("flight hotel pay flight!compensate hotel!compensate"),
    ),
    Case(
        "undoing_too_long", undoing_too_long, 1, timed=True, status="failed", code="AF-USAGE",
        effects=paths("flight hotel pay"),
        perhaps=paths("flight!compensate"),
    ),
    Case("nothing_undone", nothing_undone, 1, output=1, effects=paths("flight pay")),
)  # fmt: skip
