"""The toolset as a whole: many calls at once, cancellation, the end."""

from __future__ import annotations

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest

from agentflow_kernel.errors import InputInvalid, PathRefused, StorageUnavailable, UnknownName, UsageError
from agentflow_tools import files as module
from agentflow_tools._watch import Abandoned

pytestmark = pytest.mark.anyio


async def test_a_hundred_calls_at_once_do_not_disturb_each_other(root, make_desk) -> None:
    """Each gets its own answer, through one root that is opened once."""
    for number in range(100):
        (root / f"{number}.log").write_text(f"line of {number}\n", encoding="utf-8")
    desk = make_desk()
    answers: dict[int, object] = {}

    async def ask(number: int) -> None:
        answers[number] = await desk.call("read", path=f"{number}.log")

    async with anyio.create_task_group() as group:
        for number in range(100):
            group.start_soon(ask, number)
    assert {number: answer["text"] for number, answer in answers.items()} == {n: f"line of {n}" for n in range(100)}


async def test_every_result_is_json_in_utf_8(root, make_desk) -> None:
    """Whatever the bytes of names and contents are."""
    (root / "\udcff.log").write_bytes(bytes(range(256)))
    (root / "plain").write_bytes(bytes(range(256)) * 3)
    desk = make_desk()
    for name, arguments in (
        ("list", {}),
        ("read", {"path": "plain"}),
        ("search", {"pattern": "A", "path": "plain"}),
        ("search", {"pattern": "x"}),
    ):
        answer = await desk.call(name, **arguments)
        assert json.loads(json.dumps(answer, ensure_ascii=False, allow_nan=False).encode()) == answer


async def test_a_refused_path_is_an_error_that_is_not_tried_again(root, make_desk) -> None:
    """Every tool refuses the same."""
    desk = make_desk()
    for name, arguments in (("read", {}), ("list", {}), ("search", {"pattern": "x"})):
        with pytest.raises(PathRefused, match="leads upwards") as caught:
            await desk.call(name, path="../outside.txt", **arguments)
        assert caught.value.executed == "no"


async def test_an_unknown_tool_is_named_with_the_known_ones(make_desk) -> None:
    """And with the nearest one."""
    with pytest.raises(UnknownName, match=r"'raed'\. Known: 'list', 'read', 'search'\. Did you mean 'read'\?"):
        await make_desk().call("raed", path="x")


async def test_a_missing_root_is_told_at_the_first_call(make_desk) -> None:
    """As a fault of the settings, by name."""
    with pytest.raises(InputInvalid, match="Setting 'root'"):
        await make_desk(root="nowhere").call("list")


async def test_a_read_error_is_unavailable_storage(root, make_desk, monkeypatch) -> None:
    """Not executed: another attempt may help."""
    (root / "log").write_bytes(b"x")

    def broken(*arguments: object) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("agentflow_tools._bytes.os.pread", broken)
    with pytest.raises(StorageUnavailable, match="Input/output error") as caught:
        await make_desk().call("read", path="log")
    assert caught.value.executed == "no"


async def test_a_cancelled_call_ends_its_thread_first(root, make_desk, clock) -> None:
    """When the cancellation arrives, nothing works any more for the call, and the file is closed."""
    with (root / "log").open("wb") as file:
        file.truncate(1 << 40)
    begun = anyio.Event()

    def tell_once() -> None:
        clock.on_look = lambda: None
        anyio.from_thread.run_sync(begun.set)

    clock.on_look = tell_once
    desk = make_desk(timeout_s=3_600.0, max_search_bytes=1 << 41)
    ended = []

    async def ask() -> None:
        try:
            await desk.call("search", path="log", pattern="x")
        finally:
            ended.append(anyio.to_thread.current_default_thread_limiter().borrowed_tokens)

    async with anyio.create_task_group() as group:
        group.start_soon(ask)
        await begun.wait()
        group.cancel_scope.cancel()
    assert ended == [0]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_task_cancelled_by_asyncio_itself_leaves_nothing_running(root, make_desk, clock, monkeypatch) -> None:
    """Such a cancellation does not wait for the thread; the thread ends at its next look."""
    with (root / "log").open("wb") as file:
        file.truncate(1 << 40)
    begun, ended = threading.Event(), threading.Event()
    plain = module.search

    def observed(*arguments: object) -> object:
        begun.set()
        try:
            return plain(*arguments)
        except Abandoned:
            ended.set()
            raise

    monkeypatch.setattr(module, "search", observed)
    task = asyncio.ensure_future(
        make_desk(timeout_s=3_600.0, max_search_bytes=1 << 41).call("search", path="log", pattern="x")
    )
    with ThreadPoolExecutor() as pool:
        await asyncio.wrap_future(pool.submit(begun.wait))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wrap_future(pool.submit(ended.wait))


async def test_close_may_come_twice_and_before_any_use(make_desk) -> None:
    """It never fails."""
    desk = make_desk()
    await desk.files.aclose()
    await desk.files.aclose()


async def test_a_call_after_the_end_is_a_wrong_call(root, make_desk) -> None:
    """By name, and without opening anything."""
    desk = make_desk()
    await desk.call("list")
    await desk.files.aclose()
    with pytest.raises(UsageError, match="has been closed"):
        await desk.call("list")


async def test_close_waits_for_a_thread_that_is_opening(root, make_desk) -> None:
    """Also when the closing task has been cancelled already: the folder is given back in any case."""
    desk = make_desk()
    await desk.call("list")
    with ThreadPoolExecutor(1) as pool:
        holding, release = threading.Event(), threading.Event()

        def hold() -> None:
            with desk.files._root._lock:
                holding.set()
                release.wait()

        held = pool.submit(hold)
        await anyio.to_thread.run_sync(holding.wait)
        async with anyio.create_task_group() as group:
            group.start_soon(desk.files.aclose)
            await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
            release.set()
        held.result()
    assert desk.files._root._fd is None


async def test_close_during_a_call_lets_it_end(root, make_desk, clock) -> None:
    """A call under way has its own descriptors."""
    (root / "log").write_bytes(b"needle\n" * 100_000)
    desk = make_desk()
    clock.on_look = desk.files._root.close_nowait
    answer = await desk.call("search", path="log", pattern="needle")
    assert answer["matching_lines"] == 100_000
