"""Pruning by a kernel: by hand, by ``[runs] keep``, and what becomes of keys and copies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from agentflow_kernel import Flow, Kernel
from agentflow_kernel.contracts.journal import Record
from agentflow_kernel.errors import StorageUnavailable, UnknownRun, Unsupported, UsageError
from agentflow_kernel.settings import Settings
from agentflow_kernel.testing import FakeClock, InProcessJournal, settle

if TYPE_CHECKING:
    from pathlib import Path

    from agentflow_kernel.kernel.pruning import Pruned

pytestmark = pytest.mark.anyio
DAY_S = 86_400.0


def double(value: int) -> int:
    return value * 2


flow = Flow("double").step(double)


async def ended(journal: InProcessJournal, run_id: str, at: float, status: str = "completed") -> None:
    """A run of two records that ended at that moment."""
    started = Record(run_id, 0, "run.started", "", {"name": "flow/old"}, 1, ts=at - 1)
    await journal.append(run_id, 0, 1, [started, Record(run_id, 1, "run.ended", "", {"status": status}, 1, ts=at)])


async def test_the_files_of_a_deleted_run_go_with_it(tmp_path: Path) -> None:
    """Its folder, and what others still asked of it; those of other runs stay, and nothing outside is touched."""
    journal, state = InProcessJournal(), tmp_path / "state"
    for run_id in ("old", "young", "..", "../outside"):
        await ended(journal, run_id, 0.0 if run_id != "young" else 1e12)
    kept = [state / "artifacts" / "young" / "b", state / "inbox" / "young" / "2.json", tmp_path / "outside" / "c"]
    gone = [state / "artifacts" / "old" / "a", state / "inbox" / "old" / "1.json"]
    for file in (*kept, *gone):
        file.parent.mkdir(parents=True)
        file.write_text("x")
    async with Kernel(journal=journal, state=str(state), clock=FakeClock(auto=True)) as kernel:
        assert sorted((await kernel.prune(0)).run_ids) == ["..", "../outside", "old"]
    assert all(file.exists() for file in kept)
    assert not any(file.parent.exists() for file in gone)


async def test_runs_that_ended_long_ago_are_deleted() -> None:
    """Of the statuses that are named; a dry run only names them, the oldest first."""
    clock, journal = FakeClock(), InProcessJournal()
    now = clock.now()
    await ended(journal, "b", now - 40 * DAY_S)
    await ended(journal, "a", now - 50 * DAY_S)
    await ended(journal, "failed", now - 50 * DAY_S, "failed")
    await ended(journal, "young", now - 10 * DAY_S)
    async with Kernel(journal=journal, clock=clock) as kernel:
        planned = await kernel.prune(30 * DAY_S, statuses=["completed"], dry_run=True)
        assert (planned.run_ids, planned.blobs) == (["a", "b"], 0)
        assert len(await kernel.runs()) == 4
        async with anyio.create_task_group() as group:
            done: list[Pruned] = []

            async def prune() -> None:
                done.append(await kernel.prune(30 * DAY_S, statuses=["completed"]))

            group.start_soon(prune)
            while not done:
                await clock.advance(1.0)
        assert sorted(done[0].run_ids) == ["a", "b"]
        assert sorted(info.run_id for info in await kernel.runs()) == ["failed", "young"]


async def test_what_cannot_be_pruned_is_refused() -> None:
    """Runs that have not ended, a time that is none, and a journal without the ability."""

    class Fixed:
        def __init__(self) -> None:
            self.head = self.read = self.runs = self.append = None

    async with Kernel(journal=InProcessJournal()) as kernel:
        with pytest.raises(UsageError, match="'running' cannot be deleted"):
            await kernel.prune(0, statuses=["completed", "running"])
        with pytest.raises(UsageError, match="expected a number of seconds"):
            await kernel.prune(-1)
    async with Kernel(journal=Fixed()) as kernel:  # type: ignore[arg-type]  # nothing of it is called
        with pytest.raises(Unsupported, match="prunes"):
            await kernel.prune(0)


async def test_a_key_may_be_used_anew_when_its_run_is_gone() -> None:
    journal = InProcessJournal()
    async with Kernel(journal=journal) as kernel:
        assert await kernel.run(flow, 1, key="order-1") == 2
        assert await kernel.run(flow, 5, key="order-1") == 2
        assert len((await kernel.prune(0)).run_ids) == 1
        assert await kernel.run(flow, 5, key="order-1") == 10


async def test_a_copy_outlives_the_run_that_it_goes_on_from() -> None:
    """With the payloads that it has taken over."""
    journal = InProcessJournal()
    large = "x" * 300_000
    async with Kernel(journal=journal) as kernel:
        kernel.add(echo := Flow("echo").step(lambda value: value, name="first").step(lambda value: value, name="last"))
        first = await kernel.start(echo, large)
        await first.result()
        fork = await kernel.fork(first.run_id, "last")
        await fork.result()
        await journal.prune(1e12, limit=1)
        with pytest.raises(UnknownRun):
            await kernel.history(first.run_id)
        await journal.collect(grace_s=-1.0)
        records = await kernel.history(fork.run_id, whole=True)
        assert records[-1].payload["output"] == large


def keeping(tmp_path: Path, keep: str) -> Settings:
    file = tmp_path / "agentflow.toml"
    file.write_text(f'[runs]\nkeep = "{keep}"\n', encoding="utf-8")
    return Settings.read(str(file))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return keeping(tmp_path, "30d")


async def test_what_the_settings_say_is_done_at_once_and_every_hour(settings: Settings) -> None:
    """By a kernel with a run at work; one that only looks deletes nothing."""
    clock, journal = FakeClock(), InProcessJournal()
    await ended(journal, "old", clock.now() - 31 * DAY_S)
    await ended(journal, "soon", clock.now() - 30 * DAY_S + 1800)
    async with Kernel(journal=journal, clock=clock, settings=settings) as kernel:
        await settle()
        assert len(await kernel.runs()) == 2
        await kernel.run(flow, 1)
        await settle()
        assert {info.run_id for info in await kernel.runs()} >= {"soon"}
        assert "old" not in {info.run_id for info in await kernel.runs()}
        for _ in range(4):
            await clock.advance(1000.0)
            await settle()
        assert len(await kernel.runs()) == 1


async def test_a_journal_that_is_away_is_asked_again(settings: Settings) -> None:
    """Nothing that is at work ends because of it."""

    class Away(InProcessJournal):
        asked = 0

        async def prune(self, *arguments, **options):
            self.asked += 1
            if self.asked == 1:
                raise StorageUnavailable("away", executed="no")
            return await super().prune(*arguments, **options)

    clock, journal = FakeClock(), Away()
    async with Kernel(journal=journal, clock=clock, settings=settings) as kernel:
        assert await kernel.run(flow, 1) == 2
        await settle()
        assert journal.asked == 1
        for _ in range(4):
            await clock.advance(1000.0)
            await settle()
        assert journal.asked == 2
        assert await kernel.run(flow, 2) == 4


@pytest.mark.parametrize("keep", ["30", "d", "0d", "-1d", "1.5h", "30 d", "", "x d"])
def test_a_time_that_is_none_is_refused(tmp_path: Path, keep: str) -> None:
    with pytest.raises(UsageError, match=r"runs\.keep must be a whole number above 0 with s, m, h or d"):
        keeping(tmp_path, keep)
