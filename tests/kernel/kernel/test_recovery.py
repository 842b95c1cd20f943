"""After a restart all open runs go on, in order and at a measured pace; one that cannot does not stop the others."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from engine_kit import DurableJournal, check_history

from agentflow_kernel import Context, Flow, Kernel
from agentflow_kernel.contracts.journal import TERMINAL, Record, chain_hash
from agentflow_kernel.errors import CorruptRecord, PeerUnavailable, StorageUnavailable, UsageError
from agentflow_kernel.testing import FakeClock, InProcessJournal, settle

pytestmark = pytest.mark.anyio


class Peer:
    """The second step of a flow; its peer is down until it is put up. Notes the order of the values it got."""

    def __init__(self, name: str = "peer") -> None:
        self.up = False
        self.got: list[object] = []
        self.flow = Flow(name).step(lambda value: value, name="first").step(self.call, name="call")

    async def call(self, value: object) -> object:
        if not self.up:
            raise PeerUnavailable("down")
        self.got.append(value)
        return value


class Damaged(DurableJournal):
    """A journal in which one run cannot be read."""

    def __init__(self, survivor: InProcessJournal) -> None:
        super().__init__(survivor)
        self.broken = ""

    async def read(self, run_id: str, from_seq: int = 0) -> Any:
        if run_id == self.broken and from_seq == 0:
            raise CorruptRecord(run_id, 1, "the check sum does not match")
        return await super().read(run_id, from_seq)


async def leave(journal: Any, flow: Flow, *values: object, clock: FakeClock | None = None) -> list[str]:
    """Start a run for each value and leave them suspended; their ids."""
    run_ids = []
    async with Kernel(journal=journal, clock=clock) as kernel:
        for value in values:
            handle = await kernel.start(flow, value)
            await handle.ended()
            run_ids.append(handle.run_id)
            if clock is not None:
                clock.jump(1)
    return run_ids


async def test_all_open_runs_go_on_and_are_counted() -> None:
    """What has ended is not looked at again."""
    peer, journal = Peer(), DurableJournal()
    await leave(journal, Flow("done").step(lambda value: value), 0)
    await leave(journal, peer.flow, 1, 2, 3)
    peer.up = True
    async with Kernel(journal=journal) as kernel:
        kernel.add(peer.flow)
        result = await kernel.recover()
        assert (result.found, result.resumed) == (3, 3)
        assert (result.parked, result.quarantined, result.unservable, result.elsewhere) == (0, 0, 0, 0)
        assert [await handle.result() for handle in result.handles] == [1, 2, 3]
        for info in await kernel.runs():
            check_history(await kernel.history(info.run_id))
        assert (await kernel.recover()).found == 0


async def test_only_the_named_runs_are_taken() -> None:
    """The others stay as they are."""
    peer, journal = Peer(), DurableJournal()
    first, second = await leave(journal, peer.flow, 1, 2)
    peer.up = True
    async with Kernel(journal=journal) as kernel:
        kernel.add(peer.flow)
        (handle,) = (await kernel.recover([second])).handles
        assert (handle.run_id, await handle.result()) == (second, 2)
        assert [info.run_id for info in await kernel.runs(status="suspended")] == [first]


async def test_the_pace_is_kept() -> None:
    """The first run is resumed at once, the others a hundredth of a second apart unless another pace is asked for."""
    for per_s, gap in ((100.0, 0.01), (4.0, 0.25)):
        clock, journal, peer = FakeClock(auto=True), DurableJournal(), Peer()
        await leave(journal, peer.flow, *range(5), clock=clock)
        before = len(clock.slept)
        async with Kernel(journal=journal, clock=clock) as kernel:
            kernel.add(peer.flow)
            result = await kernel.recover(per_s=per_s)
        assert clock.slept[before:] == pytest.approx([0, gap, gap, gap, gap])
        assert result.seconds == pytest.approx(4 * gap)


async def test_a_pace_of_nothing_is_refused() -> None:
    async with Kernel(journal=DurableJournal()) as kernel:
        with pytest.raises(UsageError, match="per_s is 0"):
            await kernel.recover(per_s=0)


async def test_new_work_has_its_turn_meanwhile() -> None:
    """A run that is started while the recovery goes on ends before it is through."""
    clock, journal, peer = FakeClock(), DurableJournal(), Peer()
    await leave(journal, peer.flow, *range(50))
    peer.up = True
    async with Kernel(journal=journal, clock=clock) as kernel, anyio.create_task_group() as group:
        kernel.add(peer.flow)
        group.start_soon(kernel.recover)
        await settle()
        assert await kernel.run(Flow("new").step(lambda value: value + 1), 1) == 2
        assert len(peer.got) < 5
        await clock.advance(1)
        await settle()
        assert len(peer.got) == 50


async def test_overdue_timers_go_first_in_the_order_of_their_deadlines() -> None:
    """Then the others: by priority, the oldest first among equals."""
    clock, journal, order = FakeClock(), DurableJournal(), []

    async def nap(value: dict[str, Any], context: Context) -> None:
        if value["s"]:
            await context.sleep(value["s"])
        elif not order and value["name"] != "late":
            raise PeerUnavailable("down")

    flow = Flow("nap").step(nap)
    values = [("plain", 0), ("long", 500), ("short", 20), ("urgent", 0), ("middle", 300)]
    async with Kernel(journal=journal, clock=clock) as kernel:
        names = {}
        for name, seconds in values:
            handle = await kernel.start(flow, {"name": name, "s": seconds})
            names[handle.run_id] = name
            await settle()
            clock.jump(0.001)
    clock.jump(1000)
    order.append("recovering")
    async with Kernel(journal=journal, clock=clock) as kernel, anyio.create_task_group() as group:
        kernel.add(flow)
        result: list[Any] = []

        async def recover() -> None:
            result.append(await kernel.recover(priority=lambda info: 0 if names[info.run_id] == "urgent" else 1))

        group.start_soon(recover)
        await settle()
        await clock.advance(1)
    assert [names[handle.run_id] for handle in result[0].handles] == ["short", "middle", "long", "urgent", "plain"]


async def test_a_damaged_run_is_quarantined_and_the_others_go_on() -> None:
    """It is on record, the epoch has risen, and the next recovery leaves it alone."""
    peer, survivor = Peer(), InProcessJournal()
    journal = Damaged(survivor)
    first, second, third = await leave(journal, peer.flow, 1, 2, 3)
    peer.up, journal.broken = True, second
    epoch = (await journal.head(second)).epoch
    for _ in range(2):
        async with Kernel(journal=journal) as kernel:
            kernel.add(peer.flow)
            result = await kernel.recover()
            await kernel.idle()
            assert result.quarantined == 1
    head = await journal.head(second)
    assert (head.status, head.cause, head.epoch) == ("quarantined", "AF-JOURNAL-CORRUPT", epoch + 1)
    assert {(await journal.head(run_id)).status for run_id in (first, third)} == {"completed"}
    check_history(await survivor.read(second))


async def test_a_quarantined_run_goes_on_once_its_history_is_whole_again() -> None:
    """Resuming it by name looks again: first it refuses, and puts it on record; then it goes on."""
    peer, journal = Peer(), Damaged(InProcessJournal())
    (run_id,) = await leave(journal, peer.flow, 1)
    peer.up, journal.broken = True, run_id
    async with Kernel(journal=journal) as kernel:
        kernel.add(peer.flow)
        for _ in range(2):
            with pytest.raises(CorruptRecord):
                await kernel.resume(run_id)
        assert [info.run_id for info in await kernel.runs(status="quarantined")] == [run_id]
        journal.broken = ""
        assert await (await kernel.resume(run_id)).result() == 1
        check_history(await kernel.history(run_id))


async def test_runs_that_need_a_person_are_parked() -> None:
    """A stuck run would only stop again where it stopped."""
    journal, wanted = DurableJournal(), [1]

    async def first(value: object) -> object:
        return value

    def flow(given: int) -> Flow:
        return Flow("f").step(first, input={"n": given}).step(wait, name="wait")

    async def wait(value: object) -> object:
        raise PeerUnavailable("down")

    (run_id,) = await leave(journal, flow(wanted[0]), None)
    async with Kernel(journal=journal) as kernel:
        kernel.add(flow(2))
        await (await kernel.resume(run_id)).ended()
        result = await kernel.recover()
        assert (result.found, result.parked, result.resumed) == (1, 1, 0)


async def test_a_run_whose_flow_is_not_here_is_unservable() -> None:
    """Another kernel may have it; the run stays as it is."""
    here, other, journal = Peer("here"), Peer("other"), DurableJournal()
    await leave(journal, here.flow, 1)
    (there,) = await leave(journal, other.flow, 2)
    here.up = True
    async with Kernel(journal=journal) as kernel:
        kernel.add(here.flow)
        result = await kernel.recover()
        assert (result.found, result.unservable, result.resumed) == (2, 1, 1)
        await kernel.idle()
        assert [info.run_id for info in await kernel.runs(status="suspended")] == [there]


async def test_a_run_that_another_process_takes_meanwhile_is_elsewhere() -> None:
    """Its lease is younger: nobody is told to stop."""
    peer, journal = Peer(), DurableJournal()
    first, second = await leave(journal, peer.flow, 1, 2)
    peer.up, clock = True, FakeClock()
    async with Kernel(journal=journal, clock=clock) as kernel, anyio.create_task_group() as group:
        kernel.add(peer.flow)
        result: list[Any] = []

        async def recover() -> None:
            result.append(await kernel.recover(per_s=1))

        group.start_soon(recover)
        await settle()
        async with Kernel(journal=journal) as other:
            other.add(peer.flow)
            assert await (await other.resume(second)).result() == 2
        await clock.advance(1)
    assert (result[0].found, result[0].resumed, result[0].elsewhere) == (2, 1, 1)
    assert peer.got == [1, 2]
    assert (await journal.head(first)).status in TERMINAL


async def test_a_journal_that_is_down_is_no_fault_of_a_run() -> None:
    """Nothing is set aside: the recovery ends with the error."""
    peer, journal = Peer(), DurableJournal()
    (run_id,) = await leave(journal, peer.flow, 1)
    full = DurableJournal(journal.survivor, full_at=1)
    async with Kernel(journal=full) as kernel:
        kernel.add(peer.flow)
        with pytest.raises(StorageUnavailable):
            await kernel.recover()
    assert (await journal.head(run_id)).status == "suspended"


class Reading(DurableJournal):
    """Counts how often each run is read."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[str] = []

    async def read(self, run_id: str, from_seq: int = 0) -> Any:
        self.reads.append(run_id)
        return await super().read(run_id, from_seq)


@pytest.mark.keeps_memory("counts readings")
@pytest.mark.parametrize("kept", [64 << 20, 0], ids=["kept", "too many"])
async def test_each_history_is_read_once(monkeypatch: pytest.MonkeyPatch, kept: int) -> None:
    """What was verified is what is resumed; where there is no room for that it is read again."""
    monkeypatch.setattr("agentflow_kernel.kernel.recovery.KEPT_BYTES", kept)
    peer, journal = Peer(), Reading()
    run_ids = await leave(journal, peer.flow, 1, 2, 3)
    peer.up = True
    journal.reads.clear()
    async with Kernel(journal=journal) as kernel:
        kernel.add(peer.flow)
        result = await kernel.recover()
        assert sorted(journal.reads) == sorted(run_ids * (1 if kept else 2))
        for handle in result.handles:
            await handle.result()
        for run_id in run_ids:
            check_history(await kernel.history(run_id))


async def test_a_history_that_has_grown_since_it_was_verified_is_read_again() -> None:
    """Somebody else has taken the run up and left it again in between."""
    peer, journal = Peer(), Reading()
    run_ids = await leave(journal, peer.flow, 1, 2)

    def meddle(info: Any) -> float:
        if len(journal.reads) == 1:
            journal.reads.append("")
            head = journal.survivor._heads[run_ids[1]]
            last = Record(
                head.run_id, head.next_seq, "run.suspended", "", {"cause": "x"}, head.epoch + 1, ts=head.updated_at
            )
            last.prev_hash = chain_hash(journal.survivor._records[head.run_id][-1])
            journal.survivor.append_inline(head.run_id, head.next_seq, head.epoch + 1, [last])
        return float(run_ids.index(info.run_id))

    peer.up = True
    async with Kernel(journal=journal) as kernel:
        kernel.add(peer.flow)
        journal.reads.clear()
        result = await kernel.recover(priority=meddle)
        assert result.resumed == 2
        for run_id in run_ids:
            check_history(await kernel.history(run_id))
