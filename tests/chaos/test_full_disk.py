"""A full disk under a working kernel: nothing acknowledged is lost, and it heals when there is space."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest

from agentflow_kernel import Flow, Kernel
from agentflow_kernel.errors import RunSuspended, StorageUnavailable
from agentflow_kernel.testing.auditor import Auditor
from agentflow_sqlite.journal import SqliteJournal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentflow_kernel import Context, RunHandle

pytestmark = [pytest.mark.anyio, pytest.mark.chaos, pytest.mark.timeout(120), pytest.mark.blocking]

WAYS = ("no space", "grown")
"""How the space comes back: something else is deleted, or the file system grows."""
SMALL_MIB = 8


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of its own, of a few MiB."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("only root can mount a tmpfs; run the tests as root")
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL_MIB}m", "tmpfs", folder], check=True)
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", folder], check=True)


def make_space(folder: Path, way: str) -> None:
    """Somebody puts the disk right."""
    if way == "grown":
        subprocess.run(["mount", "-o", "remount,size=64m", str(folder)], check=True)
    else:
        (folder / "ballast").unlink()


def wide_flow(done: list[str]) -> Flow:
    """Steps whose results take space."""

    async def step(value: int, context: Context) -> str:
        await anyio.lowlevel.checkpoint()
        done.append(context.key)
        return "x" * 8_000

    flow = Flow("wide").step(step, name="a", input=1)
    for name in "bcdefgh":
        flow.step(step, name=name, input=1)
    return flow.returns("done")


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("way", WAYS)
async def test_a_full_disk_loses_nothing_and_heals_without_a_restart(small_disk: Path, way: str) -> None:
    """The callers get a typed error, their runs are suspended; with space again the same kernel ends them all."""
    if way == "no space":
        (small_disk / "ballast").write_bytes(bytes(6_000_000))
    journal, auditor, done = SqliteJournal(str(small_disk / "journal.db")), Auditor(), list[str]()
    flow = wide_flow(done)
    async with Kernel(journal=journal) as kernel:
        handles: list[RunHandle] = []
        refused: StorageUnavailable | None = None
        while refused is None:
            try:
                handles.append(await kernel.start(flow, len(handles)))
            except StorageUnavailable as error:
                refused = error
            if len(handles) % 8 == 0:
                await handles[-1].ended()
            assert len(handles) < 2_000, "the disk never became full"
        assert str(small_disk) in str(refused)
        assert refused.executed == "no"
        for handle in handles:
            await handle.ended()
            auditor.accept(handle.run_id)
        statuses = {handle.status for handle in handles}
        assert "suspended" in statuses
        assert statuses <= {"completed", "suspended"}
        for handle in handles:
            if handle.status == "suspended":
                with pytest.raises(RunSuspended):
                    await handle.result()
        acknowledged = {handle.run_id for handle in handles if handle.status == "completed"}
        for run_id in acknowledged:
            assert (await journal.head(run_id)).status == "completed"
        before = {handle.run_id: len(await journal.read(handle.run_id)) for handle in handles}
        make_space(small_disk, way)
        with anyio.fail_after(30):  # by itself, and soon
            recovery = await kernel.recover()
            assert recovery.found == recovery.resumed == len(handles) - len(acknowledged)
            for handle in recovery.handles:
                assert await handle.result() == "done"
        assert await kernel.run(flow, 0) == "done"
        for run_id, count in before.items():
            assert len(await journal.read(run_id)) >= count
        audit = await auditor.audit(journal)
        audit.check()
        assert audit.statuses == {"completed": len(handles)}


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_journal_is_opened_and_read_on_a_disk_that_is_full(small_disk: Path) -> None:
    """A process that starts while the disk is full sees every run, and goes on as soon as there is space."""
    (small_disk / "ballast").write_bytes(bytes(1_000_000))
    path, done = str(small_disk / "journal.db"), list[str]()
    flow = wide_flow(done)
    async with Kernel(journal=SqliteJournal(path)) as kernel:
        whole = [await kernel.run(flow, number) for number in range(3)]
        waiting = await kernel.start(_waits(), 1)
        await anyio.wait_all_tasks_blocked()
    with (small_disk / "filler").open("wb", buffering=0) as filler:
        try:
            while True:
                filler.write(bytes(512))
        except OSError:
            pass
    async with Kernel(journal=SqliteJournal(path)) as kernel:
        kernel.add(_waits())
        assert len(await kernel.runs()) == len(whole) + 1
        with pytest.raises(StorageUnavailable):
            await _start_until_refused(kernel, flow)
        make_space(small_disk, "no space")
        handle = await kernel.resume(waiting.run_id)
        await handle.signal("go", 5)
        assert await handle.result() == 5


async def _start_until_refused(kernel: Kernel, flow: Flow) -> None:
    """What is left of the last page of the log may still take some."""
    while True:
        await kernel.start(flow, 1)


def _waits() -> Flow:
    async def wait(value: int, context: Context) -> object:
        return await context.wait("go")

    return Flow("waits").step(wait)
