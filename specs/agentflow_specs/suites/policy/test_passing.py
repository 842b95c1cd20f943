"""Passing: what every policy lets through unchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import anyio
import pytest
from anyio.lowlevel import checkpoint

from agentflow_kernel.errors import (
    AskModelAgain,
    BudgetExceeded,
    CredentialRefused,
    Elapsed,
    NotAllowed,
    PeerUnavailable,
    StopFlow,
    ToolFailed,
    UsageError,
)
from agentflow_specs.leaks import find_leaks
from agentflow_specs.requirement import requirement
from agentflow_specs.suites.policy.peer import Peer, fields, request

if TYPE_CHECKING:
    from agentflow_kernel.contracts.policy import Policy, Request
    from agentflow_kernel.testing import Harness

CALLS = 100
PATIENCE_S = 30.0
LATE_S = 0.45
"""A call is not late before, by a policy that was opened with half a second."""


@requirement(
    "POLICY-01",
    "MUST",
    reason="A policy is put round calls that know nothing of it.",
    advice="Hand the request on and give back what the call gave, the same object.",
)
@pytest.mark.anyio
async def test_a_good_call_passes(policy: Policy) -> None:
    """Calls once and gives back the very result of a call that succeeds, `None` and false ones too."""
    payloads: list[object] = [{"a": [1]}, None, 0, "", False, [], ValueError("a result")]
    for payload in payloads:
        peer = Peer()
        assert await policy.wrap(peer)(request(payload)) is payload
        assert peer.attempts == [1]


@requirement(
    "POLICY-02",
    "MUST",
    reason="Identity and key of a call are how the engine and the peer know it again.",
    advice="Change nothing in the request but its attempt.",
)
@pytest.mark.anyio
async def test_the_request_is_left_as_it_is(policy: Policy) -> None:
    """Hands on the request that it was given, and changes no field of it but the attempt."""
    sent = request({"a": 1})
    before = fields(sent)
    seen: list[Request] = []

    async def call(given: Request) -> object:
        seen.append(given)
        assert list(fields(given)) == list(before)
        return 1

    await policy.wrap(call)(sent)
    assert len(seen) == 1
    assert seen[0] is sent
    assert (list(fields(sent)), sent.attempt) == (list(before), 1)


@requirement(
    "POLICY-03",
    "MUST",
    reason="Flows are bound before anything runs, also without an event loop.",
    advice="Only make the outer call in wrap; open and start nothing.",
)
def test_wrapping_calls_nothing(harness: Harness, anyio_backend: str) -> None:
    """Calls, opens and starts nothing when it wraps, and needs no event loop for it; it may wrap many calls."""
    peer = Peer()
    opened: list[Policy] = []

    async def open_one() -> None:
        async with harness.open() as subject:
            opened.append(cast("Policy", subject))

    anyio.run(open_one, backend=anyio_backend)
    calls = [opened[0].wrap(peer) for _ in range(10)]
    assert peer.attempts == []
    assert all(callable(call) for call in calls)


@requirement(
    "POLICY-04",
    "MUST",
    reason="A wrong call, a refusal or a spent budget stays what it is; to repeat it costs money or locks an account.",
    advice="Raise UsageError, Refused, BudgetExceeded and what is no error of a peer at once, the same object.",
)
@pytest.mark.anyio
@pytest.mark.parametrize(
    "failure",
    [
        UsageError("wrong"),
        CredentialRefused("refused", executed="no"),
        NotAllowed("not granted"),
        BudgetExceeded("cost", 1.0),
    ],
    ids=lambda failure: type(failure).__name__,
)
async def test_final_errors_pass_at_once(policy: Policy, failure: Exception) -> None:
    """Raises at once, as the same object, an error that another attempt cannot change."""
    peer = Peer(failure, failure, failure)
    with pytest.raises(type(failure)) as raised:
        await policy.wrap(peer)(request())
    assert raised.value is failure
    assert peer.attempts == [1]


@requirement(
    "POLICY-05",
    "MUST",
    reason="Control flow steers the engine; it is no failure.",
    advice="Let ControlFlow pass as any result does.",
)
@pytest.mark.anyio
async def test_control_flow_passes_at_once(policy: Policy) -> None:
    """Raises control flow at once, as the same object."""
    for steering in (StopFlow("out"), AskModelAgain("again"), ToolFailed("no")):
        peer = Peer(steering, steering)
        with pytest.raises(type(steering)) as raised:
            await policy.wrap(peer)(request())
        assert raised.value is steering
        assert peer.attempts == [1]


@requirement(
    "POLICY-06",
    "MUST",
    reason="What may have happened and cannot be undone must not happen twice.",
    advice="Repeat what is not idempotent only if its error says that nothing was executed.",
)
@pytest.mark.anyio
async def test_what_may_have_happened_is_not_repeated(policy: Policy) -> None:
    """Never repeats a call that is not idempotent and was, or may have been, executed; unknown errors count as that."""
    for failure in (
        PeerUnavailable("gone", executed="maybe"),
        PeerUnavailable("gone", executed="yes"),
        RuntimeError("unknown"),
        ExceptionGroup("", [PeerUnavailable("a", executed="no"), PeerUnavailable("b", executed="maybe")]),
    ):
        peer = Peer(failure, failure)
        with pytest.raises(type(failure)) as raised:
            await policy.wrap(peer)(request(idempotent=False))
        assert raised.value is failure
        assert peer.attempts == [1]


@requirement(
    "POLICY-07",
    "MUST",
    reason="Ctrl-C and the end of the process are nobody's failed call.",
    advice="Catch Exception, never BaseException, and raise on what is none.",
)
@pytest.mark.anyio
async def test_the_end_of_the_process_passes_at_once(policy: Policy) -> None:
    """Raises at once what is no `Exception`, such as `KeyboardInterrupt`."""
    for end in (KeyboardInterrupt(), SystemExit(3), GeneratorExit()):
        peer = Peer(end, end)
        raised: BaseException | None = None
        try:
            await policy.wrap(peer)(request())
        except BaseException as error:  # noqa: BLE001 -- this is what is tested
            raised = error
        assert raised is end
        assert peer.attempts == [1]


@requirement(
    "POLICY-10",
    "MUST",
    reason="A run that is cancelled must end; a policy that goes on holds the whole process.",
    advice="Raise the cancellation on; release in a finally what was taken.",
)
@pytest.mark.anyio
async def test_cancellation_passes(policy: Policy) -> None:
    """Passes a cancellation on to the call, calls it no second time, and turns it into no result and no other error."""
    entered = anyio.Event()
    seen: list[str] = []

    async def call(given: Request) -> object:
        seen.append("called")
        entered.set()
        try:
            await anyio.sleep_forever()
            return None
        finally:
            seen.append("cancelled")

    async def work() -> None:
        try:
            await policy.wrap(call)(request())
        except Exception as error:  # noqa: BLE001 -- this is what is tested
            seen.append(repr(error))
        else:
            seen.append("returned")

    with anyio.fail_after(PATIENCE_S):
        async with anyio.create_task_group() as group:
            group.start_soon(work)
            await entered.wait()
            group.cancel_scope.cancel()
    assert seen == ["called", "cancelled"]


@requirement(
    "POLICY-11",
    "MUST",
    reason="A call that ends with an error while it is cancelled is still cancelled.",
    advice="Wait by the clock of the context or of the loop: such a wait is cancelled.",
)
@pytest.mark.anyio
async def test_a_failure_of_a_cancelled_call_is_not_repeated(policy: Policy) -> None:
    """Begins no further attempt in a scope that was cancelled, whatever the call ends with."""
    attempts: list[int] = []
    with anyio.fail_after(PATIENCE_S), anyio.CancelScope() as scope:

        async def call(given: Request) -> object:
            attempts.append(given.attempt)
            scope.cancel()
            raise PeerUnavailable("gone", executed="no")

        try:
            await policy.wrap(call)(request())
        except PeerUnavailable:
            await checkpoint()
    assert attempts == [1]


@requirement(
    "POLICY-12",
    "MUST",
    reason="One policy is round the calls of all runs of a flow.",
    advice="Keep what belongs to one call in that call, not in the policy.",
)
@pytest.mark.anyio
async def test_a_hundred_calls_at_once_do_not_disturb_each_other(policy: Policy, harness: Harness) -> None:
    """Gives each of 100 calls at the same time its own result, also where others fail."""
    results: dict[int, object] = {}

    async def call(given: Request) -> object:
        for _ in range(3):
            await checkpoint()
        if cast("int", given.payload) % 3 == 0:
            raise UsageError(f"wrong {given.payload}")
        return given.payload

    wrapped, began = policy.wrap(call), anyio.current_time()
    late: set[int] = set()

    async def work(number: int) -> None:
        try:
            results[number] = await wrapped(request(number))
        except UsageError as error:
            results[number] = str(error)
        except Elapsed:
            if not harness.declared["ends-late-calls"] or anyio.current_time() - began < LATE_S:
                raise
            late.add(number)  # the machine has stood still for so long

    with anyio.fail_after(PATIENCE_S):
        async with anyio.create_task_group() as group:
            for number in range(CALLS):
                group.start_soon(work, number)
    expected = {number: number if number % 3 else f"wrong {number}" for number in range(CALLS)}
    assert results == {number: result for number, result in expected.items() if number not in late}


@requirement(
    "POLICY-13",
    "MUST",
    reason="Manifests put one policy round another, also two of the same kind.",
    advice="Take from the request only what it says; do not mark it.",
)
@pytest.mark.anyio
async def test_it_may_be_put_round_itself(policy: Policy) -> None:
    """Works round a call that it is round already."""
    peer = Peer()
    assert await policy.wrap(policy.wrap(policy.wrap(peer)))(request("payload")) == "payload"
    assert peer.attempts == [1]


@requirement(
    "POLICY-14",
    "MUST",
    reason="A worker makes millions of calls; what each leaves behind ends it.",
    advice="Start nothing that outlives the call.",
)
def test_nothing_is_left_after_calls(harness: Harness, anyio_backend: str) -> None:
    """Leaves no task, thread, file, socket or child process behind, whether calls succeed, fail or are cancelled."""

    async def use(subject: object) -> None:
        policy = cast("Policy", subject)
        for _ in range(5):
            await policy.wrap(Peer())(request())
            with pytest.raises(UsageError):
                await policy.wrap(Peer(UsageError("wrong")))(request())
            with anyio.move_on_after(0.01):
                await policy.wrap(lambda given: anyio.sleep(30))(request())

    assert find_leaks(harness, use, anyio_backend) == []
