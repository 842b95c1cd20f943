"""Firing a trigger whose source goes on from a cursor: what is kept, what is waited for, who may."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from agentflow_kernel import Kernel
from agentflow_kernel.errors import InputInvalid, NewerSchema, ProtocolViolation, StorageUnavailable, UsageError
from agentflow_kernel.kernel import triggers
from agentflow_kernel.kernel.cursors import CursorStore
from agentflow_kernel.settings import Settings
from agentflow_kernel.testing import InProcessJournal, settle

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# the objects of a manifest are made when they are first needed, and their code is imported then
pytestmark = [pytest.mark.anyio, pytest.mark.blocking]

CODE = """
import anyio
from agentflow_kernel import Event
from agentflow_kernel.contracts.source import SourceItem

log = []
gate = []
fails = []


class Numbers:
    continues = True

    def __init__(self, settings, context):
        self.settings = {"count": 3, "follow": False, **settings}
        self.continues = not settings.get("finite", False)

    async def events(self, cursor=None):
        log.append(["from", cursor])
        number = 0 if cursor is None else cursor["number"] + 1
        try:
            while number < self.settings["count"]:
                yield SourceItem(Event("number", {"n": number}, source="numbers", id=str(number)), {"number": number})
                log.append(["asked after", number])
                number += 1
            if self.settings["follow"]:
                await anyio.sleep_forever()
        finally:
            log.append(["iterator closed"])

    async def aclose(self):
        log.append(["closed"])


async def work(value):
    log.append(["work", value["n"]])
    if value["n"] in fails:
        raise ValueError("no")
    if gate:
        await gate[0].wait()
    return value["n"]
"""

MANIFEST = """
apiVersion: agentflow.dev/v1
kind: Trigger
metadata: {name: numbers}
spec: {uses: "./code.py:Numbers", with: {}, start: flow/one}
---
apiVersion: agentflow.dev/v1
kind: Flow
metadata: {name: one}
spec:
  start: only
  nodes:
    only: {uses: "./code.py:work", input: {$ref: input}}
  output: {$ref: only.result}
"""


class Durable:
    """A journal that outlives its kernel, as one on disk does."""

    def __init__(self) -> None:
        self._records = InProcessJournal()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._records, name)

    async def aclose(self) -> None:
        """Keep everything."""


@pytest.fixture
def journal() -> Durable:
    return Durable()


@pytest.fixture
def open_kernel(tmp_path: Path, journal: Durable) -> Callable[..., Kernel]:
    """Kernels over one manifest, journal and state folder."""
    (tmp_path / "code.py").write_text(CODE)
    (tmp_path / "manifest.yaml").write_text(MANIFEST)

    def make(**options: Any) -> Kernel:
        options = {"journal": journal, "state": str(tmp_path / "state"), **options}
        return Kernel.from_manifest(str(tmp_path / "manifest.yaml"), settings=Settings(), trust_code=True, **options)

    return make


def code_of(kernel: Kernel, name: str) -> Any:
    """A name of the manifest's code, as that kernel has loaded it."""
    return kernel._wiring.environment.code.load(f"./code.py:{name}")  # type: ignore[union-attr]


async def until(log: list[Any], entry: list[Any]) -> None:
    """Return when the manifest's code has noted this; threads are at work meanwhile, by real time."""
    while entry not in log:  # noqa: ASYNC110 -- the code under test knows of no event
        await anyio.sleep(0.001)


async def test_a_source_that_continues_goes_on_after_its_last_cursor(open_kernel: Callable[..., Kernel]) -> None:
    """Also in another kernel; runs of before are not started again."""
    async with open_kernel() as kernel:
        first = await kernel.fire("numbers", overrides={"count": 2})
        assert [await handle.result() for handle in first] == [0, 1]
    async with open_kernel() as kernel:
        second = await kernel.fire("numbers", overrides={"count": 3})
        assert [await handle.result() for handle in second] == [2]
        assert code_of(kernel, "log")[0] == ["from", {"number": 1}]
        assert len(await kernel.runs()) == 3


async def test_a_firing_that_goes_on_tells_of_the_runs_that_earlier_ones_have_left(
    open_kernel: Callable[..., Kernel], capsys: pytest.CaptureFixture[str]
) -> None:
    """Their events are not read again; once they have ended, nothing is told."""
    async with open_kernel() as kernel:
        code_of(kernel, "gate").append(anyio.Event())
        left = await kernel.fire("numbers", overrides={"count": 2})
    assert "runs.resumable" not in capsys.readouterr().err
    async with open_kernel() as kernel:
        await kernel.fire("numbers", overrides={"count": 2})
        told = capsys.readouterr().err
        words = ("level=warning", "event=runs.resumable", "trigger=numbers", "runs=2", left[-1].run_id)
        assert [word for word in (*words, "agentflow resume") if word not in told] == []
        for handle in left:
            assert await (await kernel.resume(handle.run_id)).result() in (0, 1)
    async with open_kernel() as kernel:
        await kernel.fire("numbers", overrides={"count": 2})
    assert "runs.resumable" not in capsys.readouterr().err


async def test_a_source_that_does_not_continue_begins_anew(open_kernel: Callable[..., Kernel]) -> None:
    """Nothing is kept of it."""
    for _ in range(2):
        async with open_kernel() as kernel:
            assert len(await kernel.fire("numbers", overrides={"finite": True})) == 3
            assert not await anyio.Path(str(kernel.state), "triggers").exists()


async def test_a_cursor_is_kept_before_the_next_item_is_asked_for(
    open_kernel: Callable[..., Kernel], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And after the run is on record."""
    saved = []
    real = CursorStore.save

    async def look(kernel: Kernel) -> int:
        return len(await kernel.runs())

    async with open_kernel() as kernel:
        log = code_of(kernel, "log")

        def save(store: CursorStore, cursor: Any) -> None:
            saved.append(
                (cursor["number"], anyio.from_thread.run(look, kernel), ["asked after", cursor["number"]] in log)
            )
            real(store, cursor)

        monkeypatch.setattr(CursorStore, "save", save)
        await kernel.fire("numbers")
    assert saved == [(0, 1, False), (1, 2, False), (2, 3, False)]


async def test_an_event_whose_cursor_was_not_kept_finds_its_run(
    open_kernel: Callable[..., Kernel], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash between both sends it again."""

    def full(store: CursorStore, cursor: Any) -> None:
        raise StorageUnavailable("The disk is full.")

    async with open_kernel() as kernel:
        with monkeypatch.context() as patched:
            patched.setattr(CursorStore, "save", full)
            with pytest.raises(StorageUnavailable):
                await kernel.fire("numbers")
        await kernel.idle()
        assert [info.status for info in await kernel.runs()] == ["completed"]
        handles = await kernel.fire("numbers")
        assert [await handle.result() for handle in handles] == [0, 1, 2]
        assert len(await kernel.runs()) == 3


async def test_no_more_runs_are_at_work_than_may_be(open_kernel: Callable[..., Kernel], monkeypatch: Any) -> None:
    """The source is not asked for more before one has stopped."""
    monkeypatch.setattr(triggers, "MAX_RUNS", 2)
    async with open_kernel() as kernel, anyio.create_task_group() as group:
        gate = anyio.Event()
        code_of(kernel, "gate").append(gate)
        log = code_of(kernel, "log")
        group.start_soon(kernel.fire, "numbers")
        await until(log, ["work", 1])
        await settle()
        assert ["asked after", 0] in log
        assert ["asked after", 1] not in log
        assert ["work", 2] not in log
        gate.set()
    assert ["work", 2] in log


async def test_a_firing_that_is_cancelled_closes_the_source_and_goes_on_next_time(
    open_kernel: Callable[..., Kernel],
) -> None:
    """The iterator first; the runs are not touched."""
    async with open_kernel() as kernel:
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: kernel.fire("numbers", overrides={"follow": True}))
            log = code_of(kernel, "log")
            await until(log, ["asked after", 2])
            await until(log, ["work", 2])
            group.cancel_scope.cancel()
        assert log[-2:] == [["iterator closed"], ["closed"]]
        await kernel.idle()
        assert {info.status for info in await kernel.runs()} == {"completed"}
        assert await kernel.fire("numbers") == []
        assert len(await kernel.fire("numbers", overrides={"count": 4})) == 1


async def test_only_one_firing_at_a_time_follows(open_kernel: Callable[..., Kernel]) -> None:
    """A second one, here or in another process, is refused with the name of the first."""
    async with open_kernel() as kernel, anyio.create_task_group() as group:
        group.start_soon(lambda: kernel.fire("numbers", overrides={"follow": True}))
        log = code_of(kernel, "log")
        await until(log, ["asked after", 2])
        message = f"'numbers' is being read by process {os.getpid()} with this state folder"
        with pytest.raises(UsageError, match=message):
            await kernel.fire("numbers")
        script = (
            "import sys\nfrom agentflow_kernel.kernel.cursors import CursorStore\n"
            "with CursorStore(sys.argv[1], 'numbers'): pass"
        )
        command = [sys.executable, "-c", script, str(kernel.state)]
        done = await anyio.run_process(command, check=False, stderr=subprocess.PIPE)
        assert message in done.stderr.decode()
        group.cancel_scope.cancel()
    async with open_kernel() as kernel:
        assert await kernel.fire("numbers") == []


async def test_an_error_of_a_start_keeps_the_cursor_before_it(open_kernel: Callable[..., Kernel]) -> None:
    """So that the event comes again once the flow takes it."""
    async with open_kernel() as kernel:
        flow = kernel._wiring.find("one")[1]
        flow.input_schema = {"properties": {"n": {"maximum": 0}}}
        with pytest.raises(InputInvalid, match="The input of flow 'one'"):
            await kernel.fire("numbers")
        flow.input_schema = None
        handles = await kernel.fire("numbers")
        assert [await handle.result() for handle in handles] == [1, 2]


async def test_without_durable_runs_no_cursor_is_kept(open_kernel: Callable[..., Kernel]) -> None:
    """What is lost with the process is sent again."""
    async with open_kernel(journal=InProcessJournal()) as kernel:
        assert len(await kernel.fire("numbers")) == 3
        assert len(await kernel.fire("numbers")) == 3


async def test_only_the_latest_handles_of_a_firing_that_continues_are_kept(
    open_kernel: Callable[..., Kernel], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may go on for ever."""
    monkeypatch.setattr(triggers, "KEPT_HANDLES", 2)
    async with open_kernel() as kernel:
        handles = await kernel.fire("numbers", overrides={"count": 5})
        assert [await handle.result() for handle in handles] == [3, 4]


def test_a_cursor_file_that_cannot_be_used_is_an_error_that_names_it(tmp_path: Path) -> None:
    """Damaged, or of a newer version."""
    with CursorStore(str(tmp_path), "x") as store:
        assert store.load() is None
        store.save({"a": [1]})
        assert store.load() == {"a": [1]}
        path = tmp_path / "triggers" / "x.json"
        for text in ("", "{", "[]", "{}"):
            path.write_text(text)
            with pytest.raises(ProtocolViolation, match=r"x\.json' is damaged"):
                store.load()
        path.write_text('{"schema": 2, "cursor": 1}')
        with pytest.raises(NewerSchema):
            store.load()


def test_a_disk_that_is_full_leaves_the_cursor_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old one is still read."""

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    with CursorStore(str(tmp_path), "x") as store:
        store.save(1)
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", full)
            with pytest.raises(StorageUnavailable, match=r"cannot be kept in .*No space left"):
                store.save(2)
        assert store.load() == 1
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageUnavailable, match="cannot be kept"), CursorStore(str(tmp_path / "file"), "x"):
        pass
