"""Acting: how a policy repeats a call or ends it in time, where it says that it does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest
from anyio.lowlevel import checkpoint

from agentflow_kernel.errors import AgentFlowError, Elapsed, PeerUnavailable, RateLimited, Unsupported
from agentflow_specs.requirement import requirement
from agentflow_specs.suites.policy.abilities import clock_of
from agentflow_specs.suites.policy.peer import Peer, request

if TYPE_CHECKING:
    from agentflow_kernel.contracts.policy import Policy, Request
    from agentflow_kernel.testing import Harness

pytestmark = pytest.mark.anyio

MANY = 150
"""More attempts than any policy makes."""
PATIENCE_S = 30.0
"""When a call that the policy should have ended after half a second is given up."""


def late_s(harness: Harness) -> float:
    """How long the end of a call is waited for; not for long where none is promised."""
    return PATIENCE_S if harness.declared["ends-late-calls"] else min(PATIENCE_S, 1.5)


async def repeated(policy: Policy, peer: Peer, *, idempotent: bool = True) -> object:
    """The result; raises `Unsupported` where nothing was repeated."""
    try:
        return await policy.wrap(peer)(request("payload", idempotent=idempotent))
    except AgentFlowError:
        if peer.attempts == [1]:
            raise Unsupported("A further attempt", "the call was not repeated.") from None
        raise


@requirement(
    "POLICY-20",
    "MUST",
    needs="repeats",
    reason="Most failures of a peer are over after a moment.",
    advice="Repeat what was not executed, and what is idempotent.",
)
async def test_a_call_that_was_not_executed_is_repeated(policy: Policy) -> None:
    """Repeats a call that failed unexecuted, or that is idempotent, and gives the result of the one that succeeds."""
    assert await repeated(policy, Peer(PeerUnavailable("gone", executed="no")), idempotent=False) == "payload"
    assert await repeated(policy, Peer(PeerUnavailable("gone", executed="maybe"))) == "payload"


@requirement(
    "POLICY-21",
    "MUST",
    needs="repeats",
    reason="Peers and traces tell attempts apart by their number.",
    advice="Raise attempt by one in place before each further call.",
)
async def test_attempts_are_numbered(policy: Policy) -> None:
    """Numbers the attempts from 1 without a gap, in the request itself."""
    peer = Peer(PeerUnavailable("gone", executed="no"), PeerUnavailable("gone", executed="no"))
    assert await repeated(policy, peer) == "payload"
    assert peer.attempts == [1, 2, 3]


@requirement(
    "POLICY-22",
    "MUST",
    needs="repeats",
    reason="A peer that is gone for good must not be called for ever, and its error says why.",
    advice="Bound the attempts; raise the last error as it came, not one of your own.",
)
async def test_it_gives_up_with_the_last_error(policy: Policy) -> None:
    """Gives up after a bounded number of attempts and raises the last error, as the same object."""
    failures = [PeerUnavailable(f"gone {number}", executed="no") for number in range(MANY)]
    peer = Peer(*failures)
    with anyio.fail_after(PATIENCE_S), pytest.raises(PeerUnavailable) as raised:
        await repeated(policy, peer)
    assert len(peer.attempts) < MANY
    assert raised.value is failures[len(peer.attempts) - 1]


@requirement(
    "POLICY-23",
    "MUST",
    needs="repeats",
    reason="A peer that limits its callers says when to come back; who comes earlier is turned away for longer.",
    advice="Wait at least retry_after_s of the error, in seconds, by the clock of the context.",
)
async def test_the_wait_that_a_peer_asks_for_is_kept(policy: Policy, harness: Harness) -> None:
    """Waits at least as long as the error asks for before the next attempt, by the clock that it was given."""
    peer = Peer(RateLimited("peer", retry_after_s=7.5))
    if not harness.declared["repeats"]:
        await repeated(policy, peer)
    clock = clock_of(harness)
    before = clock.monotonic()
    assert await repeated(policy, peer) == "payload"
    assert 7.5 <= clock.monotonic() - before < 7.5 * 60


@requirement(
    "POLICY-24",
    "MUST",
    needs="repeats",
    reason="Many callers fail at the same moment; those that all come back at once bring the peer down again.",
    advice="Draw each wait from the random source of the context, up to a bound that grows.",
)
async def test_waits_differ(policy: Policy, harness: Harness) -> None:
    """Draws the waits of different calls, so that callers who failed together do not come back together."""
    waits = set()
    for _ in range(8):
        peer = Peer(PeerUnavailable("gone", executed="no"))
        if not harness.declared["repeats"]:
            await repeated(policy, peer)
        clock = clock_of(harness)
        before = clock.monotonic()
        await repeated(policy, peer)
        waits.add(round(clock.monotonic() - before, 9))
    assert len(waits) > 4


@requirement(
    "POLICY-30",
    "MUST",
    needs="ends-late-calls",
    reason="A peer that never answers must not hold a run for ever.",
    advice="Run the call in a cancel scope with a deadline and raise Elapsed when that was the reason.",
)
async def test_a_late_call_is_ended(policy: Policy, harness: Harness) -> None:
    """Ends a call that does not answer with `Elapsed`, whose `executed` is "maybe", once that call has ended."""
    seen = []

    async def call(given: Request) -> object:
        try:
            await anyio.sleep_forever()
            return None
        finally:
            with anyio.CancelScope(shield=True):
                await checkpoint()
            seen.append("ended")

    with anyio.move_on_after(late_s(harness)) as scope:
        with pytest.raises(Elapsed) as raised:
            await policy.wrap(call)(request(idempotent=False))
        assert raised.value.executed == "maybe"
        assert seen == ["ended"]
    if scope.cancelled_caught:
        raise Unsupported("An end in time", "the call was not ended.")


@requirement(
    "POLICY-31",
    "MUST",
    needs="ends-late-calls",
    reason="A run that was cancelled must not go on with a retry because its call was late as well.",
    advice="Convert only the cancellation that your own deadline caused.",
)
async def test_a_cancellation_at_the_same_time_passes(policy: Policy, harness: Harness) -> None:
    """Turns a cancellation from outside into no `Elapsed`, also where the time of the call is over meanwhile."""
    raised: list[str] = []

    async def call(given: Request) -> object:
        try:
            await anyio.sleep_forever()
            return None
        finally:
            outer.cancel()

    async def work() -> None:
        try:
            await policy.wrap(call)(request())
        except Exception as error:  # noqa: BLE001 -- this is what is tested
            raised.append(repr(error))

    began = anyio.current_time()
    with anyio.CancelScope() as outer:
        outer.deadline = began + late_s(harness)
        await work()
    if anyio.current_time() - began >= late_s(harness):
        raise Unsupported("An end in time", "the call was not ended.")
    assert raised == []


@requirement(
    "POLICY-32",
    "MUST",
    needs="ends-late-calls",
    reason="A peer's own error of time is another thing than the end of ours: it says whether it was executed.",
    advice="Look at your own scope, not at the type of what came out of the call.",
)
async def test_the_errors_of_the_call_stay_its_own(policy: Policy, harness: Harness) -> None:
    """Raises a `TimeoutError` of the call as it came, and only its own end of time as `Elapsed`."""
    failure = TimeoutError("of the peer")
    with pytest.raises(TimeoutError) as raised:
        await policy.wrap(Peer(failure, *[failure] * MANY))(request(idempotent=False))
    assert raised.value is failure
    late: list[object] = []
    with anyio.move_on_after(late_s(harness)) as scope:
        try:
            await policy.wrap(lambda given: anyio.sleep_forever())(request())
        except Elapsed as error:
            late.append(error)
    if scope.cancelled_caught:
        raise Unsupported("An end in time", "the call was not ended.")
    assert len(late) == 1
