"""Shapes: the ways through a flow, straight on, by choice, round and round, side by side and nested."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from agentflow_kernel import END, Branch, Context, Flow, Goto, Node, Route
from agentflow_kernel.errors import StopFlow
from flows.case import Case, World, paths

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Step = Callable[[Any, Context], Awaitable[Any]]


def sequence(world: World) -> Flow:
    """Coroutines, a function in a thread and one on the spot, one after another."""

    def threaded(value: int, context: Context) -> int:
        world.effect(context)
        return value + 10

    flow = Flow("sequence").step(world.noted(lambda value: value + 1), name="a").step(threaded, name="b")
    return flow.step(threaded, name="c", blocking="inline").step(world.noted(str), name="d")


def conditions(world: World) -> Flow:
    """The first condition that holds decides, over the result and the input."""
    score = world.noted(lambda value: {"total": value["n"] * 10})
    when = [
        {"if": "result.total > 1000", "next": "big"},
        {"if": "result.total > input.limit", "next": "check"},
        {"next": "small"},
    ]
    flow = Flow("conditions").step(score, name="score", when=when)
    for name in ("big", "check", "small"):
        flow.aside(world.noted(lambda value, name=name: [name, value["total"]]), name=name, routes={"default": END})
    return flow


def routes(world: World) -> Flow:
    """A node chooses an action; two visits go round, then one leaves."""

    def decide(value: int) -> object:
        return Route("again", value - 1) if value else Route("done", "end")

    flow = (
        Flow("routes")
        .step(world.noted(), name="look")
        .step(world.noted(decide), name="decide", routes={"again": "look", "done": "last"})
    )
    return flow.step(world.noted(), name="last")


def loop(world: World) -> Flow:
    """A loop by a condition, within its bound."""
    when = [{"if": "result > 1", "next": "halve"}, {"next": END}]
    return Flow("loop").step(world.noted(lambda value: value // 2), name="halve", max_visits=9, when=when)


def loop_too_long(world: World) -> Flow:
    """A loop that goes beyond ``max_visits`` fails."""
    when = [{"if": "result > 1", "next": "halve"}, {"next": END}]
    return Flow("loop_too_long").step(world.noted(lambda value: value // 2), name="halve", max_visits=3, when=when)


def _forever(world: World) -> Step:
    """A branch that begins and never ends by itself."""

    async def branch(value: Any, context: Context) -> Any:
        world.effect(context)
        await anyio.sleep_forever()

    return branch


def _slow(world: World, turns: int) -> Step:
    """A branch that takes some turns of the event loop."""

    async def branch(value: Any, context: Context) -> Any:
        world.effect(context)
        for _ in range(turns):
            await anyio.lowlevel.checkpoint()
        return value * turns

    return branch


def _failing(world: World) -> Step:
    """A branch that fails after its effect."""

    async def branch(value: Any, context: Context) -> Any:
        world.effect(context)
        raise ValueError("no")

    return branch


def fork_all(world: World) -> Flow:
    """Three branches, one of them a flow of its own, all awaited."""
    inner = Flow("inner").step(world.noted(), name="one").step(world.noted(lambda value: value * 2), name="two")
    return Flow("fork_all").parallel({"a": world.noted(), "b": _slow(world, 3), "c": inner}, name="fork")


def fork_any(world: World) -> Flow:
    """The first that completes wins; the others are cancelled."""
    branches = {"never": _forever(world), "quick": world.noted(), "no": _failing(world)}
    flow = Flow("fork_any").parallel(branches, name="fork", join="any")
    return flow.step(world.noted(), name="after")


def fork_any_wait(world: World) -> Flow:
    """The first wins; the other is awaited, and its result ignored."""
    flow = Flow("fork_any_wait").parallel(
        {"slow": _slow(world, 40), "quick": world.noted()}, name="fork", join="any", rest="wait", concurrency=2
    )
    return flow.step(world.noted(sorted), name="after")


def fork_some(world: World) -> Flow:
    """Two of four are enough: one fails, one never ends."""
    branches = {"a": world.noted(), "b": _failing(world), "c": _slow(world, 2), "d": _forever(world)}
    return Flow("fork_some").parallel(branches, name="fork", join={"n_of_m": 2})


def fork_or(world: World) -> Flow:
    """Only the branches whose conditions hold are started, and all of them awaited."""
    branches = {
        "small": Branch(world.noted(), only_if="value < 3"),
        "odd": Branch(world.noted(lambda value: value + 100), only_if="value > 4"),
        "always": world.noted(),
    }
    return Flow("fork_or").parallel(branches, name="fork", join="or")


class _Writer(Node):
    """Writes to the keys that have reducers, and to one that has none."""

    def __init__(self, world: World, number: int) -> None:
        self.world = world
        self.number = number

    async def post(self, shared, prepared, result):
        shared.set("seen", self.number)
        shared.set("sum", self.number)
        shared.set("largest", self.number)
        shared.set("fields", {str(self.number): True})
        shared.set("last", self.number)
        shared.set(f"own_{self.number}", prepared)


def fork_state(world: World) -> Flow:
    """Branches write to one state; the reducers join what they wrote, in the declared order."""
    reducers = {"seen": "append", "sum": "add", "largest": "max", "fields": "merge", "last": "last"}
    branches = {"a": _Writer(world, 1), "b": _Writer(world, 9), "c": _Writer(world, 3)}
    flow = Flow("fork_state", reducers=reducers).parallel(branches, name="fork")
    return flow.step(world.noted(), name="after").returns({"$ref": "state"})


def fork_failing(world: World) -> Flow:
    """A failed branch cancels the others, and the run fails."""
    return Flow("fork_failing").parallel({"never": _forever(world), "no": _failing(world)}, name="fork")


def fan_out(world: World) -> Flow:
    """A node decides at run time how many branches there are, and where each goes."""

    def plan(topic: str) -> list[Goto]:
        return [Goto("search", f"{topic} {place}") for place in ("here", "there")] + [Goto("count", topic)]

    flow = Flow("fan_out").step(world.noted(plan), name="plan", fan_out=["search", "count"])
    flow.aside(world.noted(str.upper), name="search").aside(world.noted(len), name="count")
    return flow.step(world.noted(lambda found: ["report", *found]), name="report")


def nested(world: World) -> Flow:
    """A flow in a flow in a flow."""
    innermost = Flow("innermost").step(world.noted(lambda value: value * 2), name="twice")
    inner = Flow("inner").step(world.noted(), name="first").step(innermost)
    return Flow("nested").step(inner).step(world.noted(lambda value: value + 1), name="after")


def nested_batch(world: World) -> Flow:
    """A batch of flows."""
    inner = Flow("inner").step(world.noted(), name="first").step(world.noted(lambda value: value * 2), name="twice")
    flow = Flow("nested_batch").step(inner, each={"$ref": "input"}, concurrency=2)
    return flow.step(world.noted(sum), name="total")


def stopped(world: World) -> Flow:
    """A nested flow that a node stops in its middle, and the outer one that goes on."""

    def stop(value: int) -> None:
        raise StopFlow(value * 100)

    inner = Flow("inner").step(world.noted(), name="before").step(world.noted(stop), name="stop")
    return Flow("stopped").step(inner).step(world.noted(), name="after")


class _Counter(Node):
    """Three phases: reads the state, has its effect, writes the state and chooses."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def prep(self, shared, value):
        return [value, shared.get("count", 0)]

    async def exec(self, prepared):
        await anyio.lowlevel.checkpoint()
        return sum(prepared)

    async def post(self, shared, prepared, result):
        shared.change("count", lambda count: count + 1, 0)
        if prepared[1] == 1:
            shared.set("half", result)
        return "again" if prepared[1] < 2 else "done"


def phases(world: World) -> Flow:
    """A node class that goes round by its own choice and counts in the state."""
    flow = Flow("phases").step(_Counter(world), name="count", routes={"again": "count", "done": "tell"}, max_visits=5)
    return flow.step(world.noted(), name="tell").returns([{"$ref": "tell.result"}, {"$ref": "state"}])


STATE = {
    "seen": [1, 9, 3], "sum": 13, "largest": 9, "fields": {"1": True, "9": True, "3": True}, "last": 3,
    "own_1": 2, "own_9": 2, "own_3": 2,
}  # fmt: skip
CASES = (
    Case("sequence", sequence, 1, output="22", effects=paths("a b c d")),
    Case("conditions", conditions, {"n": 7, "limit": 50}, output=["check", 70], effects=paths("score check")),
    Case("routes", routes, 2, output="end", effects=paths("look decide look@2 decide@2 look@3 decide@3 last")),
    Case("loop", loop, 20, output=1, effects=paths("halve halve@2 halve@3 halve@4")),
    Case(
        "loop_too_long", loop_too_long, 99, status="failed", code="AF-BUDGET",
        effects=paths("halve halve@2 halve@3"),
    ),
    Case(
        "fork_all", fork_all, 2, output={"a": 2, "b": 6, "c": 4},
        effects=paths("fork/a fork/b fork/c/one fork/c/two"),
    ),
    Case(
        "fork_any", fork_any, 5, output={"quick": 5}, effects=paths("fork/quick after"),
        perhaps=paths("fork/never fork/no"),
    ),
    Case(
        "fork_any_wait", fork_any_wait, 5, output=["quick"], effects=paths("fork/quick after"),
        perhaps=paths("fork/slow"),
    ),
    Case(
        "fork_some", fork_some, 4, output={"a": 4, "c": 8}, effects=paths("fork/a fork/c"),
        perhaps=paths("fork/b fork/d"),
    ),
    Case("fork_or", fork_or, 5, output={"odd": 105, "always": 5}, effects=paths("fork/odd fork/always")),
    Case("fork_state", fork_state, 2, output=STATE, effects=paths("after")),
    Case(
        "fork_failing", fork_failing, 1, status="failed", code="AF-NODE-FAILED", effects=paths("fork/no"),
        perhaps=paths("fork/never"),
    ),
    Case(
        "fan_out", fan_out, "cats", output=["report", "CATS HERE", "CATS THERE", 4],
        effects=paths("plan plan[0] plan[1] plan[2] report"),
    ),
    Case("nested", nested, 4, output=9, effects=paths("inner/first inner/innermost/twice after")),
    Case(
        "nested_batch", nested_batch, [1, 2, 3], output=12,
        effects=paths(
            "inner[0]/first inner[1]/first inner[2]/first inner[0]/twice inner[1]/twice inner[2]/twice total"
        ),
    ),
    Case("stopped", stopped, 2, output=200, effects=paths("inner/before inner/stop after")),
    Case("phases", phases, 10, output=[13, {"count": 3, "half": 11}], effects=paths("tell")),
)  # fmt: skip
