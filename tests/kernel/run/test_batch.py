"""A batch runs one node over many items: in order, bounded, and no item disturbs another."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from agentflow_kernel import Context, Flow, Node, Route
from agentflow_kernel.errors import (
    AgentFlowError,
    InputInvalid,
    NonDeterminism,
    StateConflict,
    StopFlow,
    ToolFailed,
    UsageError,
)

pytestmark = pytest.mark.anyio

ITEMS = {"$ref": "input"}


def batch(step: object, **options: object) -> Flow:
    """A flow of one step over the list that it is given."""
    return Flow("batch").step(step, name="work", each=ITEMS, **options)


class Gauge:
    """Counts how many are inside at a time."""

    def __init__(self) -> None:
        self.inside = self.most = self.entered = 0

    async def __call__(self, item: object) -> object:
        self.entered += 1
        self.inside += 1
        self.most = max(self.most, self.inside)
        for _ in range(3):
            await anyio.lowlevel.checkpoint()
        self.inside -= 1
        return item


async def test_results_stand_in_the_order_of_the_items_whichever_ends_first() -> None:
    """The first item waits here until the last one has ended."""
    last_ended = anyio.Event()

    async def reversed_ends(item: int) -> int:
        if item == 3:
            last_ended.set()
        elif item == 0:
            await last_ended.wait()
        return item * 10

    assert await batch(reversed_ends).run([0, 1, 2, 3]) == [0, 10, 20, 30]


@pytest.mark.parametrize("concurrency", [1, 2, 5])
async def test_at_most_so_many_items_are_under_way_at_a_time(concurrency: int) -> None:
    """The bound is reached and never exceeded."""
    gauge = Gauge()
    assert await batch(gauge, concurrency=concurrency).run(list(range(20))) == list(range(20))
    assert (gauge.most, gauge.entered) == (concurrency, 20)


async def test_the_default_bound_is_four() -> None:
    """A batch without a bound of its own does not start everything at once."""
    gauge = Gauge()
    await batch(gauge).run(list(range(20)))
    assert gauge.most == 4


async def test_a_batch_size_hands_over_chunks() -> None:
    """The last chunk may be smaller; there is one result for each chunk."""

    async def add_up(chunk: list[int]) -> int:
        return sum(chunk)

    assert await batch(add_up, batch_size=3).run([1, 2, 3, 4, 5, 6, 7]) == [6, 15, 7]


async def test_an_empty_list_gives_an_empty_list() -> None:
    """The node is not called at all."""
    gauge = Gauge()
    assert await batch(gauge).run([]) == []
    assert gauge.entered == 0


async def test_only_a_list_can_be_batched() -> None:
    """Text is not taken for a list of letters."""
    with pytest.raises(InputInvalid, match="Node 'work', each: expected a list, found str"):
        await batch(Gauge()).run("abc")


async def test_the_input_template_sees_the_item() -> None:
    """``item`` stands beside the other roots."""

    async def show(value: object) -> object:
        return value

    flow = (
        Flow("f")
        .step(show, name="first")
        .step(
            show, name="work", each={"$ref": "input.list"}, input={"one": {"$ref": "item"}, "all": {"$ref": "input.of"}}
        )
    )
    assert await flow.run({"list": [1, 2], "of": "x"}) == [{"one": 1, "all": "x"}, {"one": 2, "all": "x"}]


async def test_the_first_failure_cancels_and_awaits_the_others() -> None:
    """When the error comes out, no item works any more and no other one has begun."""
    waiting = anyio.Event()
    ended: list[int] = []
    begun: list[int] = []

    async def work(item: int) -> None:
        begun.append(item)
        if item == 1:
            await waiting.wait()
            raise ValueError("item 1 is broken")
        waiting.set()
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(item)

    with pytest.raises(ValueError, match="item 1 is broken"):
        await batch(work, concurrency=2).run([0, 1, 2, 3])
    assert (begun, ended) == ([0, 1], [0])


async def test_skipped_items_are_left_out() -> None:
    """``on_item_error="skip"``; any exception of user code counts."""

    async def odd_only(item: int) -> int:
        if item % 2 == 0:
            raise ValueError("even")
        return item

    assert await batch(odd_only, on_item_error="skip").run([1, 2, 3, 4, 5]) == [1, 3, 5]


async def test_collected_errors_stand_in_the_place_of_their_results() -> None:
    """Each holds the code and the message; an error of the framework keeps its own code."""

    async def picky(item: int) -> int:
        if item == 1:
            raise KeyError("one")
        if item == 2:
            raise UsageError("two is wrong")
        if item == 3:
            raise ToolFailed("three")
        return item

    assert await batch(picky, on_item_error="collect").run([0, 1, 2, 3]) == [
        0,
        {"error": {"code": "AF-NODE-FAILED", "message": "KeyError: 'one'"}},
        {"error": {"code": "AF-USAGE", "message": "two is wrong"}},
        {"error": {"code": "AF-NODE-FAILED", "message": "ToolFailed: three"}},
    ]


@pytest.mark.parametrize("choice", ["skip", "collect"])
async def test_what_parks_the_whole_run_is_no_items_error(choice: str) -> None:
    """A contradiction between history and code is never skipped over."""

    async def stuck(item: int) -> None:
        raise NonDeterminism("run", "work[0]", "history and code disagree")

    with pytest.raises(NonDeterminism, match="history and code disagree"):
        await batch(stuck, on_item_error=choice).run([1])


@pytest.mark.parametrize("choice", ["fail", "skip", "collect"])
async def test_stop_flow_in_an_item_stops_the_flow(choice: str) -> None:
    """It steers the flow and is no error."""

    async def stop(item: int) -> None:
        raise StopFlow("stopped")

    assert await batch(stop, on_item_error=choice).run([1, 2]) == "stopped"


@pytest.mark.parametrize("choice", ["skip", "collect"])
async def test_cancellation_is_no_items_error(choice: str) -> None:
    """A cancelled batch ends; its items are not collected as failures."""
    inside = anyio.Event()

    async def hang(item: int) -> None:
        inside.set()
        await anyio.sleep_forever()

    outputs: list[object] = []
    async with anyio.create_task_group() as group:

        async def run() -> None:
            outputs.append(await batch(hang, on_item_error=choice).run([1, 2]))

        group.start_soon(run)
        await inside.wait()
        group.cancel_scope.cancel()
    assert outputs == []


async def test_one_item_cannot_choose_a_route() -> None:
    """Only the batch as a whole goes on."""

    async def choose(item: int) -> Route:
        return Route("reject", item)

    with pytest.raises(UsageError, match="Node 'work' chose a route for one item of a batch"):
        await batch(choose).run([1])


class Retry:
    """A policy of the simplest kind: so many attempts."""

    def __init__(self, attempts: int) -> None:
        self.attempts = attempts

    def wrap(self, call):
        async def retried(request):
            while True:
                try:
                    return await call(request)
                except AgentFlowError:
                    if request.attempt == self.attempts:
                        raise
                    request.attempt += 1

        return retried


async def test_attempts_of_one_item_never_disturb_those_of_another() -> None:
    """In PocketFlow the counter lives on the node: items gave up early, or returned nothing without an error."""
    attempts: dict[int, list[int]] = {}

    async def flaky(item: int, context: Context) -> int:
        attempts.setdefault(item, []).append(context.attempt)
        await anyio.lowlevel.checkpoint()
        if len(attempts[item]) <= item:
            raise UsageError(f"item {item}, attempt {context.attempt}")
        return item

    flow = batch(flaky, concurrency=4, on_item_error="collect", policies=[Retry(3)])
    outputs = await flow.run([0, 1, 2, 3])
    assert outputs == [0, 1, 2, {"error": {"code": "AF-USAGE", "message": "item 3, attempt 3"}}]
    assert attempts == {0: [1], 1: [1, 2], 2: [1, 2, 3], 3: [1, 2, 3]}


class Counting(Node):
    """Writes one key for each item."""

    async def prep(self, shared, value):
        shared.set(f"seen-{value}", True)
        return value

    async def exec(self, prepared):
        await anyio.lowlevel.checkpoint()
        if prepared == 2:
            raise UsageError("two")
        return prepared


async def test_the_state_of_a_failed_item_is_dropped_with_it() -> None:
    """Each item commits alone; what a failed one wrote is never seen."""
    flow = batch(Counting, on_item_error="skip", concurrency=3).step(
        lambda value: value, name="show", input={"$ref": "state"}, blocking="inline"
    )
    assert await flow.run([1, 2, 3]) == {"seen-1": True, "seen-3": True}


class Summing(Node):
    """Every item writes the same key."""

    async def exec(self, prepared):
        await anyio.lowlevel.checkpoint()
        return prepared

    async def post(self, shared, prepared, result):
        shared.change("sum", lambda value: value + result, 0)


async def test_items_that_write_one_key_at_once_are_a_conflict() -> None:
    """A lost update is an error; one item at a time may count."""
    with pytest.raises(StateConflict, match="State key 'sum' was written by 'work' and 'work'"):
        await batch(Summing, concurrency=2).run([1, 2])
    flow = batch(Summing, concurrency=1).returns({"$ref": "state.sum"})
    assert await flow.run([1, 2, 3]) == 6


async def test_plain_functions_of_a_batch_run_without_a_loop_too() -> None:
    """``run_sync`` takes the items one after another."""

    def square(item: int) -> int:
        return item * item

    assert batch(square).run_sync([1, 2, 3]) == [1, 4, 9]


async def test_a_batch_of_flows_gives_each_item_a_flow_of_its_own() -> None:
    """Results and state of the inner flows are apart."""
    inner = (
        Flow("inner")
        .step(Counting)
        .step(lambda value: value, name="show", input=[{"$ref": "state"}, {"$ref": "input"}], blocking="inline")
    )
    flow = Flow("outer").step(inner, each=ITEMS, concurrency=3)
    assert await flow.run([1, 3]) == [[{"seen-1": True}, 1], [{"seen-3": True}, 3]]


async def test_items_are_told_when_they_begin_end_and_are_left_out() -> None:
    """What is left out is told with its error."""
    seen: list[tuple[str, str]] = []

    def half(value: int) -> int:
        if value % 2:
            raise ValueError(value)
        return value // 2

    flow = Flow("f").step(half, each=[2, 3], concurrency=1, on_item_error="skip")
    assert await flow.run(listener=lambda progress: seen.append((progress.name, progress.path))) == [1]
    assert [event for event in seen if "[" in event[1]] == [
        ("branch.started", "half[0]"),
        ("branch.completed", "half[0]"),
        ("branch.started", "half[1]"),
        ("node.skipped", "half[1]"),
        ("branch.completed", "half[1]"),
    ]
