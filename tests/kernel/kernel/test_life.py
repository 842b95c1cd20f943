"""The life of a kernel: what it opens it closes, whatever goes wrong, and its runs are always accounted for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from engine_kit import DurableJournal

from agentflow_kernel import Context, Flow, Kernel
from agentflow_kernel.errors import RunError, StorageUnavailable, Unsupported, UsageError
from agentflow_kernel.testing import FakeClock, InProcessJournal, settle

pytestmark = pytest.mark.anyio


class Waiting:
    """A flow that waits until it is let go."""

    def __init__(self) -> None:
        self.inside = anyio.Event()
        self.go = anyio.Event()
        self.flow = Flow("waiting").step(self._wait, name="wait")

    async def _wait(self, value: Any) -> Any:
        self.inside.set()
        await self.go.wait()
        return value


def quick(name: str = "quick") -> Flow:
    return Flow(name).step(lambda value: value, name="a", blocking="inline")


async def test_runs_are_listed_newest_first_with_their_true_status() -> None:
    """By status where one is asked for."""
    waiting, clock = Waiting(), FakeClock()
    async with Kernel(journal=DurableJournal(), clock=clock) as kernel:
        ids = []
        for number in range(3):
            clock.jump(1)
            handle = await kernel.start(waiting.flow if number == 1 else quick(), number)
            ids.append(handle.run_id)
            await (waiting.inside.wait() if number == 1 else handle.result())
        heads = await kernel.runs()
        assert [(head.run_id, head.status) for head in heads] == [
            (ids[2], "completed"),
            (ids[1], "running"),
            (ids[0], "completed"),
        ]
        assert [head.run_id for head in await kernel.runs(status="running")] == [ids[1]]
        assert [head.run_id for head in await kernel.runs(status="completed", limit=1)] == [ids[2]]
        assert await kernel.runs(status="suspended") == []


async def test_suspended_runs_are_found_behind_any_number_of_others() -> None:
    """The limit counts what is asked for, not what was looked through."""
    journal, clock, waiting = DurableJournal(), FakeClock(), Waiting()
    async with Kernel(journal=journal, clock=clock) as kernel:
        old = (await kernel.start(waiting.flow)).run_id
        await waiting.inside.wait()
    # somebody died with runs under way, and later runs were completed
    dying = DurableJournal(journal.survivor, dies_at=3)
    async with Kernel(journal=dying, clock=clock) as kernel:
        clock.jump(1)
        dead = (await kernel.start(quick(), key="k")).run_id
    async with Kernel(journal=journal, clock=clock) as kernel:
        for _ in range(20):
            clock.jump(1)
            await kernel.run(quick())
        for _ in range(10):
            clock.jump(1)
            await kernel.start(Waiting().flow)
        found = await kernel.runs(status="suspended", limit=2)
        assert [(head.run_id, head.cause) for head in found] == [(dead, "crash"), (old, "asked")]
        assert [head.run_id for head in await kernel.runs(status="suspended", limit=1)] == [dead]
        assert len(await kernel.runs(status="completed", limit=5)) == 5
        assert len(await kernel.runs(status="running", limit=20)) == 10


WORKER = """
import sys
sys.path[:0] = {path!r}
import anyio
from worker_kit import build, journal
from agentflow_kernel import Kernel

async def main():
    async with Kernel(state=sys.argv[1], journal=journal(sys.argv[1])) as kernel:
        handle = await kernel.start(build(), 1)
        print(handle.run_id, flush=True)
        await handle.result()

anyio.run(main)
"""
WORKER_KIT = '''
import json
from pathlib import Path

import anyio

from agentflow_kernel import Flow
from agentflow_kernel.contracts.journal import decode_record
from agentflow_kernel.testing import InProcessJournal


class FileJournal(InProcessJournal):
    """Keeps each batch as a file too, so that another process can begin with them."""

    def __init__(self, folder):
        super().__init__()
        self.folder = Path(folder)
        for file in sorted(self.folder.glob("*.batch")):
            lines = [decode_record(line.encode()) for line in json.loads(file.read_text())]
            super().append_inline(lines[0].run_id, lines[0].seq, lines[0].epoch, lines)

    async def append(self, run_id, expected_seq, epoch, records):
        from agentflow_kernel.contracts.journal import encode_record

        await super().append(run_id, expected_seq, epoch, records)
        lines = [encode_record(record).decode() for record in records]
        draft = anyio.Path(self.folder, f"{expected_seq:06}.draft")
        await draft.write_text(json.dumps(lines))
        await draft.rename(draft.with_suffix(".batch"))  # the test reads each as soon as it is there


def journal(state):
    return FileJournal(state)


def build():
    async def forever(value):
        await anyio.sleep_forever()

    return Flow("f").step(lambda value: value + 1, name="a").step(forever)
'''


@pytest.fixture
def worker_kit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The code that the worker and the test share."""
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "worker_kit.py").write_text(WORKER_KIT)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "worker_kit", raising=False)
    import worker_kit  # type: ignore[import-not-found]  # written above

    return worker_kit


@pytest.mark.blocking
async def test_a_run_whose_process_was_killed_shows_as_suspended_by_a_crash(tmp_path: Path, worker_kit: Any) -> None:
    """While the process lives nobody else can take the run; the lock of a killed one is free."""
    state = tmp_path / "state"
    state.mkdir()
    code = WORKER.format(path=sys.path)
    command = [sys.executable, "-c", code, str(state)]
    process = await anyio.to_thread.run_sync(lambda: subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
    assert process.stdout is not None
    try:
        run_id = process.stdout.readline().strip()
        while len(list(state.glob("*.batch"))) < 2:
            assert process.poll() is None
        async with Kernel(state=str(state), journal=worker_kit.journal(state)) as kernel:
            kernel.add(worker_kit.build())
            (head,) = await kernel.runs()
            assert (head.run_id, head.status) == (run_id, "running")
            with pytest.raises(UsageError, match=f"is being worked on by process {process.pid}"):
                await kernel.resume(run_id)
            process.send_signal(signal.SIGKILL)
            process.wait()
            (head,) = await kernel.runs(status="suspended")
            assert (head.run_id, head.cause) == (run_id, "crash")
            handle = await kernel.resume(run_id)
            assert handle.run_id == run_id
            records = await kernel.history(run_id)
            assert [record.type for record in records] == ["run.started", "step.completed", "lease"]
            assert records[2].payload["owner"].startswith(f"{os.getpid()}-")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.blocking
async def test_one_kernel_is_one_owner_however_many_runs_start_at_once(tmp_path: Path) -> None:
    """It holds one lock, and gives it back at the end."""
    owners: list[set[str]] = []

    async def look(value: object) -> None:
        owners.append(set(os.listdir(tmp_path / "owners")))

    async with Kernel(state=str(tmp_path), journal=DurableJournal()) as kernel:
        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(kernel.run, Flow("f").step(look))
        heads = await kernel.runs()
    assert len(set.union(*owners)) == 1
    assert {head.owner for head in heads} == set.union(*owners)
    assert os.listdir(tmp_path / "owners") == []


async def test_a_run_whose_end_could_not_be_recorded_is_not_taken_for_running() -> None:
    """Its owner lives, but does not work on it any more, and can resume it."""
    journal, waiting = DurableJournal(full_at=2), Waiting()
    async with Kernel(journal=journal) as kernel:
        handle = await kernel.start(quick(), 1)
        with pytest.raises(RunError, match="full"):
            await handle.result()
        (head,) = await kernel.runs()
        assert head.status == "suspended"
        assert await (await kernel.resume(handle.run_id)).result() == 1
    assert not waiting.inside.is_set()


@pytest.mark.blocking
async def test_the_same_holds_with_a_state_folder(tmp_path: Path) -> None:
    """Where a lock says that the owner lives."""
    journal = DurableJournal(full_at=2)
    async with Kernel(journal=journal, state=str(tmp_path)) as kernel:
        handle = await kernel.start(quick(), 1)
        with pytest.raises(RunError, match="full"):
            await handle.result()
        (head,) = await kernel.runs(status="suspended")
        assert head.cause == "crash"
        assert await (await kernel.resume(handle.run_id)).result() == 1


async def test_many_runs_are_suspended_side_by_side_when_the_kernel_closes() -> None:
    """A run that takes its time does not make the others wait."""
    order: list[int] = []
    turn = [anyio.Event() for _ in range(3)]

    async def stubborn(number: int) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                # each lets the one before it go: one after another they would wait for ever
                if number > 0:
                    turn[number - 1].set()
                if number < 2:
                    await turn[number].wait()
                order.append(number)

    with anyio.fail_after(30):
        async with Kernel(journal=DurableJournal()) as kernel:
            for number in range(3):
                await kernel.start(Flow("f").step(stubborn), number)
            await settle()
    assert sorted(order) == [0, 1, 2]


async def test_files_of_a_run_go_into_a_folder_of_its_own(tmp_path: Path) -> None:
    """``context.folder`` exists; the handle names it only where there is something."""

    def write(value: object, context: Context) -> str:
        Path(context.folder, "report.txt").write_text("done")
        return context.folder

    flow, empty = Flow("f").step(write), quick()
    async with Kernel(state=str(tmp_path), journal=InProcessJournal()) as kernel:
        handle = await kernel.start(flow)
        folder = await handle.result()
        other = await kernel.start(empty)
        await other.result()
    assert folder == str(tmp_path / "artifacts" / handle.run_id)
    assert await anyio.Path(str(folder), "report.txt").read_text() == "done"
    assert await anyio.to_thread.run_sync(lambda: [handle.folder, other.folder]) == [folder, None]


async def test_without_a_state_folder_there_are_no_files() -> None:
    """The error says what would be needed."""

    async def write(value: object, context: Context) -> str:
        with pytest.raises(Unsupported, match="give the kernel a state folder"):
            _ = context.folder
        return "told"

    async with Kernel(journal=InProcessJournal()) as kernel:
        handle = await kernel.start(Flow("f").step(write))
        assert await handle.result() == "told"
        assert handle.folder is None


async def test_a_journal_that_breaks_in_its_own_way_takes_one_run_along_and_no_more() -> None:
    """Those who wait are told; the kernel goes on."""

    class Broken(DurableJournal):
        async def append(self, run_id: str, *args: Any) -> None:
            if len(self.appended) == 1:
                self.appended.append(("broken",))
                raise OSError(5, "Input/output error")
            await super().append(run_id, *args)

    async with Kernel(journal=Broken()) as kernel:
        handle = await kernel.start(quick(), 1)
        with pytest.raises(RunError, match="Input/output error"):
            await handle.result()
        assert await kernel.run(quick(), 2) == 2


async def test_idle_waits_for_runs_and_events() -> None:
    """Also for runs that events have started, and for events of such runs."""
    seen: list[object] = []
    kernel = Kernel(journal=InProcessJournal())
    second = Flow("second").step(None, name="tell", emits="second.done")

    @kernel.on("first.done")
    async def start_second(event: Any) -> None:
        await kernel.start(second, event.data)

    @kernel.on("second.done")
    async def note(event: Any) -> None:
        await anyio.lowlevel.checkpoint()
        seen.append(event.data)

    async with kernel:
        await kernel.start(Flow("first").step(None, name="tell", emits="first.done"), 7)
        await kernel.idle()
        assert seen == [7]
        await kernel.idle()


async def test_a_closed_journal_is_said_to_be_closed() -> None:
    """A kernel closes the durable journal it was given; what comes later is refused with the reason."""

    class Remembers(DurableJournal):
        closed = False

        async def append(self, *args: Any) -> None:
            if self.closed:
                raise StorageUnavailable("The journal is closed.", executed="no")
            await super().append(*args)

        async def aclose(self) -> None:
            self.closed = True

    journal = Remembers()
    async with Kernel(journal=journal) as kernel:
        await kernel.run(quick(), 1)
    assert journal.closed
    async with kernel:
        with pytest.raises(StorageUnavailable, match="The journal is closed"):
            await kernel.run(quick(), 1)
