"""Ends: runs that are cancelled, suspended and taken up again, and runs that fail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentflow_kernel import Flow
from flows.case import Case, Send, paths

if TYPE_CHECKING:
    from agentflow_kernel import Context
    from flows.case import World


def _waits(world: World, name: str) -> Flow:
    """A step, then a wait in a branch beside one that has done its work, then a step."""

    async def wait(value: Any, context: Context) -> Any:
        return await context.wait("go")

    flow = Flow(name).step(world.noted(), name="before")
    flow.parallel({"waits": wait, "works": world.noted()}, name="fork")
    return flow.step(world.noted(), name="after")


def cancelled(world: World) -> Flow:
    """Cancelled by its handle in the middle of a wait."""
    return _waits(world, "cancelled")


def cancelled_outside(world: World) -> Flow:
    """Cancelled through its inbox by another process."""
    return _waits(world, "cancelled_outside")


def suspended(world: World) -> Flow:
    """Suspended in the middle of a wait, and taken up again; then the signal comes."""
    return _waits(world, "suspended")


def failed(world: World) -> Flow:
    """An error that is no error of the framework."""

    def fail(value: int) -> None:
        raise KeyError("gone")

    return Flow("failed").step(world.noted(), name="before").step(world.noted(fail), name="fail")


def shown(world: World) -> Flow:
    """An output made by a template, from state and results."""
    flow = Flow("shown").step(world.noted(lambda value: {"n": value}), name="one").step(world.noted(), name="two")
    return flow.returns({"n": {"$ref": "one.result.n"}, "in": {"$ref": "input"}}).shows({"$ref": "one.result.n"})


GO = Send("wait.opened:go", "signal", "go", 5, "go-1")
CASES = (
    Case(
        "cancelled", cancelled, 1, status="cancelled", code="AF-RUN-CANCELLED", effects=paths("before"),
        perhaps=paths("fork/works"), sends=[Send("wait.opened:go", "cancel")],
    ),
    Case(
        "cancelled_outside", cancelled_outside, 1, status="cancelled", code="AF-RUN-CANCELLED", effects=paths("before"),
        perhaps=paths("fork/works"), sends=[Send("wait.opened:go", "inbox_cancel")],
    ),
    Case(
        "suspended", suspended, 1, output={"waits": 5, "works": 1}, effects=paths("before fork/works after"),
        sends=[Send("wait.opened:go", "suspend"), GO], resumes=1,
    ),
    Case("failed", failed, 1, status="failed", code="AF-NODE-FAILED", effects=paths("before fail")),
    Case("shown", shown, 3, output={"n": 3, "in": 3}, effects=paths("one two")),
)  # fmt: skip
