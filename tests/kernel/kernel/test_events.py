"""Events that runs emit reach the handlers of the kernel: after they are durable, under an id that stays the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest
from engine_kit import DurableJournal

from agentflow_kernel import Event, Flow, Kernel
from agentflow_kernel.contracts.bus import Ack, Drop
from agentflow_kernel.errors import RunError, UsageError
from agentflow_kernel.testing import InProcessJournal, settle

if TYPE_CHECKING:
    from agentflow_kernel.contracts.bus import Outcome

pytestmark = pytest.mark.anyio


class Inbox:
    """A handler that keeps what it is given."""

    def __init__(self, journal: DurableJournal | None = None) -> None:
        self.events: list[Event] = []
        self.on_record: list[bool] = []
        self.journal = journal
        self.arrived = anyio.Event()

    async def __call__(self, event: Event) -> Outcome | None:
        self.events.append(event)
        if self.journal is not None:
            run_id, _, seq = event.id.rpartition("/")
            records = await self.journal.survivor.read(run_id, int(seq))
            self.on_record.append(bool(records) and records[0].type == "event.emitted")
        self.arrived.set()
        return None


async def same(value: object) -> object:
    return value


async def test_an_emitted_event_carries_run_and_record_in_its_id() -> None:
    """``<run_id>/<seq of its record>``; data is the input of the step, the source names the flow."""
    journal = DurableJournal()
    inbox = Inbox(journal)
    kernel = Kernel(journal=journal)
    kernel.on("thing.happened")(inbox)
    flow = Flow("f").step(same).step(None, name="tell", emits="thing.happened", input={"n": {"$ref": "same.result"}})
    async with kernel:
        handle = await kernel.start(flow, 7)
        assert await handle.result() == {"n": 7}
        await inbox.arrived.wait()
        (place,) = [each.seq for each in await kernel.history(handle.run_id) if each.type == "event.emitted"]
    (event,) = inbox.events
    assert (event.type, event.data, event.source, event.id) == (
        "thing.happened",
        {"n": 7},
        "agentflow/flow/f",
        f"{handle.run_id}/{place}",
    )
    assert inbox.on_record == [True]


async def test_each_item_of_a_batch_emits_its_own_event() -> None:
    """With an id of its own."""
    inbox, kernel = Inbox(), Kernel(journal=InProcessJournal())
    kernel.on("thing.*")(inbox)
    async with kernel:
        await kernel.run(Flow("f").step(None, name="tell", emits="thing.happened", each={"$ref": "input"}), [1, 2, 3])
        await kernel.idle()
    assert sorted(event.data for event in inbox.events) == [1, 2, 3]
    assert len({event.id for event in inbox.events}) == 3


@pytest.mark.keeps_memory("dies at a counted append")
async def test_a_repeated_event_has_the_same_id_and_data() -> None:
    """The process died after the event went out and before that was on record."""
    survivor, inbox = InProcessJournal(), Inbox()
    flow = Flow("f").step(None, name="tell", emits="thing.happened").step(same)
    for dies_at in (3, 0):
        kernel = Kernel(journal=DurableJournal(survivor, dies_at=dies_at))
        kernel.on("*")(inbox)
        async with kernel:
            handle = await kernel.start(flow, {"n": 1}, key="k")
            try:
                await handle.result()
            except RunError:
                assert dies_at
            await kernel.idle()
    assert len(inbox.events) == 2
    assert inbox.events[0].id == inbox.events[1].id == f"{handle.run_id}/1"
    assert inbox.events[0].data == inbox.events[1].data


async def test_events_published_from_outside_reach_the_same_handlers() -> None:
    """``publish`` returns when the bus has accepted the event."""
    inbox, kernel = Inbox(), Kernel(journal=InProcessJournal())
    kernel.on("order.created")(inbox)
    async with kernel:
        event = Event("order.created", {"n": 1})
        await kernel.publish(event)
        await kernel.publish(Event("order.deleted", {"n": 1}))
        await kernel.idle()
    assert inbox.events == [event]


async def test_handlers_may_come_while_the_kernel_is_open() -> None:
    """They get what is published from then on; ``on`` gives the handler back."""
    inbox = Inbox()
    async with Kernel(journal=InProcessJournal()) as kernel:
        await kernel.publish(Event("a.b"))
        assert kernel.on("a.b")(inbox) is inbox
        await kernel.publish(Event("a.b", 2))
        await kernel.idle()
    assert [event.data for event in inbox.events] == [2]


async def test_a_closed_kernel_takes_no_events() -> None:
    """They would reach nobody."""
    kernel = Kernel(journal=InProcessJournal())
    with pytest.raises(UsageError, match="The kernel is not open"):
        await kernel.publish(Event("a.b"))


async def test_a_handler_may_start_runs() -> None:
    """From event to run to event."""
    inbox, kernel = Inbox(), Kernel(journal=InProcessJournal())

    @kernel.on("order.created")
    async def handle_order(event: Event) -> Ack:
        await kernel.start(Flow("f").step(None, name="tell", emits="order.handled"), event.data, key=event.id)
        return Ack()

    kernel.on("order.handled")(inbox)
    async with kernel:
        await kernel.publish(Event("order.created", 7, id="o-1"))
        await kernel.publish(Event("order.created", 8, id="o-1"))
        await kernel.idle()
        assert len(await kernel.runs()) == 1
    assert [event.data for event in inbox.events] == [7]


@pytest.mark.keeps_memory("would have two thousand owners")
async def test_a_run_waits_while_the_bus_is_full() -> None:
    """Back-pressure reaches the step that emits; nothing is lost."""
    go, seen = anyio.Event(), []
    kernel = Kernel(journal=InProcessJournal())

    @kernel.on("*")
    async def slow(event: Event) -> None:
        await go.wait()
        seen.append(event.data)

    flow = Flow("f").step(None, name="tell", emits="a.b", each={"$ref": "input"}, concurrency=1)
    async with kernel:
        handle = await kernel.start(flow, list(range(2100)))
        await settle()
        assert handle.status == "running"
        go.set()
        await handle.result()
        await kernel.idle()
    assert seen == list(range(2100))


async def test_a_handler_that_waits_for_ever_does_not_keep_a_run_from_being_suspended() -> None:
    """Leaving the kernel ends handlers that are between two attempts, however long they wanted to wait."""
    from agentflow_kernel.contracts.bus import Retry
    from agentflow_kernel.testing import FakeClock

    kernel, tried = Kernel(journal=InProcessJournal(), clock=FakeClock()), anyio.Event()

    @kernel.on("*")
    async def later(event: Event) -> Retry:
        tried.set()
        return Retry(3600)

    with anyio.fail_after(30):
        async with kernel:
            await kernel.publish(Event("a.b"))
            await tried.wait()
            await settle()


async def test_a_handler_that_drops_is_no_error() -> None:
    """The outcome is the handler's."""
    kernel = Kernel(journal=InProcessJournal())

    @kernel.on("*")
    async def drop(event: Event) -> Drop:
        return Drop("not ours")

    async with kernel:
        await kernel.run(Flow("f").step(None, name="tell", emits="a.b"), 1)
        await kernel.idle()


async def test_a_bus_that_is_closed_suspends_the_run_that_emits() -> None:
    """``Unavailable``: the event is on record and goes out when the run is resumed."""
    journal, inbox = DurableJournal(), Inbox()
    flow = Flow("f").step(None, name="tell", emits="a.b")
    async with Kernel(journal=journal) as kernel:
        bus: Any = kernel._wiring.bus
        await bus.aclose()
        handle = await kernel.start(flow, 1)
        with pytest.raises(RunError, match="The in-process bus is closed"):
            await handle.result()
    kernel = Kernel(journal=journal)
    kernel.on("a.b")(inbox)
    async with kernel:
        kernel.add(flow)
        assert await (await kernel.resume(handle.run_id)).result() == 1
        await kernel.idle()
    assert [event.id for event in inbox.events] == [f"{handle.run_id}/1"]
