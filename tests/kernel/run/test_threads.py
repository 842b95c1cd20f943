"""Functions in threads: they cannot be stopped from outside, so they are told, waited for, and named when left."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import pytest

from agentflow_kernel import Context, Flow
from agentflow_kernel.errors import Elapsed, RunCancelled
from agentflow_kernel.run.runtime import Frame, Run, Services
from agentflow_kernel.run.walk import run_frame
from agentflow_kernel.testing import settle

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio


async def run_until(flow: Flow, inside: threading.Event, *, grace_s: float) -> Run:
    """Run a flow, cancel it once a thread is inside, and return the run when nothing of it is left to wait for."""
    run = Run("run-1", flow.name, services=Services(grace_s=grace_s))

    async def work() -> None:
        await run_frame(Frame(run, flow, None), flow.bound(loopless=False), None)

    async with anyio.create_task_group() as group:
        group.start_soon(work)
        assert await anyio.to_thread.run_sync(inside.wait, 30)
        group.cancel_scope.cancel()
    return run


async def test_a_thread_that_asks_is_told_and_stops_in_time() -> None:
    """``raise_if_cancelled`` raises; the run waits for the thread and abandons nothing."""
    inside = threading.Event()
    ended: list[str] = []

    def work(value: object, context: Context) -> None:
        inside.set()
        try:
            while True:
                context.raise_if_cancelled()
        except RunCancelled as error:
            ended.append(str(error))
            raise

    run = await run_until(Flow("f").step(work), inside, grace_s=60)
    assert ended == ["Run run-1 was cancelled."]
    assert run.abandoned == []


async def test_a_thread_that_returns_within_its_grace_is_not_abandoned() -> None:
    """It need not ask, it only has to end."""
    inside, go = threading.Event(), threading.Event()

    def work(value: object, context: Context) -> None:
        inside.set()
        while not context.cancelled:
            pass
        go.set()

    run = await run_until(Flow("f").step(work), inside, grace_s=60)
    assert go.is_set()
    assert run.abandoned == []


async def test_a_thread_that_does_not_end_is_left_behind_and_named() -> None:
    """After ``grace_s`` the run goes on without it."""
    inside, release = threading.Event(), threading.Event()

    def work(value: object) -> None:
        inside.set()
        release.wait(30)

    try:
        run = await run_until(Flow("f").step(Flow("inner").step(work)), inside, grace_s=0.01)
        assert run.abandoned == ["inner/work"]
    finally:
        release.set()


async def test_a_call_that_never_got_a_thread_is_not_waited_for() -> None:
    """When all threads are taken, a cancelled call has nothing to wait for, and its function never runs."""
    inside, release = threading.Event(), threading.Event()
    ran: list[int] = []

    def hold() -> None:
        inside.set()
        release.wait(30)

    limiter = anyio.to_thread.current_default_thread_limiter()
    before = limiter.total_tokens
    limiter.total_tokens = 1
    try:
        async with anyio.create_task_group() as outer:
            outer.start_soon(anyio.to_thread.run_sync, hold)
            while not inside.is_set():
                await anyio.lowlevel.checkpoint()
            run = Run("run-1", "f", services=Services(grace_s=3600))
            flow = Flow("f").step(lambda value: ran.append(1), name="work")
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as group:
                    group.start_soon(run_frame, Frame(run, flow, None), flow.bound(loopless=False), None)
                    while not limiter.statistics().tasks_waiting:
                        await anyio.lowlevel.checkpoint()
                    scope.cancel()
            release.set()
    finally:
        limiter.total_tokens = before
    assert (run.abandoned, ran) == ([], [])


class TimeoutThenRetry:
    """Cancels the first attempt from outside, as a timeout does, and makes a second one."""

    def __init__(self, inside: threading.Event) -> None:
        self.inside = inside

    def wrap(self, call):
        async def limited(request):
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as group:
                    group.start_soon(call, request)
                    while not self.inside.is_set():
                        await anyio.lowlevel.checkpoint()
                    scope.cancel()
            request.attempt += 1
            return await call(request)

        return limited


async def test_a_second_attempt_is_not_cancelled_by_the_first() -> None:
    """The cancellation of one attempt is told to its thread only."""
    inside = threading.Event()
    stopped: list[int] = []

    def work(value: object, context: Context) -> int:
        if context.attempt == 1:
            inside.set()
            while not context.cancelled:
                pass
            stopped.append(context.attempt)
            context.raise_if_cancelled()
        context.raise_if_cancelled()
        return context.attempt

    assert await Flow("f").step(work, policies=[TimeoutThenRetry(inside)]).run() == 2
    assert stopped == [1]


async def test_errors_of_a_thread_come_out_as_they_were_raised() -> None:
    """The thread is no wrapper."""
    error = Elapsed("The peer", 3)

    def fail(value: object) -> None:
        raise error

    with pytest.raises(Elapsed, match="gave no answer within 3 s") as caught:
        await Flow("f").step(fail).run()
    assert caught.value is error


async def test_a_thread_that_begins_after_the_cancellation_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was on its way when the action was cancelled, and nobody waits for it any more."""
    bodies: list[Callable[[], object]] = []
    ran: list[int] = []

    async def late(body: Callable[[], object], **options: object) -> None:
        bodies.append(body)
        await anyio.sleep_forever()

    monkeypatch.setattr(anyio.to_thread, "run_sync", late)
    run = Run("run-1", "f", services=Services(grace_s=3600))
    flow = Flow("f").step(lambda value: ran.append(1), name="work")
    async with anyio.create_task_group() as group:
        group.start_soon(run_frame, Frame(run, flow, None), flow.bound(loopless=False), None)
        await settle()
        group.cancel_scope.cancel()
    (body,) = bodies
    body()
    assert (ran, run.abandoned) == ([], [])


async def test_a_plain_function_that_gives_a_coroutine_is_awaited() -> None:
    """As a lambda round a coroutine function does."""

    async def double(value: int) -> int:
        return value * 2

    assert await Flow("f").step(lambda value: double(value + 0), name="lambda").step(double).run(1) == 4
