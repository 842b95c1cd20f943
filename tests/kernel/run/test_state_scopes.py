"""The declared state of a run: scopes and reducers in forks, batches and nested flows, also after a crash."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio.lowlevel
import pytest
from engine_kit import DurableJournal, Effects, check_history, completed
from test_crash import Life, records_of, undisturbed
from zoo import noted

from agentflow_kernel import Flow, Kernel, Node, StateKey
from agentflow_kernel.errors import FlowInvalid, InputInvalid, NotSerialisable, RunFailed, StateConflict, StateInvalid
from agentflow_kernel.testing import InProcessJournal

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]

SUM = StateKey("sum", int, default=0, reducer="add")
SEEN = StateKey("seen", list, default=[], reducer="append")
TOTAL = StateKey("total", list, default=[], reducer="append", scope="run")
TURNS = StateKey("turns", int, default=0, scope="node")
NAMES: StateKey[dict[str, int]] = StateKey("names", dict[str, int], default={}, reducer="merge")


class Does(Node):
    """Does something to the state after a turn of the loop, and gives back what ``see`` finds there before."""

    def __init__(self, do: Callable[[Any, Any], None], see: StateKey[Any] | None = None, effects: Any = None) -> None:
        self.do, self.see, self.effects = do, see, effects

    async def prep(self, shared, value):
        return shared.get(self.see) if self.see is not None else value

    async def exec(self, prepared):
        if self.effects is not None:
            self.effects.note("does")
        await anyio.lowlevel.checkpoint()
        return prepared

    async def post(self, shared, prepared, result):
        self.do(shared, prepared)


def put(key: StateKey[Any], *values: Any) -> Does:
    """Puts values, or what it is given."""
    return Does(lambda shared, given: [shared.put(key, value) for value in values or (given,)])


async def test_references_and_conditions_see_defaults() -> None:
    """Before anybody has written."""
    flow = Flow("f").keeps(SUM).step(lambda value: value, name="a", input={"$ref": "state.sum"}, blocking="inline")
    assert await flow.run(5) == 0


async def test_puts_of_branches_and_of_one_node_after_the_other_come_to_the_same() -> None:
    """Declared order counts, not time."""
    line = Flow("f").keeps(SEEN).step(put(SEEN, 1), name="a").step(put(SEEN, 2, 3), name="b").returns({"$ref": "state"})
    fork = Flow("f").keeps(SEEN).parallel({"a": put(SEEN, 1), "b": put(SEEN, 2, 3)}).returns({"$ref": "state"})
    assert await line.run() == await fork.run() == {"seen": [1, 2, 3]}


async def test_items_of_a_batch_meet_in_the_reducer_in_their_order() -> None:
    """However many work at a time."""
    flow = Flow("f").keeps(SEEN, SUM)
    flow.step(Does(lambda shared, given: [shared.put(SEEN, given), shared.put(SUM, given)]), name="a", each=[3, 1, 2])
    assert await flow.returns({"$ref": "state"}).run() == {"seen": [3, 1, 2], "sum": 6}


async def test_an_overwrite_goes_past_the_reducer() -> None:
    """What earlier branches gave is gone, what later ones give is added; two of them are in conflict."""
    clear = Does(lambda shared, given: shared.overwrite(SEEN, ["anew"]))
    flow = Flow("f").keeps(SEEN).step(put(SEEN, 0), name="first")
    flow.parallel({"a": put(SEEN, 1), "b": clear, "c": put(SEEN, 2)}).returns({"$ref": "state.seen"})
    assert await flow.run() == ["anew", 2]
    flow = Flow("f").keeps(SEEN).parallel({"b": clear, "d": clear})
    with pytest.raises(StateConflict, match=r"'seen' was written by 'parallel/b' and 'parallel/d'. Both went past"):
        await flow.run()


async def test_a_join_that_breaks_the_schema_writes_nothing() -> None:
    """Each branch fits, both together do not."""
    few = StateKey("few", list, default=[], reducer="append", schema={"maxItems": 1})
    flow = Flow("f").keeps(few).parallel({"a": put(few, 1), "b": put(few, 2)}, name="fork")
    with pytest.raises(StateInvalid, match="State key 'few', written by node 'fork': must have at most 1 items"):
        await flow.run()


async def test_a_private_key_survives_visits_and_no_other_node_reads_it() -> None:
    """Not by reference, not by condition, not in the state as a whole."""
    count = Does(lambda shared, given: shared.change(TURNS, lambda value: value + 1), TURNS)
    flow = Flow("f").keeps(TURNS)
    flow.step(count, name="a", when=[{"if": "result < 3", "next": "a"}, {"next": "b"}])
    flow.step(count, name="b").returns([{"$ref": "a.result"}, {"$ref": "b.result"}, {"$ref": "state"}])
    assert await flow.run() == [3, 0, {}]
    with pytest.raises(FlowInvalid, match=r"its output reads state key 'turns', which is private to .* \[F006\]"):
        flow.returns({"$ref": "state.turns"}).check()


async def test_branches_of_the_same_name_keep_their_private_keys_apart() -> None:
    """And take them through the join to the next visit."""
    count = Does(lambda shared, given: shared.change(TURNS, lambda value: value + 1), TURNS)
    flow = Flow("f").keeps(TURNS).parallel({"x": count}, name="one").parallel({"x": count}, name="two")
    flow.step(
        lambda value: value["x"],
        name="look",
        input={"$ref": "one.result"},
        blocking="inline",
        when=[{"if": "result < 2", "next": "one"}, {"next": None}],
    )
    assert await flow.returns([{"$ref": "one.result.x"}, {"$ref": "two.result.x"}]).run() == [2, 2]


def sharing(inner_node: Node, **options: Any) -> Flow:
    """A flow round a flow that shares ``total``."""
    inner = Flow("inner").keeps(TOTAL, SUM).step(inner_node, name="work")
    middle = Flow("middle").step(inner)
    return Flow("outer").keeps(TOTAL, SUM).step(put(TOTAL, "first"), name="first").step(middle, **options)


async def test_a_key_of_the_run_is_read_and_written_in_nested_flows() -> None:
    """Through flows that do not declare it; a key of the flow stays its own."""
    seen: list[Any] = []

    def work(shared: Any, given: Any) -> None:
        seen.append(shared.get(TOTAL))
        shared.put(TOTAL, "inner")
        shared.set(SUM, 5)

    flow = sharing(Does(work)).step(put(TOTAL, "last"), name="last").returns({"$ref": "state"})
    assert await flow.run() == {"total": ["first", "inner", "last"], "sum": 0}
    assert seen == [["first"]]


async def test_a_nested_flow_that_fails_has_written_nothing() -> None:
    """It is one visit of a node."""
    inner = Flow("inner").keeps(TOTAL).step(put(TOTAL, 1), name="a")
    inner.step(Does(lambda shared, given: 1 // 0), name="b")
    flow = Flow("outer").keeps(TOTAL).step(inner, each=[1], on_item_error="skip").returns({"$ref": "state.total"})
    assert await flow.run() == []


async def test_the_unserialisable_is_named_by_node_and_key() -> None:
    """Where a journal is on."""
    flow = Flow("f").keeps(StateKey("k")).step(Does(lambda shared, given: shared.set("k", {"in": {1}})), name="bad")
    async with Kernel(journal=InProcessJournal()) as kernel:
        with pytest.raises(RunFailed) as caught:
            await (await kernel.start(flow)).result()
    cause = caught.value.__cause__
    assert isinstance(cause, NotSerialisable)
    assert (cause.node, cause.path) == ("bad", ".k[0].in")


async def test_a_node_writes_only_what_it_says_it_writes() -> None:
    """The check before the run relies on it."""

    class Says(Node):
        writes = (SUM, "other")

        async def post(self, shared, prepared, result):
            shared.set("else", 1)

    with pytest.raises(StateInvalid, match="'else', written by node 'Says': is not among its writes: 'other', 'sum'"):
        await Flow("f").step(Says).run()


def everything(effects: Effects) -> tuple[Flow, Any]:
    """Every scope, with reducers, in a line, a fork, a batch and nested flows, in a loop."""

    def work(shared: Any, given: Any) -> None:
        shared.put(TOTAL, f"in {given}")
        shared.change(TURNS, lambda value: value + 1)

    def inner(name: str) -> Flow:
        flow = Flow(name).keeps(TOTAL, TURNS).step(Does(work, effects=effects), name="work")
        return flow.parallel({"x": put(TOTAL, "x"), "y": put(TOTAL, "y")}).returns({"$ref": "state.total"})

    flow = Flow("outer").keeps(TOTAL, TURNS, SEEN, NAMES).step(noted(effects), name="first")
    flow.parallel({"a": inner("a"), "b": put(SEEN, "b"), "c": Does(work, effects=effects)}, name="fork")
    flow.step(inner("each"), name="each", each=[1, 2], concurrency=2)
    flow.step(put(NAMES, {"k": 1}), name="names").step(
        Does(lambda shared, given: shared.change(TURNS, lambda value: value + 1), TURNS),
        name="count",
        when=[{"if": "result < 1", "next": "fork"}, {"next": None}],
    )
    return flow.returns([{"$ref": "state"}, {"$ref": "each.result"}, {"$ref": "count.result"}]), 0


@pytest.mark.parametrize("applied", [False, True], ids=["before", "after"])
async def test_the_state_is_whole_again_after_a_death_at_each_durable_operation(applied: bool) -> None:
    """Same output, and no completed step again."""
    expected, reference, _ = await undisturbed(everything)
    assert expected[0]["total"].count("x") == 6
    for moment in range(1, reference.operations + 1):
        first = Life(DurableJournal(dies_at=moment, applied=applied), Effects())
        assert await first.live(everything) is None
        survivor = first.journal.survivor
        assert await Life(DurableJournal(survivor), Effects()).live(everything) == expected, f"died at {moment}"
        records = await records_of(survivor)
        check_history(records)
        assert len(set(completed(records))) == len(completed(records))


async def test_a_flow_with_shared_scope_reads_and_writes_the_whole_state_round_it() -> None:
    """By the declarations of that flow, also from branches and two levels down; nothing of it is private."""
    deep = Flow("deep").step(put(SEEN, "deep"), name="put").keeps(scope="shared")
    inner = Flow("inner").parallel({"a": put(SEEN, "a"), "b": put(SUM, 2)}).step(deep).keeps(scope="shared")
    inner.step(lambda value: value, name="seen", input={"$ref": "state.seen"}, blocking="inline")
    flow = Flow("f").keeps(SEEN, SUM).step(put(SEEN, "outer"), name="put").step(inner, name="one")
    flow.step(inner, name="two").returns({"state": {"$ref": "state"}, "one": {"$ref": "one.result"}})
    seen = ["outer", "a", "deep", "a", "deep"]
    assert await flow.run() == {"state": {"seen": seen, "sum": 4}, "one": seen[:3]}


async def test_private_keys_of_a_flow_with_shared_scope_stay_in_it() -> None:
    """The flow round it has none of them."""
    inner = Flow("inner").keeps(TURNS, scope="shared")
    inner.step(Does(lambda shared, given: shared.set(TURNS, 1)), name="set")
    flow = Flow("f").step(inner).returns({"$ref": "state"})
    assert await flow.run() == {}


async def test_a_flow_with_a_scope_of_its_own_shares_nothing() -> None:
    """Unless it says so; one in it that shares, shares with it."""
    deep = Flow("deep").keeps(scope="shared").step(Does(lambda shared, given: shared.set("x", 1)), name="set")
    inner = Flow("inner").step(deep).returns({"$ref": "state"})
    assert await Flow("f").step(inner).returns([{"$ref": "state"}, {"$ref": "inner.result"}]).run() == [{}, {"x": 1}]


async def test_writes_of_a_flow_with_shared_scope_are_on_record_with_its_visit() -> None:
    """Each visit of it writes once; the journal takes them as one change of state."""
    journal = DurableJournal()
    inner = Flow("inner").keeps(scope="shared").step(put(SEEN, 1), name="put").step(put(SEEN, 2), name="last")
    flow = Flow("f").keeps(SEEN).step(inner, name="one").step(inner, name="two").returns({"$ref": "state.seen"})
    async with Kernel(journal=journal) as kernel:
        assert await kernel.run(flow, None) == [1, 2, 1, 2]


async def test_a_failed_flow_with_shared_scope_has_written_nothing() -> None:
    """What it wrote before it failed is gone with it."""

    def fail(shared: Any, given: object) -> None:
        raise ValueError

    inner = Flow("inner").keeps(scope="shared").step(put(SEEN, 1), name="put").step(Does(fail), name="fail")
    flow = Flow("f").keeps(SEEN).parallel({"bad": inner, "good": put(SEEN, 2)}, join="any")
    assert await flow.returns({"$ref": "state.seen"}).run() == [2]


@pytest.mark.parametrize("scope", ["own", "shared"])
async def test_the_input_of_a_nested_flow_is_checked_where_it_is_a_node(scope: str) -> None:
    """The error tells the place, whatever depth it has."""
    inner = Flow("inner").keeps(scope=scope).takes({"type": "integer"}).step(lambda value: value, name="same")
    middle = Flow("middle").step(inner, name="in")
    flow = Flow("outer").step(lambda value: value, name="first").step(middle)
    assert await flow.run(3) == 3
    with pytest.raises(InputInvalid, match=r"The input of flow 'inner' at 'outer/middle/in': .*integer"):
        await flow.run("three")


def test_a_scope_that_there_is_not_is_found() -> None:
    """With those that there are."""
    with pytest.raises(FlowInvalid, match="its scope must be 'own' or 'shared', not 'open'"):
        Flow("f").keeps(scope="open").step(put(SEEN, 1), name="put").check()  # type: ignore[arg-type]
