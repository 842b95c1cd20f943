"""A long run folds its history into a snapshot, goes on from it after a restart, and stays within its limits."""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from engine_kit import DurableJournal, Effects, check_history

from agentflow_kernel import Context, Flow, Kernel, Node, StateKey
from agentflow_kernel.errors import RunFailed, RunSuspended, StorageUnavailable
from agentflow_kernel.run import snapshot
from agentflow_kernel.run.history import History
from agentflow_kernel.run.history_limits import Limits
from agentflow_kernel.run.standing import Standing
from agentflow_kernel.settings import Settings
from agentflow_kernel.testing import FakeClock, InProcessJournal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from anyio.abc import TaskGroup

    from agentflow_kernel.contracts.journal import Record

pytestmark = pytest.mark.anyio

SMALL = Limits(snapshot_records=20)


class Counting(Node):
    """Writes the count to the state; the effects know each call."""

    effects: Effects

    async def prep(self, shared: Any, value: Any) -> Any:
        return shared.get("count", 0)

    async def exec(self, prepared: Any) -> Any:
        self.effects.note(f"count {prepared}")
        return prepared

    async def post(self, shared: Any, prepared: Any, result: Any) -> str:
        shared.set("count", prepared + 1)
        return "again" if prepared + 1 < self.rounds else "done"

    def __init__(self, effects: Effects, rounds: int) -> None:
        self.effects = effects
        self.rounds = rounds


def loop(effects: Effects, rounds: int) -> Flow:
    """A loop of two nodes with a durable step and a timer in one of them; gives the count."""

    async def step(value: int, context: Context) -> str:
        def charge(number: int) -> str:
            effects.note(f"charge {number}")
            return f"receipt {number}"

        if value % 5 == 0:
            await context.sleep(1)
        return await context.step("charge", charge, value)

    flow = Flow("loop", max_steps=10_000).step(Counting(effects, rounds), name="count")
    flow.steps["count"].routes.update({"again": "step", "done": "finish"})
    flow.add_step("step", step, {"routes": {"default": "count"}})
    flow.add_step("finish", lambda value: value, {})
    return flow.returns({"count": {"$ref": "state.count"}})


@pytest.mark.keeps_memory("counts the records of one owner")
async def test_a_long_loop_is_folded_and_ends_as_it_would_have() -> None:
    """The history stays one chain; each snapshot holds little, however long the loop."""
    effects, journal = Effects(), DurableJournal()
    async with Kernel(journal=journal, clock=FakeClock(auto=True), limits=SMALL) as kernel:
        handle = await kernel.start(loop(effects, 60))
        assert await handle.result() == {"count": 60}
        records = await kernel.history(handle.run_id, whole=True)
    check_history(records)
    folded = [record for record in records if record.type == "snapshot"]
    assert len(folded) >= 5
    assert all(record.payload["done"] == {} for record in folded)
    assert len({len(str(record.payload)) // 200 for record in folded}) == 1
    assert folded[-1].payload["figures"]["steps"] > 100


@pytest.mark.parametrize("applied", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("dies_at", [25, 26, 27, 28, 29, 30, 31, 47, 60, 83])
async def test_a_run_that_dies_goes_on_from_its_snapshot(dies_at: int, applied: bool) -> None:
    """No completed step is executed again, and the output is that of a run that nothing happened to."""
    effects, survivor, clock = Effects(), InProcessJournal(), FakeClock(auto=True)
    effects.journal = DurableJournal(survivor, dies_at=dies_at, applied=applied)
    async with Kernel(journal=effects.journal, clock=clock, limits=SMALL) as kernel:
        handle = await kernel.start(loop(effects, 25))
        await handle.ended()
    before = await survivor.read(handle.run_id)
    done = {record.path for record in before if record.type == "step.completed"}
    effects.journal = DurableJournal(survivor)
    async with Kernel(journal=effects.journal, clock=clock, limits=SMALL) as kernel:
        kernel.add(loop(effects, 25))
        again = await kernel.resume(handle.run_id)
        assert await again.result() == {"count": 25}
        records = await kernel.history(handle.run_id, whole=True)
    check_history(records)
    paths = [record.path for record in records if record.type == "step.completed"]
    assert len(paths) == len(set(paths))
    doubled = {path for path in effects.paths if effects.paths.count(path) > 1}
    assert len(doubled) <= 1  # what was at work when it died
    assert done <= set(paths)


@pytest.mark.keeps_memory("looks at what one owner has in memory")
async def test_a_resumed_run_remembers_only_what_it_may_be_asked_for() -> None:
    """Neither in this process nor after a restart does the memory of a loop grow with its visits."""
    effects, survivor, clock = Effects(), InProcessJournal(), FakeClock(auto=True)
    effects.journal = DurableJournal(survivor, dies_at=300)
    async with Kernel(journal=effects.journal, clock=clock, limits=SMALL) as kernel:
        handle = await kernel.start(loop(effects, 200))
        await handle.ended()
        standing = handle.run.standing
        assert len(standing.timers) + len(standing.fired) < 20
        assert len(handle.run.history.began) <= 2
    effects.journal = DurableJournal(survivor)
    async with Kernel(journal=effects.journal, clock=clock, limits=SMALL) as kernel:
        kernel.add(loop(effects, 200))
        again = await kernel.resume(handle.run_id)
        assert len(again.run.history.done) < 20
        await again.result()
        assert len(again.run.history.done) < 20


async def test_a_signal_that_nobody_has_taken_is_part_of_the_snapshot() -> None:
    """It is there after the restart, and its id is still known."""
    effects, survivor, clock = Effects(), InProcessJournal(), FakeClock(auto=True)

    async def wait(value: object, context: Context) -> object:
        return await context.wait("go")

    def flow() -> Flow:
        made = loop(effects, 40)
        made.steps["finish"].routes["default"] = "wait"
        made.add_step("wait", wait, {})
        return made.returns({"$ref": "wait.result"})

    effects.journal = DurableJournal(survivor, dies_at=100)
    async with Kernel(journal=effects.journal, clock=clock, limits=SMALL) as kernel:
        handle = await kernel.start(flow())
        assert await handle.signal("go", {"ok": 1}, signal_id="one")
        await handle.ended()
    effects.journal = DurableJournal(survivor)
    async with Kernel(journal=effects.journal, clock=clock, limits=SMALL) as kernel:
        kernel.add(flow())
        again = await kernel.resume(handle.run_id)
        assert not await again.signal("go", {"ok": 2}, signal_id="one")
        assert await again.result() == {"ok": 1}


class SignalMeanwhile(DurableJournal):
    """Somebody sends a signal when the history is read to be folded; its append takes until the third reading."""

    def __init__(self, *, fails: bool) -> None:
        super().__init__()
        self.fails = fails
        self.send: Callable[[], Awaitable[object]] | None = None
        self.senders: TaskGroup
        self.readings = 0
        self.appending, self.go_on = anyio.Event(), anyio.Event()

    async def append(self, run_id: str, expected_seq: int, epoch: int, records: Sequence[Record]) -> None:
        if records[-1].type == "signal.received":
            self.appending.set()
            await self.go_on.wait()
            if self.fails:
                raise StorageUnavailable("The disk is full.", executed="no")
        await super().append(run_id, expected_seq, epoch, records)

    async def read(self, run_id: str, from_seq: int = 0) -> Sequence[Record]:
        if self.send is not None:
            self.readings += 1
            if self.readings == 1:
                self.senders.start_soon(self.send)
                await self.appending.wait()
            elif self.readings == 3:
                self.go_on.set()
        return await super().read(run_id, from_seq)


@pytest.mark.keeps_memory("counts readings")
@pytest.mark.parametrize("fails", [False, True], ids=["kept", "refused"])
async def test_a_signal_that_is_being_appended_meanwhile_is_waited_for(fails: bool) -> None:
    """Then it is part of the snapshot; where it cannot be kept the run is suspended, as by any append that fails."""

    async def wait(value: object, context: Context) -> object:
        return await context.wait("go")

    journal = SignalMeanwhile(fails=fails)
    flow = Flow("f").step(lambda value: value, name="a", blocking="inline").step(wait)
    async with Kernel(journal=journal, limits=Limits(snapshot_records=2)) as kernel, anyio.create_task_group() as group:
        handle = await kernel.start(flow, 1)
        journal.senders = group

        async def send() -> None:
            with pytest.raises(StorageUnavailable) if fails else nullcontext():
                await handle.signal("go", {"ok": 1})

        journal.send = send
        await handle.ended()
        if fails:
            assert handle.status == "suspended"
            return
        assert await handle.result() == {"ok": 1}
        records = await kernel.history(handle.run_id, whole=True)
    (folded,) = [record for record in records if record.type == "snapshot"]
    assert [name for _, name, _ in folded.payload["standing"]["buffered"]] == ["go"]


class ReadLate(InProcessJournal):
    """Its first owner's first reading, for a snapshot, takes until another owner has the run."""

    def __init__(self) -> None:
        super().__init__()
        self.reading, self.go_on = anyio.Event(), anyio.Event()

    async def read(self, run_id: str, from_seq: int = 0) -> Sequence[Record]:
        if not self.reading.is_set():
            self.reading.set()
            await self.go_on.wait()
        return await super().read(run_id, from_seq)


@pytest.mark.keeps_memory("the first reading is that of the snapshot")
@pytest.mark.parametrize("pruned", [False, True], ids=["ended", "and pruned"])
async def test_an_owner_that_lost_the_run_while_it_read_for_a_snapshot_stops(pruned: bool) -> None:
    """The new one has written more: the old one would wait for ever for what it has not written itself."""
    journal, limits = ReadLate(), Limits(snapshot_records=2)
    flow = Flow("f").step(lambda value: value, name="a", blocking="inline").step(lambda value: value, name="b")
    with anyio.fail_after(30):
        async with Kernel(journal=journal, limits=limits) as first, Kernel(journal=journal, limits=limits) as second:
            handle = await first.start(flow, 1)
            await journal.reading.wait()
            second.add(flow)
            taken = await second.resume(handle.run_id)
            assert await taken.result() == 1
            records = await journal.read(handle.run_id)
            if pruned:
                await journal.prune(math.inf)
                records = []
            journal.go_on.set()
            with pytest.raises(RunSuspended, match="epoch 1 is over, the run now belongs to epoch 2"):
                await handle.result()
            assert await journal.read(handle.run_id) == records


async def test_what_is_to_be_undone_outlives_the_snapshot() -> None:
    """A run that fails in its second process gives back what it bought before its first snapshot, once."""
    effects, survivor, clock = Effects(), InProcessJournal(), FakeClock(auto=True)

    async def buy(value: object) -> object:
        effects.note("buy")
        return value

    async def give_back(value: object) -> None:
        effects.note("give back")

    async def fail(value: object) -> object:
        raise ValueError("no")

    def flow() -> Flow:
        made = loop(effects, 40)
        made.add_step("buy", buy, {"compensate": give_back, "routes": {"default": "count"}})
        made.start = "buy"
        made.steps["finish"].routes["default"] = "fail"
        made.add_step("fail", fail, {})
        return made

    effects.journal = DurableJournal(survivor, dies_at=80)
    async with Kernel(journal=effects.journal, clock=clock, limits=SMALL) as kernel:
        handle = await kernel.start(flow())
        await handle.ended()
    effects.journal = DurableJournal(survivor)
    async with Kernel(journal=effects.journal, clock=clock, limits=SMALL) as kernel:
        kernel.add(flow())
        with pytest.raises(RunFailed):
            await (await kernel.resume(handle.run_id)).result()
    assert [path for path in effects.paths if path in ("buy", "give back")] == ["buy", "give back"]


@pytest.mark.keeps_memory("counts the records of one owner")
async def test_a_node_that_makes_too_many_records_fails_its_run_by_name() -> None:
    """A snapshot can be made between two nodes only; the end of the run is on record all the same."""
    limits = Limits(snapshot_records=10, most_records=30)
    flow = Flow("f").step(lambda value: value, name="square", each={"$ref": "input"}, blocking="inline")
    async with Kernel(journal=InProcessJournal(), limits=limits) as kernel:
        handle = await kernel.start(flow, list(range(100)))
        with pytest.raises(RunFailed, match=r"max_records.*since its last snapshot") as caught:
            await handle.result()
        assert caught.value.code == "AF-BUDGET"
        records = await kernel.history(handle.run_id)
    assert records[-1].payload["status"] == "failed"
    assert len(records) < 40


async def test_a_fork_of_a_folded_run_goes_on_from_its_snapshot() -> None:
    """Steps before the snapshot are behind it; those after it can be named."""
    effects, clock = Effects(), FakeClock(auto=True)
    async with Kernel(journal=InProcessJournal(), clock=clock, limits=SMALL) as kernel:
        first = await kernel.start(loop(effects, 40))
        assert await first.result() == {"count": 40}
        called = len(effects.paths)
        copy = await kernel.fork(first.run_id, "count@39")
        assert await copy.result() == {"count": 40}
        assert effects.paths[called:] == ["count 38", "charge 38", "count 39"]


def test_every_member_of_a_standing_has_its_place_in_a_snapshot() -> None:
    """A new one would be lost by the first long run."""
    placed = {*snapshot.BY_PATH, *snapshot.PATHS, *snapshot.WHOLE, *snapshot.IDS, *snapshot.LIVE}
    assert set(Standing.__slots__) == placed


def test_limits_are_settings(tmp_path: Any) -> None:
    """Whole numbers above 0; what is not given is as it is by default."""
    file = tmp_path / "agentflow.toml"
    file.write_text("[runs]\nsnapshot_records = 50\nmax_mib = 2\n", encoding="utf-8")
    limits = Limits.of(Settings.read(str(file)).runs)
    told = (limits.snapshot_records, limits.most_bytes, limits.most_records)
    assert told == (50, 2 << 20, Limits().most_records)


def test_the_time_of_the_whole_flow_is_part_of_every_snapshot() -> None:
    """Timers of visits that are over are not; those of the next visit are."""
    history = History(InProcessJournal(), "r", clock=FakeClock())
    history.standing = Standing()
    history.standing.timers = {"!timeout": 5.0, "nap!sleep": 1.0, "nap@2!sleep": 2.0}
    folded: Any = snapshot.fold(history, "nap@2", {"node": "nap"})
    assert folded["standing"]["timers"] == {"!timeout": 5.0, "nap@2!sleep": 2.0}


class Turns(Node):
    """Counts in a key of its own, which each node has for itself, and deletes a key that has a default."""

    async def prep(self, shared: Any, value: Any) -> Any:
        return shared.get("turns", 0) + 1

    async def exec(self, prepared: Any) -> Any:
        return prepared

    async def post(self, shared: Any, prepared: Any, result: Any) -> str:
        shared.set("turns", prepared)
        if prepared == 1:
            shared.delete("once")
        return "again" if prepared < 6 else "done"


@pytest.mark.parametrize("dies_at", range(6, 14))
async def test_what_is_private_to_a_node_and_what_was_deleted_outlive_the_snapshot(dies_at: int) -> None:
    survivor, limits = InProcessJournal(), Limits(snapshot_records=2)

    def flow() -> Flow:
        made = Flow("private").keeps(StateKey("turns", int, default=0, scope="node"), StateKey("once", int, default=1))
        made.step(Turns(), name="one", routes={"again": "one", "done": "last"})
        return made.step(lambda value: value, name="last", blocking="inline").returns({"$ref": "state"})

    async with Kernel(journal=DurableJournal(survivor, dies_at=dies_at), limits=limits) as kernel:
        handle = await kernel.start(flow())
        await handle.ended()
    async with Kernel(journal=DurableJournal(survivor), limits=limits) as kernel:
        kernel.add(flow())
        again = await kernel.resume(handle.run_id)
        assert await again.result() == {}
        visits = [record for record in await kernel.history(handle.run_id) if record.path.startswith("one")]
    assert len(visits) == 6
