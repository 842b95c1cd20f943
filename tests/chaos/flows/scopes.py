"""Scopes: typed state of a flow, of the whole run and of one node, written by nested flows, visits and branches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio.lowlevel

from agentflow_kernel import Flow, Node, StateKey
from flows.case import Case, paths

if TYPE_CHECKING:
    from flows.case import World

SUM = StateKey("sum", int, default=0, reducer="add")
TOTAL = StateKey("total", list, default=[], reducer="append", scope="run")
TURNS = StateKey("turns", int, default=0, scope="node")


class _Adds(Node):
    """Writes to a key of the flow and to one of the run."""

    def __init__(self, *keys: StateKey[Any]) -> None:
        self.keys = keys

    async def exec(self, prepared):
        await anyio.lowlevel.checkpoint()
        return prepared

    async def post(self, shared, prepared, result):
        for key in self.keys:
            shared.put(key, prepared)


class _Turns(Node):
    """Counts its own visits."""

    async def prep(self, shared, value):
        return shared.get(TURNS)

    async def exec(self, prepared):
        await anyio.lowlevel.checkpoint()
        return prepared + 1

    async def post(self, shared, prepared, result):
        shared.set(TURNS, result)
        return "again" if result < 3 else "done"


def typed_state(world: World) -> Flow:
    """Keys with types and reducers, written one after another, in branches and in items."""
    flow = Flow("typed_state").keeps(SUM, TOTAL).step(_Adds(SUM, TOTAL), name="one")
    flow.parallel({"a": _Adds(SUM), "b": _Adds(SUM, TOTAL)}, name="fork", input=5)
    flow.step(_Adds(SUM), name="each", each=[1, 2], concurrency=1).step(world.noted(), name="after")
    return flow.returns({"$ref": "state"})


def run_state(world: World) -> Flow:
    """A nested flow writes to a key that it shares with the flow round it, and to one of its own."""
    inner = Flow("inner").keeps(SUM, TOTAL).step(_Adds(SUM, TOTAL), name="add").step(world.noted(), name="look")
    inner.returns({"$ref": "state.sum"})
    flow = Flow("run_state").keeps(SUM, TOTAL).step(_Adds(TOTAL), name="first", input=1).step(inner, input=5)
    flow.step(inner, name="again", input=7).step(world.noted(), name="after")
    return flow.returns([{"$ref": "state"}, {"$ref": "again.result"}])


def node_state(world: World) -> Flow:
    """A key that each node has for itself, over its visits."""
    flow = Flow("node_state").keeps(TURNS)
    flow.step(_Turns(), name="one", routes={"again": "one", "done": "two"}, max_visits=5)
    flow.aside(_Turns(), name="two", routes={"again": "two", "done": "after"}, max_visits=5)
    return flow.aside(world.noted(), name="after")


CASES = (
    Case("typed_state", typed_state, 2, output={"sum": 15, "total": [2, 5]}, effects=paths("after")),
    Case(
        "run_state", run_state, 1, output=[{"sum": 0, "total": [1, 5, 7]}, 7],
        effects=paths("inner/look again/look after"),
    ),
    Case("node_state", node_state, 1, output=3, effects=paths("after")),
)  # fmt: skip
