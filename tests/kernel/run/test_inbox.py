"""The inbox: what other processes ask of a run, taken by its owner, or by whoever resumes it."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from itertools import chain
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from engine_kit import DurableJournal, check_history

from agentflow_kernel import Context, Flow, Kernel
from agentflow_kernel.errors import InputInvalid, RunCancelled, RunEnded, RunFailed, UsageError
from agentflow_kernel.run import watch
from agentflow_kernel.run.inbox import Letterbox, find_requests, leave_cancel, leave_signal
from agentflow_kernel.run.watch import take_in
from agentflow_kernel.testing import FakeClock, InProcessJournal, settle

pytestmark = pytest.mark.anyio

NUMBER = {"type": "integer"}
SEND = """
import sys
from agentflow_kernel.run.inbox import leave_signal
leave_signal(sys.argv[1], sys.argv[2], "go", 5, signal_id="from elsewhere")
"""


async def node(value: int, context: Context) -> object:
    return await context.wait("go", NUMBER)


def waiting() -> Flow:
    return Flow("f").step(node)


async def blocking(function: Any, *arguments: Any, **options: Any) -> Any:
    """Do what senders do, away from the event loop."""
    return await anyio.to_thread.run_sync(functools.partial(function, *arguments, **options))


async def leftovers(state: Path) -> list[str]:
    """Everything below the inbox."""
    inbox = state / "inbox"

    def look() -> list[str]:  # not by rglob: it cannot bear that a folder is removed while it looks
        return [str(Path(at, name).relative_to(inbox)) for at, *names in os.walk(inbox) for name in chain(*names)]

    return sorted(await blocking(look))


async def tick_until(clock: FakeClock, done: Any) -> None:
    """Let seconds go by, and the threads do their work, until it is done."""
    with anyio.fail_after(30):
        while not done():
            await clock.advance(1)
            await blocking(int)


async def test_the_owner_takes_a_signal_of_another_process_and_removes_it(tmp_path: Path) -> None:
    clock, state = FakeClock(), str(tmp_path)
    async with Kernel(journal=InProcessJournal(), state=state, clock=clock) as kernel:
        handle = await kernel.start(waiting())
        paths = f"import sys; sys.path[:0] = {sys.path!r}\n"
        command = [sys.executable, "-c", paths + SEND, state, handle.run_id]
        await blocking(subprocess.run, command, check=True, timeout=50)
        await tick_until(clock, lambda: handle.status == "completed")
        assert await handle.result() == 5
        records = await kernel.history(handle.run_id)
    check_history(records)
    (received,) = [record.payload for record in records if record.type == "signal.received"]
    assert received == {"signal": "from elsewhere", "name": "go", "value": 5}


async def test_a_request_is_removed_with_its_folder_once_it_is_on_record(tmp_path: Path) -> None:
    clock, state = FakeClock(), str(tmp_path)
    async with Kernel(journal=InProcessJournal(), state=state, clock=clock) as kernel:
        handle = await kernel.start(waiting())
        await blocking(leave_signal, state, handle.run_id, "other", 1)
        await blocking(leave_signal, state, handle.run_id, "other", 2)
        gone = anyio.Event()
        while not gone.is_set():
            await clock.advance(1)
            if not await leftovers(tmp_path):
                gone.set()
        records = await kernel.history(handle.run_id)
    assert [record.payload["value"] for record in records if record.type == "signal.received"] == [1, 2]


async def test_the_owner_cancels_the_run_on_request(tmp_path: Path) -> None:
    clock, state = FakeClock(), str(tmp_path)
    async with Kernel(journal=InProcessJournal(), state=state, clock=clock) as kernel:
        handle = await kernel.start(waiting())
        await blocking(leave_cancel, state, handle.run_id)
        await tick_until(clock, lambda: handle.status == "cancelled")
        with pytest.raises(RunCancelled):
            await handle.result()
        types = [record.type for record in await kernel.history(handle.run_id)]
    assert types[-2:] == ["cancel.requested", "run.ended"]


async def test_requests_for_a_run_without_an_owner_are_taken_when_it_is_resumed(tmp_path: Path) -> None:
    journal, state, clock = InProcessJournal(), str(tmp_path), FakeClock()
    flow = waiting()
    async with Kernel(journal=DurableJournal(journal), state=state, clock=clock) as kernel:
        handle = await kernel.start(flow, key="k")
    await blocking(leave_signal, state, handle.run_id, "go", 5, signal_id="a")
    await blocking(leave_signal, state, handle.run_id, "go", 6, signal_id="a")
    async with Kernel(journal=DurableJournal(journal), state=state, clock=clock) as kernel:
        assert await (await kernel.start(flow, key="k")).result() == 5
        records = await kernel.history(handle.run_id)
    check_history(records)
    assert [record.type for record in records].count("signal.received") == 1
    assert await leftovers(tmp_path) == []


@pytest.mark.parametrize("applied", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("kind", ["signal", "cancel"])
async def test_a_resume_that_dies_over_its_requests_loses_none(tmp_path: Path, kind: str, applied: bool) -> None:
    """At each durable operation of the life that takes them: the next one ends as it would have."""
    state = str(tmp_path)
    flow = waiting()
    for moment in range(1, 6):
        journal, clock = InProcessJournal(), FakeClock()
        async with Kernel(journal=DurableJournal(journal), state=state, clock=clock) as kernel:
            run_id = (await kernel.start(flow, key=f"{kind}{applied}{moment}")).run_id
        if kind == "signal":
            await blocking(leave_signal, state, run_id, "go", 5)
        else:
            await blocking(leave_cancel, state, run_id)
        dying = DurableJournal(journal, dies_at=moment, applied=applied)
        try:
            async with Kernel(journal=dying, state=state, clock=clock) as kernel:
                kernel.add(flow)
                await (await kernel.resume(run_id)).ended()
        except Exception:  # the process died, however it noticed
            if not dying.dead:
                raise
        async with Kernel(journal=DurableJournal(journal), state=state, clock=clock) as kernel:
            kernel.add(flow)
            (head,) = await kernel.runs()
            if head.status not in ("completed", "cancelled"):
                await (await kernel.resume(run_id)).ended()
            (head,) = await kernel.runs()
            records = await kernel.history(run_id)
        assert head.status == ("completed" if kind == "signal" else "cancelled"), f"died at operation {moment}"
        check_history(records)
        types = [record.type for record in records]
        assert types.count("signal.received" if kind == "signal" else "cancel.requested") == 1


async def test_a_cancelled_run_does_nothing_more_when_it_is_resumed(tmp_path: Path) -> None:
    """Not even what needs no event loop."""
    journal, state, done = InProcessJournal(), str(tmp_path), []

    async def first(value: int, context: Context) -> object:
        done.append(context.run.history.epoch)  # type: ignore[union-attr]  # there is a journal
        return await context.wait("go")

    flow = Flow("f").step(first)
    async with Kernel(journal=DurableJournal(journal), state=state, clock=FakeClock()) as kernel:
        handle = await kernel.start(flow, key="k")
        await settle()
    await blocking(leave_cancel, state, handle.run_id)
    async with Kernel(journal=DurableJournal(journal), state=state, clock=FakeClock()) as kernel:
        with pytest.raises(RunCancelled):
            await (await kernel.start(flow, key="k")).result()
    assert done == [1]


async def test_a_signal_that_the_run_cannot_take_is_dropped(tmp_path: Path) -> None:
    clock, state = FakeClock(), str(tmp_path)
    async with Kernel(journal=InProcessJournal(), state=state, clock=clock) as kernel:
        handle = await kernel.start(waiting())
        await settle()
        await blocking(leave_signal, state, handle.run_id, "go", "no number")
        await blocking(leave_signal, state, handle.run_id, "go", 7)
        await tick_until(clock, lambda: handle.status == "completed")
        assert await handle.result() == 7


async def test_a_sender_that_can_read_the_history_is_told_what_is_refused(tmp_path: Path) -> None:
    state = str(tmp_path)
    async with Kernel(journal=InProcessJournal(), clock=FakeClock()) as kernel:
        handle = await kernel.start(waiting())
        await settle()
        records = await kernel.history(handle.run_id)
        with pytest.raises(InputInvalid, match="Signal 'go'"):
            await blocking(leave_signal, state, handle.run_id, "go", "x", records=records)
        await blocking(leave_signal, state, handle.run_id, "other", "x", records=records)
        await handle.signal("go", 1, signal_id="one")
        await handle.result()
        records = await kernel.history(handle.run_id)
        again = functools.partial(leave_signal, state, handle.run_id, "go", 1, signal_id="one", records=records)
        assert await blocking(again) == "one"  # accepted before: a sender that lost the answer is told so
        for leave in (functools.partial(leave_signal, name="go"), leave_cancel):
            with pytest.raises(RunEnded, match="completed"):
                await blocking(leave, state=state, run_id=handle.run_id, records=records)
    assert len(await blocking(find_requests, state, handle.run_id)) == 1


@pytest.mark.parametrize("run_id", ["", "..", "a/b", ".hidden"])
def test_what_is_no_id_of_a_run_is_refused(tmp_path: Path, run_id: str) -> None:
    with pytest.raises(UsageError, match="is no id of a run"):
        leave_cancel(str(tmp_path), run_id)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", json.dumps({"v": 2, "kind": "cancel", "id": "a", "name": "", "value": None}),
     json.dumps({"v": 1, "kind": "dance", "id": "a", "name": "", "value": None}),
     json.dumps({"v": 1, "kind": "cancel", "id": 1, "name": "", "value": None})],
)  # fmt: skip
def test_a_file_that_is_no_request_is_put_aside_and_hides_no_other(tmp_path: Path, text: str) -> None:
    leave_cancel(str(tmp_path), "run")
    (tmp_path / "inbox" / "run" / "0.json").write_text(text)
    assert [request.kind for request in find_requests(str(tmp_path), "run")] == ["cancel"]
    assert (tmp_path / "inbox" / "run" / "0.json.refused").read_text() == text


def test_a_request_that_is_taken_while_one_looks_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the owner of before, who removes what it has put on record."""
    state, listed = str(tmp_path), os.listdir
    leave_signal(state, "run", "go", 1)
    leave_signal(state, "run", "go", 2)

    def late(folder: str) -> list[str]:
        names = sorted(listed(folder))
        os.unlink(os.path.join(folder, names[0]))
        return names

    monkeypatch.setattr(os, "listdir", late)
    assert [request.value for request in find_requests(state, "run")] == [2]


def test_requests_come_in_the_order_in_which_they_were_left(tmp_path: Path) -> None:
    for number in range(20):
        leave_signal(str(tmp_path), "run", "go", number)
    assert [request.value for request in find_requests(str(tmp_path), "run")] == list(range(20))


def test_an_unchanged_inbox_costs_one_look_at_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many runs there are; a change in any of them is seen."""
    box, listed = Letterbox(str(tmp_path)), []
    real = os.listdir
    assert box.changed() == []
    leave_cancel(str(tmp_path), "one")
    assert box.changed() == ["one"]
    top = tmp_path / "inbox"
    os.utime(top, ns=(0, 0))
    assert box.changed() == ["one"]
    monkeypatch.setattr(os, "listdir", lambda path: listed.append(path) or real(path))
    assert [box.changed(), box.changed(), listed] == [[], [], []]
    leave_cancel(str(tmp_path), "one")
    assert box.changed() == ["one"]
    os.utime(top, ns=(0, 0))
    box.changed()
    box.forget()
    assert box.changed() == ["one"]


async def test_a_run_whose_journal_fails_leaves_the_request_for_the_next_owner(tmp_path: Path) -> None:
    state, clock = str(tmp_path), FakeClock()
    journal = DurableJournal(dies_at=3)
    async with Kernel(journal=journal, state=state, clock=clock) as kernel:
        handle = await kernel.start(waiting(), key="k")
        await settle()
        await blocking(leave_signal, state, handle.run_id, "go", 5)
        await tick_until(clock, lambda: journal.dead)
        await handle.suspend()
    assert len(await blocking(find_requests, state, handle.run_id)) == 1
    flow = waiting()
    async with Kernel(journal=DurableJournal(journal.survivor), state=state, clock=clock) as kernel:
        try:
            output = await (await kernel.start(flow, key="k")).result()
        except RunFailed as error:
            output = error
    assert output == 5


async def test_a_run_whose_journal_fails_over_a_cancel_does_not_wait_for_ever(tmp_path: Path) -> None:
    """Nothing can be appended any more, so that it is suspended; the next owner finds the request and ends it."""
    state, clock = str(tmp_path), FakeClock()
    journal = DurableJournal(full_at=3)
    async with Kernel(journal=journal, state=state, clock=clock) as kernel:
        handle = await kernel.start(waiting(), key="k")
        await settle()
        await blocking(leave_cancel, state, handle.run_id)
        await tick_until(clock, lambda: handle.status == "suspended")
    async with Kernel(journal=journal, state=state, clock=clock) as kernel:
        with pytest.raises(RunCancelled):
            await (await kernel.start(waiting(), key="k")).result()


async def test_requests_that_could_not_be_taken_hold_up_no_others_and_are_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One run's inbox fails once, and nothing new comes afterwards that would have it looked at."""
    state, clock, failed = str(tmp_path), FakeClock(), []

    async def fails_once(inbox: Any, run: Any) -> bool:
        if not failed:
            failed.append(run.run_id)
            raise OSError("the folder cannot be read")
        return await take_in(inbox, run)

    monkeypatch.setattr(watch, "take_in", fails_once)
    async with Kernel(journal=InProcessJournal(), state=state, clock=clock) as kernel:
        handles = [await kernel.start(waiting(), key=key) for key in "ab"]
        await settle()
        for handle in handles:
            await blocking(leave_signal, state, handle.run_id, "go", 5)
        await blocking(os.utime, tmp_path / "inbox", (1, 1))  # nobody has been there for long
        await tick_until(clock, lambda: all(handle.status == "completed" for handle in handles))
    assert failed
