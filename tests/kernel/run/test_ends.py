"""Three different things: cancelling a run ends it, suspending stops it for later, leaving the kernel suspends it."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest
from engine_kit import DurableJournal, check_history, own

from agentflow_kernel import Context, Flow, Kernel
from agentflow_kernel.contracts.journal import encode_record
from agentflow_kernel.errors import RunCancelled, RunFailed, RunSuspended, UsageError
from agentflow_kernel.testing import InProcessJournal

pytestmark = pytest.mark.anyio


class Hanging:
    """A flow whose second step waits until it is let go; counts its steps."""

    def __init__(self) -> None:
        self.inside = anyio.Event()
        self.go = anyio.Event()
        self.ran: list[str] = []
        self.cleaned: list[str] = []
        self.flow = Flow("hanging").step(self.first).step(self.second).step(self.third)

    async def first(self, value: int) -> int:
        self.ran.append("first")
        return value + 1

    async def second(self, value: int) -> int:
        self.ran.append("second")
        self.inside.set()
        try:
            await self.go.wait()
        finally:
            self.cleaned.append("second")
        return value + 1

    async def third(self, value: int) -> int:
        self.ran.append("third")
        return value + 1


async def test_cancel_ends_a_run_for_good() -> None:
    """When ``cancel`` returns, nothing of the run is left; it cannot be resumed."""
    hanging, journal = Hanging(), DurableJournal()
    async with Kernel(journal=journal) as kernel:
        handle = await kernel.start(hanging.flow, 1)
        await hanging.inside.wait()
        await handle.cancel()
        assert hanging.cleaned == ["second"]
        assert handle.status == "cancelled"
        with pytest.raises(RunCancelled, match=rf"Run {handle.run_id} was cancelled\.") as caught:
            await handle.result()
        assert (caught.value.run_id, caught.value.code, caught.value.abandoned) == (
            handle.run_id,
            "AF-RUN-CANCELLED",
            (),
        )
        records = await kernel.history(handle.run_id)
        assert (records[-1].type, records[-1].payload) == ("run.ended", {"status": "cancelled", "abandoned": []})
        with pytest.raises(UsageError, match=r"has ended \(cancelled\)"):
            await kernel.resume(handle.run_id)


async def test_suspend_stops_a_run_that_goes_on_later() -> None:
    """The step that was stopped runs again, those before it do not."""
    hanging, journal = Hanging(), DurableJournal()
    async with Kernel(journal=journal) as kernel:
        handle = await kernel.start(hanging.flow, 1)
        await hanging.inside.wait()
        await handle.suspend()
        with pytest.raises(
            RunSuspended, match=r"is suspended: It was stopped on request\. It can be resumed"
        ) as caught:
            await handle.result()
        assert (caught.value.run_id, caught.value.status) == (handle.run_id, "suspended")
        (head,) = await kernel.runs()
        assert (head.status, head.cause) == ("suspended", "asked")
        hanging.go.set()
        assert await (await kernel.resume(handle.run_id)).result() == 4
    assert hanging.ran == ["first", "second", "second", "third"]
    check_history(await journal.survivor.read(handle.run_id))


async def test_leaving_the_kernel_suspends_what_still_runs() -> None:
    """All runs are stopped, on record, before the block ends; another kernel resumes them."""
    hanging, journal = Hanging(), DurableJournal()
    async with Kernel(journal=journal) as kernel:
        handles = [await kernel.start(hanging.flow, number) for number in range(3)]
        await hanging.inside.wait()
    assert [handle.status for handle in handles] == ["suspended"] * 3
    hanging.go.set()
    async with Kernel(journal=journal) as kernel:
        kernel.add(hanging.flow)
        heads = await kernel.runs(status="suspended")
        assert [(head.status, head.cause) for head in heads] == [("suspended", "asked")] * 3
        assert [await (await kernel.resume(handle.run_id)).result() for handle in handles] == [3, 4, 5]


async def test_leaving_with_an_error_suspends_too_and_the_error_comes_through() -> None:
    """The block's own error is not hidden."""
    hanging, journal = Hanging(), DurableJournal()
    handles = []

    async def application() -> None:
        async with Kernel(journal=journal) as kernel:
            handles.append(await kernel.start(hanging.flow, 1))
            await hanging.inside.wait()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await application()
    assert handles[0].status == "suspended"


async def test_cancelling_kernel_run_suspends_the_run() -> None:
    """Ctrl-C arrives as a cancellation of the caller."""
    hanging, journal = Hanging(), DurableJournal()
    async with Kernel(journal=journal) as kernel:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(kernel.run, hanging.flow, 1)
                await hanging.inside.wait()
                scope.cancel()
        (head,) = await kernel.runs()
        assert (head.status, head.cause) == ("suspended", "asked")
        assert hanging.cleaned == ["second"]


async def test_cancelling_the_task_round_the_whole_kernel_suspends() -> None:
    """The records are written although everything is being cancelled."""
    hanging, journal = Hanging(), DurableJournal()

    async def application() -> None:
        async with Kernel(journal=journal) as kernel:
            await kernel.run(hanging.flow, 1)

    async with anyio.create_task_group() as group:
        group.start_soon(application)
        await hanging.inside.wait()
        group.cancel_scope.cancel()
    (head,) = await journal.survivor.runs()
    assert (head.status, head.cause) == ("suspended", "asked")


async def test_cancelling_a_wait_for_the_result_only_stops_waiting() -> None:
    """The run does not notice."""
    hanging = Hanging()
    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(hanging.flow, 1)
        await hanging.inside.wait()
        with anyio.move_on_after(0) as scope:
            await handle.result()
        assert scope.cancelled_caught
        assert handle.status == "running"
        hanging.go.set()
        assert await handle.result() == 4


async def test_any_number_of_callers_may_wait_for_one_result() -> None:
    """Each gets it."""
    hanging = Hanging()
    outputs: list[object] = []
    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(hanging.flow, 1)

        async def wait() -> None:
            outputs.append(await handle.result())

        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(wait)
            hanging.go.set()
    assert outputs == [4, 4, 4]


async def test_a_run_that_has_ended_stays_as_it_is() -> None:
    """Cancelling or suspending it changes nothing."""
    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(Flow("f").step(lambda value: value, name="a", blocking="inline"), 1)
        assert await handle.result() == 1
        await handle.cancel()
        await handle.suspend()
        assert await handle.result() == 1
        assert handle.status == "completed"
        assert len(own(await kernel.history(handle.run_id))) == 3


@pytest.mark.parametrize("order", [("suspend", "cancel"), ("cancel", "suspend")])
async def test_of_two_wishes_the_stronger_one_holds(order: tuple[str, str]) -> None:
    """Who cancels a run that is just being suspended finds it cancelled."""
    hanging = Hanging()
    async with Kernel(journal=DurableJournal()) as kernel:
        handle = await kernel.start(hanging.flow, 1)
        await hanging.inside.wait()
        async with anyio.create_task_group() as group:
            for wish in order:
                group.start_soon(getattr(handle, wish))
        assert handle.status == "cancelled"


async def test_a_run_that_is_not_durable_is_lost_when_it_is_suspended_and_says_so() -> None:
    """The error does not promise what cannot be kept."""
    hanging = Hanging()
    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(hanging.flow, 1)
        await hanging.inside.wait()
    assert handle.durable is False
    with pytest.raises(RunSuspended, match=r"It is lost: it was not durable\."):
        await handle.result()


async def test_the_cancellation_of_a_run_does_not_touch_others() -> None:
    """Runs of one kernel live in scopes of their own."""
    one, other = Hanging(), Hanging()
    async with Kernel(journal=InProcessJournal()) as kernel:
        first = await kernel.start(one.flow, 1)
        second = await kernel.start(Flow("other").step(other.second), 1)
        await one.inside.wait()
        await other.inside.wait()
        await first.cancel()
        other.go.set()
        assert await second.result() == 2


async def test_a_cancelled_run_names_the_threads_it_left_behind() -> None:
    """In the error and on record; the grace is that of the kernel."""
    import threading

    inside, release = threading.Event(), threading.Event()

    def stubborn(value: object, context: Context) -> None:
        context.run.services.grace_s = 0.01
        inside.set()
        release.wait(30)

    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(Flow("f").step(stubborn))
        try:
            while not inside.is_set():
                await anyio.lowlevel.checkpoint()
            await handle.cancel()
            with pytest.raises(RunCancelled, match="Threads left behind: stubborn"):
                await handle.result()
            records = await kernel.history(handle.run_id)
            assert records[-1].payload == {"status": "cancelled", "abandoned": ["stubborn"]}
        finally:
            release.set()


async def test_a_failed_run_tells_run_id_code_and_cause() -> None:
    """``RunFailed`` is raised from what the node raised."""
    cause = UsageError("wrong")

    async def fail() -> None:
        raise cause

    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(Flow("f").step(fail))
        with pytest.raises(RunFailed, match=rf"Run {handle.run_id} failed at fail: wrong \[AF-USAGE\]") as caught:
            await handle.result()
    assert (caught.value.run_id, caught.value.code, caught.value.path) == (handle.run_id, "AF-USAGE", "fail")
    assert caught.value.__cause__ is cause


async def test_a_step_that_exits_the_program_fails_its_run_only() -> None:
    """``SystemExit`` of user code does not take the kernel along."""

    def leave() -> None:
        raise SystemExit(3)

    async with Kernel(journal=InProcessJournal()) as kernel:
        with pytest.raises(RunFailed, match="SystemExit: 3"):
            await kernel.run(Flow("f").step(leave))
        assert await kernel.run(Flow("g").step(lambda: 1, name="a")) == 1


async def test_after_the_kernel_is_closed_its_task_goes_on_normally() -> None:
    """No cancellation is left over in the task that opened it."""
    hanging = Hanging()
    async with Kernel(journal=InProcessJournal()) as kernel:
        await kernel.start(hanging.flow, 1)
        await hanging.inside.wait()
    await anyio.lowlevel.checkpoint()
    with anyio.move_on_after(10) as scope:
        await anyio.lowlevel.checkpoint()
    assert not scope.cancel_called


@pytest.mark.parametrize("end", ["fail", "cancel"])
async def test_an_end_that_cannot_be_put_on_record_leaves_the_run_suspended(end: str) -> None:
    """Nobody is told of an end that a later owner might contradict; the next one to take the run up ends it."""
    entered = anyio.Event()

    async def node(value: int) -> None:
        entered.set()
        if end == "fail":
            raise ValueError("no")
        await anyio.sleep_forever()

    flow, journal = Flow("f").step(node), DurableJournal(full_at=2)
    async with Kernel(journal=journal) as kernel:
        handle = await kernel.start(flow, 1)
        await entered.wait()
        if end == "cancel":
            await handle.cancel()
        with pytest.raises(RunSuspended, match=r"could not be put on record: The disk is full\. It can be resumed"):
            await handle.result()
        (head,) = await kernel.runs()
        assert (handle.status, head.status) == ("suspended", "suspended")
        again = await kernel.resume(handle.run_id)
        if end == "cancel":
            await again.cancel()
        await again.ended()
        assert again.status == {"fail": "failed", "cancel": "cancelled"}[end]
    check_history(await journal.read(handle.run_id))


async def test_a_run_is_told_to_be_stuck_only_when_that_is_on_record() -> None:
    """Otherwise its head would say something else; whoever resumes it parks it."""
    flow, journal = Flow("f"), DurableJournal(dies_at=3)

    async def node(value: int, context: Context) -> None:
        await context.step("charge", lambda: None, effect="effect")

    flow.step(node)
    async with Kernel(journal=journal) as kernel:
        handle = await kernel.start(flow, 1, key="k")
        await handle.ended()
    full = DurableJournal(journal.survivor, full_at=2)
    async with Kernel(journal=full) as kernel:
        kernel.add(flow)
        handle = await kernel.resume(handle.run_id)
        with pytest.raises(RunSuspended, match="is suspended: at 'node!charge'"):
            await handle.result()
        assert (await kernel.runs())[0].status == handle.status == "suspended"
        again = await kernel.resume(handle.run_id)
        with pytest.raises(RunSuspended, match="is stuck: at 'node!charge'"):
            await again.result()
        assert (await kernel.runs())[0].status == "stuck"


async def test_what_an_error_says_is_told_up_to_a_bound() -> None:
    """A peer may answer with megabytes; the record of the end and the head of the run stay small."""

    async def fail(value: object) -> object:
        raise ValueError("x" * 1_000_000)

    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(Flow("f").step(fail))
        with pytest.raises(RunFailed, match=r"ValueError: x+… \(1000012 characters\)"):
            await handle.result()
        (head,) = await kernel.runs()
        last = (await kernel.history(handle.run_id))[-1]
    assert len(head.cause) < 20_000
    assert len(encode_record(last)) < 20_000


async def test_a_group_of_errors_is_told_with_what_is_in_it() -> None:
    """A node may have a task group of its own; how many errors there are says little."""

    async def fail(value: object) -> object:
        raise ExceptionGroup("unhandled errors", [ValueError("no"), ExceptionGroup("more", [KeyError("yes")])])

    async with Kernel(journal=InProcessJournal()) as kernel:
        with pytest.raises(RunFailed, match=r"\(2 sub-exceptions\): ValueError: no; .*: KeyError: 'yes'"):
            await kernel.run(Flow("f").step(fail))
