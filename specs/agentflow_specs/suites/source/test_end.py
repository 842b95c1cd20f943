"""The end: readings that are cancelled, sources that are closed, and what is left afterwards."""

from __future__ import annotations

import contextlib
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, cast

import anyio
import pytest
from anyio.lowlevel import checkpoint

from agentflow_kernel.errors import AgentFlowError
from agentflow_specs.leaks import count_tasks, find_leaks, wait_for_tasks
from agentflow_specs.requirement import requirement
from agentflow_specs.suites.source.abilities import failing_of, slow_of, sources_of
from agentflow_specs.suites.source.reading import PATIENCE_S, reading, take

if TYPE_CHECKING:
    from agentflow_kernel.contracts.source import Source
    from agentflow_kernel.testing import Harness

MOMENTS = 12
END_S = 5.0
"""How long the end of a reading may take."""


@requirement(
    "SOURCE-30",
    "MUST",
    reason="Ctrl-C and the end of a worker cancel a reading at every moment; nothing may be lost by that.",
    advice="Give back in a finally what was taken, and put down there what was read and not given yet.",
)
@pytest.mark.anyio
async def test_cancelled_readings_leave_the_input_in_order(harness: Harness, anyio_backend: str) -> None:
    """Gives all events to the next reader after readings were cancelled at every moment, and leaves no task."""
    sources = sources_of(harness)
    before = count_tasks(anyio_backend)
    async with harness.open() as subject:
        source = cast("Source", subject)
        for moment in range(MOMENTS if harness.declared["resumes"] else 0):
            await cancelled(source, sources.items, moment)
        async with AsyncExitStack() as stack:
            if harness.declared["resumes"]:
                source = await stack.enter_async_context(sources.again(source))
            assert len(await take(source, sources.items)) == sources.items
    for moment in range(MOMENTS):
        async with harness.open() as subject:
            await cancelled(cast("Source", subject), sources.items, moment)
    await wait_for_tasks(anyio_backend, before)


async def cancelled(source: Source, count: int, moment: int) -> None:
    """A reading that is cancelled after so many turns of the event loop."""
    with anyio.fail_after(PATIENCE_S):
        async with anyio.create_task_group() as group:
            group.start_soon(take, source, count)
            for _ in range(moment):
                await checkpoint()
            group.cancel_scope.cancel()


@requirement(
    "SOURCE-31",
    "MUST",
    needs="slow",
    reason="A worker that stops waits for its sources; one that does not stop holds the whole process.",
    advice="Pass the cancellation to the thread or peer that reads, wait for it, and raise it on.",
)
@pytest.mark.anyio
async def test_a_wait_ends_when_it_is_cancelled(harness: Harness, anyio_backend: str) -> None:
    """Ends its wait within 5 seconds of the cancellation, which is raised on, and leaves nothing running."""
    before = count_tasks(anyio_backend)
    given = []
    async with slow_of(harness).open_slow() as source:
        began = time.monotonic()
        with anyio.move_on_after(0.2) as scope:
            async with reading(source) as items:
                given.append(await anext(items))
                await checkpoint()
        assert given == []
        assert scope.cancelled_caught
        assert time.monotonic() - began < END_S
    await wait_for_tasks(anyio_backend, before)


@requirement(
    "SOURCE-32",
    "MUST",
    reason="The kernel closes what it made, and so does a careful user.",
    advice="The second call finds nothing to do.",
)
@pytest.mark.anyio
async def test_closing_twice_is_no_error(source: Source, harness: Harness) -> None:
    """May be closed twice, used or not, and by several tasks at once."""
    async with harness.open() as unused:
        await cast("Source", unused).aclose()
    await take(source, sources_of(harness).items)
    async with anyio.create_task_group() as group:
        group.start_soon(source.aclose)
        group.start_soon(source.aclose)
    await source.aclose()


@requirement(
    "SOURCE-33",
    "MUST",
    reason="A program that reads a closed source has a fault; silence or a foreign error would hide it.",
    advice="Ask first of all whether the source was closed, and raise UsageError.",
)
@pytest.mark.anyio
async def test_a_closed_source_gives_nothing(source: Source, harness: Harness) -> None:
    """Gives no event after it was closed: it refuses with a typed error, or ends at once."""
    await take(source, sources_of(harness).items)
    await source.aclose()
    with contextlib.suppress(AgentFlowError):
        assert await take(source, 1) == []


@requirement(
    "SOURCE-34",
    "MUST",
    needs="slow",
    reason="A kernel that stops closes its sources while they wait for what may never come.",
    advice="Let aclose wake the wait; the iterator then ends.",
)
@pytest.mark.anyio
async def test_closing_ends_a_wait(harness: Harness) -> None:
    """Ends, without an error, an iterator that waits when the source is closed, within 5 seconds."""
    ended = []
    async with slow_of(harness).open_slow() as source:

        async def read() -> None:
            async with reading(source) as items:
                async for _ in items:
                    pytest.fail("nothing had come")
            ended.append("by itself")

        with anyio.fail_after(END_S):
            async with anyio.create_task_group() as group:
                group.start_soon(read)
                await anyio.sleep(0.2)
                await source.aclose()
    assert ended == ["by itself"]


@requirement(
    "SOURCE-35",
    "MUST",
    reason="Whoever closes a source wants no more of it, however much is ready.",
    advice="Look before each event, also before those that are given again, whether the source was closed.",
)
@pytest.mark.anyio
async def test_closing_in_the_middle_ends_the_reading(source: Source, harness: Harness) -> None:
    """Gives at most one event more when it is closed in the middle, then ends; also of events given again."""
    sources = sources_of(harness)
    await ends_soon(source)
    if harness.declared["resumes"]:
        async with harness.open() as subject:
            whole = cast("Source", subject)
            await take(whole, sources.items)
            async with sources.again(whole) as other:
                await ends_soon(other)


async def ends_soon(source: Source) -> None:
    """See that a source which is closed after its first event gives at most one more."""
    more = 0
    with anyio.fail_after(PATIENCE_S):
        async with reading(source) as items:
            await anext(items)
            await source.aclose()
            async for _ in items:
                more += 1
                assert more <= 1, "it goes on"


@requirement(
    "SOURCE-36",
    "MUST",
    reason="A process that fires triggers for months must not run out of threads, files or processes.",
    advice="Close what was opened in a finally of the iterator, and join what was started.",
)
def test_nothing_is_left_after_the_end(harness: Harness, anyio_backend: str) -> None:
    """Leaves no task, thread, open file, socket or child process behind, however a reading ends."""

    async def use(subject: object) -> None:
        source = cast("Source", subject)
        await take(source, 1)
        await take(source, sources_of(harness).items)
        if harness.declared["slow"]:
            async with slow_of(harness).open_slow() as slow:
                with anyio.move_on_after(0.05):
                    await take(slow, 1)
        if harness.declared["fails"]:
            failing = failing_of(harness)
            for name, error in failing.failing.items():
                async with failing.open_failing(name) as broken:
                    with pytest.raises(error):
                        await take(broken, 1)

    assert find_leaks(harness, use, anyio_backend) == []
