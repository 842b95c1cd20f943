"""Faults: each thing that goes wrong at the far side is one of the declared errors, once, and gives nothing away."""

from __future__ import annotations

import time
import traceback
from typing import TYPE_CHECKING, get_args

import pytest

from agentflow_kernel.errors import (
    AgentFlowError,
    CredentialRefused,
    Elapsed,
    PeerUnavailable,
    PromptTooLong,
    ProtocolViolation,
    RateLimited,
    Refused,
    UnknownModel,
    Unsupported,
)
from agentflow_kernel.testing.provider_harness import RETRY_AFTER_S, ProviderFault
from agentflow_specs.requirement import requirement
from agentflow_specs.suites.provider.abilities import PATIENCE_S, ask, failing, secret_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentflow_kernel.contracts.provider import Provider
    from agentflow_kernel.testing import Harness

pytestmark = pytest.mark.anyio


async def raised_by(provider: Provider, harness: Harness, fault: ProviderFault) -> AgentFlowError:
    """What a call raises when this happens at the far side; it says something and the next call works."""
    failing(harness).fail_next(provider, fault)
    with pytest.raises(AgentFlowError) as refused:
        await provider.complete(ask("Why?"))
    assert str(refused.value).strip()
    assert (await provider.complete(ask("next"))).message.text == "next"
    return refused.value


@requirement(
    "PROVIDER-40",
    "MUST",
    needs="service",
    reason="A retry policy waits as long as the service asks; what was turned away may be tried again.",
    advice="Read the headers in which the service tells the time, in seconds or as a date.",
)
async def test_a_rate_limit_is_told(provider: Provider, harness: Harness) -> None:
    """Raises `RateLimited`, not executed, with the seconds that the far side asks to wait."""
    error = await raised_by(provider, harness, "rate-limit")
    assert type(error) is RateLimited
    assert (error.executed, error.retry_after_s) == ("no", RETRY_AFTER_S)


@requirement(
    "PROVIDER-41",
    "MUST",
    needs="service",
    reason="An outage is over after a while; a run waits for it, or takes another provider.",
    advice="Map server errors and refused connections to PeerUnavailable.",
)
async def test_an_outage_is_told(provider: Provider, harness: Harness) -> None:
    """Raises `PeerUnavailable` where the far side says that it is broken, and does not say that it was executed."""
    error = await raised_by(provider, harness, "outage")
    assert type(error) is PeerUnavailable
    assert error.executed in {"no", "maybe"}


@requirement(
    "PROVIDER-42",
    "MUST",
    needs="service",
    reason="Half an answer must not be taken for a whole one, and may have been paid for.",
    advice="An answer is whole only with the end that the protocol asks for.",
)
async def test_a_cut_is_told(provider: Provider, harness: Harness) -> None:
    """Raises `PeerUnavailable` with `executed` "maybe" where the answer breaks off."""
    error = await raised_by(provider, harness, "cut")
    assert type(error) is PeerUnavailable
    assert error.executed == "maybe"


@requirement(
    "PROVIDER-43",
    "MUST",
    needs="service",
    reason="A peer that accepts and says nothing would hold a run for ever.",
    advice="Set a time for silence and one for the whole call; neither may be endless.",
)
async def test_silence_comes_to_an_end(provider: Provider, harness: Harness) -> None:
    """Raises `Elapsed` with `executed` "maybe" where the far side falls silent within its answer."""
    began = time.monotonic()
    error = await raised_by(provider, harness, "silence")
    assert isinstance(error, Elapsed)
    assert error.executed == "maybe"
    assert time.monotonic() - began < PATIENCE_S


@requirement(
    "PROVIDER-44",
    "MUST",
    needs="service",
    reason="A proxy answers with a page, a server with a bug; nobody can go on by that.",
    advice="Check form and type of what comes; turn the errors of the parser into ProtocolViolation.",
)
async def test_garbage_is_told(provider: Provider, harness: Harness) -> None:
    """Raises `ProtocolViolation` where what comes is no answer, and does not say that it was not executed."""
    error = await raised_by(provider, harness, "garbage")
    assert type(error) is ProtocolViolation
    assert error.executed != "no"


@requirement(
    "PROVIDER-45",
    "MUST",
    needs="service",
    reason="Retries belong to policies: they know the budget, wait as they are told, and are on record.",
    advice="Turn off the retries of an SDK.",
)
async def test_nothing_is_tried_again(provider: Provider, harness: Harness) -> None:
    """Asks the far side once for each call, however it ends."""
    far = failing(harness)
    for fault in ("rate-limit", "outage", "cut", "garbage"):
        before = far.count_requests(provider)
        await raised_by(provider, harness, fault)
        assert far.count_requests(provider) == before + 2, fault  # that call, and the next one


@requirement(
    "PROVIDER-46",
    "MUST",
    needs="credentials",
    reason="Who reads it has to mend a key, not to wait.",
    advice="Map what the service says of keys, rights and unpaid bills to CredentialRefused; say where it is from.",
)
async def test_a_wrong_key_is_told(provider: Provider, harness: Harness) -> None:
    """Raises `CredentialRefused`, not executed, where the far side does not take the key."""
    error = await raised_by(provider, harness, "credential")
    assert type(error) is CredentialRefused
    assert error.executed == "no"


@requirement(
    "PROVIDER-47",
    "MUST",
    needs="credentials",
    reason="Errors go into logs, traces, journals and prompts; a key that shows there is lost.",
    advice="Keep the key out of messages, fields, frames and causes; scrub what the far side says.",
)
async def test_no_error_shows_the_key(provider: Provider, harness: Harness) -> None:
    """Shows its key in no error: not in its text, fields, causes or notes, and in no text of itself."""
    secret = secret_of(harness)
    assert len(secret) >= 8
    for fault in get_args(ProviderFault):
        try:
            failing(harness).fail_next(provider, fault)
        except Unsupported:
            continue
        with pytest.raises(AgentFlowError) as refused:
            await provider.complete(ask())
        for shown in texts_of(refused.value):
            assert secret not in shown, fault
    assert secret not in repr(provider) + str(provider)


@requirement(
    "PROVIDER-48",
    "MUST",
    needs="models",
    reason="A model that is gone is a mistake of the manifest; the message has to name it.",
    advice="Map the vendor's error to UnknownModel with the names that there are.",
)
async def test_an_unknown_model_is_told(provider: Provider, harness: Harness) -> None:
    """Raises `UnknownModel`, not executed, where the far side has no such model."""
    error = await raised_by(provider, harness, "unknown-model")
    assert type(error) is UnknownModel
    assert error.executed == "no"


@requirement(
    "PROVIDER-49",
    "MUST",
    needs="models",
    reason="A planner can shorten a conversation that has grown too long, if it is told so.",
    advice="Map the vendor's error to PromptTooLong.",
)
async def test_a_long_prompt_is_told(provider: Provider, harness: Harness) -> None:
    """Raises `PromptTooLong`, not executed, where the request is more than the model holds."""
    error = await raised_by(provider, harness, "too-long")
    assert type(error) is PromptTooLong
    assert error.executed == "no"


@requirement(
    "PROVIDER-50",
    "MUST",
    needs="refuses",
    reason="What a policy forbids is forbidden the next time too; retrying costs and may lock the account.",
    advice="Map the vendor's error to Refused; a model that refuses in its answer has the stop reason for it.",
)
async def test_a_refusal_is_told(provider: Provider, harness: Harness) -> None:
    """Raises `Refused`, not executed, where a policy of the far side forbids the call."""
    error = await raised_by(provider, harness, "refusal")
    assert type(error) is Refused
    assert error.executed == "no"


@requirement(
    "PROVIDER-51",
    "MUST",
    needs="service",
    reason="One call's failure is that call's; others under way must not notice.",
    advice="Close the connection of the call that failed, and no other.",
)
async def test_a_fault_harms_nobody_else(provider: Provider, harness: Harness) -> None:
    """Answers calls after many faults as before, in the same order and whole."""
    for fault in ("cut", "garbage", "outage", "rate-limit") * 3:
        await raised_by(provider, harness, fault)
    for number in range(5):
        assert (await provider.complete(ask(f"call {number}"))).message.text == f"call {number}"


def texts_of(error: BaseException) -> Iterator[str]:
    """All that logs, traces and debuggers show of an error: its text and fields, those of its causes, and frames."""
    seen: set[int] = set()
    links: list[BaseException | None] = [error]
    while links:
        link = links.pop()
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        yield from (str(link), repr(link), repr(vars(link)))
        links += [link.__cause__, link.__context__]
        for frame in traceback.TracebackException.from_exception(link, capture_locals=True).stack:
            if "agentflow_specs" not in frame.filename:  # the kit knows the key
                yield repr(frame.locals)
