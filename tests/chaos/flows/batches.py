"""Batches: one node over many items, with each way to treat an error, in chunks and with events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentflow_kernel import Flow
from agentflow_kernel.errors import UsageError
from flows.case import Case, paths

if TYPE_CHECKING:
    from flows.case import World


def _picky(item: int) -> int:
    if item == 3:
        raise UsageError("three")
    return item * 2


def batch_fail(world: World) -> Flow:
    """The first item that fails ends the run."""
    flow = Flow("batch_fail").step(world.noted(_picky), name="pick", each={"$ref": "input"}, concurrency=1)
    return flow.step(world.noted(), name="never")


def batch_skip(world: World) -> Flow:
    """An item that fails is left out."""
    flow = Flow("batch_skip").step(
        world.noted(_picky), name="pick", each={"$ref": "input"}, concurrency=3, on_item_error="skip"
    )
    return flow.step(world.noted(sum), name="all")


def batch_collect(world: World) -> Flow:
    """An item that fails leaves its error in its place."""
    flow = Flow("batch_collect").step(world.noted(_picky), name="pick", each={"$ref": "input"}, on_item_error="collect")
    return flow.step(world.noted(), name="show")


def batch_sizes(world: World) -> Flow:
    """Chunks of three, two at a time."""

    def add_up(chunk: list[int]) -> int:
        return sum(chunk)

    flow = Flow("batch_sizes").step(
        world.noted(add_up), name="sum", each={"$ref": "input"}, batch_size=3, concurrency=2
    )
    return flow.step(world.noted(), name="all")


def batch_emit(world: World) -> Flow:
    """An event for each item, and one alone."""
    flow = Flow("batch_emit").step(world.noted(lambda value: [value, value + 1]), name="list")
    flow.step(None, name="tell_each", emits="item.seen", each={"$ref": "list.result"}, input={"n": {"$ref": "item"}})
    flow.step(None, name="tell", emits="all.seen", input={"count": 2})
    return flow.step(world.noted(lambda _: "told"), name="last")


def batch_large(world: World) -> Flow:
    """Items whose results are stored by reference."""

    def grow(item: str) -> str:
        return item * 300_000

    flow = Flow("batch_large").step(world.noted(grow), name="grow", each={"$ref": "input"}, concurrency=2)
    return flow.step(world.noted(_lengths), name="lengths")


def _lengths(texts: list[str]) -> list[Any]:
    return [[text[0], len(text)] for text in texts]


ERROR = {"error": {"code": "AF-USAGE", "message": "three"}}
CASES = (
    Case("batch_fail", batch_fail, [1, 3, 5], status="failed", code="AF-USAGE", effects=paths("pick[0] pick[1]")),
    Case(
        "batch_skip", batch_skip, [1, 3, 5], output=12, effects=paths("pick[0] pick[1] pick[2] all"),
    ),
    Case(
        "batch_collect", batch_collect, [1, 3, 5], output=[2, ERROR, 10],
        effects=paths("pick[0] pick[1] pick[2] show"),
    ),
    Case(
        "batch_sizes", batch_sizes, [1, 2, 3, 4, 5, 6, 7], output=[6, 15, 7],
        effects=paths("sum[0] sum[1] sum[2] all"),
    ),
    Case("batch_emit", batch_emit, 1, output="told", effects=paths("list last")),
    Case(
        "batch_large", batch_large, ["a", "b"], output=[["a", 300_000], ["b", 300_000]],
        effects=paths("grow[0] grow[1] lengths"),
    ),
)  # fmt: skip
