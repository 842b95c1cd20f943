"""The flows that are killed at every durable operation: each shape of step, built anew for each process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio.lowlevel
from planner_kit import make_agent

from agentflow_kernel import Context, Flow, Node, Route
from agentflow_kernel.contracts.journal import INLINE_LIMIT_BYTES
from agentflow_kernel.errors import StopFlow, UsageError
from agentflow_kernel.testing import FunctionToolset

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine_kit import Effects

    Build = Callable[[Effects], tuple[Flow, Any]]


def noted(effects: Effects, function: Callable[[Any], Any] = lambda value: value) -> Callable[[Any, Context], Any]:
    """A step that leaves its path in the ledger of effects."""

    async def step(value: Any, context: Context) -> Any:
        effects.note(context.path)
        await anyio.lowlevel.checkpoint()
        return function(value)

    return step


def linear(effects: Effects) -> tuple[Flow, Any]:
    """Coroutines, a function in a thread and one on the spot, one after another."""

    def threaded(value: int, context: Context) -> int:
        effects.note(context.path)
        return value + 10

    flow = Flow("linear").step(noted(effects, lambda value: value + 1), name="a").step(threaded, name="b")
    return flow.step(threaded, name="c", blocking="inline").step(noted(effects, str), name="d"), 1


def branching(effects: Effects) -> tuple[Flow, Any]:
    """A loop that visits its nodes several times and leaves by a route."""

    def decide(value: int) -> object:
        return Route("again", value - 1) if value else Route("done", "end")

    flow = (
        Flow("branching")
        .step(noted(effects), name="look")
        .step(noted(effects, decide), name="decide", routes={"again": "look", "done": "last"})
    )
    return flow.step(noted(effects), name="last"), 3


def batch(effects: Effects) -> tuple[Flow, Any]:
    """Chunks side by side, one of them skipped, then one step over all."""

    def add_up(chunk: list[int]) -> int:
        if 5 in chunk:
            raise UsageError("five")
        return sum(chunk)

    flow = Flow("batch").step(
        noted(effects, add_up), name="sum", each={"$ref": "input"}, batch_size=2, concurrency=3, on_item_error="skip"
    )
    return flow.step(noted(effects, sum), name="all"), [1, 2, 3, 4, 5, 6, 7]


def collecting(effects: Effects) -> tuple[Flow, Any]:
    """A batch whose errors are part of the result."""

    def picky(item: int) -> int:
        if item % 2:
            raise ValueError(f"odd {item}")
        return item

    flow = Flow("collecting").step(noted(effects, picky), name="pick", each=[0, 1, 2, 3], on_item_error="collect")
    return flow.step(noted(effects), name="show"), None


def nested(effects: Effects) -> tuple[Flow, Any]:
    """A batch of flows, each with a flow of its own inside."""
    innermost = Flow("innermost").step(noted(effects, lambda value: value * 2), name="twice")
    inner = Flow("inner").step(noted(effects), name="first").step(innermost)
    flow = Flow("nested").step(inner, each={"$ref": "input"}, concurrency=2).step(noted(effects, sum), name="total")
    return flow, [1, 2, 3]


class Counter(Node):
    """Counts its visits in the state and remembers each item."""

    def __init__(self, effects: Effects) -> None:
        self.effects = effects

    async def prep(self, shared, value):
        shared.set(f"seen-{value}", True)
        return value

    async def exec(self, prepared):
        self.effects.note(f"count of {prepared}")
        return prepared

    async def post(self, shared, prepared, result):
        shared.change("count", lambda value: value + 1, 0)
        if prepared == 1:
            shared.delete("seen-0")


def stateful(effects: Effects) -> tuple[Flow, Any]:
    """State that is written in a row, in a batch of one at a time, and by a node of a nested flow."""
    inner = Flow("inner").step(Counter(effects), name="inside").returns({"$ref": "state"})
    flow = (
        Flow("stateful")
        .step(Counter(effects), name="one")
        .step(Counter(effects), name="many", each=[1, 2, 3], concurrency=1)
    )
    flow.step(inner, input=7)
    return flow.returns([{"$ref": "state"}, {"$ref": "inner.result"}]), 0


def emitting(effects: Effects) -> tuple[Flow, Any]:
    """Events of a single step and of a batch, with steps before, between and after."""
    flow = Flow("emitting").step(noted(effects), name="a").step(None, name="tell", emits="one.happened")
    flow.step(noted(effects, lambda value: [value, value + 1]), name="b")
    flow.step(None, name="tell_each", emits="many.happened", each={"$ref": "b.result"}, input={"n": {"$ref": "item"}})
    return flow.step(noted(effects), name="c"), 1


def large(effects: Effects) -> tuple[Flow, Any]:
    """Values that are stored by reference: input, results, an event and the output."""
    text = "x" * (INLINE_LIMIT_BYTES + 1)
    flow = Flow("large").step(noted(effects, lambda value: value + "y"), name="a")
    flow.step(None, name="tell", emits="large.happened")
    return flow.step(noted(effects, lambda value: value[::-1]), name="b"), text


def stopping(effects: Effects) -> tuple[Flow, Any]:
    """A nested flow that is stopped in its middle, and the outer one that goes on."""

    def stop(value: int) -> None:
        raise StopFlow(value * 100)

    inner = Flow("inner").step(noted(effects), name="before").step(noted(effects, stop), name="stop")
    return Flow("stopping").step(inner).step(noted(effects), name="after"), 2


class Noting:
    """A policy that leaves the path of each call in the ledger of effects."""

    def __init__(self, effects: Effects) -> None:
        self.effects = effects

    def wrap(self, call):
        async def noting(request):
            self.effects.note(request.path)
            await anyio.lowlevel.checkpoint()
            return await call(request)

        return noting


def agent(effects: Effects) -> tuple[Flow, Any]:
    """An agent with several turns, one with two tools side by side, between two plain steps."""
    toolset = FunctionToolset()

    async def read(arguments: Any) -> Any:
        return {"text": f"of {arguments['path']}"}

    toolset.add("read", read)
    toolset.add("write", read, effect="idempotent")
    turns: list[Any] = [
        [("kit.read", {"path": "a"})],
        [("kit.read", {"path": "b"}), ("kit.write", {"path": "c"})],
        "the answer",
    ]
    helper = make_agent(turns, toolset, policies=[Noting(effects)])
    return Flow("agent").step(noted(effects), name="a").step(helper).step(noted(effects), name="b"), "question"


def agents(effects: Effects) -> tuple[Flow, Any]:
    """A batch of agents."""
    toolset = FunctionToolset()

    async def look(arguments: Any) -> Any:
        return arguments["n"]

    toolset.add("look", look)
    helper = make_agent([[("kit.look", {"n": 1})], "seen"], toolset, policies=[Noting(effects)])
    return Flow("agents").step(helper, each={"$ref": "input"}, concurrency=2), ["x", "y", "z"]


ZOO: dict[str, Build] = {
    build.__name__: build
    for build in (
        linear, branching, batch, collecting, nested, stateful, emitting, large, stopping, agent, agents,
    )
}  # fmt: skip
