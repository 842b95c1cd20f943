"""What goes wrong beside a run: a journal that breaks, a cancellation nobody asked for, an event nobody handles."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import anyio
import pytest

from agentflow_kernel import Event, Flow, Kernel
from agentflow_kernel.errors import RunFailed, RunSuspended, StorageUnavailable, UsageError
from agentflow_kernel.testing import FakeClock, InProcessJournal, settle

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow_kernel import Progress
    from agentflow_kernel.contracts.journal import Record
    from agentflow_kernel.contracts.policy import Call, Request

pytestmark = pytest.mark.anyio


class FullDisk(InProcessJournal):
    """Refuses every append after so many; durable as far as the kernel can tell."""

    def __init__(self, appends: int) -> None:
        super().__init__()
        self.left = appends

    async def append(self, run_id: str, expected_seq: int, epoch: int, records: Sequence[Record]) -> None:
        if self.left == 0:
            raise StorageUnavailable("The disk is full.", executed="no")
        self.left -= 1
        await super().append(run_id, expected_seq, epoch, records)


async def double(value: int) -> int:
    """A node."""
    return value * 2


async def hang(value: int) -> None:
    """Another one, which never ends by itself."""
    await anyio.sleep_forever()


async def test_a_full_disk_is_told_as_it_is_also_where_items_are_collected() -> None:
    """The first failed append ends the run with its own error; no later one hides it, no item swallows it."""
    flow = Flow("f").step(double, each=[1, 2, 3, 4], on_item_error="collect", concurrency=2)
    async with Kernel(journal=FullDisk(2)) as kernel:
        with pytest.raises((RunFailed, RunSuspended), match="The disk is full"):
            await kernel.run(flow)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # trio has no task that can be awaited
async def test_a_cancellation_that_nobody_asked_for_is_a_failure_of_its_node() -> None:
    """A node that awaits a cancelled task fails its run; the kernel and its other runs go on."""

    async def careless(value: int) -> int:
        task = asyncio.create_task(asyncio.sleep(0))
        task.cancel()
        await task
        return value

    async with Kernel(journal=InProcessJournal()) as kernel:
        with pytest.raises(RunFailed, match="'careless' waited for a task that was cancelled"):
            await kernel.run(Flow("one").step(careless), 1)
        each = Flow("many").step(careless, each=[1, 2, 3], concurrency=3)
        with pytest.raises(RunFailed, match="'careless' waited for a task that was cancelled"):
            await kernel.run(each)
        assert await kernel.run(Flow("next").step(double), 2) == 4


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # trio has no other way than scopes
async def test_a_cancellation_of_the_callers_task_stays_one() -> None:
    """``asyncio.wait_for`` and ``task.cancel`` know no scopes; they end a flow as a scope would."""
    flow = Flow("f").step(hang).step(double)
    for options in ({}, {"listener": lambda progress: None}):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(flow.run(1, **options), 0.01)  # type: ignore[arg-type]
    journal = InProcessJournal()

    async def application() -> None:
        async with Kernel(journal=journal) as kernel:
            await kernel.run(Flow("f").step(hang))

    task = asyncio.create_task(application())
    while not await journal.runs():  # noqa: ASYNC110 - the run is on record by then, whatever was told
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [head.status for head in await journal.runs()] == ["suspended"]


async def test_an_event_that_nobody_can_handle_is_told() -> None:
    """After the last attempt listeners hear of the dead letter with its reason."""
    heard: list[Progress] = []
    async with Kernel(journal=InProcessJournal(), clock=FakeClock(auto=True)) as kernel:
        kernel.listen(heard.append)

        @kernel.on("order.created")
        async def broken(event: Event) -> None:
            raise ValueError(event.data)

        await kernel.publish(Event("order.created", 7, id="e1"))
        await kernel.idle()
    (dead,) = [progress for progress in heard if progress.name == "event.dead_lettered"]
    assert dead.fields == {"type": "order.created", "id": "e1", "reason": "ValueError: 7"}


async def test_a_handler_must_be_a_coroutine_function() -> None:
    """A plain function cannot be awaited; it is refused when it is registered, not when its effect has happened."""

    def plain(event: Event) -> None:
        """Does nothing."""

    kernel = Kernel()
    with pytest.raises(UsageError, match=r"plain of 'order\.created' must be an `async def`"):
        kernel.on("order.created")(plain)  # type: ignore[arg-type]


@pytest.mark.keeps_memory("a step on record is not told again")
async def test_a_handle_gives_the_events_of_its_run_to_the_last() -> None:
    """``handle.events()`` ends with the run's end, and gives only this run's events."""
    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(Flow("f").step(double), 2)
        other = await kernel.start(Flow("g").step(double), 3)
        seen = [progress async for progress in handle.events()]
        await other.result()
    assert {progress.run_id for progress in seen} == {handle.run_id}
    assert [progress.name for progress in seen][-2:] == ["node.completed", "run.completed"]


@pytest.mark.keeps_memory("numbers the events of one life")
async def test_what_a_policy_tells_has_its_place_among_the_events_of_the_run() -> None:
    """For readers of the run and for listeners of the kernel alike."""
    heard: list[Progress] = []

    class Telling:
        def wrap(self, call: Call) -> Call:
            async def tell(request: Request) -> object:
                kernel._wiring._tell_all("retry.scheduled", {"run_id": request.run_id, "path": request.path})
                return await call(request)

            return tell

    async with Kernel(journal=InProcessJournal()) as kernel:
        kernel.listen(heard.append)
        handle = await kernel.start(Flow("f").step(lambda value: value, name="a", policies=[Telling()]))
        seen = [progress async for progress in handle.events()]
    told = [(progress.seq, progress.name) for progress in heard]
    assert [seq for seq, _ in told] == list(range(len(told)))
    assert (2, "retry.scheduled") in told
    assert [(progress.seq, progress.name) for progress in seen] == told


@pytest.mark.keeps_memory("a step on record is not told again")
async def test_several_readers_get_every_event_and_one_that_stops_is_forgotten() -> None:
    """Each at its own pace; nothing is kept for who has gone."""
    inside, go = anyio.Event(), anyio.Event()

    async def wait(value: int) -> int:
        inside.set()
        await go.wait()
        return value

    read: dict[str, list[str]] = {"one": [], "other": []}
    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(Flow("f").step(wait).step(double), 2)

        async def reading(name: str) -> None:
            read[name] = [progress.name async for progress in handle.events()]

        await inside.wait()
        async with anyio.create_task_group() as group:
            group.start_soon(reading, "one")
            group.start_soon(reading, "other")
            await settle()
            early = handle.events()
            go.set()
            first = await anext(early)
            await early.aclose()
    later = ["node.started", "node.completed", "run.completed"]  # a node under way is told of only as a whole
    assert (read["one"], read["other"], first.name) == (later, later, "node.started")
    assert handle._readers == []


async def test_a_run_that_has_ended_has_no_more_events() -> None:
    """Reading them ends at once."""
    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(Flow("f").step(double), 2)
        await handle.result()
        assert [progress async for progress in handle.events()] == []
