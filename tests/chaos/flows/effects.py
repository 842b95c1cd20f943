"""Effects: what must not happen twice, with each way to treat one that a crash has left without a word."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import anyio.lowlevel

from agentflow_kernel import Flow
from agentflow_kernel.contracts.plugin import PluginContext
from agentflow_kernel.errors import NotAllowed, OutcomeUnknown, PeerUnavailable
from agentflow_kernel.testing import FakeClock
from agentflow_resilience.retry import Retry, RetrySettings
from flows.case import Case, paths

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agentflow_kernel import Context
    from flows.case import World


CONTEXT = PluginContext("patient", clock=FakeClock(auto=True), random=Random(1))


def _charge(world: World, context: Context, below: str = "!charge") -> Callable[[int], Awaitable[str]]:
    async def charge(euros: int) -> str:
        world.effect(context, below)
        await anyio.lowlevel.checkpoint()
        return f"receipt for {euros}"

    return charge


def step_again(world: World) -> Flow:
    """A sub-step that is done again, with its key, when nobody knows."""

    async def node(value: int, context: Context) -> Any:
        return await context.step("charge", _charge(world, context), value, effect="effect", on_unknown="retry")

    return Flow("step_again").step(node)


def step_stuck(world: World) -> Flow:
    """A sub-step that parks the run when nobody knows."""

    async def node(value: int, context: Context) -> Any:
        return await context.step("charge", _charge(world, context), value, effect="effect")

    return Flow("step_stuck").step(node).step(world.noted(), name="after")


def step_unknown(world: World) -> Flow:
    """A sub-step whose node is told that nobody knows, and asks the receiver."""

    async def node(value: int, context: Context) -> Any:
        try:
            return await context.step("charge", _charge(world, context), value, effect="effect", on_unknown="fail")
        except OutcomeUnknown:
            return "asked the receiver"

    return Flow("step_unknown").step(node).step(world.noted(), name="after")


def step_refused(world: World) -> Flow:
    """A sub-step that says it was not executed takes its intent back, and the node does something else."""

    async def refuse(euros: int) -> str:
        raise NotAllowed("not so much", executed="no")

    async def node(value: int, context: Context) -> Any:
        try:
            await context.step("charge", refuse, value * 100, effect="effect")
        except NotAllowed:
            charge = _charge(world, context, "!charge@2")
            return await context.step("charge", charge, value, effect="effect", on_unknown="retry")

    return Flow("step_refused").step(node)


def node_stuck(world: World) -> Flow:
    """A node that is an effect parks the run when nobody knows."""
    flow = Flow("node_stuck").step(world.noted(), name="before")
    return flow.step(world.noted(), name="pay", effect="effect").step(world.noted(), name="after")


def node_again(world: World) -> Flow:
    """A node that is an effect and may be done again."""
    flow = Flow("node_again").step(world.noted(), name="pay", effect="effect", on_unknown="retry")
    return flow.step(world.noted(), name="after")


def node_unknown(world: World) -> Flow:
    """A node that is an effect and fails the run when nobody knows."""
    flow = Flow("node_unknown").step(world.noted(), name="pay", effect="effect", on_unknown="fail")
    return flow.step(world.noted(), name="after")


def pure(world: World) -> Flow:
    """Nodes that say that they have no effect."""
    flow = Flow("pure").step(world.noted(lambda value: value + 1), name="add", effect="pure")
    return flow.step(world.noted(lambda value: value * 2), name="double", effect="idempotent")


def retried(world: World) -> Flow:
    """A peer that is down twice in each process, under a policy that repeats."""
    tries = []

    async def node(value: int, context: Context) -> Any:
        world.effect(context)
        tries.append(context.attempt)
        if len(tries) < 3:
            raise PeerUnavailable("down", executed="no")
        return context.attempt == len(tries)

    return (
        Flow("retried")
        .step(node, policies=[Retry(RetrySettings(attempts=3, base_s=0), CONTEXT)])
        .step(world.noted(), name="after")
    )


STUCK = [("stuck", "AF-NON-DETERMINISM")]
CASES = (
    Case("step_again", step_again, 3, output="receipt for 3", effects=paths("node!charge")),
    Case(
        "step_stuck", step_stuck, 3, output="receipt for 3", effects=paths("node!charge after"), otherwise=STUCK,
    ),
    Case(
        "step_unknown", step_unknown, 3, output="receipt for 3", effects=paths("after"), perhaps=paths("node!charge"),
        otherwise=[("completed", "asked the receiver")],
    ),
    Case(
        "step_refused", step_refused, 3, output="receipt for 3", effects=paths("node!charge@2"), otherwise=STUCK,
    ),
    Case("node_stuck", node_stuck, 3, output=3, effects=paths("before pay after"), otherwise=STUCK),
    Case("node_again", node_again, 3, output=3, effects=paths("pay after")),
    Case(
        "node_unknown", node_unknown, 3, output=3, effects=paths("pay after"),
        otherwise=[("failed", "AF-OUTCOME-UNKNOWN")],
    ),
    Case("pure", pure, 3, output=8, effects=paths("add double")),
    Case("retried", retried, 3, output=True, effects=paths("node after"), retried=paths("node")),
)  # fmt: skip
