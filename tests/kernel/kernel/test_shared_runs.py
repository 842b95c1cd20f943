"""Workers that share a journal: its own leases and inbox are used, and a worker takes over what another has left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest
from engine_kit import DurableJournal, check_history

from agentflow_kernel import Context, Flow, Kernel
from agentflow_kernel.errors import CorruptRecord, InputInvalid, RunEnded, StorageUnavailable, UnknownRun, UsageError
from agentflow_kernel.kernel import adoption
from agentflow_kernel.kernel.requests import cancel_run, signal_run
from agentflow_kernel.telemetry import set_log_level
from agentflow_kernel.testing import FakeClock, InProcessJournal

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

    from agentflow_kernel.contracts.journal import Request

pytestmark = pytest.mark.anyio


class Store:
    """What several workers share: records, who is alive, and requests."""

    def __init__(self) -> None:
        self.records = InProcessJournal()
        self.owners: set[str] = set()
        self.requests: dict[str, list[Request]] = {}
        self.news = anyio.Event()
        self.named = 0

    def worker(self) -> SharedJournal:
        """The store as one process sees it."""
        return SharedJournal(self)


class Leases:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.name = ""

    async def acquire(self) -> str:
        await anyio.lowlevel.checkpoint()
        self.store.named += 1
        self.name = f"worker{self.store.named}-x"
        self.store.owners.add(self.name)
        return self.name

    async def release(self) -> None:
        self.store.owners.discard(self.name)

    async def alive(self, owners: Collection[str]) -> Collection[str]:
        await anyio.lowlevel.checkpoint()
        return self.store.owners.intersection(owners)


class Box:
    def __init__(self, store: Store) -> None:
        self.store = store

    async def leave(self, run_id: str, request: Request) -> None:
        self.store.requests.setdefault(run_id, []).append(request)
        self.store.news.set()

    async def find(self, run_id: str) -> Sequence[Request]:
        await anyio.lowlevel.checkpoint()
        return list(self.store.requests.get(run_id, ()))

    async def remove(self, run_id: str, request: Request) -> None:
        self.store.requests[run_id].remove(request)

    async def changed(self) -> Collection[str]:
        self.store.news = anyio.Event()
        return list(self.store.requests)

    def forget(self) -> None:
        return

    async def woken(self) -> None:
        await self.store.news.wait()


class SharedJournal(DurableJournal):
    """One process's journal with both abilities."""

    def __init__(self, store: Store) -> None:
        super().__init__(store.records)
        self.leases = Leases(store)
        self.inbox = Box(store)


def waiting() -> Flow:
    async def wait(value: Any, context: Context) -> Any:
        return await context.wait("go", {"type": "integer"})

    return Flow("waiting").step(wait, name="wait")


async def crash(kernel: Kernel, store: Store) -> None:
    """The process ends without a word: nothing more is written, and its lease runs out."""
    runs = kernel._open
    runs.journal.dead = True  # type: ignore[attr-defined]
    store.owners.discard(runs._owner)


async def tick(clock: FakeClock, until: Callable[[], bool]) -> None:
    with anyio.fail_after(30):
        while not until():
            await clock.advance(0.5)
            await anyio.lowlevel.checkpoint()


async def test_a_run_carries_the_owner_that_the_journal_names_and_no_folder_is_made(tmp_path: Path) -> None:
    store = Store()
    state = str(tmp_path / "state")
    async with Kernel(journal=store.worker(), state=state, clock=FakeClock()) as kernel:
        handle = await kernel.start(waiting())
        (head,) = await kernel.runs()
        assert (head.owner, head.status) == ("worker1-x", "running")
        await handle.cancel()
    assert store.owners == set()
    assert [entry async for entry in anyio.Path(tmp_path).iterdir()] == []


async def test_the_run_of_a_living_owner_is_refused_and_that_of_a_dead_one_taken() -> None:
    store, clock = Store(), FakeClock()
    one, other = Kernel(journal=store.worker(), clock=clock), Kernel(journal=store.worker(), clock=clock)
    async with other:
        flow = waiting()
        other.add(flow)
        async with one:
            handle = await one.start(flow)
            with pytest.raises(UsageError, match="being worked on by process worker1"):
                await other.resume(handle.run_id)
            await crash(one, store)
            (head,) = await other.runs()
            assert (head.status, head.cause) == ("suspended", "crash")
            again = await other.resume(handle.run_id)
            await again.signal("go", 7)
            assert await again.result() == 7


async def test_a_request_reaches_the_owner_through_the_journal_at_once() -> None:
    """The inbox calls: no time has to pass. It is removed once it is on record."""
    store, clock = Store(), FakeClock()
    journal = store.worker()
    async with Kernel(journal=journal, clock=clock) as kernel, Kernel(journal=store.worker()) as elsewhere:
        handle = await kernel.start(waiting())
        await tick(clock, lambda: ("wait.opened",) in journal.appended)
        moment = clock.monotonic()
        with pytest.raises(InputInvalid):
            await signal_run(elsewhere, handle.run_id, "go", "no number")
        with pytest.raises(UnknownRun):
            await signal_run(elsewhere, "nobody", "go", 1)
        sent = await signal_run(elsewhere, handle.run_id, "go", 5, signal_id="mine")
        with anyio.fail_after(30):
            assert await handle.result() == 5
        assert (sent, clock.monotonic()) == ("mine", moment)
        with pytest.raises(RunEnded):
            await cancel_run(elsewhere, handle.run_id)
    assert store.requests[handle.run_id] == []


async def test_a_cancellation_from_elsewhere_ends_the_run() -> None:
    store, clock = Store(), FakeClock()
    async with Kernel(journal=store.worker(), clock=clock) as kernel, Kernel(journal=store.worker()) as elsewhere:
        handle = await kernel.start(waiting())
        await cancel_run(elsewhere, handle.run_id)
        with anyio.fail_after(30):
            await handle.ended()
        assert handle.status == "cancelled"


async def test_requests_have_no_place_without_a_folder_or_an_inbox() -> None:
    async with Kernel(journal=DurableJournal(), clock=FakeClock()) as kernel:
        handle = await kernel.start(waiting())
        with pytest.raises(UsageError, match="no state folder"):
            await cancel_run(kernel, handle.run_id)


@pytest.fixture
def usual_level() -> Iterator[None]:
    """A test may set the level of the log."""
    yield
    set_log_level(None)


@pytest.mark.usefixtures("usual_level")
async def test_a_worker_adopts_the_runs_of_a_dead_one_and_finishes_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Oldest first, only those whose flow it has; the others stay and are told."""
    store, clock = Store(), FakeClock()
    set_log_level("info")
    ids = []
    async with Kernel(journal=store.worker(), clock=clock) as dying:
        for number in range(3):
            clock.jump(1)
            ids.append((await dying.start(waiting(), number)).run_id)
        strange = await dying.start(Flow("strange").step(lambda value: value, name="a").step(_never, name="b"))
        await crash(dying, store)
        worker = Kernel(journal=store.worker(), clock=clock, adopt=True)
        worker.add(waiting())
        async with worker:
            with anyio.fail_after(30):
                while len(worker._open._handles) < 3:
                    await clock.advance(0.02)
                    await anyio.lowlevel.checkpoint()
            await clock.advance(0.02)
            handles = worker._open._handles
            assert list(handles) == ids
            for handle in list(handles.values()):
                await handle.signal("go", 1)
                assert await handle.result() == 1
            (left,) = await worker.runs(status="suspended")
            assert (left.run_id, left.epoch) == (strange.run_id, 1)
            for run_id in ids:
                check_history(await worker.history(run_id))
    told = capsys.readouterr().err
    assert "runs.unservable" in told
    assert told.count("runs.recovered") == 1
    assert all(word in told for word in ("found=3", "resumed=3", "parked=0", "quarantined=0"))


async def _never(value: Any) -> Any:
    await anyio.sleep_forever()


async def test_a_worker_that_closes_hands_its_runs_over() -> None:
    """A run that somebody has suspended himself stays where it is."""
    store, clock = Store(), FakeClock()
    flow = waiting()
    async with Kernel(journal=store.worker(), clock=clock, adopt=True) as leaving:
        handed = await leaving.start(flow)
        stopped = await leaving.start(flow)
        await stopped.suspend()
    second = Kernel(journal=store.worker(), clock=clock, adopt=True)
    second.add(flow)
    async with second:
        await tick(clock, lambda: bool(second._open._handles))
        await clock.advance(6)
        assert list(second._open._handles) == [handed.run_id]
        (left,) = await second.runs(status="suspended")
        assert (left.run_id, left.cause) == (stopped.run_id, "asked")


async def test_two_workers_never_adopt_the_same_run() -> None:
    store, clock = Store(), FakeClock()
    flow = waiting()
    async with Kernel(journal=store.worker(), clock=clock) as dying:
        for _ in range(10):
            await dying.start(flow)
        await crash(dying, store)
        workers = [Kernel(journal=store.worker(), clock=clock, adopt=True) for _ in range(2)]
        for worker in workers:
            worker.add(flow)
        async with workers[0], workers[1]:
            mine, yours = (worker._open._handles for worker in workers)
            await tick(clock, lambda: len(mine) + len(yours) == 10)
            await clock.advance(6)
            assert not set(mine) & set(yours)
            assert {info.epoch for info in await workers[0].runs()} == {2}


async def test_a_run_whose_records_are_damaged_does_not_keep_the_others_waiting() -> None:
    store, clock = Store(), FakeClock()
    flow = waiting()
    async with Kernel(journal=store.worker(), clock=clock) as dying:
        ids = [(await dying.start(flow)).run_id for _ in range(3)]
        await crash(dying, store)

        class Damaged(SharedJournal):
            async def read(self, run_id: str, from_seq: int = 0) -> Any:
                if run_id == ids[0]:
                    raise CorruptRecord(run_id, 0, "the check sum does not match")
                return await super().read(run_id, from_seq)

        worker = Kernel(journal=Damaged(store), clock=clock, adopt=True)
        worker.add(flow)
        async with worker:
            await tick(clock, lambda: len(worker._open._handles) == 2)
            await clock.advance(6)
            assert set(worker._open._handles) == set(ids[1:])


class Away(SharedJournal):
    """A journal that may be away for a while."""

    away = False

    async def append(self, *arguments: Any) -> None:
        if self.away:
            raise StorageUnavailable("away", executed="no")
        await super().append(*arguments)


async def test_a_worker_goes_on_looking_after_the_journal_was_away() -> None:
    """Its own runs, too: what broke off for want of a journal is taken up again by the same worker."""
    store, clock = Store(), FakeClock()
    flow = waiting()

    journal = Away(store)
    worker = Kernel(journal=journal, clock=clock, adopt=True)
    worker.add(flow)
    async with worker:
        handle = await worker.start(flow)
        await tick(clock, lambda: ("wait.opened",) in journal.appended)
        journal.away = True
        with pytest.raises(StorageUnavailable):
            await handle.signal("go", 4)
        await handle.ended()
        await clock.advance(6)
        journal.away = False
        await tick(clock, lambda: handle.run_id in worker._open._handles)
        again = worker._open._handles[handle.run_id]
        await again.signal("go", 5)
        assert await again.result() == 5


class Counted(SharedJournal):
    """Offers the tally, and counts the lists that were asked for."""

    lists = 0

    async def runs(self, **wished: Any) -> Any:
        self.lists += 1
        return await super().runs(**wished)

    async def tally(self) -> Collection[tuple[str, str, int]]:
        found: dict[tuple[str, str], int] = {}
        for info in await super().runs(limit=1000):
            place = ("", info.cause) if info.status == "suspended" else (info.owner, "")
            if info.status in ("suspended", "running", "waiting"):
                found[place] = found.get(place, 0) + 1
        return [(*place, number) for place, number in found.items()]


async def test_an_idle_worker_lists_no_runs_where_the_journal_counts_them() -> None:
    """Those of living workers, its own and what people have suspended cost it nothing; a dead owner's are found."""
    store, clock = Store(), FakeClock()
    flow = waiting()
    journal = Counted(store)
    worker = Kernel(journal=journal, clock=clock, adopt=True)
    worker.add(flow)
    async with worker, Kernel(journal=store.worker(), clock=clock) as other:
        await worker.start(flow)
        left = await other.start(flow)
        await (await other.start(flow)).suspend()
        await clock.advance(30)
        assert journal.lists == 0
        await crash(other, store)
        await tick(clock, lambda: left.run_id in worker._open._handles)


class CountedAway(Away, Counted):
    """The same for one that counts."""


async def test_a_worker_that_counts_takes_up_again_what_it_has_lost_itself() -> None:
    """More of its runs are on record than are at work here."""
    store, clock = Store(), FakeClock()
    flow = waiting()

    journal = CountedAway(store)
    worker = Kernel(journal=journal, clock=clock, adopt=True)
    worker.add(flow)
    async with worker:
        handle = await worker.start(flow)
        await tick(clock, lambda: ("wait.opened",) in journal.appended)
        journal.away = True
        with pytest.raises(StorageUnavailable):
            await handle.signal("go", 4)
        await handle.ended()
        journal.away = False
        await tick(clock, lambda: handle.run_id in worker._open._handles)


async def test_runs_that_nobody_serves_do_not_hide_those_that_are_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look considers more than the newest where none of these can be taken: unservable, or refused here before."""
    monkeypatch.setattr(adoption, "LISTED", 2)
    store, clock = Store(), FakeClock()
    served, other = waiting(), Flow("other").wait("go")
    async with Kernel(journal=store.worker(), clock=clock) as dying:
        ids = []
        for flow in (served, served, *[other] * 5):
            ids.append((await dying.start(flow)).run_id)
            clock.jump(1)
        await crash(dying, store)
        worker = Kernel(journal=store.worker(), clock=clock, adopt=True)
        worker.add(served)
        async with worker:
            await tick(clock, lambda: set(worker._open._handles) == set(ids[:2]))


async def test_a_worker_forgets_what_it_was_refused_when_that_is_over() -> None:
    """Its memory does not grow with the runs that others have ended meanwhile."""
    store, clock = Store(), FakeClock()
    flow = waiting()
    async with Kernel(journal=store.worker(), clock=clock) as dying:
        run_id = (await dying.start(flow)).run_id
        await crash(dying, store)

        class Damaged(SharedJournal):
            async def read(self, run_id: str, from_seq: int = 0) -> Any:
                raise UsageError("not with this worker")

        worker = Kernel(journal=Damaged(store), clock=clock, adopt=True)
        worker.add(flow)
        async with worker:
            look = worker._open._adoption
            assert look is not None
            await tick(clock, lambda: run_id in look._refused)
            other = Kernel(journal=store.worker(), clock=clock)
            other.add(flow)
            async with other:
                await (await other.resume(run_id)).cancel()
            await tick(clock, lambda: not look._refused)
