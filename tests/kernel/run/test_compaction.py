"""A compacted run: what it has on record before a snapshot is deleted, and everything goes on as it would have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
from engine_kit import DurableJournal, Effects, check_history
from test_snapshots import loop

from agentflow_kernel import Context, Flow, Kernel
from agentflow_kernel.contracts.journal import INLINE_LIMIT_BYTES, compacted_to
from agentflow_kernel.errors import Fenced, HistoryCompacted, RunFailed, StorageUnavailable, UnknownRun, Unsupported
from agentflow_kernel.kernel.requests import signal_run
from agentflow_kernel.run.history_limits import Limits
from agentflow_kernel.run.inbox import ask_signal, find_requests
from agentflow_kernel.settings import Settings
from agentflow_kernel.testing import FakeClock, InProcessJournal

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

SMALL = Limits(snapshot_records=20, compact=True)
KEPT = Limits(snapshot_records=20)


@pytest.mark.keeps_memory("counts the records of one owner")
async def test_a_long_loop_stays_short() -> None:
    """Its first record stays, then come its last snapshot and what follows it; head and result are as ever."""
    effects, journal = Effects(), DurableJournal()
    async with Kernel(journal=journal, clock=FakeClock(auto=True), limits=SMALL) as kernel:
        handle = await kernel.start(loop(effects, 60))
        assert await handle.result() == {"count": 60}
        records = await kernel.history(handle.run_id, whole=True)
        head = await journal.head(handle.run_id)
        assert [record.seq for record in await kernel.history(handle.run_id, from_seq=3)] == [
            record.seq for record in records[1:]
        ]
        assert await kernel.origin(handle.run_id) == {}
    check_history(records)
    assert records[0].type == "run.started"
    assert compacted_to(records) > 100
    assert len(records) < 30
    assert records[1].payload["figures"]["steps"] > 100
    assert (head.next_seq, head.status) == (records[-1].seq + 1, "completed")


@pytest.mark.parametrize("applied", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("dies_at", range(18, 60))
async def test_a_run_that_dies_at_any_moment_round_a_compaction_goes_on(dies_at: int, applied: bool) -> None:
    """No completed step is executed again, and the output is that of a run that nothing happened to."""
    effects, survivor, clock = Effects(), InProcessJournal(), FakeClock(auto=True)
    effects.journal = DurableJournal(survivor, dies_at=dies_at, applied=applied)
    async with Kernel(journal=effects.journal, clock=clock, limits=SMALL) as kernel:
        handle = await kernel.start(loop(effects, 25))
        await handle.ended()
    check_history(await survivor.read(handle.run_id))
    effects.journal = DurableJournal(survivor)
    async with Kernel(journal=effects.journal, clock=clock, limits=SMALL) as kernel:
        kernel.add(loop(effects, 25))
        again = await kernel.resume(handle.run_id)
        assert await again.result() == {"count": 25}
        check_history(await kernel.history(handle.run_id, whole=True))
    doubled = {path for path in effects.paths if effects.paths.count(path) > 1}
    assert len(doubled) <= 1  # what was at work when it died


async def test_a_signal_is_known_after_its_record_was_deleted(tmp_path: Path) -> None:
    """To the owner, to a sender beside it, and to whoever looks at the records; what nobody took is there."""
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
    records = await survivor.read(handle.run_id)
    assert compacted_to(records)
    assert all(record.type != "signal.received" for record in records)
    assert ask_signal(handle.run_id, "go", {"ok": 2}, signal_id="one", records=records) is None
    effects.journal = DurableJournal(survivor)
    async with Kernel(journal=effects.journal, clock=clock, limits=SMALL, state=str(tmp_path)) as kernel:
        kernel.add(flow())
        assert await signal_run(kernel, handle.run_id, "go", {"ok": 2}, signal_id="one") == "one"
        assert not await anyio.to_thread.run_sync(find_requests, str(tmp_path), handle.run_id)
        again = await kernel.resume(handle.run_id)
        assert not await again.signal("go", {"ok": 2}, signal_id="one")
        assert await again.result() == {"ok": 1}


def buying(effects: Effects, rounds: int, *, text: str = "") -> Flow:
    """Buys, loops, and fails at its end; what it bought is given back."""

    async def buy(value: object) -> object:
        effects.note("buy")
        return text or value

    async def give_back(value: object) -> None:
        effects.note("give back")

    async def fail(value: object) -> object:
        raise ValueError("no")

    made = loop(effects, rounds)
    made.add_step("buy", buy, {"compensate": give_back, "routes": {"default": "count"}})
    made.start = "buy"
    made.steps["finish"].routes["default"] = "fail"
    made.add_step("fail", fail, {})
    return made


@pytest.mark.parametrize("text", ["", "x" * (INLINE_LIMIT_BYTES + 1)], ids=["small", "apart"])
async def test_what_is_to_be_undone_outlives_the_compaction(text: str) -> None:
    """Once, in the second process, with the result that was on record, also one that is stored apart."""
    effects, survivor, clock = Effects(), InProcessJournal(), FakeClock(auto=True)
    effects.journal = DurableJournal(survivor, dies_at=100)
    async with Kernel(journal=effects.journal, clock=clock, limits=SMALL) as kernel:
        handle = await kernel.start(buying(effects, 40, text=text))
        await handle.ended()
    assert compacted_to(await survivor.read(handle.run_id))
    effects.journal = DurableJournal(survivor)
    async with Kernel(journal=effects.journal, clock=clock, limits=SMALL) as kernel:
        kernel.add(buying(effects, 40, text=text))
        with pytest.raises(RunFailed):
            await (await kernel.resume(handle.run_id)).result()
        with pytest.raises(HistoryCompacted, match="cannot go on from 'buy'"):  # its compensation is on record
            await kernel.retry(handle.run_id, "buy")
    assert [path for path in effects.paths if path in ("buy", "give back")] == ["buy", "give back"]


@pytest.mark.keeps_memory("names a step behind the last snapshot by the records of one owner")
async def test_a_copy_from_before_the_snapshot_is_refused_by_name() -> None:
    """A copy from a step after it goes on from there; one with another input begins anew."""
    effects, clock = Effects(), FakeClock(auto=True)
    async with Kernel(journal=InProcessJournal(), clock=clock, limits=SMALL) as kernel:
        first = await kernel.start(loop(effects, 40))
        await first.result()
        gone = compacted_to(await kernel.history(first.run_id))
        for step in ("count@3", "nowhere"):
            with pytest.raises(HistoryCompacted, match=f"record {gone}, was deleted") as caught:
                await kernel.fork(first.run_id, step)
            assert (caught.value.code, caught.value.seq) == ("AF-HISTORY-COMPACTED", gone)
        called = len(effects.paths)
        assert await (await kernel.fork(first.run_id, "count@39")).result() == {"count": 40}
        assert effects.paths[called:] == ["count 38", "charge 38", "count 39"]
        assert await (await kernel.fork(first.run_id, value=1)).result() == {"count": 40}


async def test_a_run_is_compacted_by_hand_whoever_works_on_it() -> None:
    """Its owner goes on; a dry run only counts; twice does nothing; a run without a snapshot stays as it is."""
    effects, journal, clock = Effects(), InProcessJournal(), FakeClock(auto=True)
    plain = Flow("plain").step(lambda value: value)

    async def wait(value: object, context: Context) -> object:
        return await context.wait("go")

    flow = loop(effects, 40)
    flow.steps["finish"].routes["default"] = "wait"
    flow.add_step("wait", wait, {})
    async with Kernel(journal=journal, clock=clock, limits=KEPT) as kernel:
        short = await kernel.start(plain, 1)
        await short.result()
        assert await kernel.compact(short.run_id) == 0
        handle = await kernel.start(flow)
        while not handle.run.standing.open:
            await clock.sleep(0.01)
        before = await kernel.history(handle.run_id)
        planned = await kernel.compact(handle.run_id, dry_run=True)
        assert list(await kernel.history(handle.run_id)) == list(before)
        assert await kernel.compact(handle.run_id) == planned > 50
        assert await kernel.compact(handle.run_id) == await kernel.compact(handle.run_id, dry_run=True) == 0
        after = await kernel.history(handle.run_id)
        assert len(after) == len(before) - planned
        check_history(after)
        await handle.signal("go", 1)
        await handle.result()
        with pytest.raises(UnknownRun):
            await kernel.compact("nobody")


class Fixed(DurableJournal):
    """A journal without the ability."""

    compact = property()  # type: ignore[assignment]  # hasattr says no


async def test_a_journal_without_the_ability_is_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    """By hand that is an error, by the setting a line in the log; the run goes on."""
    async with Kernel(journal=Fixed(), clock=FakeClock(auto=True), limits=SMALL) as kernel:
        handle = await kernel.start(loop(Effects(), 20))
        await handle.result()
        assert "event=run.not_compacted" in capsys.readouterr().err
        with pytest.raises(Unsupported, match="compacts"):
            await kernel.compact(handle.run_id)


class Failing(DurableJournal):
    """A journal that refuses to compact."""

    error: Exception = StorageUnavailable("The disk is full.", executed="no")

    async def compact(self, run_id: str, seq: int, epoch: int) -> int:
        raise self.error


async def test_a_compaction_that_fails_ends_no_run(capsys: pytest.CaptureFixture[str]) -> None:
    async with Kernel(journal=Failing(), clock=FakeClock(auto=True), limits=SMALL) as kernel:
        assert await kernel.run(loop(Effects(), 20)) == {"count": 20}
    told = capsys.readouterr().err
    assert "event=run.not_compacted" in told
    assert "The disk is full." in told


async def test_an_owner_that_has_lost_its_run_stops_at_the_compaction() -> None:
    journal = Failing()
    journal.error = Fenced("r", 1, 2)
    async with Kernel(journal=journal, clock=FakeClock(auto=True), limits=SMALL) as kernel:
        handle = await kernel.start(loop(Effects(), 20))
        await handle.ended()
        assert handle.status == "suspended"


def test_the_setting_is_true_or_false(tmp_path: Any) -> None:
    file = tmp_path / "agentflow.toml"
    file.write_text("[runs]\ncompact = true\n", encoding="utf-8")
    assert Limits.of(Settings.read(str(file)).runs).compact is True
    assert Limits.of({}).compact is False
    file.write_text("[runs]\ncompact = 1\n", encoding="utf-8")
    with pytest.raises(Exception, match="true or false"):
        Settings.read(str(file))
