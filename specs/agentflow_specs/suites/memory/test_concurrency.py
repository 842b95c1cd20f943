"""Concurrency and the end: many writers, cancelled ones, a memory that is closed, and what outlives it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import anyio
import pytest
from anyio.lowlevel import checkpoint

from agentflow_kernel.errors import MemoryConflict, StorageUnavailable
from agentflow_specs.leaks import find_leaks
from agentflow_specs.requirement import requirement
from agentflow_specs.suites.memory.abilities import store_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agentflow_kernel.contracts.memory import Memory
    from agentflow_kernel.testing import Harness

WRITERS = 100
MOMENTS = 20
PATIENCE_S = 30.0


@requirement(
    "MEMORY-40",
    "MUST",
    reason="All runs of a process share a memory; each must find its own entries.",
    advice="Keep what belongs to one call in that call; one write is one transaction.",
)
@pytest.mark.anyio
async def test_a_hundred_writers_at_once_are_all_there(memory: Memory) -> None:
    """Takes the writes of 100 tasks at once, each of its own key and all of one; versions count each of them."""

    async def work(number: int) -> None:
        await memory.put("n", f"own {number:03}", number)
        await memory.put("n", "shared", number)

    async with anyio.create_task_group() as group:
        for number in range(WRITERS):
            group.start_soon(work, number)
    assert [entry.value for entry in await memory.list("n", "own")] == list(range(WRITERS))
    shared = await memory.get("n", "shared")
    assert shared is not None
    assert shared.version == WRITERS


@requirement(
    "MEMORY-41",
    "MUST",
    reason="A counter or a lock in the memory is right only if no update is lost.",
    advice="Compare and write in one transaction, under one lock.",
)
@pytest.mark.anyio
async def test_no_update_is_lost(memory: Memory) -> None:
    """Gives each version to exactly one of 8 writers that compare and set at once; no update is lost."""
    await memory.put("n", "count", 0)

    async def count() -> None:
        for _ in range(4):
            while True:
                entry = await memory.get("n", "count")
                assert entry is not None
                try:
                    await memory.put("n", "count", cast("int", entry.value) + 1, expected_version=entry.version)
                except MemoryConflict:
                    continue
                break

    async with anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(count)
    entry = await memory.get("n", "count")
    assert entry is not None
    assert (entry.value, entry.version) == (32, 33)


@requirement(
    "MEMORY-42",
    "MUST",
    reason="Two attempts of one step may overlap; only one of them may take effect.",
    advice="Look for the write key in the transaction that writes.",
)
@pytest.mark.anyio
async def test_a_write_key_counts_once_among_many(memory: Memory) -> None:
    """Lets one of 20 writes with the same key at once take effect; all return what that one did."""
    await memory.put("n", "k", "before")
    returned: list[Any] = []

    async def work(number: int) -> None:
        returned.append(await memory.put("n", "k", number, write_key="w"))

    async with anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(work, number)
    entry = await memory.get("n", "k")
    assert entry is not None
    assert entry.version == 2
    assert [before.value for before in returned] == ["before"] * 20


@requirement(
    "MEMORY-50",
    "MUST",
    reason="Ctrl-C, timeouts and losing branches cancel writes at every moment.",
    advice="Shield what has begun until it has ended, or undo all of it; release locks on every way out.",
)
@pytest.mark.anyio
async def test_a_cancelled_write_happened_or_not(memory: Memory) -> None:
    """Leaves after cancelled calls each entry whole or absent, whenever they were cancelled; the next calls work."""
    for moment in range(MOMENTS):
        with anyio.fail_after(PATIENCE_S):
            async with anyio.create_task_group() as group:
                for number in range(4):
                    group.start_soon(memory.put, f"n{moment}", f"k{number}", {"whole": [number] * 100})
                group.start_soon(memory.get, f"n{moment}", "k0")
                group.start_soon(memory.list, f"n{moment}")
                for _ in range(moment):
                    await checkpoint()
                group.cancel_scope.cancel()
            for entry in await memory.list(f"n{moment}"):
                assert entry.value == {"whole": [int(entry.key[1:])] * 100}
                assert entry.version == 1
            await memory.put(f"n{moment}", "k0", "next")
            found = await memory.get(f"n{moment}", "k0")
            assert found is not None
            assert found.value == "next"


@requirement(
    "MEMORY-60",
    "MUST",
    reason="The kernel closes what it made, and so does a careful user.",
    advice="The second call finds nothing to do.",
)
@pytest.mark.anyio
async def test_closing_twice_is_no_error(memory: Memory, harness: Harness) -> None:
    """May be closed twice, used or not, and by several tasks at once."""
    async with harness.open() as unused:
        await cast("Memory", unused).aclose()
    await memory.put("n", "k", 1)
    async with anyio.create_task_group() as group:
        group.start_soon(memory.aclose)
        group.start_soon(memory.aclose)
    await memory.aclose()


@requirement(
    "MEMORY-61",
    "MUST",
    reason="A run that outlives its memory has to learn that its write did not happen.",
    advice="Look whether the memory is closed, in every method.",
)
@pytest.mark.anyio
async def test_calls_after_the_end_are_refused(memory: Memory) -> None:
    """Refuses every call after the end with `StorageUnavailable` and `executed` "no"."""
    await memory.put("n", "k", 1)
    await memory.aclose()
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: memory.get("n", "k"),
        lambda: memory.put("n", "k", 2),
        lambda: memory.delete("n", "k"),
        lambda: memory.list("n"),
    ]
    for call in calls:
        with pytest.raises(StorageUnavailable) as refused:
            await call()
        assert refused.value.executed == "no"


@requirement(
    "MEMORY-62",
    "MUST",
    reason="A worker that stops closes its memory while the last steps are under way.",
    advice="Refuse new calls, wait for those accepted, then release; wake everybody who waits.",
)
@pytest.mark.anyio
async def test_closing_while_writes_are_under_way_settles_each(memory: Memory) -> None:
    """Carries out or refuses each write that is under way at the end; none waits for ever."""
    settled = []

    async def work(number: int) -> None:
        try:
            for turn in range(20):
                await memory.put("n", f"k{number}", turn)
        except StorageUnavailable:
            pass
        settled.append(number)

    with anyio.fail_after(PATIENCE_S * 3):
        async with anyio.create_task_group() as group:
            for number in range(10):
                group.start_soon(work, number)
            await checkpoint()
            await checkpoint()
            await memory.aclose()
    assert sorted(settled) == list(range(10))


@requirement(
    "MEMORY-63",
    "MUST",
    reason="A process that opens and closes memories for months must not run out of threads or files.",
    advice="Join what was started and close what was opened before aclose returns.",
)
def test_nothing_is_left_after_the_end(harness: Harness, anyio_backend: str) -> None:
    """Leaves no task, thread, open file, socket or child process behind."""

    async def use(subject: object) -> None:
        memory = cast("Memory", subject)
        async with anyio.create_task_group() as group:
            for number in range(10):
                group.start_soon(memory.put, "n", f"k{number}", number)
        await memory.list("n")
        await memory.get("n", "k1")
        await memory.delete("n", "k1")

    assert find_leaks(harness, use, anyio_backend) == []


@requirement(
    "MEMORY-70",
    "MUST",
    needs="durable",
    reason="What was remembered is needed by the next process, and by others beside this one.",
    advice="Commit before the write returns; keep nothing that is needed to read in the object.",
)
@pytest.mark.anyio
async def test_others_on_the_same_store_see_every_write(memory: Memory, harness: Harness) -> None:
    """Shows each write and removal at once to others on the same store, compares theirs, and outlives its end."""
    store = store_of(harness)
    async with store.attach(memory) as other:
        await memory.put("n", "k", "one", write_key="w")
        seen = await other.get("n", "k")
        assert seen is not None
        assert (seen.value, seen.version) == ("one", 1)
        await other.put("n", "k", "two", expected_version=1)
        with pytest.raises(MemoryConflict):
            await memory.put("n", "k", "lost", expected_version=1)
        await other.put("n", "gone", 1)
        assert await memory.delete("n", "gone")
        assert await other.get("n", "gone") is None
    await memory.aclose()
    async with store.attach(memory) as later:
        assert [(entry.key, entry.value, entry.version) for entry in await later.list("n")] == [("k", "two", 2)]
        assert await later.put("n", "k", "repeated", write_key="w") is None
        assert [entry.value for entry in await later.list("n")] == ["two"]
