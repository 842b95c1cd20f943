"""Starting a run: durable when the call returns, and with a key the same run however often it is started."""

from __future__ import annotations

import warnings
from typing import Any

import anyio
import pytest
from engine_kit import DurableJournal, check_history

from agentflow_kernel import Flow, Kernel
from agentflow_kernel.errors import (
    PeerUnavailable,
    RunCancelled,
    RunFailed,
    RunSuspended,
    StorageUnavailable,
    UsageError,
)
from agentflow_kernel.kernel import NotDurableWarning
from agentflow_kernel.testing import InProcessJournal

pytestmark = pytest.mark.anyio


class Step:
    """A step that counts its calls and can be made to wait."""

    def __init__(self, *, waits: bool = False) -> None:
        self.calls = 0
        self.inside = anyio.Event()
        self.go = anyio.Event()
        if not waits:
            self.go.set()

    async def __call__(self, value: Any) -> Any:
        self.calls += 1
        self.inside.set()
        await self.go.wait()
        return value

    @property
    def flow(self) -> Flow:
        return Flow("f").step(self, name="step")


async def test_a_run_is_durable_when_start_returns() -> None:
    """Its first record is there, its id is a UUID of version 7, its handle says what it is."""
    step, journal = Step(waits=True), DurableJournal()
    async with Kernel(journal=journal) as kernel:
        handle = await kernel.start(step.flow, 1)
        assert journal.appended == [("run.started",)]
        assert (handle.name, handle.status, handle.durable, handle.run_id[14]) == ("flow/f", "running", True, "7")
        step.go.set()
        assert await handle.result() == 1
        assert handle.status == "completed"


async def test_a_start_that_cannot_be_made_durable_starts_nothing() -> None:
    """The caller is told why, and no step runs."""
    step, journal = Step(), DurableJournal(full_at=1)
    async with Kernel(journal=journal) as kernel:
        with pytest.raises(StorageUnavailable, match="full"):
            await kernel.start(step.flow, 1)
        assert await kernel.runs() == []
        assert await kernel.run(step.flow, 2) == 2
    assert step.calls == 1


async def test_run_ids_sort_by_their_start() -> None:
    """Later runs have larger ids."""
    async with Kernel(journal=InProcessJournal()) as kernel:
        ids = [(await kernel.start(Step().flow)).run_id for _ in range(20)]
    assert ids == sorted(ids)


@pytest.mark.parametrize("at_once", [False, True])
async def test_a_second_start_with_the_same_key_is_the_same_run(at_once: bool) -> None:
    """While it works, also when both come at the same time: one run, one handle, one execution."""
    step, handles = Step(waits=True), []
    async with Kernel(journal=DurableJournal()) as kernel:
        flow = step.flow

        async def start(number: int) -> None:
            handles.append(await kernel.start(flow, number, key="order-7"))

        if at_once:
            async with anyio.create_task_group() as group:
                for number in range(5):
                    group.start_soon(start, number)
        else:
            for number in range(5):
                await start(number)
        assert all(handle is handles[0] for handle in handles)
        step.go.set()
        await handles[0].result()
        assert len(await kernel.runs()) == 1
        check_history(await kernel.history(handles[0].run_id))
    assert step.calls == 1


async def test_starting_an_ended_run_again_gives_its_end() -> None:
    """Output or error come from the record; nothing runs."""
    step, journal = Step(), DurableJournal()
    async with Kernel(journal=journal) as kernel:
        handle = await kernel.start(step.flow, 7, key="k")
        await handle.result()
    async with Kernel(journal=journal) as kernel:
        again = await kernel.start(step.flow, 8, key="k")
        assert (again.run_id, again.status) == (handle.run_id, "completed")
        assert await again.result() == 7
    assert step.calls == 1


async def test_starting_a_failed_or_cancelled_run_again_raises_as_it_ended() -> None:
    """With code and path."""

    async def fail(value: object) -> None:
        raise UsageError("wrong")

    waiting = Step(waits=True)
    async with Kernel(journal=DurableJournal()) as kernel:
        for _ in range(2):
            with pytest.raises(RunFailed, match=r"failed at fail: wrong \[AF-USAGE\]"):
                await kernel.run(Flow("bad").step(fail), key="k")
        handle = await kernel.start(waiting.flow, key="k")
        await waiting.inside.wait()
        await handle.cancel()
        with pytest.raises(RunCancelled, match="was cancelled"):
            await kernel.run(waiting.flow, key="k")
    assert waiting.calls == 1


async def test_starting_a_suspended_run_again_resumes_it() -> None:
    """Its own input counts, not that of the second start."""
    step, journal = Step(waits=True), DurableJournal()
    async with Kernel(journal=journal) as kernel:
        handle = await kernel.start(step.flow, 7, key="k")
        await step.inside.wait()
    step.go.set()
    async with Kernel(journal=journal) as kernel:
        again = await kernel.start(step.flow, 8, key="k")
        assert again.run_id == handle.run_id
        assert await again.result() == 7


async def test_keys_belong_to_the_flow_they_are_used_with() -> None:
    """The same key of another flow is another run; without a key every start is one."""
    async with Kernel(journal=InProcessJournal()) as kernel:
        one, other = Flow("one").step(Step(), name="s"), Flow("other").step(Step(), name="s")
        ids = [(await kernel.start(flow, key="k")).run_id for flow in (one, other)]
        ids += [(await kernel.start(one)).run_id for _ in range(2)]
    assert len(set(ids)) == 4
    assert ids[0][14] == "8"


@pytest.mark.parametrize("taken_up", [False, True], ids=["by one", "taken up by a third"])
async def test_a_key_that_another_process_was_quicker_with_is_its_run(taken_up: bool) -> None:
    """Between looking and appending somebody else may have started it, and it may have another owner by now."""
    journal, calls = DurableJournal(), list[int]()
    head = journal.head

    async def down_at_first(value: int) -> int:
        calls.append(value)
        if taken_up and len(calls) == 1:
            raise PeerUnavailable("down", executed="no")
        return value

    flow = Flow("f").step(down_at_first)

    async def late_head(run_id: str) -> Any:
        """Looks before the other one has begun, and answers after that."""
        journal.head = head
        try:
            return await head(run_id)
        finally:
            async with Kernel(journal=journal) as quicker:
                handle = await quicker.start(flow, 1, key="k")
                await handle.ended()
                if taken_up:
                    await (await quicker.resume(handle.run_id)).result()

    journal.head = late_head
    async with Kernel(journal=journal) as kernel:
        assert await kernel.run(flow, 2, key="k") == 1
    assert calls == ([1, 1] if taken_up else [1])


async def test_an_embedded_kernel_without_a_journal_warns_once_and_says_so_on_the_handle() -> None:
    """Runs are kept in memory only."""
    step = Step()
    async with Kernel() as kernel:
        with pytest.warns(NotDurableWarning, match="lost when the process ends. Name a Journal to keep them") as caught:
            handle = await kernel.start(step.flow, 1)
        assert caught[0].filename == __file__
        assert handle.durable is False
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert await kernel.run(step.flow, 1) == 1


async def test_a_warning_that_is_an_error_leaves_no_half_started_run() -> None:
    """It comes before anything is on record."""
    step = Step()
    async with Kernel() as kernel:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(NotDurableWarning):
                await kernel.start(step.flow)
        assert await kernel.runs() == []
    assert step.calls == 0


async def test_a_flow_that_is_invalid_is_refused_before_anything_is_on_record() -> None:
    """Its findings go to the caller."""
    async with Kernel(journal=InProcessJournal()) as kernel:
        with pytest.raises(UsageError, match="refers to unknown node"):
            await kernel.start(Flow("f").step(Step(), name="s", input={"$ref": "nope.result"}))
        assert await kernel.runs() == []


async def test_a_hundred_runs_at_once_do_not_disturb_each_other() -> None:
    """Each gets its own result."""
    async with Kernel(journal=DurableJournal()) as kernel:
        flow = Flow("f").step(Step(), name="a").step(Step(), name="b", each=[{"$ref": "a.result"}, 1])
        handles = [await kernel.start(flow, number) for number in range(100)]
        assert [await handle.result() for handle in handles] == [[number, 1] for number in range(100)]
        assert len(await kernel.runs(limit=1000)) == 100


async def test_the_run_of_a_suspended_start_shows_its_durability() -> None:
    """``RunSuspended`` says how to go on."""
    step = Step(waits=True)
    async with Kernel(journal=DurableJournal()) as kernel:
        handle = await kernel.start(step.flow)
        await step.inside.wait()
    with pytest.raises(RunSuspended, match=r"It can be resumed"):
        await handle.result()


async def test_what_is_nothing_to_run_and_a_key_that_is_no_text_are_refused() -> None:
    """Before anything is on record."""
    async with Kernel(journal=InProcessJournal()) as kernel:
        for wrong in (5, None, lambda value: value):
            with pytest.raises(UsageError, match="cannot be run: expected a flow, an agent or a plan"):
                await kernel.run(wrong)
        with pytest.raises(UsageError, match="is no key of a run"):
            await kernel.start(Flow("f").step(str), key="\ud800")
        assert not await kernel.runs()
