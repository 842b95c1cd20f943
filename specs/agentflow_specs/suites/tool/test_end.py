"""The end: calls that are cancelled, a toolset that is closed, and what is left afterwards."""

from __future__ import annotations

import contextlib
import json
import time
from typing import TYPE_CHECKING, cast

import anyio
import pytest
from anyio.lowlevel import checkpoint

from agentflow_kernel.contracts.tool import ToolContext
from agentflow_kernel.errors import AgentFlowError, ControlFlow
from agentflow_specs.leaks import count_tasks, find_leaks, wait_for_tasks
from agentflow_specs.requirement import requirement
from agentflow_specs.suites.tool.abilities import slow_of, tools_of

if TYPE_CHECKING:
    from agentflow_kernel.contracts.tool import Toolset
    from agentflow_kernel.testing import Harness

MOMENTS = 12
PATIENCE_S = 30.0
"""How long a call may take."""
END_S = 5.0
"""How long a cancelled call may take to end."""


async def call_each(harness: Harness, toolset: Toolset) -> None:
    """Call each example once, all at the same time."""
    async with anyio.create_task_group() as group:
        for name, arguments in tools_of(harness).examples.items():
            group.start_soon(toolset.call, name, arguments, ToolContext("run", name, f"key {name}"))


@requirement(
    "TOOL-30",
    "MUST",
    reason="Ctrl-C, timeouts and losing branches cancel calls at every moment.",
    advice="Give back in a finally what was taken; do not keep a call that was begun.",
)
@pytest.mark.anyio
async def test_cancelled_calls_leave_the_toolset_in_order(
    toolset: Toolset, harness: Harness, anyio_backend: str
) -> None:
    """Answers as before after calls were cancelled at every moment, and leaves no task of them running."""
    before = count_tasks(anyio_backend)
    for moment in range(MOMENTS):
        with anyio.fail_after(PATIENCE_S):
            async with anyio.create_task_group() as group:
                group.start_soon(call_each, harness, toolset)
                for _ in range(moment):
                    await checkpoint()
                group.cancel_scope.cancel()
    await wait_for_tasks(anyio_backend, before)
    with anyio.fail_after(PATIENCE_S * 2):
        await call_each(harness, toolset)


@requirement(
    "TOOL-31",
    "MUST",
    needs="slow",
    reason="A run that is cancelled waits for its tools; one that does not stop holds the whole process.",
    advice="Pass the cancellation to the thread, process or peer that works, wait for it, and raise it on.",
)
@pytest.mark.anyio
async def test_a_slow_call_ends_when_it_is_cancelled(toolset: Toolset, harness: Harness, anyio_backend: str) -> None:
    """Ends a call that lasts within 5 seconds of its cancellation, which is raised on, and leaves nothing running."""
    name, arguments = slow_of(harness).slow
    before = count_tasks(anyio_backend)
    returned = []

    async def work() -> None:
        returned.append(await toolset.call(name, arguments, ToolContext()))
        await checkpoint()
        returned.append("the cancellation was swallowed")

    began = time.monotonic()
    with anyio.move_on_after(0.2) as scope:
        await work()
    assert returned == []
    assert scope.cancelled_caught
    assert time.monotonic() - began < END_S
    await wait_for_tasks(anyio_backend, before)


@requirement(
    "TOOL-32",
    "MUST",
    reason="The kernel closes what it made, and so does a careful user.",
    advice="The second call finds nothing to do.",
)
@pytest.mark.anyio
async def test_closing_twice_is_no_error(toolset: Toolset, harness: Harness) -> None:
    """May be closed twice, used or not, and by several tasks at once."""
    async with harness.open() as unused:
        await cast("Toolset", unused).aclose()
    await call_each(harness, toolset)
    async with anyio.create_task_group() as group:
        group.start_soon(toolset.aclose)
        group.start_soon(toolset.aclose)
    await toolset.aclose()


@requirement(
    "TOOL-33",
    "MUST",
    reason="A run may outlive its toolset by a call; it has to end with an error that says so.",
    advice="Raise a typed error after the end, or go on to answer where nothing had to be given back.",
)
@pytest.mark.anyio
async def test_calls_after_the_end_are_refused_by_type(toolset: Toolset, harness: Harness) -> None:
    """Refuses calls after the end with a typed error, or answers them in full; never in another way."""
    await call_each(harness, toolset)
    await toolset.aclose()
    for name, arguments in tools_of(harness).examples.items():
        with anyio.fail_after(PATIENCE_S):
            with contextlib.suppress(AgentFlowError, ControlFlow):
                json.dumps(await toolset.call(name, arguments, ToolContext()), allow_nan=False)
    assert list(toolset.tools())


@requirement(
    "TOOL-34",
    "MUST",
    reason="A worker that stops closes its toolsets while the last calls are under way.",
    advice="Wait for what is under way or end it with a typed error; wake everybody who waits.",
)
@pytest.mark.anyio
async def test_closing_while_calls_are_under_way_settles_each(toolset: Toolset, harness: Harness) -> None:
    """Answers or refuses by a typed error each call that is under way at the end; none waits for ever."""
    settled = []

    async def work(name: str) -> None:
        try:
            settled.append(await toolset.call(name, tools_of(harness).examples[name], ToolContext()))
        except (AgentFlowError, ControlFlow) as refused:
            settled.append(str(refused))

    names = [name for name in tools_of(harness).examples for _ in range(5)]
    with anyio.fail_after(PATIENCE_S * 3):
        async with anyio.create_task_group() as group:
            for name in names:
                group.start_soon(work, name)
            await checkpoint()
            await checkpoint()
            await toolset.aclose()
    assert len(settled) == len(names)


@requirement(
    "TOOL-35",
    "MUST",
    reason="A process that opens and closes toolsets for months must not run out of threads, files or processes.",
    advice="Join what was started and close what was opened before aclose returns.",
)
def test_nothing_is_left_after_the_end(harness: Harness, anyio_backend: str) -> None:
    """Leaves no task, thread, open file, socket or child process behind."""

    async def use(subject: object) -> None:
        for _ in range(5):
            await call_each(harness, cast("Toolset", subject))

    assert find_leaks(harness, use, anyio_backend) == []


@requirement(
    "TOOL-36",
    "MUST",
    reason="A program may run one event loop after the other with the same kernel.",
    advice="Keep what belongs to an event loop with the loop, for example in a RunVar.",
)
def test_one_toolset_serves_one_loop_after_the_other(harness: Harness, anyio_backend: str) -> None:
    """Serves threads that each run an event loop of their own, one after the other."""

    async def use() -> None:
        async with harness.open() as subject:
            toolset = cast("Toolset", subject)
            await call_each(harness, toolset)

            def in_another_loop() -> None:
                anyio.run(call_each, harness, toolset, backend=anyio_backend)

            await anyio.to_thread.run_sync(in_another_loop)
            await call_each(harness, toolset)

    anyio.run(use, backend=anyio_backend)
