"""Branches run side by side from one state, and meet at a join; nothing of them outlives it."""

from __future__ import annotations

import threading
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from engine_kit import DurableJournal, completed

from agentflow_kernel import Context, Flow, Kernel, Node, Route
from agentflow_kernel.errors import (
    ExpressionFailed,
    FlowInvalid,
    PeerUnavailable,
    RunFailed,
    RunSuspended,
    SeveralFailed,
    StateConflict,
    StopFlow,
    UsageError,
)
from agentflow_kernel.flow import Branch, Goto, Parallel

pytestmark = pytest.mark.anyio


async def double(value: int) -> int:
    return value * 2


async def square(value: int) -> int:
    return value * value


class Write(Node):
    """Writes one key, after so many turns of the loop, and gives what it saw there."""

    def __init__(self, key: str, value: Any, turns: int = 0) -> None:
        self.key, self.value, self.turns = key, value, turns

    async def prep(self, shared, value):
        return shared.get(self.key, "nothing")

    async def exec(self, prepared):
        for _ in range(self.turns):
            await anyio.lowlevel.checkpoint()
        return prepared

    async def post(self, shared, prepared, result):
        shared.set(self.key, self.value)


def forked(join: Any = "all", **branches: Any) -> Flow:
    """A flow that is one fork."""
    return Flow("f").parallel(branches, name="fork", join=join)


async def test_each_branch_gets_the_input_and_the_join_an_object_in_declared_order() -> None:
    """Quick or slow, the names stand as they were declared."""

    async def slow(value: int) -> str:
        await anyio.lowlevel.checkpoint()
        return f"slow {value}"

    flow = forked(slow=slow, twice=double, square=square).step(lambda value: list(value.items()), name="show")
    assert await flow.run(3) == [("slow", "slow 3"), ("twice", 6), ("square", 9)]


async def test_branches_run_at_the_same_time() -> None:
    """Each of the two waits for the other."""
    here, there = anyio.Event(), anyio.Event()

    async def left(value: object) -> str:
        here.set()
        await there.wait()
        return "left"

    async def right(value: object) -> str:
        there.set()
        await here.wait()
        return "right"

    with anyio.fail_after(30):
        assert await forked(left=left, right=right).run() == {"left": "left", "right": "right"}


async def test_at_most_so_many_branches_run_at_a_time() -> None:
    """The limit is of the fork."""
    running, most = 0, 0

    async def busy(value: object) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await anyio.lowlevel.checkpoint()
        running -= 1

    await Flow("f").parallel({f"b{number}": busy for number in range(9)}, concurrency=3).run()
    assert most == 3


async def test_a_branch_may_be_a_flow_a_batch_or_a_fork_and_have_input() -> None:
    """Whatever a step may be."""
    inner = Flow("inner").step(double).step(square)
    fork = (
        Flow("f")
        .step(double, name="first")
        .parallel(
            {
                "flow": inner,
                "batch": Branch(double, each=[1, 2, 3]),
                "given": Branch(double, input={"$ref": "first.result"}),
                "fork": Parallel({"a": double, "b": square}),
            }
        )
    )
    assert await fork.run(1) == {"flow": 16, "batch": [2, 4, 6], "given": 4, "fork": {"a": 4, "b": 4}}


async def test_every_branch_has_a_path_of_its_own_also_on_a_second_visit() -> None:
    """The path is the identity: fork, visit, branch."""
    paths = []

    async def note(value: int, context: Context) -> int:
        paths.append(context.path)
        return value

    def again(value: dict[str, int]) -> Route:
        return Route("again", value["a"] - 1) if value["a"] else Route("done", value)

    flow = forked(a=note, b=Flow("inner").step(note)).step(again, routes={"again": "fork", "done": "end"})
    await flow.run(1)
    assert sorted(paths) == ["fork/a", "fork/b/note", "fork@2/a", "fork@2/b/note"]


async def test_plain_functions_run_one_after_the_other_without_a_loop() -> None:
    """In declared order, on the calling thread, in a program that has no loop at all."""
    seen: list[Any] = []

    def note(name: str) -> Any:
        def branch(value: int) -> int:
            seen.append((name, threading.current_thread() is threading.main_thread()))
            return value

        return branch

    flow = forked(a=note("a"), b=note("b"), c=Flow("inner").step(note("c"), name="c"))
    assert flow.run_sync(1) == {"a": 1, "b": 1, "c": 1}
    assert seen == [("a", True), ("b", True), ("c", True)]


async def test_a_failed_branch_cancels_and_awaits_the_others() -> None:
    """The error is the branch's own, and the run's error says where it was."""
    ended = []

    async def wait(value: object) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("wait")

    async def fail(value: object) -> None:
        await anyio.lowlevel.checkpoint()
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await forked(wait=wait, fail=fail).run()
    assert ended == ["wait"]
    async with Kernel(journal=DurableJournal()) as kernel:
        with pytest.raises(RunFailed) as caught:
            await kernel.run(forked(wait=wait, fail=fail))
    assert caught.value.path == "fork/fail"


async def test_cancelling_the_run_ends_every_branch() -> None:
    """Nothing is at work any more when the call is back."""
    ended = 0

    async def wait(value: object) -> None:
        nonlocal ended
        try:
            await anyio.sleep_forever()
        finally:
            ended += 1

    with anyio.move_on_after(0.01) as scope:
        await forked(a=wait, b=wait).run()
    assert (scope.cancelled_caught, ended) == (True, 2)


async def test_a_branch_that_stops_the_flow_stops_it_for_all() -> None:
    """The output is the one given."""

    async def stop(value: object) -> None:
        raise StopFlow("enough")

    assert await forked(join="any", wait=anyio.sleep_forever, stop=stop).run() == "enough"


async def test_a_branch_cannot_route() -> None:
    """Only the fork has a way on."""

    async def choose(value: object) -> Route:
        return Route("x", 1)

    with pytest.raises(UsageError, match="Branch 'choose' of 'fork' chose a route; only the fork can route"):
        await forked(choose=choose, other=double).run(1)
    with pytest.raises(UsageError, match="Branch 'a' cannot have 'routes'"):
        Parallel({"a": Branch(double, routes={"default": "b"})})


# State


async def test_branches_read_the_state_as_it_was_at_the_fork() -> None:
    """None sees what another wrote, however late it looks."""
    flow = Flow("f", reducers={"k": "last"}).step(Write("k", "before"), name="first")
    flow.parallel({"quick": Write("k", "a"), "slow": Write("k", "b", turns=5)}).step(Write("k", "c"), name="after")
    flow.returns({"seen": {"$ref": "parallel.result"}, "then": {"$ref": "after.result"}})
    assert await flow.run() == {"seen": {"quick": "before", "slow": "before"}, "then": "b"}


@pytest.mark.parametrize(
    ("reducer", "before", "writes", "after"),
    [
        ("last", 1, (2, 3), 3),
        ("append", [1], (2, [3]), [1, 2, [3]]),
        ("append", None, (2, 3), [2, 3]),
        ("merge", {"a": 1, "b": 1}, ({"b": 2}, {"c": 3}), {"a": 1, "b": 2, "c": 3}),
        ("merge", None, ({"b": 2}, {"c": 3}), {"b": 2, "c": 3}),
        ("add", 1, (2, 3), 6),
        ("add", [1], ([2], [3]), [1, 2, 3]),
        ("add", None, (2, 3), 5),
        ("max", 2, (3, 1), 3),
        (lambda before, value: f"{before}+{value}", "x", ("y", "z"), "x+y+z"),
    ],
)
async def test_writes_merge_in_declared_order_whoever_was_first(
    reducer: Any, before: Any, writes: Any, after: Any
) -> None:
    """The first branch ends last."""
    flow = Flow("f", reducers={"k": reducer})
    if before is not None:
        flow.step(Write("k", before), name="first")
    flow.parallel({"zz": Write("k", writes[0], turns=5), "aa": Write("k", writes[1])}).returns({"$ref": "state.k"})
    assert await flow.run() == after


async def test_two_writers_of_a_key_without_a_reducer_are_named() -> None:
    """One writer is fine."""
    flow = forked(left=Write("k", 1), right=Write("k", 2), other=Write("m", 3)).returns({"$ref": "state"})
    with pytest.raises(StateConflict, match="State key 'k' was written by 'fork/left' and 'fork/right'") as caught:
        await flow.run()
    assert caught.value.nodes == ("fork/left", "fork/right")
    assert await forked(left=Write("k", 1), other=Write("m", 3)).returns({"$ref": "state"}).run() == {"k": 1, "m": 3}


async def test_a_fork_in_a_branch_hands_its_writes_to_the_outer_join() -> None:
    """Each write is counted once."""
    inner = Parallel({"a": Write("n", 2), "b": Write("n", 3)})
    flow = Flow("f", reducers={"n": "add"}).step(Write("n", 1), name="first")
    flow.parallel({"inner": inner, "c": Write("n", 4)}).returns({"$ref": "state.n"})
    assert await flow.run() == 10


async def test_a_deletion_clears_what_was_there() -> None:
    """With a reducer too: later branches begin anew."""

    class Delete(Node):
        async def post(self, shared, prepared, result):
            shared.delete("n")

    flow = Flow("f", reducers={"n": "add"}).step(Write("n", 1), name="first")
    flow.parallel({"a": Write("n", 2), "b": Delete, "c": Write("n", 5)}).returns({"$ref": "state"})
    assert await flow.run() == {"n": 5}
    assert await forked(a=Delete, b=double).returns({"$ref": "state"}).run(1) == {}


async def test_a_reducer_that_cannot_take_a_value_names_key_and_branch() -> None:
    """And what it found."""
    flow = Flow("f", reducers={"n": "add"}).parallel({"a": Write("n", 1), "b": Write("n", "x")})
    with pytest.raises(UsageError, match="State key 'n': 'add' cannot take a str written by 'parallel/b' after a int"):
        await flow.run()


# Joins


async def test_any_takes_the_first_and_cancels_the_rest() -> None:
    """The others have ended when the join goes on."""
    ended = []

    async def wait(value: object) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("wait")

    assert await forked(join="any", wait=wait, quick=double).run(2) == {"quick": 4}
    assert ended == ["wait"]


async def test_so_many_of_several_are_enough() -> None:
    """In declared order; writes of the others never take effect."""
    flow = forked(join=2, a=Write("a", 1, turns=3), b=Write("b", 1, turns=500), c=Write("c", 1))
    assert await flow.returns([{"$ref": "fork.result"}, {"$ref": "state"}]).run() == [
        {"a": "nothing", "c": "nothing"},
        {"a": 1, "c": 1},
    ]


async def test_with_rest_wait_the_others_end_in_their_own_time_and_are_ignored() -> None:
    """Structure holds: the join waits for them all the same."""
    ended = []

    async def late(value: int) -> int:
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
        ended.append("late")
        raise ValueError("nobody hears this")

    flow = Flow("f").parallel({"late": late, "quick": double}, join="any", rest="wait")
    assert await flow.run(1) == {"quick": 2}
    assert ended == ["late"]


async def test_a_failure_is_left_out_as_long_as_enough_can_still_come() -> None:
    """Then all that failed are told."""

    async def fail(value: object) -> None:
        raise ValueError("first")

    async def fail_later(value: object) -> None:
        await anyio.lowlevel.checkpoint()
        raise KeyError("second")

    assert await forked(join="any", a=fail, b=double).run(1) == {"b": 2}
    with pytest.raises(SeveralFailed, match="first") as failed:
        await forked(join="any", a=fail, b=fail_later).run(1)
    assert [type(error) for error in failed.value.exceptions] == [ValueError, KeyError]
    with pytest.raises(ValueError, match="first"):
        await forked(join=2, a=fail, b=double).run(1)


async def test_without_a_loop_any_stops_after_the_first() -> None:
    """The others are not begun."""
    seen: list[str] = []
    flow = forked(join="any", a=lambda value: seen.append("a"), b=lambda value: seen.append("b"))
    assert flow.run_sync(1) == {"a": None}
    assert seen == ["a"]


async def test_or_waits_for_the_branches_that_were_started() -> None:
    """Conditions see the fork's input, the state and earlier results."""
    branches = {
        "big": Branch(double, only_if="value > 10"),
        "small": Branch(square, only_if="value <= 10"),
        "from_first": Branch(double, only_if="first.result == 3 and input == 3"),
    }
    flow = Flow("f").step(lambda value: value, name="first", blocking="inline").parallel(branches, join="or")
    assert await flow.run(3) == {"small": 9, "from_first": 6}
    assert await flow.run(20) == {"big": 40}
    none = Flow("f").parallel({"never": Branch(double, only_if="false")}, join="or")
    assert await none.run(1) == {}


async def test_a_condition_that_has_no_value_fails_at_the_fork() -> None:
    """Not silently false."""
    with pytest.raises(ExpressionFailed):
        await forked(join="or", a=Branch(double, only_if="value.size > 1")).run(1)


async def test_a_join_that_too_few_branches_were_started_for_is_an_error() -> None:
    """Nothing is begun."""
    flow = forked(join=2, a=double, b=Branch(double, only_if="false"))
    with pytest.raises(FlowInvalid, match=r"its join of 2 cannot be reached, only 1 branches were started \[F014\]"):
        await flow.run(1)


# Goto


async def test_a_node_goes_to_several_nodes_and_gets_their_results_in_order() -> None:
    """Each with its own input and path."""

    def plan(value: int) -> list[Goto]:
        return [Goto("work" if number % 2 else "other", number) for number in range(value)]

    async def work(value: int, context: Context) -> list[Any]:
        for _ in range(5 - value):
            await anyio.lowlevel.checkpoint()
        return [context.path, value]

    flow = (
        Flow("f").step(plan, fan_out=["work", "other"]).aside(work).aside(double, name="other").step(list, name="end_")
    )
    assert await flow.run(4) == [0, ["plan[1]", 1], 4, ["plan[3]", 3]]
    assert await flow.run(0) == []


async def test_a_node_that_may_fan_out_need_not_and_may_choose_an_action() -> None:
    """A single Goto is a list of one."""

    def plan(value: int) -> Any:
        return [Route("one", Goto("work", 5)), "plain", Route("two", "x")][value]

    flow = (
        Flow("f")
        .step(plan, fan_out=["work"], routes={"one": "end", "two": "end", "default": "end"})
        .aside(double, name="work")
    )
    assert [await flow.run(number) for number in range(3)] == [[10], "plain", "x"]


async def test_what_a_fan_out_cannot_go_to_is_refused() -> None:
    """Undeclared nodes, and lists of both kinds."""
    flow = Flow("f").step(lambda value: [Goto("work"), Goto("tell")], name="plan", fan_out=["work"])
    flow.aside(double, name="work").step(double, name="tell")
    with pytest.raises(UsageError, match="Node 'plan' goes to 'tell', which its fan_out does not name: 'work'"):
        await flow.run(1)
    flow = Flow("f").step(lambda value: [Goto("work"), 1], name="plan", fan_out=["work"]).aside(double, name="work")
    with pytest.raises(UsageError, match="all must be Goto items, or none"):
        await flow.run(1)


async def test_writes_of_a_fan_out_merge_like_those_of_a_fork() -> None:
    """In the order of the items."""
    flow = Flow("f", reducers={"k": "append"})
    flow.step(lambda value: [Goto("a"), Goto("b"), Goto("a")], name="plan", fan_out=["a", "b"])
    flow.aside(Write("k", "a", turns=4), name="a").aside(Write("k", "b"), name="b").returns({"$ref": "state.k"})
    assert await flow.run() == ["a", "b", "a"]
    flow.reducers = {}
    with pytest.raises(StateConflict, match=r"'plan\[0\]' and 'plan\[1\]'"):
        await flow.run()


async def test_errors_of_a_fan_out_are_those_of_a_batch() -> None:
    """They fail, are skipped or collected; the limit holds."""

    async def picky(value: int) -> int:
        if value == 1:
            raise ValueError("one")
        return value

    def flow(mode: str) -> Flow:
        plan = Flow("f").step(
            lambda value: [Goto("picky", number) for number in range(3)],
            name="plan",
            fan_out=["picky"],
            on_item_error=mode,
        )
        return plan.aside(picky)

    with pytest.raises(ValueError, match="one"):
        await flow("fail").run()
    assert await flow("skip").run() == [0, 2]
    collected = {"error": {"code": "AF-NODE-FAILED", "message": "ValueError: one"}}
    assert await flow("collect").run() == [0, collected, 2]


# Records


@pytest.mark.keeps_memory("counts records")
async def test_the_join_puts_names_on_record_and_each_branch_its_result() -> None:
    """Nothing is written twice; first wins is a decision."""
    journal = DurableJournal()
    async with Kernel(journal=journal) as kernel:
        assert await kernel.run(forked(a=double, b=square), 3) == {"a": 6, "b": 9}
    (head,) = await journal.runs()
    records = await journal.read(head.run_id)
    assert completed(records) == ["fork/a", "fork/b", "fork"]
    (joined,) = [record.payload for record in records if record.path == "fork"]
    assert set(joined) == {"branches", "took_s"}
    assert joined["branches"] == ["a", "b"]
    assert not [record for record in records if record.type == "decision"]

    journal = DurableJournal()
    async with Kernel(journal=journal) as kernel:
        assert await kernel.run(forked(join="any", wait=anyio.sleep_forever, b=square), 3) == {"b": 9}
    (head,) = await journal.runs()
    decisions = [record for record in await journal.read(head.run_id) if record.type == "decision"]
    assert [(record.path, record.payload) for record in decisions] == [("fork", {"winners": ["b"]})]


async def test_listeners_hear_branches_begin_and_end() -> None:
    """With how many there are."""
    told = []
    await forked(a=double, b=square).run(1, listener=lambda event: told.append((event.name, event.path)))
    assert [event for event in told if event[0].startswith("branch")] == [
        ("branch.started", "fork/a"),
        ("branch.completed", "fork/a"),
        ("branch.started", "fork/b"),
        ("branch.completed", "fork/b"),
    ]


async def test_a_join_that_no_branch_reaches_tells_all_errors() -> None:
    """The first one's code and path are those of the run; it is not that the last one to fail hides the others."""

    async def at_once(value: object) -> object:
        raise ValueError("no flight")

    async def later(value: object) -> object:
        await anyio.lowlevel.checkpoint()
        raise KeyError("hotel")

    flow = Flow("f").parallel({"a": at_once, "b": later}, name="fork", join="any")
    async with Kernel(journal=DurableJournal()) as kernel:
        with pytest.raises(RunFailed, match=r"no flight\. And 1 more failed: fork/b: KeyError: 'hotel'") as failed:
            await kernel.run(flow)
    assert failed.value.path == "fork/a"


async def test_a_join_that_a_peer_keeps_from_being_reached_waits_for_the_peer() -> None:
    """Whichever branch fails last: the run is suspended if, with the peer back, enough branches could complete."""

    async def down(value: object) -> object:
        raise PeerUnavailable("the peer is down")

    async def bad(value: object) -> object:
        await anyio.lowlevel.checkpoint()
        raise ValueError("no")

    flow = Flow("f").parallel({"a": down, "b": bad}, name="fork", join="any")
    async with Kernel(journal=DurableJournal()) as kernel:
        with pytest.raises(RunSuspended, match="the peer is down"):
            await kernel.run(flow)
