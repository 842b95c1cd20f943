"""The policy `timeout`."""

from __future__ import annotations

import asyncio

import anyio
import anyio.lowlevel
import pytest
import trio.testing

from agentflow_kernel.errors import Elapsed, Unsupported
from agentflow_resilience.timeout import Timeout, TimeoutSettings

SOON_S = 0.02
"""A real wait on asyncio; under trio the clock jumps."""

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> object:
    """Trio with a clock that jumps to the next deadline as soon as all tasks wait."""
    if request.param == "trio":
        return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}
    return "asyncio"


@pytest.fixture
def make_timeout(bench):
    def make(timeout_s: float):
        return Timeout(TimeoutSettings(timeout_s=timeout_s), bench.context)

    return make


async def hang(request: object) -> object:
    await anyio.sleep_forever()
    return None


async def test_timeout_gives_the_answer_that_comes_in_time(make_timeout, bench, make_request) -> None:
    """Untouched, without an event."""

    async def inner(request: object) -> object:
        await anyio.lowlevel.checkpoint()
        return "answer"

    assert await make_timeout(60).wrap(inner)(make_request()) == "answer"
    assert bench.events == []


async def test_timeout_ends_a_call_and_says_which(make_timeout, bench, make_request) -> None:
    """The peer may have executed it; the error and the event name the call and the time."""
    with pytest.raises(Elapsed, match=r"Tool 'files\.read' gave no answer within 0\.02 s\.") as caught:
        await make_timeout(SOON_S).wrap(hang)(make_request())
    assert (caught.value.timeout_s, caught.value.executed) == (SOON_S, "maybe")
    fields = {"kind": "tool", "name": "files.read", "run_id": "run", "path": "a/b", "attempt": 1, "timeout_s": SOON_S}
    assert bench.events == [("timeout.elapsed", fields)]


async def test_timeout_waits_until_the_call_has_cleaned_up(make_timeout, make_request) -> None:
    """The error comes when the call has ended, not while it still runs."""
    steps = []

    async def inner(request: object) -> object:
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.lowlevel.checkpoint()
            steps.append("cleaned up")

    with pytest.raises(Elapsed):
        await make_timeout(SOON_S).wrap(inner)(make_request())
    assert steps == ["cleaned up"]


async def test_timeout_passes_a_cancellation_from_outside(make_timeout, bench, make_request) -> None:
    """It is no `Elapsed`, whatever the time that is left."""
    with anyio.CancelScope() as scope:
        scope.cancel()
        await make_timeout(60).wrap(hang)(make_request())
        pytest.fail("The cancellation was swallowed.")
    assert scope.cancelled_caught
    assert bench.events == []


async def test_timeout_passes_an_outer_deadline(make_timeout, bench, make_request) -> None:
    """The nearer end of time is that of somebody else."""
    with anyio.move_on_after(SOON_S) as scope:
        await make_timeout(60).wrap(hang)(make_request())
    assert scope.cancelled_caught
    assert bench.events == []


async def test_timeout_yields_to_a_cancellation_in_the_same_moment(make_timeout, bench, make_request) -> None:
    """When time is over and somebody cancels too, the call is cancelled, not failed."""

    async def inner(request: object) -> object:
        try:
            await anyio.sleep_forever()
        finally:
            scope.cancel()

    with anyio.CancelScope() as scope:
        await make_timeout(SOON_S).wrap(inner)(make_request())
        pytest.fail("The cancellation was swallowed.")
    assert scope.cancelled_caught
    assert bench.events == []


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_timeout_passes_a_cancellation_of_asyncio_itself(make_timeout, bench, make_request) -> None:
    """A task that is cancelled without anyio ends as cancelled, also in the moment when its time is over."""
    task = asyncio.ensure_future(make_timeout(60).wrap(hang)(make_request()))
    await anyio.lowlevel.checkpoint()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    async def inner(request: object) -> object:
        try:
            await anyio.sleep_forever()
        finally:
            task.cancel()

    task = asyncio.ensure_future(make_timeout(SOON_S).wrap(inner)(make_request()))
    with pytest.raises(asyncio.CancelledError):
        await task
    assert bench.events == []


async def test_timeout_passes_the_errors_of_the_call(make_timeout, make_request) -> None:
    """Also those raised while it is being cancelled, and a TimeoutError that is not ours."""

    async def broken(request: object) -> object:
        raise TimeoutError("theirs")

    with pytest.raises(TimeoutError, match="theirs"):
        await make_timeout(60).wrap(broken)(make_request())

    async def breaking(request: object) -> object:
        try:
            await anyio.sleep_forever()
        finally:
            raise ValueError("while cleaning up")

    with pytest.raises(ValueError, match="while cleaning up"):
        await make_timeout(SOON_S).wrap(breaking)(make_request())


async def test_timeout_takes_an_answer_that_comes_in_spite_of_it(make_timeout, make_request) -> None:
    """A call that ends in the moment it is cancelled has answered."""

    async def inner(request: object) -> object:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(2 * SOON_S)
        return "late"

    assert await make_timeout(SOON_S).wrap(inner)(make_request()) == "late"


async def test_timeout_times_concurrent_calls_apart(make_timeout, make_request) -> None:
    """One policy, many calls: each has its own time."""
    results = {}

    async def inner(request: object) -> object:
        if request.payload % 2:
            await anyio.sleep_forever()
        return request.payload

    call = make_timeout(SOON_S).wrap(inner)

    async def one(number: int) -> None:
        request = make_request()
        request.payload = number
        try:
            results[number] = await call(request)
        except Elapsed:
            results[number] = "elapsed"

    async with anyio.create_task_group() as group:
        for number in range(50):
            group.start_soon(one, number)
    assert results == {number: "elapsed" if number % 2 else number for number in range(50)}


async def test_timeout_inside_retry_times_each_attempt(make_timeout, bench, make_request) -> None:
    """Outermost first: retry round timeout tries a slow idempotent call again, and raises the last `Elapsed`."""
    attempts = []

    async def inner(request: object) -> object:
        attempts.append(request.attempt)
        await anyio.sleep_forever()

    call = bench.retry(attempts=3, base_s=0).wrap(make_timeout(SOON_S).wrap(inner))
    with pytest.raises(Elapsed):
        await call(make_request())
    assert attempts == [1, 2, 3]
    assert bench.names() == ["timeout.elapsed", "retry.scheduled"] * 2 + ["timeout.elapsed", "retry.exhausted"]
    with pytest.raises(Elapsed):
        await call(make_request(idempotent=False))
    assert attempts == [1, 2, 3, 1]


async def test_timeout_outside_retry_times_all_attempts(make_timeout, bench, make_request) -> None:
    """Timeout round retry ends the waits too, and is not tried again."""
    bench.clock.sleep = anyio.sleep

    async def inner(request: object) -> object:
        raise ConnectionError("down")

    call = make_timeout(SOON_S).wrap(bench.retry(attempts=100, base_s=1_000, max_s=1_000).wrap(inner))
    with pytest.raises(Elapsed):
        await call(make_request())
    assert bench.names() == ["retry.scheduled", "timeout.elapsed"]


def test_timeout_without_an_event_loop_is_not_supported(make_timeout, finish, make_request) -> None:
    """Nothing could wake the call; it says so instead of running without an end."""
    with pytest.raises(Unsupported, match="no event loop"):
        finish(make_timeout(1).wrap(hang)(make_request()))
