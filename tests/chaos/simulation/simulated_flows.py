"""Flows for simulations: together they write every type of record that the engine has, and note their effects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from agentflow_kernel import Context, Flow, Kernel, Node, Route
from agentflow_kernel.contracts.journal import INLINE_LIMIT_BYTES
from agentflow_kernel.errors import Elapsed, PeerUnavailable, StopFlow
from agentflow_kernel.flow import Parallel

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentflow_kernel.testing import World

    Build = Callable[[World], Flow]


def noting(world: World, function: Callable[[Any], Any] = lambda value: value) -> Callable[..., Any]:
    """A step that notes its effect and takes its time."""

    async def step(value: Any, context: Context) -> Any:
        world.ledger.note(context)
        await anyio.sleep(0.01)
        return function(value)

    return step


def linear(world: World) -> Flow:
    """Five steps: coroutines, a worker thread, a function on the spot."""

    def plain(value: int, context: Context) -> int:
        world.ledger.note(context)
        return value + 10

    flow = Flow("linear").step(noting(world, lambda value: value + 1), name="a").step(plain, name="b")
    flow.step(plain, name="c", blocking="inline").step(noting(world, str), name="d")
    return flow.step(noting(world, lambda text: text + "!"), name="e")


def loop(world: World) -> Flow:
    """Nodes that are visited several times, left by a route."""

    def decide(value: int) -> object:
        return Route("again", value - 1) if value else Route("done", "end")

    flow = Flow("loop").step(noting(world), name="look")
    flow.step(noting(world, decide), name="decide", routes={"again": "look", "done": "last"})
    return flow.step(noting(world), name="last")


def batch(world: World) -> Flow:
    """Items side by side, one of them collected as an error."""

    def halve(item: int) -> int:
        if item == 2:
            raise ValueError("two")
        return item // 2

    items = [1, 2, 3, 4, 5]
    flow = Flow("batch").step(noting(world, halve), name="halve", each=items, concurrency=3, on_item_error="collect")
    return flow.step(noting(world), name="all")


def fork(world: World) -> Flow:
    """Branches of which all must come in, one of them a flow with a batch."""
    inner = Flow("inner").step(noting(world), name="first").step(noting(world), name="many", each=[1, 2], concurrency=2)
    flow = Flow("fork").parallel({"left": noting(world), "right": inner, "third": noting(world)}, name="fork")
    return flow.step(noting(world), name="after")


def race(world: World) -> Flow:
    """A join of two out of three, whose winners are a decision on record; the flow's result does not tell who won."""
    branches = {name: noting(world) for name in ("one", "two", "three")}
    flow = Flow("race").step(Parallel(branches, join=2, rest="cancel"), name="race")
    return flow.step(noting(world, len), name="count")


class Adder(Node):
    """Keeps a sum in the state."""

    async def prep(self, shared, value):
        return value

    async def exec(self, prepared):
        return prepared

    async def post(self, shared, prepared, result):
        shared.change("sum", lambda value: value + prepared, 0)


def stateful(world: World) -> Flow:
    """State written in a row and in a batch, one item at a time."""
    flow = Flow("stateful").step(Adder(), name="one").step(Adder(), name="many", each=[1, 2, 3], concurrency=1)
    flow.step(noting(world), name="last")
    return flow.returns({"$ref": "state"})


def emitting(world: World) -> Flow:
    """Events of one step and of a batch."""
    flow = Flow("emitting").step(noting(world), name="a").step(None, name="tell", emits="one.happened")
    flow.step(None, name="tell_each", emits="many.happened", each=[1, 2], input={"n": {"$ref": "item"}})
    return flow.step(noting(world), name="b")


def large(world: World) -> Flow:
    """Values that are stored by reference."""
    text = "x" * (INLINE_LIMIT_BYTES + 1)
    return Flow("large").step(noting(world, lambda value: text), name="a").step(noting(world, len), name="b")


def substeps(world: World) -> Flow:
    """Durable calls in a node: a step, an effect that is tried again after it failed, a timer, chance, a patch."""

    async def node(value: int, context: Context) -> Any:
        failed: list[bool] = []

        async def charge(amount: int) -> int:
            if not failed:
                failed.append(True)
                raise PeerUnavailable("Not now.", executed="no")
            world.ledger.note(context, "charge")
            return amount

        before = await context.step("draw", lambda: round(context.random() * 100))
        try:
            await context.step("charge", charge, 1, effect="effect", on_unknown="retry")
        except PeerUnavailable:
            await context.sleep(5)
        charged = await context.step("charge2", charge, value, effect="effect", on_unknown="retry")
        await context.sleep(3600)
        return [before, charged, context.patched("later")]

    return Flow("substeps").step(node).step(noting(world), name="last")


def waiting(world: World) -> Flow:
    """Waits that elapse, one after another and side by side."""

    async def wait(value: Any, context: Context) -> Any:
        try:
            return await context.wait("never", timeout_s=60 + value)
        except Elapsed:
            world.ledger.note(context)
            return "elapsed"

    flow = Flow("waiting").step(wait, name="first", input=1)
    return flow.step(wait, name="many", each=[1, 2, 3], concurrency=3)


def stopping(world: World) -> Flow:
    """A nested flow that stops in its middle."""

    def stop(value: Any) -> None:
        raise StopFlow([value, "stopped"])

    inner = Flow("inner").step(noting(world), name="before").step(noting(world, stop), name="stop")
    return Flow("stopping").step(inner).step(noting(world), name="after")


def failing(world: World) -> Flow:
    """A step that fails for good."""

    def fail(value: Any) -> None:
        raise ValueError("no way")

    return Flow("failing").step(noting(world), name="a").step(noting(world, fail), name="b")


FLOWS: dict[str, Build] = {
    build.__name__: build
    for build in (
        linear, loop, batch, fork, race, stateful, emitting, large, substeps, waiting, stopping, failing,
    )
}  # fmt: skip


def signalled(world: World) -> Kernel:
    """A kernel with a flow that waits for two signals; one comes early and has to be left out first."""

    async def ask(value: Any, context: Context) -> Any:
        go = await context.wait("go")
        world.ledger.note(context)
        return [go, await context.wait("count", {"type": "integer"})]

    kernel = Kernel()
    kernel.add(Flow("signalled").step(ask).step(noting(world), name="last"))
    return kernel


async def send_signals(kernel: Kernel) -> object:
    """Start the flow, or find it, and send its signals; each has an id, so that sending them again does nothing."""
    handle = await kernel.start("flow/signalled", 1, key="one")
    if handle.status == "running":
        await handle.signal("count", "three", signal_id="s1")
        await handle.signal("count", 3, signal_id="s2")
        await handle.signal("go", True, signal_id="s3")
    return await handle.result()
