"""A trace goes with events: into the process, through the bus, and out of a run to those that it starts."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from opentelemetry import trace
from opentelemetry.trace import format_span_id, format_trace_id
from span_kit import Listening

from agentflow_kernel import Flow, Kernel
from agentflow_kernel.contracts.bus import Ack
from agentflow_kernel.event import Event
from agentflow_kernel.testing import InProcessJournal

pytestmark = pytest.mark.anyio

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"


@pytest.fixture
def listening(monkeypatch: pytest.MonkeyPatch) -> Listening:
    """Somebody who wants spans and metrics."""
    return Listening(monkeypatch)


async def same(value: object) -> object:
    return value


async def handle(*events: Event, kernel: Kernel | None = None) -> None:
    """Publish events that each start a run."""
    kernel = kernel or Kernel(journal=InProcessJournal())

    @kernel.on("order.*")
    async def begin(event: Event) -> Ack:
        await kernel.start(Flow("f").step(same), event.data)
        return Ack()

    async with kernel:
        for event in events:
            await kernel.publish(event)
        await kernel.idle()


async def test_an_event_with_a_traceparent_starts_its_run_in_that_trace(listening) -> None:
    """The run's root lies below the span of whoever sent the event."""
    await handle(Event("order.created", 1, extensions={"traceparent": TRACEPARENT, "tracestate": "vendor=x"}))
    root = listening.one("run f")
    assert (format_trace_id(root.context.trace_id), format_span_id(root.parent.span_id)) == (TRACE, PARENT)
    assert root.context.trace_state.get("vendor") == "x"


async def test_an_event_without_one_starts_a_trace_of_its_own(listening) -> None:
    """Also when it is handled by a task that another event has started."""
    await handle(
        Event("order.created", 1, extensions={"traceparent": TRACEPARENT}), *[Event("order.created", 1) for _ in "123"]
    )
    roots = listening.named("run f")
    assert len({root.context.trace_id for root in roots}) == 4
    assert sum(root.parent is None for root in roots) == 3


async def test_a_broken_traceparent_is_as_good_as_none(listening) -> None:
    """Whatever a sender writes there."""
    await handle(Event("order.created", 1, extensions={"traceparent": "00-nonsense"}), Event("order.created", 1))
    assert {root.parent for root in listening.named("run f")} == {None}


async def test_an_event_published_below_a_span_takes_it_along(listening) -> None:
    """The caller's span is the parent of the run."""
    kernel = Kernel(journal=InProcessJournal())
    seen: list[Event] = []

    @kernel.on("*")
    async def look(event: Event) -> None:
        seen.append(event)

    sent = Event("order.created", {"a": 1}, subject="s", extensions={"partitionkey": "k"})

    @kernel.on("order.*")
    async def begin(event: Event) -> None:
        await kernel.start(Flow("f").step(same), event.data)

    async with kernel:
        with listening.tracer.start_as_current_span("caller"):
            await kernel.publish(sent)
        await kernel.idle()
    assert listening.tree() == [("caller", [("run f", ["node same"])])]
    (got,) = seen
    assert (got.id, got.time, got.subject, got.data) == (sent.id, sent.time, "s", {"a": 1})
    assert set(got.extensions) == {"partitionkey", "traceparent"}
    assert dict(sent.extensions) == {"partitionkey": "k"}


async def test_a_run_that_an_emitted_event_starts_is_in_the_same_trace(listening) -> None:
    """Below the run that emitted it."""
    kernel = Kernel(journal=InProcessJournal())

    @kernel.on("order.created")
    async def begin(event: Event) -> None:
        await kernel.start(Flow("second").step(same), event.data)

    async with kernel:
        await kernel.run(Flow("first").step(same).step(None, name="tell", emits="order.created"), 1)
        await kernel.idle()
    assert listening.tree() == [("run first", ["node same", "node tell", ("run second", ["node same"])])]


async def test_user_code_in_a_handler_sees_the_trace_of_its_event(listening) -> None:
    """And the next delivery sees its own."""
    kernel = Kernel()
    seen: list[Any] = []

    @kernel.on("*")
    async def look(event: Event) -> None:
        await anyio.lowlevel.checkpoint()
        seen.append(trace.get_current_span().get_span_context().is_valid)

    async with kernel:
        await kernel.publish(Event("a", extensions={"traceparent": TRACEPARENT}))
        await kernel.publish(Event("a"))
        await kernel.idle()
    assert sorted(seen) == [False, True]


async def test_without_a_listener_an_event_stays_as_it_is() -> None:
    """It is the same object."""
    kernel = Kernel()
    seen: list[Event] = []

    @kernel.on("*")
    async def look(event: Event) -> None:
        seen.append(event)

    sent = Event("a")
    async with kernel:
        await kernel.publish(sent)
        await kernel.idle()
    assert seen[0] is sent
