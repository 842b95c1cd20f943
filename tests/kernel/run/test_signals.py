"""Signals: accepted once, kept when early, consumed by one wait, refused when they do not fit or come too late."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
from engine_kit import DurableJournal, check_history, own

from agentflow_kernel import Context, Flow, Kernel
from agentflow_kernel.errors import Elapsed, InputInvalid, NotSerialisable, RunEnded, RunFailed, Unsupported, UsageError
from agentflow_kernel.run.inbox import ask_signal
from agentflow_kernel.testing import FakeClock, InProcessJournal, settle

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow_kernel.contracts.journal import Record

pytestmark = pytest.mark.anyio

YES_OR_NO = {"type": "object", "required": ["ok"], "properties": {"ok": {"type": "boolean"}}}


def waiting(name: str = "go", schema: Any = None, timeout_s: float | None = None) -> Flow:
    """A flow of one node that waits."""

    async def node(value: int, context: Context) -> object:
        return await context.wait(name, schema, timeout_s)

    return Flow("f").step(node)


async def history_of(kernel: Kernel, run_id: str) -> Sequence[Record]:
    records = await kernel.history(run_id)
    check_history(records)
    return records


async def status_of(kernel: Kernel) -> str:
    (head,) = await kernel.runs()
    return head.status


async def test_a_wait_ends_with_the_value_of_its_signal() -> None:
    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(waiting())
        await settle()
        assert await status_of(kernel) == "waiting"
        assert await handle.signal("go", {"ok": True})
        assert await handle.result() == {"ok": True}
        types = [record.type for record in own(await history_of(kernel, handle.run_id))]
    assert types == [
        "run.started", "wait.opened", "signal.received", "wait.resolved", "step.completed", "run.ended",
    ]  # fmt: skip


async def test_the_run_shows_running_again_when_it_works() -> None:
    go_on = anyio.Event()

    async def node(value: int, context: Context) -> object:
        await context.wait("go")
        await go_on.wait()
        return value

    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(Flow("f").step(node))
        await settle()
        await handle.signal("other")
        assert await status_of(kernel) == "waiting"
        await handle.signal("go")
        await settle()
        assert await status_of(kernel) == "running"
        go_on.set()
        await handle.result()


async def test_an_early_signal_is_kept_and_consumed_on_record() -> None:
    clock = FakeClock()

    async def node(value: int, context: Context) -> object:
        await context.sleep(5)
        return [await context.wait("go"), await context.wait("go")]

    async with Kernel(journal=InProcessJournal(), clock=clock) as kernel:
        handle = await kernel.start(Flow("f").step(node))
        await handle.signal("go", 1, signal_id="a")
        await handle.signal("go", 2, signal_id="b")
        await settle()
        await clock.advance(5)
        assert await handle.result() == [1, 2]
        resolved = [
            (record.path, record.payload)
            for record in await history_of(kernel, handle.run_id)
            if record.type == "wait.resolved"
        ]
    assert resolved == [
        ("node!wait:go", {"name": "go", "signal": "a"}),
        ("node!wait:go@2", {"name": "go", "signal": "b"}),
    ]


async def test_a_signal_counts_once_however_often_and_from_wherever_it_is_sent() -> None:
    """Also beside itself, after its consumption, and in the next process."""
    journal = InProcessJournal()

    async def node(value: int, context: Context) -> object:
        return [await context.wait("go"), await context.wait("go")]

    flow = Flow("f").step(node)
    async with Kernel(journal=DurableJournal(journal)) as kernel:
        handle = await kernel.start(flow, key="k")
        accepted = []

        async def send() -> None:
            accepted.append(await handle.signal("go", 1, signal_id="a"))

        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(send)
        assert sorted(accepted) == [False] * 4 + [True]
        await settle()
        assert not await handle.signal("go", 7, signal_id="a")
    async with Kernel(journal=DurableJournal(journal)) as kernel:
        handle = await kernel.start(flow, key="k")
        assert not await handle.signal("go", 8, signal_id="a")
        assert await handle.signal("go", 2, signal_id="b")
        assert await handle.result() == [1, 2]
        types = [record.type for record in await history_of(kernel, handle.run_id)]
    assert types.count("signal.received") == 2


async def test_a_signal_that_does_not_fit_is_refused_where_it_is_sent() -> None:
    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(waiting(schema=YES_OR_NO))
        await settle()
        with pytest.raises(InputInvalid, match=r"Signal 'go'.*ok"):
            await handle.signal("go", {"ok": "yes"}, signal_id="a")
        with pytest.raises(NotSerialisable, match="signal go"):
            await handle.signal("go", {1, 2})
        assert await handle.signal("go", {"ok": False}, signal_id="a")
        assert await handle.result() == {"ok": False}


async def test_an_early_signal_that_does_not_fit_is_left_out_on_record() -> None:
    clock = FakeClock()

    async def node(value: int, context: Context) -> object:
        await context.sleep(5)
        return await context.wait("go", YES_OR_NO)

    async with Kernel(journal=InProcessJournal(), clock=clock) as kernel:
        handle = await kernel.start(Flow("f").step(node))
        await handle.signal("go", 1, signal_id="a")
        await handle.signal("go", {"ok": True}, signal_id="b")
        await settle()
        await clock.advance(5)
        assert await handle.result() == {"ok": True}
        (left_out,) = [r.payload for r in await history_of(kernel, handle.run_id) if r.type == "signal.consumed"]
    assert left_out["signal"] == "a"


async def test_the_wait_that_began_first_gets_the_signal() -> None:
    async def node(value: int, context: Context) -> object:
        return await context.wait("go")

    flow = Flow("f").step(node, each={"$ref": "input"}, concurrency=1)
    together = Flow("g").step(node, each={"$ref": "input"}, concurrency=3)
    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(flow, [1, 2])
        for number in (1, 2):
            await settle()
            await handle.signal("go", number)
        assert await handle.result() == [1, 2]
        handle = await kernel.start(together, [1, 2, 3])
        await settle()
        opened = [r.path for r in await history_of(kernel, handle.run_id) if r.type == "wait.opened"]
        for path in opened:
            await handle.signal("go", path.partition("!")[0])
        assert await handle.result() == ["node[0]", "node[1]", "node[2]"]


@pytest.mark.parametrize("end", ["completed", "failed", "cancelled"])
async def test_a_run_that_has_ended_refuses_signals(end: str) -> None:
    async def node(value: int, context: Context) -> object:
        if await context.wait("go") == "fail":
            raise ValueError("asked")
        return value

    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(Flow("f").step(node))
        if end == "cancelled":
            await handle.cancel()
        else:
            await handle.signal("go", "fail" if end == "failed" else "")
        await handle.ended()
        with pytest.raises(RunEnded, match=rf"has ended \({end}\)") as caught:
            await handle.signal("go")
        assert caught.value.status == end
        await history_of(kernel, handle.run_id)


async def test_a_suspended_run_says_that_it_has_to_be_resumed() -> None:
    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(waiting())
        await handle.suspend()
        with pytest.raises(RunEnded, match=r"is suspended and takes nothing here\. Resume it first"):
            await handle.signal("go")
        assert await (resumed := await kernel.resume(handle.run_id)).signal("go", 3)
        assert await resumed.result() == 3


async def test_a_signal_behind_the_last_record_is_refused_and_leaves_no_record() -> None:
    """The end is being written while the signal comes: nothing follows the end."""

    class SlowEnd(DurableJournal):
        """Keeps back the last record until it is told to go on."""

        async def append(self, run_id: str, expected_seq: int, epoch: int, records: Sequence[Record]) -> None:
            if records[0].type == "run.ended":
                ending.set()
                await go_on.wait()
            await super().append(run_id, expected_seq, epoch, records)

    ending, go_on = anyio.Event(), anyio.Event()
    async with Kernel(journal=SlowEnd()) as kernel:
        handle = await kernel.start(Flow("f").step(lambda: 1, name="one"))
        await ending.wait()
        with pytest.raises(RunEnded, match="completed"):
            await handle.signal("go")
        go_on.set()
        assert await handle.result() == 1
        await history_of(kernel, handle.run_id)


async def test_a_wait_survives_restarts_and_opens_again() -> None:
    journal = InProcessJournal()
    flow = waiting(schema=YES_OR_NO)
    for _ in range(3):
        async with Kernel(journal=DurableJournal(journal)) as kernel:
            await kernel.start(flow, key="k")
            await settle()
            assert await status_of(kernel) == "waiting"
    async with Kernel(journal=DurableJournal(journal)) as kernel:
        handle = await kernel.start(flow, key="k")
        await settle()
        with pytest.raises(InputInvalid):
            await handle.signal("go", 1)
        await handle.signal("go", {"ok": True})
        assert await handle.result() == {"ok": True}
        await history_of(kernel, handle.run_id)


async def test_a_signal_that_was_received_before_the_restart_is_there_after_it() -> None:
    journal = InProcessJournal()
    clock = FakeClock()

    async def node(value: int, context: Context) -> object:
        await context.sleep(5)
        return await context.wait("go")

    flow = Flow("f").step(node)
    async with Kernel(journal=DurableJournal(journal), clock=clock) as kernel:
        handle = await kernel.start(flow, key="k")
        await handle.signal("go", "x" * 300_000)
    async with Kernel(journal=DurableJournal(journal), clock=FakeClock(clock.now() + 9)) as kernel:
        assert await (await kernel.start(flow, key="k")).result() == "x" * 300_000


@pytest.mark.parametrize("restart_after", [None, 20.0, 90.0])
async def test_a_wait_without_a_signal_elapses_by_the_deadline_on_record(restart_after: float | None) -> None:
    """A resumed run waits for the rest, and has the same answer ever after; the run fails, it is not suspended."""
    journal, clock = InProcessJournal(), FakeClock()
    flow = waiting(timeout_s=60)
    async with Kernel(journal=DurableJournal(journal), clock=clock) as kernel:
        handle = await kernel.start(flow, key="k")
        await settle()
        if restart_after is None:
            await clock.advance(60)
            with pytest.raises(RunFailed, match="Signal 'go' gave no answer within 60 s") as caught:
                await handle.result()
    if restart_after is not None:
        later = FakeClock(clock.now() + restart_after)
        async with Kernel(journal=DurableJournal(journal), clock=later) as kernel:
            handle = await kernel.start(flow, key="k")
            await settle()
            assert handle.status == ("running" if restart_after < 60 else "failed")
            await later.advance(60 - restart_after if restart_after < 60 else 0)
            with pytest.raises(RunFailed) as caught:
                await handle.result()
    assert isinstance(caught.value.__cause__, Elapsed)
    (head,) = await journal.runs()
    assert (head.status, head.code) == ("failed", "AF-ELAPSED")


async def test_an_elapsed_wait_can_be_caught_and_stays_elapsed() -> None:
    """The signal that comes later is for the next wait."""
    journal, clock = InProcessJournal(), FakeClock()

    async def node(value: int, context: Context) -> object:
        try:
            return await context.wait("go", timeout_s=60)
        except Elapsed:
            return ["late", await context.wait("go")]

    flow = Flow("f").step(node)
    async with Kernel(journal=DurableJournal(journal), clock=clock) as kernel:
        await kernel.start(flow, key="k")
        await settle()
        await clock.advance(60)
    async with Kernel(journal=DurableJournal(journal), clock=FakeClock()) as kernel:
        handle = await kernel.start(flow, key="k")
        await settle()
        await handle.signal("go", 1)
        assert await handle.result() == ["late", 1]


@pytest.mark.keeps_memory("hands over a signal in memory, not on record")
async def test_a_wait_that_its_node_gives_up_leaves_the_signal_to_the_next_one() -> None:
    async def node(value: int, context: Context) -> object:
        with anyio.CancelScope() as scope:
            scopes.append(scope)
            await context.wait("go")
        return await context.wait("go")

    scopes: list[anyio.CancelScope] = []
    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(Flow("f").step(node))
        await settle()
        scopes[0].cancel()
        handle.run.standing.deliver(("a", "go", 1))  # it was on its way to the wait that is just being given up
        assert await handle.result() == 1


async def test_without_a_kernel_a_wait_needs_a_time_out() -> None:
    """Nobody could ever send the signal."""
    with pytest.raises(Unsupported, match="without a kernel"):
        await waiting().run()
    with pytest.raises(Elapsed, match=r"within 0\.001 s"):
        await waiting(timeout_s=0.001).run()


@pytest.mark.parametrize(("name", "signal_id"), [("", "1"), (None, "1"), ("ok!ask", "1"), ("go", ""), ("go", "\ud800")])
async def test_what_can_be_no_name_or_id_of_a_signal_is_refused(name: Any, signal_id: Any) -> None:
    """By the run, and where it is left for the run of another process; the run goes on."""
    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(waiting())
        with pytest.raises(UsageError, match="of a signal"):
            await handle.signal(name, 1, signal_id=signal_id)
        with pytest.raises(UsageError, match="of a signal"):
            ask_signal(handle.run_id, name, 1, signal_id=signal_id)
        await handle.signal("go", 5)
        assert await handle.result() == 5


@pytest.mark.parametrize("timeout_s", [float("nan"), float("inf"), "5"])
async def test_a_wait_says_what_is_wrong_with_its_time(timeout_s: Any) -> None:
    async with Kernel(journal=InProcessJournal()) as kernel:
        with pytest.raises(RunFailed, match=r"timeout_s is .*: expected a finite number") as failed:
            await kernel.run(waiting(timeout_s=timeout_s))
    assert failed.value.code == "AF-USAGE"


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ({"enum": {1}}, r"wait\('go'\): schema is no sound JSON Schema: /enum: must be a list"),
        ({"type": "strin"}, r"/type: 'strin' is no type \(did you mean 'string'\?\)"),
        ({"const": {1}}, r"schema\.const is a set"),
    ],
)
async def test_a_wait_says_what_is_wrong_with_its_schema(schema: Any, problem: str) -> None:
    """What is no schema, or cannot go on record, ends the run with its own error, not with one of the engine."""
    async with Kernel(journal=InProcessJournal()) as kernel:
        with pytest.raises(RunFailed, match=problem):
            await kernel.run(waiting(schema=schema))
