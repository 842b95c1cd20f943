"""Progress events tell what happens while it happens: in one total order, and only where somebody listens."""

from __future__ import annotations

import anyio.lowlevel
import pytest
from engine_kit import DurableJournal, check_history

from agentflow_kernel import Context, Flow, Kernel, Progress, Route
from agentflow_kernel.errors import RunCancelled, RunFailed, RunSuspended, StopFlow, Unavailable
from agentflow_kernel.testing import FakeClock, InProcessJournal

pytestmark = pytest.mark.anyio


async def same(value: object) -> object:
    return value


class Heard:
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.events: list[Progress] = []

    def __call__(self, progress: Progress) -> None:
        self.events.append(progress)

    @property
    def names(self) -> list[str]:
        return [f"{event.name} {event.path}".rstrip() for event in self.events]


async def heard_of(flow: Flow, value: object = None) -> Heard:
    """What is told of one run that completes."""
    heard = Heard()
    async with Kernel(journal=InProcessJournal()) as kernel:
        kernel.listen(heard)
        await kernel.run(flow, value)
    return heard


@pytest.mark.keeps_memory("lists every event of one life")
async def test_a_run_tells_its_start_each_node_and_its_end_in_order() -> None:
    """Names are ``<noun>.<past participle>``; numbers count from zero without a gap."""
    heard = await heard_of(Flow("f").step(same, name="a").step(Flow("inner").step(same, name="b")))
    assert heard.names == [
        "run.started",
        "node.started a",
        "node.completed a",
        "node.started inner",
        "flow.started inner",
        "node.started inner/b",
        "node.completed inner/b",
        "flow.completed inner",
        "node.completed inner",
        "run.completed",
    ]
    assert [event.seq for event in heard.events] == list(range(10))
    assert len({event.run_id for event in heard.events}) == 1
    assert heard.events[0].fields == {"name": "flow/f", "resumed": False}


@pytest.mark.keeps_memory("lists every event of one life")
async def test_a_batch_tells_how_many_items_there_are_and_each_that_is_done() -> None:
    """``items`` counts the chunks; ``done`` grows by one."""
    heard = await heard_of(Flow("f").step(same, each={"$ref": "input"}, batch_size=2, concurrency=1), [1, 2, 3])
    assert heard.names[1:7] == [
        "node.started same",
        "branch.started same[0]",
        "branch.completed same[0]",
        "branch.started same[1]",
        "branch.completed same[1]",
        "node.completed same",
    ]
    assert heard.events[1].fields["items"] == 2
    assert [event.fields for event in heard.events if event.name == "branch.completed"] == [
        {"node": "same", "done": 1, "total": 2},
        {"node": "same", "done": 2, "total": 2},
    ]


@pytest.mark.keeps_memory("numbers the events of one life")
async def test_items_side_by_side_are_numbered_in_one_total_order() -> None:
    """Whatever happens at the same time, every event has a number of its own and ``done`` never repeats."""

    async def turns(item: int) -> int:
        for _ in range(item):
            await anyio.lowlevel.checkpoint()
        return item

    heard = await heard_of(Flow("f").step(turns, each={"$ref": "input"}, concurrency=5), list(range(20)))
    assert [event.seq for event in heard.events] == list(range(len(heard.events)))
    done = [event.fields["done"] for event in heard.events if event.name == "branch.completed"]
    assert done == list(range(1, 21))


async def test_nodes_report_progress_of_their_own() -> None:
    """``context.progress`` and ``context.tell`` carry path and node."""

    async def work(value: object, context: Context) -> None:
        context.progress(3, 10, "lines")
        context.tell("cache.missed", {"key": "k"})

    heard = await heard_of(Flow("f").step(work))
    assert [(event.name, event.path, event.fields) for event in heard.events[2:4]] == [
        ("progress.reported", "work", {"node": "work", "done": 3, "total": 10, "unit": "lines"}),
        ("cache.missed", "work", {"node": "work", "key": "k"}),
    ]


async def test_time_comes_from_the_clock_of_the_kernel() -> None:
    """Tests can move it."""
    clock, heard = FakeClock(), Heard()

    async def tick(value: object) -> None:
        clock.jump(5)

    async with Kernel(journal=InProcessJournal(), clock=clock) as kernel:
        kernel.listen(heard)
        await kernel.run(Flow("f").step(tick))
    assert heard.events[-1].ts - heard.events[0].ts == 5


async def test_a_node_that_fails_is_told_with_code_and_message() -> None:
    """Then the flows round it, then the run."""

    async def fail(value: object) -> None:
        raise ValueError("broken")

    heard = Heard()
    async with Kernel(journal=InProcessJournal()) as kernel:
        kernel.listen(heard)
        with pytest.raises(RunFailed, match="broken"):
            await kernel.run(Flow("f").step(Flow("inner").step(fail)))
    assert heard.names[-4:] == ["node.failed inner/fail", "flow.failed inner", "node.failed inner", "run.failed"]
    assert heard.events[-4].fields == {"node": "fail", "code": "AF-NODE-FAILED", "message": "ValueError: broken"}
    assert heard.events[-1].fields["code"] == "AF-NODE-FAILED"


async def test_a_result_that_cannot_be_kept_is_a_failure_of_its_node() -> None:
    """Every ``node.started`` is answered."""
    heard = Heard()
    async with Kernel(journal=InProcessJournal()) as kernel:
        kernel.listen(heard)
        with pytest.raises(RunFailed, match="tuple"):
            await kernel.run(Flow("f").step(lambda: (1,), name="make", blocking="inline"))
    assert heard.names[-2:] == ["node.failed make", "run.failed"]


async def test_a_node_that_stops_the_flow_is_completed() -> None:
    """Stopping is no failure."""

    async def stop(value: object) -> None:
        raise StopFlow(1)

    assert (await heard_of(Flow("f").step(stop))).names[-2:] == ["node.completed stop", "run.completed"]


@pytest.mark.keeps_memory("a step on record is not told again")
async def test_emitted_events_are_told_when_they_have_gone_out() -> None:
    """With type and id."""
    heard = await heard_of(Flow("f").step(None, name="tell", emits="thing.happened"))
    (event,) = [event for event in heard.events if event.name == "event.emitted"]
    assert event.fields == {"type": "thing.happened", "id": f"{event.run_id}/1"}
    assert heard.names.index("event.emitted") < heard.names.index("node.completed tell")


@pytest.mark.parametrize("end", ["cancelled", "suspended"])
async def test_the_way_a_run_was_stopped_is_its_last_event(end: str) -> None:
    """Nothing is told after it."""
    heard, inside = Heard(), anyio.Event()

    async def hang(value: object) -> None:
        inside.set()
        await anyio.sleep_forever()

    async with Kernel(journal=DurableJournal()) as kernel:
        kernel.listen(heard)
        handle = await kernel.start(Flow("f").step(hang))
        await inside.wait()
        await (handle.cancel() if end == "cancelled" else handle.suspend())
        with pytest.raises(RunCancelled if end == "cancelled" else RunSuspended, match=end):
            await handle.result()
    assert heard.names == ["run.started", "node.started hang", f"run.{end}"]


@pytest.mark.keeps_memory("lists every event of one life")
async def test_a_resumed_run_says_so_and_tells_only_what_it_does() -> None:
    """Steps that are on record are not told again; the numbers begin anew with the process."""
    heard, down = Heard(), [True]

    async def peer(value: object) -> object:
        if down.pop() if down else False:
            raise Unavailable("down")
        return value

    flow = Flow("f").step(same, name="a").step(peer)
    async with Kernel(journal=DurableJournal()) as kernel:
        kernel.listen(heard)
        handle = await kernel.start(flow)
        with pytest.raises(RunSuspended, match="down"):
            await handle.result()
        heard.events.clear()
        await (await kernel.resume(handle.run_id)).result()
    assert heard.names == ["run.started", "node.started peer", "node.completed peer", "run.completed"]
    assert heard.events[0].fields == {"name": "flow/f", "resumed": True}


async def test_whoever_stops_listening_hears_no_more() -> None:
    """``listen`` returns how to stop; stopping twice does no harm."""
    heard = Heard()
    async with Kernel(journal=InProcessJournal()) as kernel:
        stop = kernel.listen(heard)
        await kernel.run(Flow("f").step(same))
        count = len(heard.events)
        stop()
        stop()
        await kernel.run(Flow("f").step(same))
    assert len(heard.events) == count


async def test_every_listener_hears_every_event_in_the_same_order() -> None:
    """One object is told to all."""
    one, other = Heard(), Heard()
    async with Kernel(journal=InProcessJournal()) as kernel:
        kernel.listen(one)
        kernel.listen(other)
        await kernel.run(Flow("f").step(same))
    assert all(first is second for first, second in zip(one.events, other.events, strict=True))


@pytest.mark.parametrize(
    "breaks_at",
    [
        "run.started",
        "node.started",
        pytest.param("node.completed", marks=pytest.mark.keeps_memory("a step on record is not told again")),
        "run.completed",
    ],
)
async def test_a_listener_that_breaks_ends_the_run_once_and_nothing_else(breaks_at: str) -> None:
    """Its run ends with one record, those who wait are told, and the kernel goes on."""

    def broken(progress: Progress) -> None:
        if progress.name == breaks_at:
            raise ValueError("the listener is broken")

    async with Kernel(journal=DurableJournal()) as kernel:
        stop = kernel.listen(broken)
        handle = await kernel.start(Flow("f").step(same), 1)
        if breaks_at == "run.completed":  # by then the run is over, and is on record so
            assert await handle.result() == 1
        else:
            with pytest.raises(RunFailed, match="the listener is broken"):
                await handle.result()
        check_history(await kernel.history(handle.run_id))
        stop()
        assert await kernel.run(Flow("f").step(same), 2) == 2


async def test_a_branch_that_is_not_taken_is_not_told() -> None:
    """Only what happens is told."""

    async def over(value: object) -> Route:
        return Route("over", value)

    flow = Flow("f").step(over, routes={"over": "end", "default": "b"}).step(same, name="b")
    assert "node.started b" not in (await heard_of(flow)).names
