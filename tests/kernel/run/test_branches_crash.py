"""A process that dies anywhere in a fork, a fan-out or a choice: the next one goes on, and no branch runs again."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import anyio.lowlevel
import pytest
from engine_kit import DurableJournal, Effects, check_history, completed
from test_crash import Life, records_of, undisturbed
from zoo import noted

from agentflow_kernel import Flow, Node
from agentflow_kernel.flow import Branch, Goto, Parallel

if TYPE_CHECKING:
    from agentflow_kernel.contracts.journal import Record

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]


class Keep(Node):
    """Appends what it got to one key of the state."""

    def __init__(self, effects: Effects, name: str) -> None:
        self.effects = effects
        self.name = name

    async def exec(self, prepared: Any) -> Any:
        self.effects.note(self.name)
        await anyio.lowlevel.checkpoint()
        return prepared

    async def post(self, shared: Any, prepared: Any, result: Any) -> None:
        shared.set("kept", [self.name, result])


def forking(effects: Effects) -> tuple[Flow, Any]:
    """A fork of a node, a flow, a batch and a fork, between two steps."""
    inner = Flow("inner").step(noted(effects), name="one").step(noted(effects, lambda value: value * 2), name="two")
    flow = Flow("forking").step(noted(effects), name="first")
    flow.parallel(
        {
            "plain": noted(effects),
            "flow": inner,
            "batch": Branch(noted(effects), each=[1, 2], concurrency=2),
            "fork": Parallel({"x": noted(effects), "y": noted(effects)}),
            "told": Branch(None, emits="it.happened"),
        },
        name="fork",
    )
    return flow.step(noted(effects), name="last"), 1


def keeping(effects: Effects) -> tuple[Flow, Any]:
    """Branches that write, one of them a fork that writes, and a batch of forks."""
    flow = Flow("keeping", reducers={"kept": "append"}).step(noted(effects), name="first")
    both = Parallel({"c": Keep(effects, "c"), "d": Keep(effects, "d")})
    flow.parallel({"a": Keep(effects, "a"), "both": both, "b": Keep(effects, "b")}, name="fork")
    flow.step(Parallel({"e": Keep(effects, "e")}), name="each", each=[1, 2], concurrency=1)
    return flow.step(noted(effects), name="last").returns([{"$ref": "state"}, {"$ref": "each.result"}]), 1


def spreading(effects: Effects) -> tuple[Flow, Any]:
    """A dynamic fan-out in a loop, with one item that is skipped and writes that merge."""

    def plan(value: int) -> Any:
        return [Goto("work", value), Goto("keep", value), Goto("picky", 1), Goto("picky", 2)]

    def picky(value: int) -> int:
        if value == 1:
            raise ValueError("one")
        return value

    flow = Flow("spreading", reducers={"kept": "append"})
    flow.step(noted(effects, plan), name="plan", fan_out=["work", "keep", "picky"], on_item_error="skip")
    flow.aside(noted(effects), name="work").aside(Keep(effects, "k"), name="keep").aside(
        noted(effects, picky), name="picky"
    )
    flow.step(
        noted(effects, lambda value: value[0] - 1),
        name="less",
        when=[{"if": "result >= 0 and state.kept[0][1] == 1", "next": "plan"}, {"next": None}],
    )
    return flow.returns([{"$ref": "state.kept"}, {"$ref": "plan.result"}]), 1


SHAPES = {build.__name__: build for build in (forking, keeping, spreading)}


@pytest.mark.parametrize("applied", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("name", SHAPES)
async def test_a_run_with_branches_survives_a_death_at_each_durable_operation(name: str, applied: bool) -> None:
    """Same output, and no completed step again."""
    build = SHAPES[name]
    expected, reference, once = await undisturbed(build)
    assert reference.operations >= 8
    for moment in range(1, reference.operations + 1):
        first = Life(DurableJournal(dies_at=moment, applied=applied), Effects())
        assert await first.live(build) is None
        survivor = first.journal.survivor
        done = set(completed(await records_of(survivor)))

        second = Life(DurableJournal(survivor), Effects())
        assert await second.live(build) == expected, f"died at operation {moment}"

        records = await records_of(survivor)
        check_history(records)
        assert records[-1].type == "run.ended"
        assert not done & set(second.effects.paths), f"ran again after the death at operation {moment}"
        assert Counter(completed(records)).most_common(1)[0][1] == 1
        assert set(first.effects.paths) | set(second.effects.paths) == set(once.paths)


def winners_in(records: list[Record]) -> list[Any]:
    """What decisions and joins say of who was waited for."""
    found: list[Any] = []
    for record in records:
        payload: Any = record.payload
        if record.type == "decision":
            found.append(payload["winners"])
        elif record.path == "race" and record.type == "step.completed":
            found.append(payload["branches"])
    return found


def racing(needed: Any, rest: str, slow: str) -> Any:
    """A fork in which ``slow`` takes its time in this process; the output names who won."""

    def build(effects: Effects) -> tuple[Flow, Any]:
        def runner(name: str) -> Any:
            async def run(value: int, context: Any) -> str:
                for _ in range(200 if name in slow else 1):
                    await anyio.lowlevel.checkpoint()
                effects.note(context.path)
                return name

            return run

        branches = {name: runner(name) for name in "abc"}
        flow = Flow("racing").parallel(branches, name="race", join=needed, rest=rest)
        return flow.step(noted(effects, list), name="last"), 1

    return build


@pytest.mark.parametrize("rest", ["cancel", "wait"])
@pytest.mark.parametrize(("needed", "slow", "winners"), [("any", "ac", ["b"]), (2, "b", ["a", "c"])])
async def test_who_has_won_stays_the_winner_whoever_is_quick_later(
    needed: Any, slow: str, winners: list[str], rest: str
) -> None:
    """In the second process the others would be quicker."""
    expected, reference, _ = await undisturbed(racing(needed, rest, slow))
    assert expected == winners
    decided = 0
    for moment in range(1, reference.operations + 1):
        for applied in (False, True):
            first = Life(DurableJournal(dies_at=moment, applied=applied), Effects())
            assert await first.live(racing(needed, rest, slow)) is None
            survivor = first.journal.survivor
            before = await records_of(survivor)
            done = set(completed(before))

            second = Life(DurableJournal(survivor), Effects())
            output = await second.live(racing(needed, rest, winners))
            records = await records_of(survivor)
            check_history(records)
            assert not done & set(second.effects.paths)
            assert all(names == output for names in winners_in(records))
            if {f"race/{name}" for name in winners} <= done:
                decided += 1
                assert output == winners
                assert not [path for path in second.effects.paths if path.startswith("race/")]
    assert decided >= 4
