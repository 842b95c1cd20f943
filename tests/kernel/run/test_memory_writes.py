"""Writes to a memory through the context carry the key of their step: a repeated step does not find its own writes."""

from __future__ import annotations

from typing import Any

import pytest
from engine_kit import DurableJournal

from agentflow_kernel import Context, Flow, Kernel
from agentflow_kernel.errors import RunError, UnknownName, UsageError
from agentflow_kernel.testing import InProcessJournal, InProcessMemory

pytestmark = pytest.mark.anyio


class Retry:
    """One more attempt."""

    def wrap(self, call):
        async def retried(request):
            try:
                return await call(request)
            except UsageError:
                request.attempt += 1
                return await call(request)

        return retried


async def remember(value: str, context: Context) -> list[Any]:
    """Writes one key twice and another once; gives back what was there before each write."""
    memory = context.memory("seen")
    befores = [await memory.put(value, number) for number in (1, 2)]
    befores.append(await memory.put("other", 3))
    return [None if entry is None else [entry.value, entry.version] for entry in befores]


async def test_a_step_repeated_after_a_death_sees_what_was_there_before_its_first_attempt() -> None:
    """Its writes are there once, and it does not take them for somebody else's."""
    survivor, memory = InProcessJournal(), InProcessMemory()
    await memory.put("seen", "key", "old")
    outputs: list[object] = []
    for dies_at in (2, 0):
        journal = DurableJournal(survivor, dies_at=dies_at)
        async with Kernel(journal=journal, memories={"seen": memory}) as kernel:
            handle = await kernel.start(Flow("f").step(remember), "key", key="k")
            try:
                outputs.append(await handle.result())
            except RunError:
                assert journal.dead
    assert outputs == [[["old", 1], [1, 2], None]]
    entry = await memory.get("seen", "key")
    assert entry is not None
    assert (entry.value, entry.version) == (2, 3)


async def test_a_second_attempt_of_one_step_repeats_no_write() -> None:
    """A retry within one process is the same step."""
    memory, attempts = InProcessMemory(), []

    async def flaky(value: str, context: Context) -> object:
        before = await context.memory("seen").put("key", context.attempt)
        attempts.append(before)
        if context.attempt == 1:
            raise UsageError("again")
        return None if before is None else before.value

    async with Kernel(journal=InProcessJournal(), memories={"seen": memory}) as kernel:
        assert await kernel.run(Flow("f").step(flaky, policies=[Retry()])) is None
    entry = await memory.get("seen", "key")
    assert attempts == [None, None]
    assert entry is not None
    assert (entry.value, entry.version) == (1, 1)


async def test_another_visit_another_item_and_another_run_write_again() -> None:
    """Only the same step of the same run is a repetition."""
    memory = InProcessMemory()

    async def count(value: int, context: Context) -> int:
        before = await context.memory("seen").put("count", value)
        return 0 if before is None else before.version

    flow = Flow("f").step(count, each={"$ref": "input"}, concurrency=1)
    async with Kernel(journal=InProcessJournal(), memories={"seen": memory}) as kernel:
        assert await kernel.run(flow, [1, 2]) == [0, 1]
        assert await kernel.run(flow, [1, 2]) == [2, 3]


async def test_a_bound_memory_reads_lists_and_deletes() -> None:
    """In the namespace of its name."""
    memory = InProcessMemory()
    await memory.put("elsewhere", "a", 0)

    async def use(value: object, context: Context) -> list[object]:
        bound = context.memory("seen")
        await bound.put("a/1", 1)
        await bound.put("a/2", 2, ttl_s=60)
        entry = await bound.get("a/1")
        listed = [entry.key for entry in await bound.list("a/")]
        deleted = [await bound.delete("a/1"), await bound.delete("a/1")]
        limited = [entry.key for entry in await bound.list(limit=1)]
        return [entry.value if entry else None, listed, deleted, limited]

    async with Kernel(journal=InProcessJournal(), memories={"seen": memory}) as kernel:
        assert await kernel.run(Flow("f").step(use)) == [1, ["a/1", "a/2"], [True, False], ["a/2"]]


async def test_an_unknown_memory_is_named_with_the_nearest_one() -> None:
    """The run fails with it."""

    async def use(value: object, context: Context) -> None:
        with pytest.raises(UnknownName, match=r"Unknown memory 'sen'\. Known: 'seen'\. Did you mean 'seen'"):
            context.memory("sen")

    async with Kernel(journal=InProcessJournal(), memories={"seen": InProcessMemory()}) as kernel:
        await kernel.run(Flow("f").step(use))
