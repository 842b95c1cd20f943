"""A run that another owner has taken over is left by its first one, also where it only waits."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from agentflow_kernel import Context, Flow, Kernel
from agentflow_kernel.errors import RunSuspended
from agentflow_kernel.run.watch import InboxWatch
from agentflow_kernel.testing import FakeClock, InProcessJournal, settle

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow_kernel.contracts.journal import Request

pytestmark = pytest.mark.anyio


class Inbox:
    """Nobody asks anything; the first look may fail, and it may call all the time."""

    def __init__(self, *, fails: bool, calls: int = 0) -> None:
        self.fails = fails
        self.calls = calls

    def forget(self) -> None:
        return

    async def changed(self) -> Sequence[str]:
        if self.fails:
            self.fails = False
            raise OSError("the network is down")
        return ()

    async def find(self, run_id: str) -> Sequence[Request]:
        return ()

    async def remove(self, run_id: str, request: Request) -> None:
        return

    async def leave(self, run_id: str, request: Request) -> None:
        return

    async def woken(self) -> None:
        self.calls -= 1
        if self.calls < 0:
            await anyio.sleep_forever()


async def wait(value: object, context: Context) -> object:
    return await context.wait("go")


@pytest.mark.keeps_memory("two owners at once")
@pytest.mark.parametrize("pruned", [False, True], ids=["at work", "pruned"])
@pytest.mark.parametrize("how", ["held up", "cut off", "lapsed"])
async def test_an_owner_that_was_away_leaves_what_others_have_taken_over(how: str, pruned: bool) -> None:
    """Whoever waits for the run here hears of it; the run goes on where it is now."""
    journal, clock, flow = InProcessJournal(), FakeClock(), Flow("f").step(wait)
    async with Kernel(journal=journal) as first, Kernel(journal=journal) as second:
        lost, kept = [await first.start(flow) for _ in range(2)]
        second.add(flow)
        await settle()
        taken = await second.resume(lost.run_id)
        if pruned:
            await taken.signal("go", 1)
            assert await taken.result() == 1
            await journal.prune(math.inf)
        inbox: Any = Inbox(fails=how == "cut off")
        lapses = [False, how == "lapsed"]
        shared: Any = InProcessJournal()
        shared.head, shared.leases = journal.head, SimpleNamespace(lapsed=lambda: bool(lapses) and lapses.pop(0))
        watch = InboxWatch(inbox, clock, {lost.run_id: lost, kept.run_id: kept}, shared)
        async with anyio.create_task_group() as group:
            group.start_soon(watch.work)
            await settle()
            await clock.advance(1)
            assert lost.status == "running"
            if how == "held up":
                clock.jump(2)
            await clock.advance(1)
            with pytest.raises(RunSuspended, match=r"epoch 2"):
                await lost.result()
            group.cancel_scope.cancel()
        assert kept.status == "running"
        if not pruned:
            await taken.signal("go", 1)
            assert await taken.result() == 1


@pytest.mark.keeps_memory("two owners at once")
@pytest.mark.parametrize("calls", [0, 20])
async def test_a_run_that_is_just_being_taken_over_is_left_at_the_look_after(calls: int) -> None:
    """Who found the lease run out may need a moment to put the take-over on record; after that the doubt is over.

    The moment is not shorter where the inbox calls, which makes the watch look at once.
    """
    journal, clock, flow = InProcessJournal(), FakeClock(), Flow("f").step(wait)
    asked: list[str] = []

    async def head(run_id: str) -> Any:
        asked.append(run_id)
        return await journal.head(run_id)

    async with Kernel(journal=journal) as first, Kernel(journal=journal) as second:
        lost, kept = [await first.start(flow) for _ in range(2)]
        second.add(flow)
        await settle()
        shared: Any = SimpleNamespace(head=head)
        inbox: Any = Inbox(fails=True, calls=calls)
        watch = InboxWatch(inbox, clock, {lost.run_id: lost, kept.run_id: kept}, shared)
        async with anyio.create_task_group() as group:
            group.start_soon(watch.work)
            await settle()
            await clock.advance(1)
            if not calls:  # the first look was not at once
                await clock.advance(1)
            assert lost.status == "running"
            await second.resume(lost.run_id)
            await clock.advance(1)
            with pytest.raises(RunSuspended, match=r"epoch 2"):
                await lost.result()
            await clock.advance(3)
            assert asked == [lost.run_id, kept.run_id] * 2
            assert kept.status == "running"
            group.cancel_scope.cancel()
