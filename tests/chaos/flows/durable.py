"""Durable calls: sub-steps, timers, waits for signals, patches and memory, in the middle of a node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio.lowlevel

from agentflow_kernel import Flow
from agentflow_kernel.errors import Elapsed
from flows.case import Case, Send, paths

if TYPE_CHECKING:
    from agentflow_kernel import Context
    from flows.case import World


def substeps(world: World) -> Flow:
    """Sub-steps in a node and in the items of a batch, two of them of one name."""

    async def node(value: int, context: Context) -> int:
        async def add(below: str, number: int) -> int:
            world.effect(context, below)
            await anyio.lowlevel.checkpoint()
            return number + 1

        value = await context.step("add", add, "!add", value)
        value = await context.step("add", add, "!add@2", value)
        return await context.step("plain", lambda number: number * 2, value)

    return Flow("substeps").step(node).step(node, name="each", each=[1, 2], concurrency=2)


def sleeping(world: World) -> Flow:
    """A short timer, a long one and a step behind them; another in a branch beside a branch that works."""

    async def node(value: int, context: Context) -> Any:
        await context.sleep(1)
        await context.sleep(40)
        world.effect(context)
        return value

    async def beside(value: int, context: Context) -> int:
        await context.sleep(20)
        return value

    return Flow("sleeping").step(node).parallel({"sleeps": beside, "works": world.noted()}, name="fork")


def waiting(world: World) -> Flow:
    """A signal that comes while the run waits for it, and a step on each side."""

    async def ask(value: Any, context: Context) -> Any:
        world.effect(context)
        return [value, await context.wait("go", {"type": "integer"})]

    return Flow("waiting").step(world.noted(), name="before").step(ask).step(world.noted(), name="after")


def early(world: World) -> Flow:
    """A signal that comes before its wait; one of the two that came does not fit and is left out, on record."""

    async def node(value: Any, context: Context) -> Any:
        first = await context.wait("go")
        return [first, await context.wait("early", {"type": "integer"})]

    return Flow("early").step(node).step(world.noted(), name="after")


def late(world: World) -> Flow:
    """A signal that comes after the end is refused."""
    return Flow("late").step(world.noted(), name="only")


def misfit(world: World) -> Flow:
    """A signal that does not fit an open wait is refused where it is sent; the next one fits."""

    async def node(value: Any, context: Context) -> Any:
        return await context.wait("form", {"type": "object", "required": ["ok"]})

    return Flow("misfit").step(node).step(world.noted(), name="after")


def elapsed(world: World) -> Flow:
    """A wait without a signal ends by its deadline, in every process alike."""

    async def node(value: Any, context: Context) -> Any:
        try:
            await context.wait("never", timeout_s=20)
        except Elapsed:
            return "elapsed"

    return Flow("elapsed").step(node).step(world.noted(), name="after")


def twins(world: World) -> Flow:
    """Two waits of one name in two branches: each signal is consumed by one of them."""

    async def branch(value: Any, context: Context) -> Any:
        return await context.wait("part")

    flow = Flow("twins").parallel({"a": branch, "b": branch}, name="fork")
    return flow.step(world.noted(lambda found: sorted(found.values())), name="after")


def patched(world: World) -> Flow:
    """A place in the code that asks which way to go, before and after a step."""

    async def node(value: int, context: Context) -> Any:
        before = context.patched("one")
        number = await context.step("add", lambda number: number + 1, value)
        return [before, number, context.patched("two")]

    return Flow("patched").step(node).step(world.noted(), name="last")


def drawing(world: World) -> Flow:
    """Numbers that are the same whenever the node is repeated."""

    async def node(value: int, context: Context) -> Any:
        first = [context.random(), context.uuid()]
        world.effect(context)
        kept = await context.step("keep", lambda drawn: drawn, first)
        return [kept == first, context.random() != first[0]]

    return Flow("drawing").step(node)


def remembering(world: World) -> Flow:
    """Writes to a memory: repeated ones neither count twice nor find themselves."""

    async def node(value: int, context: Context) -> Any:
        memory = context.memory("notes")
        before = await memory.put("last", value)
        world.effect(context)
        return None if before is None else before.value

    async def count(value: Any, context: Context) -> Any:
        entries = await context.memory("notes").list()
        return [value, [[entry.key, entry.value, entry.version] for entry in entries]]

    flow = Flow("remembering").step(node, name="first").step(node, name="second", input=7)
    return flow.step(count, name="count")


def large(world: World) -> Flow:
    """Values that are stored by reference: input, results, an event and a sub-step."""

    async def node(value: str, context: Context) -> str:
        return await context.step("grow", lambda text: text + "!", value)

    flow = Flow("large").step(world.noted(lambda value: value + "y"), name="a")
    flow.step(None, name="tell", emits="large.happened").step(node)
    return flow.step(world.noted(lambda value: [value[-2:], len(value)]), name="b")


GO = Send("wait.opened:go", "signal", "go", 5, "go-1")
CASES = (
    Case(
        "substeps", substeps, 1, output=[6, 8],
        effects=paths("node!add node!add@2 each[0]!add each[0]!add@2 each[1]!add each[1]!add@2"),
    ),
    Case("sleeping", sleeping, 1, timed=True, output={"sleeps": 1, "works": 1}, effects=paths("node fork/works")),
    Case("waiting", waiting, "x", output=["x", 5], effects=paths("before ask after"), sends=[GO]),
    Case(
        "early", early, 1, output=[5, 7], effects=paths("after"),
        sends=[
            Send("", "signal", "early", "no number", "bad"), Send("", "signal", "early", 7, "early-1"),
            Send("", "signal", "early", 8, "early-1"), GO,
        ],
    ),
    Case(
        "late", late, 1, output=1, effects=paths("only"),
        sends=[Send("ended", "signal", "go", 5, "late-1", refused="AF-RUN-ENDED")],
    ),
    Case(
        "misfit", misfit, 1, output={"ok": True}, effects=paths("after"),
        sends=[
            Send("wait.opened:form", "signal", "form", "no object", "bad", refused="AF-INPUT-INVALID"),
            Send("wait.opened:form", "signal", "form", {"ok": True}, "good"),
        ],
    ),
    Case("elapsed", elapsed, 1, timed=True, output="elapsed", effects=paths("after")),
    Case(
        "twins", twins, 1, output=["one", "two"], effects=paths("after"),
        sends=[
            Send("wait.opened:part", "signal", "part", "one", "part-1"),
            Send("wait.opened:part", "signal", "part", "two", "part-2"),
        ],
    ),
    Case("patched", patched, 1, output=[True, 2, True], effects=paths("last")),
    Case("drawing", drawing, 1, output=[True, True], effects=paths("node")),
    Case("remembering", remembering, 1, output=[1, [["last", 7, 2]]], effects=paths("first second")),
    Case(
        "large", large, "x" * 300_000, output=["y!", 300_002], effects=paths("a b"),
    ),
)  # fmt: skip
