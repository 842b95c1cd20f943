"""A run is one trace: its root, below it each visit of a node, and below that whatever the node's code opens."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from engine_kit import DurableJournal
from opentelemetry import trace
from opentelemetry.trace import StatusCode
from planner_kit import make_agent
from span_kit import Listening

from agentflow_kernel import Context, Flow, Kernel
from agentflow_kernel.errors import PeerUnavailable, Refused, RunCancelled, RunFailed, RunSuspended, StopFlow
from agentflow_kernel.run.observing import RunObserver
from agentflow_kernel.run.spans import Work
from agentflow_kernel.testing import InProcessJournal

pytestmark = pytest.mark.anyio


@pytest.fixture
def listening(monkeypatch: pytest.MonkeyPatch) -> Listening:
    """Somebody who wants spans and metrics."""
    return Listening(monkeypatch)


async def same(value: object) -> object:
    return value


async def run(flow: Flow, value: object = 1) -> Any:
    """The output of a flow in a kernel of its own."""
    async with Kernel(journal=InProcessJournal()) as kernel:
        return await kernel.run(flow, value)


async def test_a_run_is_one_trace_with_a_span_for_each_node(listening) -> None:
    """The root says which run it was and how it ended."""
    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(Flow("f").step(same, name="a").step(same, name="b"), 1)
        await handle.result()
    assert listening.tree() == [("run f", ["node a", "node b"])]
    assert len({span.context.trace_id for span in listening.spans}) == 1
    assert dict(listening.one("run f").attributes) == {
        "agentflow.run.id": handle.run_id,
        "agentflow.flow.name": "f",
        "agentflow.run.resumed": False,
        "agentflow.run.status": "completed",
    }
    assert dict(listening.one("node a").attributes) == {
        "agentflow.node.name": "a",
        "agentflow.node.kind": "call",
        "agentflow.path": "a",
    }
    assert listening.one("run f").status.status_code is StatusCode.UNSET


async def test_each_visit_has_a_span_with_its_path(listening) -> None:
    """The name stays the same, so that visits can be counted."""
    calls = iter([3, 2, 1])

    async def again(value: object) -> Any:
        from agentflow_kernel import Route

        return Route("again" if next(calls) > 1 else "done", value)

    await run(Flow("f").step(again, routes={"again": "again", "done": "end"}))
    paths = [span.attributes["agentflow.path"] for span in listening.named("node again")]
    assert paths == ["again", "again@2", "again@3"]


@pytest.mark.parametrize("concurrency", [1, 3])
@pytest.mark.keeps_memory("has every span of one life")
async def test_items_of_a_batch_lie_below_it(listening, concurrency) -> None:
    """And what the code of an item opens lies below that item, also where items run side by side."""

    async def work(item: int) -> int:
        with listening.tracer.start_as_current_span(f"inner {item}"):
            await anyio.lowlevel.checkpoint()
            with listening.tracer.start_as_current_span(f"innermost {item}"):
                await anyio.lowlevel.checkpoint()
        return item

    flow = Flow("f").step(work, each={"$ref": "input"}, concurrency=concurrency).step(same, name="after")
    await run(flow, [0, 1, 2])
    items = [("item work", [(f"inner {number}", [f"innermost {number}"])]) for number in range(3)]
    ((root, (batch, after)),) = listening.tree()
    assert (root, after, batch[0]) == ("run f", "node after", "node work")
    assert sorted(batch[1]) == items
    paths = {span.attributes["agentflow.path"] for span in listening.named("item work")}
    assert paths == {"work[0]", "work[1]", "work[2]"}
    assert listening.one("node work").attributes["agentflow.node.kind"] == "batch"


@pytest.mark.keeps_memory("has every span of one life")
async def test_a_nested_flow_lies_below_its_node(listening) -> None:
    """One root all the same."""
    inner = Flow("inner").step(same, name="deep")
    await run(Flow("outer").step(inner))
    assert listening.tree() == [("run outer", [("node inner", ["node deep"])])]
    assert listening.one("node deep").attributes["agentflow.path"] == "inner/deep"


async def test_code_in_a_worker_thread_opens_spans_below_its_node(listening) -> None:
    """A plain function runs beside the event loop, in the context of its node."""

    def blocking(value: object) -> object:
        with listening.tracer.start_as_current_span("in thread"):
            return value

    await run(Flow("f").step(blocking))
    assert listening.tree() == [("run f", [("node blocking", ["in thread"])])]


def test_a_run_on_the_calling_thread_is_a_trace_too(listening) -> None:
    """Without an event loop, without a journal."""

    def plain(value: object) -> object:
        with listening.tracer.start_as_current_span("inner"):
            return value

    assert Kernel().run_sync(Flow("f").step(plain), 1) == 1
    assert listening.tree() == [("run f", [("node plain", ["inner"])])]
    assert listening.one("run f").attributes["agentflow.run.status"] == "completed"


def test_a_failed_run_on_the_calling_thread_says_so(listening) -> None:
    """Its error is the caller's and the trace's."""

    def plain(value: object) -> object:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        Kernel().run_sync(Flow("f").step(plain), 1)
    root = listening.one("run f")
    assert root.attributes["agentflow.run.status"] == "failed"
    assert (root.attributes["error.type"], root.status.status_code) == ("ValueError", StatusCode.ERROR)


async def test_an_error_is_on_every_span_and_its_exception_on_the_innermost(listening) -> None:
    """The root has the code that the run has."""

    async def broken(value: object) -> object:
        raise Refused("The peer says no.")

    inner = Flow("inner").step(broken)
    with pytest.raises(RunFailed):
        await run(Flow("f").step(inner))
    root, outer, node = listening.one("run f"), listening.one("node inner"), listening.one("node broken")
    for span in (root, outer, node):
        assert span.status.status_code is StatusCode.ERROR
        assert span.attributes["error.type"] == Refused.code
        assert "The peer says no." in span.status.description
    assert [[event.name for event in span.events] for span in (root, outer, node)] == [[], [], ["exception"]]
    assert root.attributes["agentflow.run.status"] == "failed"


async def test_an_error_of_user_code_has_the_name_of_its_class(listening) -> None:
    """The root has the code of the run."""

    async def broken(value: object) -> object:
        raise subprocess.SubprocessError("x")

    with pytest.raises(RunFailed):
        await run(Flow("f").step(broken))
    assert listening.one("node broken").attributes["error.type"] == "subprocess.SubprocessError"
    assert listening.one("run f").attributes["error.type"] == "AF-NODE-FAILED"


async def test_a_flow_that_stops_itself_has_not_failed(listening) -> None:
    """It did what it should."""

    async def enough(value: object) -> object:
        raise StopFlow("done")

    assert await run(Flow("f").step(enough)) == "done"
    assert {span.status.status_code for span in listening.spans} == {StatusCode.UNSET}


async def test_a_cancelled_run_is_no_error(listening) -> None:
    """Somebody asked for it; the open node says that it was cut short."""
    begun = anyio.Event()

    async def waits(value: object) -> object:
        begun.set()
        await anyio.sleep_forever()

    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(Flow("f").step(waits), 1)
        await begun.wait()
        await handle.cancel()
        with pytest.raises(RunCancelled):
            await handle.result()
    root, node = listening.one("run f"), listening.one("node waits")
    assert root.attributes["agentflow.run.status"] == "cancelled"
    assert node.attributes["agentflow.cancelled"] is True
    assert {span.status.status_code for span in (root, node)} == {StatusCode.UNSET}


async def test_a_run_that_a_closing_kernel_suspends_says_so(listening) -> None:
    """It was asked to, and its span is sent before the kernel is closed."""
    begun = anyio.Event()

    async def waits(value: object) -> object:
        begun.set()
        await anyio.sleep_forever()

    async with Kernel(journal=DurableJournal()) as kernel:
        await kernel.start(Flow("f").step(waits), 1)
        await begun.wait()
    root = listening.one("run f")
    assert root.attributes["agentflow.run.status"] == "suspended"
    assert [event.attributes["agentflow.cause"] for event in root.events] == ["asked"]


async def test_a_cancelled_thread_ends_its_span(listening) -> None:
    """When the thread has come back; what it opened is closed by then."""
    begun = threading.Event()

    def waits(value: object, context: Context) -> object:
        with listening.tracer.start_as_current_span("in thread"):
            begun.set()
            while True:
                context.raise_if_cancelled()

    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(Flow("f").step(waits), 1)
        await anyio.to_thread.run_sync(begun.wait)
        await handle.cancel()
    assert listening.tree() == [("run f", [("node waits", ["in thread"])])]
    assert listening.one("node waits").attributes["agentflow.cancelled"] is True


async def test_no_context_is_left_behind_or_mixed_up(listening, caplog) -> None:
    """The API only logs when a context is given back in the wrong place, so this looks there."""

    async def work(item: int) -> int:
        await anyio.lowlevel.checkpoint()
        if item == 3:
            raise ValueError(item)
        return item

    flow = Flow("f").step(work, each={"$ref": "input"}, concurrency=3, on_item_error="skip")
    before = trace.get_current_span()
    await run(Flow("outer").step(flow).step(make_agent(["done"])), list(range(6)))
    with pytest.raises(RunFailed):
        await run(Flow("f").step(work, each={"$ref": "input"}, concurrency=3), list(range(6)))
    assert trace.get_current_span() is before
    assert caplog.records == []


async def test_a_failed_item_ends_the_spans_of_the_others(listening) -> None:
    """They are cancelled, it has failed."""
    begun = anyio.Event()

    async def work(item: int) -> None:
        if item == 0:
            begun.set()
            await anyio.sleep_forever()
        await begun.wait()
        raise ValueError(item)

    with pytest.raises(RunFailed):
        await run(Flow("f").step(work, each={"$ref": "input"}, concurrency=2), [0, 1])
    first, second = sorted(listening.named("item work"), key=lambda span: span.attributes["agentflow.path"])
    assert first.attributes["agentflow.cancelled"] is True
    assert second.attributes["error.type"] == "ValueError"


async def test_a_resumed_run_is_a_new_trace_with_a_link_to_the_first(listening) -> None:
    """Only what is done anew has a span; the event says why the run had stopped."""
    errors = [PeerUnavailable("down")]

    async def peer(value: object) -> object:
        if errors:
            raise errors.pop()
        return value

    journal, flow = DurableJournal(), Flow("f").step(same).step(peer)
    async with Kernel(journal=journal) as kernel:
        handle = await kernel.start(flow, 1)
        with pytest.raises(RunSuspended):
            await handle.result()
        await (await kernel.resume(handle.run_id)).result()
    first, second = listening.named("run f")
    assert listening.tree() == [("run f", ["node same", "node peer"]), ("run f", ["node peer"])]
    (event,) = first.events
    assert (event.name, event.attributes["agentflow.cause"]) == ("run.suspended", "AF-PEER-UNAVAILABLE")
    assert first.attributes["agentflow.run.status"] == "suspended"
    assert first.status.status_code is StatusCode.UNSET
    assert first.context.trace_id != second.context.trace_id
    assert [link.context.span_id for link in second.links] == [first.context.span_id]
    assert (first.attributes["agentflow.run.resumed"], second.attributes["agentflow.run.resumed"]) == (False, True)
    assert second.attributes["agentflow.run.status"] == "completed"


@pytest.mark.keeps_memory("has every span of one life")
async def test_only_items_that_are_missing_have_spans_after_a_resume(listening) -> None:
    """The batch that they belong to has one too."""
    errors = [PeerUnavailable("down")]

    async def peer(item: int) -> object:
        if item == 1 and errors:
            raise errors.pop()
        return item

    async with Kernel(journal=DurableJournal()) as kernel:
        handle = await kernel.start(Flow("f").step(peer, each={"$ref": "input"}, concurrency=1), [0, 1, 2])
        with pytest.raises(RunSuspended):
            await handle.result()
        listening.exporter.clear()
        await (await kernel.resume(handle.run_id)).result()
    assert listening.tree() == [("run f", [("node peer", ["item peer", "item peer"])])]


async def test_a_stuck_run_is_an_error(listening) -> None:
    """A person has to decide."""
    value = ["first"]

    async def first(_: object) -> object:
        return value[0]

    async def peer(_: object) -> object:
        raise PeerUnavailable("down")

    journal = DurableJournal()
    async with Kernel(journal=journal) as kernel:
        flow = Flow("f").step(first).step(peer)
        handle = await kernel.start(flow, 1)
        with pytest.raises(RunSuspended):
            await handle.result()
    changed = Flow("f").step(first, input="another").step(peer)
    async with Kernel(journal=journal) as kernel:
        kernel.add(changed)
        with pytest.raises(RunSuspended, match="stuck"):
            await (await kernel.resume(handle.run_id)).result()
    root = listening.named("run f")[-1]
    assert root.attributes["agentflow.run.status"] == "stuck"
    assert root.status.status_code is StatusCode.ERROR


async def test_a_run_lies_below_the_current_span_of_its_caller(listening) -> None:
    """And leaves it the current one."""
    async with Kernel(journal=InProcessJournal()) as kernel:
        with listening.tracer.start_as_current_span("caller") as caller:
            await kernel.run(Flow("f").step(same), 1)
            assert trace.get_current_span() is caller
    assert listening.tree() == [("caller", [("run f", ["node same"])])]


async def test_runs_side_by_side_do_not_mix(listening) -> None:
    """Each has a trace of its own."""

    async def work(value: int) -> int:
        for _ in range(3):
            with listening.tracer.start_as_current_span(f"inner {value}"):
                await anyio.lowlevel.checkpoint()
        return value

    async with Kernel(journal=InProcessJournal()) as kernel:
        handles = [await kernel.start(Flow(f"f{number}").step(work), number) for number in range(3)]
        for handle in handles:
            await handle.result()
    expected = [(f"run f{number}", [("node work", [f"inner {number}"] * 3)]) for number in range(3)]
    assert sorted(listening.tree()) == expected


async def test_whether_anybody_listens_is_asked_once_a_run(listening) -> None:
    """Not once a node."""
    for length in (2, 50):
        flow = Flow(f"f{length}")
        for number in range(length):
            flow.step(same, name=f"n{number}")
        before = listening.asked
        await run(flow)
        assert listening.asked - before == 1


async def test_where_nobody_listens_it_is_asked_once_a_run_too(monkeypatch) -> None:
    """The API alone, as a library may bring it, costs one look a run and nothing a node."""
    asked: list[int] = []

    def get_tracer_provider() -> trace.ProxyTracerProvider:
        asked.append(1)
        return trace.ProxyTracerProvider()

    monkeypatch.setattr(trace, "get_tracer_provider", get_tracer_provider)
    for length in (2, 50):
        flow = Flow(f"f{length}")
        for number in range(length):
            flow.step(same, name=f"n{number}")
        await run(flow)
    assert len(asked) == 2


async def test_a_run_that_is_not_observed_makes_no_observer_and_opens_no_work(monkeypatch) -> None:
    """Counted at the classes themselves, with an agent and a tool in it."""
    made: list[str] = []
    for kind in (RunObserver, Work):
        monkeypatch.setattr(kind, "__init__", lambda self, *_, **__: made.append(type(self).__name__))
    await run(Flow("f").step(same).step(make_agent(["done"])))
    assert made == []


async def test_without_a_listener_a_run_has_no_observer() -> None:
    """And its first record says nothing of a trace."""
    seen: list[Any] = []

    async def look(value: object, context: Context) -> None:
        seen.append(context.run.observer)

    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(Flow("f").step(look), 1)
        await handle.result()
        records = await kernel.history(handle.run_id)
    assert seen == [None]
    assert "traceparent" not in records[0].payload


async def test_the_first_record_names_the_trace(listening) -> None:
    """So that a resumed run, in another process perhaps, finds it."""
    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(Flow("f").step(same), 1)
        await handle.result()
        records = await kernel.history(handle.run_id)
    context = listening.one("run f").context
    assert (
        records[0].payload["traceparent"]
        == f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
    )


OFF = """
import sys
import anyio
from agentflow_kernel import Flow, Kernel
from agentflow_kernel.testing import InProcessJournal

async def same(value):
    return value

async def main():
    async with Kernel(journal=InProcessJournal()) as kernel:
        assert await kernel.run(Flow("f").step(same), 1) == 1

anyio.run(main)
assert Kernel().run_sync(Flow("g").step(lambda value: value), 1) == 1
mine = {"agentflow_kernel.run." + name for name in ("observing", "spans", "metrics", "genai", "propagation")}
print(sorted(name for name in sys.modules if name.startswith("opentelemetry") or name in mine))
"""


@pytest.mark.blocking  # it waits for a process
def test_a_run_that_nobody_listens_to_loads_nothing_for_it() -> None:
    """Neither OpenTelemetry nor what would talk to it."""
    done = subprocess.run([sys.executable, "-c", OFF], capture_output=True, text=True, timeout=50, check=True)
    assert done.stdout.strip() == "[]"
