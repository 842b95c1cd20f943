"""The policy `retry`: what is tried again, how often, and what is seen of it."""

from __future__ import annotations

import gc
import math
import sys
import tracemalloc
import types

import anyio
import anyio.lowlevel
import pytest

from agentflow_kernel import errors
from agentflow_kernel.errors import Overloaded, PeerUnavailable, RateLimited
from agentflow_resilience.retry import _policy
from agentflow_resilience.retry._verdict import FINAL


def test_retry_gives_the_first_answer(bench, finish, make_request) -> None:
    """A call that succeeds runs once, whatever it gives; an exception as a value is a value."""
    script = bench.script("answer")
    assert finish(bench.retry().wrap(script)(make_request())) == "answer"
    assert script.attempts == [1]
    assert bench.events == []


def test_retry_tries_again_until_an_answer_comes(bench, finish, make_request) -> None:
    """Each attempt has its number, each wait stays below its bound."""
    script = bench.script(RateLimited("busy"), RateLimited("busy"), "answer")
    request = make_request()
    assert finish(bench.retry(base_s=1.0, factor=3.0, attempts=5).wrap(script)(request)) == "answer"
    assert script.attempts == [1, 2, 3]
    assert request.attempt == 3
    assert len(bench.clock.sleeps) == 2
    assert 0 <= bench.clock.sleeps[0] <= 1
    assert 0 <= bench.clock.sleeps[1] <= 3


def test_retry_raises_the_last_error_as_it_came_with_a_note(bench, finish, make_request) -> None:
    """The same object, so that whoever handles it sees its own fields."""
    failures = [RateLimited("first"), PeerUnavailable("second"), Overloaded("third")]
    script = bench.script(*failures)
    with pytest.raises(Overloaded, match="third") as caught:
        finish(bench.retry(attempts=3).wrap(script)(make_request()))
    assert caught.value is failures[2]
    assert caught.value.__notes__ == ["retry: gave up after attempt 3: that is the last one allowed."]
    assert not hasattr(failures[0], "__notes__")


def test_retry_tells_what_it_plans_and_when_it_gives_up(bench, finish, make_request) -> None:
    """One event for each wait, one at the end; each names the call, the attempt and the error."""
    script = bench.script(RateLimited("busy"))
    with pytest.raises(RateLimited):
        finish(bench.retry(attempts=3).wrap(script)(make_request()))
    assert bench.names() == ["retry.scheduled", "retry.scheduled", "retry.exhausted"]
    common = {"kind": "tool", "name": "files.read", "run_id": "run", "path": "a/b"}
    common |= {"error": "RateLimited", "code": "AF-RATE-LIMITED", "message": "busy"}
    waits = bench.clock.sleeps
    assert [fields for _, fields in bench.events] == [
        {**common, "attempt": 1, "wait_s": waits[0]},
        {**common, "attempt": 2, "wait_s": waits[1]},
        {**common, "attempt": 3, "attempts": 3},
    ]


@pytest.mark.parametrize("idempotent", [True, False])
@pytest.mark.parametrize("executed", ["no", "maybe", "yes"])
def test_retry_repeats_only_what_was_not_executed_or_is_idempotent(
    bench, finish, make_request, idempotent, executed
) -> None:
    """The one rule against doing something twice."""
    script = bench.script(PeerUnavailable("reset", executed=executed), "answer")
    call = bench.retry().wrap(script)(make_request(idempotent=idempotent))
    if idempotent or executed == "no":
        assert finish(call) == "answer"
    else:
        with pytest.raises(PeerUnavailable, match="reset"):
            finish(call)
        assert script.attempts == [1]
        assert bench.events == []


@pytest.mark.parametrize("idempotent", [True, False])
@pytest.mark.parametrize("failure", [ValueError("x"), OSError(5, "x"), TimeoutError(), RuntimeError()])
def test_retry_takes_an_unknown_exception_as_perhaps_executed(bench, finish, make_request, idempotent, failure) -> None:
    """So that only an idempotent call is repeated after it."""
    script = bench.script(failure, "answer")
    call = bench.retry().wrap(script)(make_request(idempotent=idempotent))
    if idempotent:
        assert finish(call) == "answer"
    else:
        with pytest.raises(type(failure)):
            finish(call)


def made(error: type[Exception]) -> Exception:
    """One exception of a class, whatever its constructor asks for."""
    failure = error.__new__(error)
    Exception.__init__(failure, "made")
    return failure


def all_errors() -> list[type[Exception]]:
    return [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)]


@pytest.mark.parametrize("error", [error for error in all_errors() if issubclass(error, FINAL)])
def test_retry_never_repeats_what_another_attempt_cannot_change(bench, finish, make_request, error) -> None:
    """Wrong calls, refusals, steering, used-up budgets, lost ownership, stored facts, wanted ends: raised at once."""
    script = bench.script(made(error), "answer")
    with pytest.raises(error) as caught:
        finish(bench.retry().wrap(script)(make_request()))
    assert script.attempts == [1]
    assert not hasattr(caught.value, "__notes__")


def test_retry_knows_every_error_of_the_kernel() -> None:
    """A new error has to be put on one side: these are the ones that are tried again."""
    assert {error.__name__ for error in all_errors() if not issubclass(error, FINAL)} == {
        "AgentFlowError", "PlanFailed", "Unavailable", "RateLimited", "Overloaded", "Elapsed", "PeerUnavailable",
        "StorageUnavailable", "ProtocolViolation", "PluginError", "PluginLoadError", "JournalError", "AppendConflict",
        "UnknownRun", "MemoryConflict", "RunError", "RunFailed", "FlowElapsed", "SeveralFailed",
    }  # fmt: skip


def test_retry_notes_an_end_that_comes_after_attempts(bench, finish, make_request) -> None:
    """The first error could be tried again, the second one not: the note tells both numbers and reason."""
    script = bench.script(RateLimited("busy"), PeerUnavailable("reset"))
    with pytest.raises(PeerUnavailable) as caught:
        finish(bench.retry().wrap(script)(make_request(idempotent=False)))
    assert caught.value.__notes__ == [
        "retry: gave up after attempt 2: it may have been executed and is not idempotent."
    ]


def test_retry_looks_into_groups(bench, finish, make_request) -> None:
    """A group is repeated when each of its members may be; the longest wait asked for counts."""
    busy = [RateLimited("a", retry_after_s=3), ExceptionGroup("in", [RateLimited("b", retry_after_s=8)]), ValueError()]
    script = bench.script(ExceptionGroup("out", busy), "answer")
    assert finish(bench.retry().wrap(script)(make_request())) == "answer"
    assert bench.clock.sleeps[0] >= 8
    script = bench.script(ExceptionGroup("out", [RateLimited("a"), errors.UsageError("wrong")]), "answer")
    with pytest.raises(ExceptionGroup, match="out"):
        finish(bench.retry().wrap(script)(make_request()))


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit, GeneratorExit, BaseException])
def test_retry_lets_everything_pass_that_is_no_exception(bench, finish, make_request, stop) -> None:
    """Untouched, without a note, without a second attempt."""
    script = bench.script(stop())
    with pytest.raises(stop) as caught:
        finish(bench.retry().wrap(script)(make_request()))
    assert script.attempts == [1]
    assert not hasattr(caught.value, "__notes__")


def test_retry_waits_as_long_as_the_peer_asks(bench, finish, make_request) -> None:
    """In full and with the draw on top, also beyond `max_s`."""
    script = bench.script(RateLimited("busy", retry_after_s=100), "answer")
    finish(bench.retry(base_s=1, max_s=2).wrap(script)(make_request()))
    assert 100 <= bench.clock.sleeps[0] <= 101


@pytest.mark.parametrize("asked", [0.0, -5.0, math.nan])
def test_retry_takes_a_senseless_wish_for_none(bench, finish, make_request, asked) -> None:
    """Nothing, less than nothing and no number are no wishes."""
    script = bench.script(RateLimited("busy", retry_after_s=asked), "answer")
    assert finish(bench.retry(base_s=1).wrap(script)(make_request())) == "answer"
    assert 0 <= bench.clock.sleeps[0] <= 1


def test_retry_does_not_wait_without_end(bench, finish, make_request) -> None:
    """A peer that says never is believed."""
    script = bench.script(RateLimited("busy", retry_after_s=math.inf), "answer")
    with pytest.raises(RateLimited) as caught:
        finish(bench.retry().wrap(script)(make_request()))
    assert "without end" in caught.value.__notes__[0]
    assert bench.clock.sleeps == []


def test_retry_gives_up_where_the_peer_asks_for_too_long_a_wait(bench, finish, make_request) -> None:
    """A day is no wait: the error comes at once, with what was asked for."""
    script = bench.script(RateLimited("busy", retry_after_s=86_400), "answer")
    with pytest.raises(RateLimited) as caught:
        finish(bench.retry().wrap(script)(make_request()))
    assert caught.value.retry_after_s == 86_400
    assert bench.clock.sleeps == []
    patient = bench.retry(max_retry_after_s=90_000)
    script = bench.script(RateLimited("busy", retry_after_s=86_400), "answer")
    assert finish(patient.wrap(script)(make_request())) == "answer"


def test_retry_begins_nothing_after_the_deadline(bench, finish, make_request) -> None:
    """A wait that would end too late is not begun: the error comes while there is still time to act on it."""
    script = bench.script(RateLimited("busy", retry_after_s=4), takes_s=1.0)
    with pytest.raises(RateLimited) as caught:
        finish(bench.retry(attempts=9, base_s=0, deadline_s=10.0).wrap(script)(make_request()))
    assert script.begins == [0, 5, 10]
    assert bench.clock.seconds == 11
    assert caught.value.__notes__ == ["retry: gave up after attempt 3: no other can begin within 10 s of the first."]


def test_retry_begins_nothing_when_a_wait_took_too_long(bench, finish, make_request) -> None:
    """A clock may come back late."""
    plain = bench.clock.sleep

    async def late(seconds: float) -> None:
        await plain(seconds + 100)

    bench.clock.sleep = late
    script = bench.script(RateLimited("busy"), "answer")
    with pytest.raises(RateLimited):
        finish(bench.retry(deadline_s=10.0).wrap(script)(make_request()))
    assert bench.names() == ["retry.scheduled", "retry.exhausted"]


def test_retry_with_one_attempt_is_the_call_itself(bench) -> None:
    """It costs nothing then."""
    script = bench.script("answer")
    assert bench.retry(attempts=1).wrap(script) is script


def test_retry_without_waits_needs_no_event_loop(bench, finish, make_request) -> None:
    """With `base_s` 0 the clock is not asked to sleep at all."""
    script = bench.script(RateLimited("a"), RateLimited("b"), "answer")
    assert finish(bench.retry(base_s=0).wrap(script)(make_request())) == "answer"
    assert bench.clock.sleeps == []


def test_retry_counts_attempts_on_over_nested_policies(bench, finish, make_request) -> None:
    """Each attempt has a number of its own, also where two layers repeat."""
    script = bench.script(RateLimited("busy"))
    call = bench.retry(attempts=2, base_s=0).wrap(bench.retry(attempts=3, base_s=0).wrap(script))
    with pytest.raises(RateLimited):
        finish(call(make_request()))
    assert script.attempts == [1, 2, 3, 4, 5, 6]


def test_retry_keeps_no_error_alive(bench, finish, make_request) -> None:
    """No cycle is left behind: a failed attempt is freed as soon as its call has ended."""
    freed = []

    class Tracked(RateLimited):
        def __del__(self) -> None:
            freed.append(1)

    async def call(request: object) -> object:
        if request.attempt < 3:
            raise Tracked("busy")
        return "answer"

    finish(bench.retry(base_s=0).wrap(call)(make_request()))
    assert len(freed) == 2


@pytest.mark.anyio
async def test_retry_gives_every_concurrent_call_its_own_attempts(bench, make_request) -> None:
    """A hundred calls through one policy, some failing for good, some for a time: none disturbs another."""
    clock_sleep = bench.clock.sleep

    async def yielding(seconds: float) -> None:
        await clock_sleep(seconds)
        await anyio.lowlevel.checkpoint()

    bench.clock.sleep = yielding
    seen: dict[int, list[int]] = {}
    results: dict[int, object] = {}

    async def inner(request: object) -> object:
        number = request.payload
        seen.setdefault(number, []).append(request.attempt)
        await anyio.lowlevel.checkpoint()
        if request.attempt <= number % 5:
            raise RateLimited(f"busy {number}")
        return number

    call = bench.retry(attempts=3).wrap(inner)

    async def one(number: int) -> None:
        request = make_request()
        request.payload = number
        try:
            results[number] = await call(request)
        except RateLimited as error:
            results[number] = str(error)

    async with anyio.create_task_group() as group:
        for number in range(100):
            group.start_soon(one, number)
    for number in range(100):
        failing = number % 5
        assert seen[number] == list(range(1, min(failing + 1, 3) + 1))
        assert results[number] == (number if failing < 3 else f"busy {number}")


@pytest.mark.anyio
@pytest.mark.parametrize("where", ["call", "wait"])
async def test_retry_neither_repeats_nor_swallows_cancellation(bench, make_request, where) -> None:
    """In an attempt and in a wait between two: it passes at once, and nothing runs afterwards."""
    attempts = []

    async def inner(request: object) -> object:
        attempts.append(request.attempt)
        if where == "call":
            await stop()
        raise RateLimited("busy")

    async def stop(seconds: float = 0) -> None:
        scope.cancel()
        await anyio.sleep_forever()

    bench.clock.sleep = stop
    with anyio.CancelScope() as scope:
        await bench.retry().wrap(inner)(make_request())
        pytest.fail("The cancellation was swallowed.")
    assert scope.cancelled_caught
    assert attempts == [1]


def test_retry_costs_a_happy_call_one_call_and_one_coroutine(bench, finish, make_request) -> None:
    """Guard: one Python call more than without it; no clock, no random number, no event."""
    script = bench.script("answer")
    call, request = bench.retry().wrap(script), make_request()
    state = bench.random.getstate()

    def calls(target) -> list[str]:
        names: list[str] = []
        gc.disable()
        sys.setprofile(lambda frame, event, _: names.append(frame.f_code.co_qualname) if event == "call" else None)
        try:
            finish(target(request))
        finally:
            sys.setprofile(None)
            gc.enable()
        return names

    bare, wrapped = calls(script), calls(call)
    assert len(wrapped) == len(bare) + 1
    assert set(wrapped) - set(bare) == {"Retry.wrap.<locals>.retried"}
    assert bench.clock.reads == 0
    assert bench.random.getstate() == state
    assert bench.events == []
    assert calls(bench.retry(deadline_s=5.0).wrap(script)).count("FakeClock.monotonic") == 1


def test_retry_allocates_nothing_but_the_coroutine(bench, make_request) -> None:
    """Guard: while the call is under way, the policy holds one object, the coroutine of the inner call."""

    @types.coroutine
    def pause():
        yield

    async def inner(request: object) -> object:
        await pause()
        return "answer"

    call, request = bench.retry().wrap(inner), make_request()
    warm = call(request)  # once before counting, for caches of the interpreter
    warm.send(None)
    with pytest.raises(StopIteration, match="answer"):
        warm.send(None)
    tracemalloc.start()
    try:
        under_way = call(request)
        under_way.send(None)
        snapshot = tracemalloc.take_snapshot()
    finally:
        tracemalloc.stop()
    with pytest.raises(StopIteration, match="answer"):
        under_way.send(None)
    held = snapshot.filter_traces([tracemalloc.Filter(inclusive=True, filename_pattern=_policy.__file__)])
    assert sum(line.count for line in held.statistics("lineno")) <= 1
