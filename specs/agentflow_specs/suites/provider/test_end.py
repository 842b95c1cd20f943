"""The end: calls that are cancelled, a provider that is closed, and what is left afterwards."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, cast

import anyio
import pytest
from anyio.lowlevel import checkpoint

from agentflow_kernel.errors import AgentFlowError, PeerUnavailable
from agentflow_specs.leaks import count_tasks, find_leaks, wait_for_tasks
from agentflow_specs.requirement import requirement
from agentflow_specs.suites.provider.abilities import PATIENCE_S, SOON_S, ask, begun, requests_of, slow

if TYPE_CHECKING:
    from agentflow_kernel.contracts.provider import Provider
    from agentflow_kernel.testing import Harness

MOMENTS = 24
CALLS = 4


async def call_some(provider: Provider) -> None:
    """Some calls at the same time, each with its own answer."""

    async def work(number: int) -> None:
        assert (await provider.complete(ask(f"call {number}"))).message.text == f"call {number}"

    async with anyio.create_task_group() as group:
        for number in range(CALLS):
            group.start_soon(work, number)


@requirement(
    "PROVIDER-60",
    "MUST",
    reason="Ctrl-C, timeouts and losing branches cancel calls at every moment.",
    advice="Give back in a finally what was taken; a connection whose answer was not read is closed, not kept.",
)
@pytest.mark.anyio
async def test_cancelled_calls_leave_the_provider_in_order(provider: Provider, anyio_backend: str) -> None:
    """Answers as before after calls were cancelled at every moment, and leaves no task of them running."""
    await call_some(provider)
    before = count_tasks(anyio_backend)
    for moment in range(MOMENTS):
        with anyio.fail_after(PATIENCE_S):
            async with anyio.create_task_group() as group:
                group.start_soon(call_some, provider)
                for _ in range(moment):
                    await checkpoint()
                group.cancel_scope.cancel()
    with anyio.fail_after(PATIENCE_S * 2):
        await call_some(provider)
    await wait_for_tasks(anyio_backend, before + CALLS)  # a far side in this process has one for each connection


@requirement(
    "PROVIDER-61",
    "MUST",
    needs="slow",
    reason="A cancelled run must not pay for an answer that nobody reads, nor wait for it.",
    advice="Close the connection when the cancellation arrives, and raise it on.",
)
@pytest.mark.anyio
async def test_a_cancelled_call_closes_its_connection(provider: Provider, harness: Harness, anyio_backend: str) -> None:
    """Ends a call that lasts at once when it is cancelled; raises that on, and the far side sees that it has gone."""
    await provider.complete(ask())
    before, asked = count_tasks(anyio_backend), requests_of(harness, provider)
    returned: list[object] = []

    async def work() -> None:
        with scope:
            returned.append(await provider.complete(ask()))
            await checkpoint()
            returned.append("the cancellation was swallowed")

    slow(harness).hold_next(provider)
    async with anyio.create_task_group() as group:
        scope = anyio.CancelScope()
        group.start_soon(work)
        await begun(harness, provider, asked)
        began = time.monotonic()
        scope.cancel()
    assert returned == []
    assert scope.cancelled_caught
    assert time.monotonic() - began < SOON_S
    with anyio.fail_after(SOON_S):
        await slow(harness).wait_gone(provider)
        assert (await provider.complete(ask("next"))).message.text == "next"
    await wait_for_tasks(anyio_backend, before)


@requirement(
    "PROVIDER-62",
    "MUST",
    needs="slow",
    reason="One slow answer must not hold up the agents beside it.",
    advice="Give each call its own connection, or share one that carries several.",
)
@pytest.mark.anyio
async def test_a_slow_answer_holds_up_nobody(provider: Provider, harness: Harness) -> None:
    """Answers other calls while one is held back by the far side."""
    await provider.complete(ask())
    answers: list[str] = []

    async def work() -> None:
        with suppress(AgentFlowError):  # the one that is held may come to its end first
            answers.append((await provider.complete(ask("quick"))).message.text)

    slow(harness).hold_next(provider)
    with anyio.fail_after(PATIENCE_S):
        async with anyio.create_task_group() as group:
            for _ in range(CALLS):
                group.start_soon(work)
            while len(answers) < CALLS - 1:  # noqa: ASYNC110 -- an answer tells nobody else
                await anyio.sleep(0.01)
            group.cancel_scope.cancel()
    assert answers == ["quick"] * (CALLS - 1)


@requirement(
    "PROVIDER-70",
    "MUST",
    reason="The kernel closes what it made, and so does a careful user.",
    advice="The second call finds nothing to do.",
)
@pytest.mark.anyio
async def test_closing_twice_is_no_error(provider: Provider, harness: Harness) -> None:
    """May be closed twice, used or not, and by several tasks at once."""
    async with harness.open() as unused:
        await cast("Provider", unused).aclose()
    await call_some(provider)
    async with anyio.create_task_group() as group:
        group.start_soon(provider.aclose)
        group.start_soon(provider.aclose)
    await provider.aclose()


@requirement(
    "PROVIDER-71",
    "MUST",
    reason="A run that outlives its provider has to learn that its call was not made.",
    advice="Look whether the provider is closed, first of all.",
)
@pytest.mark.anyio
async def test_calls_after_the_end_are_refused(provider: Provider) -> None:
    """Refuses calls after the end with `PeerUnavailable` and `executed` "no", used or not."""
    await call_some(provider)
    await provider.aclose()
    for _ in range(2):
        with pytest.raises(PeerUnavailable) as refused:
            await provider.complete(ask())
        assert refused.value.executed == "no"


@requirement(
    "PROVIDER-72",
    "MUST",
    reason="A worker that stops closes its providers while the last calls are under way.",
    advice="End what is under way with PeerUnavailable; wake everybody who waits.",
)
@pytest.mark.anyio
async def test_closing_while_calls_are_under_way_settles_each(harness: Harness) -> None:
    """Answers each call that is under way at the end, or raises `PeerUnavailable`, whenever it comes."""
    for moment in range(0, MOMENTS, 3):
        settled: list[str] = []

        async def work(provider: Provider, number: int, settled: list[str]) -> None:
            try:
                settled.append((await provider.complete(ask(f"call {number}"))).message.text)
            except PeerUnavailable as refused:
                settled.append(refused.executed)

        with anyio.fail_after(PATIENCE_S):
            async with harness.open() as subject, anyio.create_task_group() as group:
                provider = cast("Provider", subject)
                for number in range(10):
                    group.start_soon(work, provider, number, settled)
                for _ in range(moment):
                    await checkpoint()
                await provider.aclose()
        assert len(settled) == 10
        assert set(settled) <= {"no", "maybe", *(f"call {number}" for number in range(10))}


@requirement(
    "PROVIDER-73",
    "MUST",
    needs="slow",
    reason="A worker that stops must not wait for a model that thinks for minutes.",
    advice="Close the connections; turn what their readers meet into PeerUnavailable.",
)
@pytest.mark.anyio
async def test_closing_ends_a_call_that_is_held(provider: Provider, harness: Harness) -> None:
    """Ends a call that the far side holds back with `PeerUnavailable` and `executed` "maybe", and closes soon."""
    await provider.complete(ask())
    raised: list[str] = []
    asked = requests_of(harness, provider)

    async def work() -> None:
        with pytest.raises(PeerUnavailable) as refused:
            await provider.complete(ask())
        raised.append(refused.value.executed)

    slow(harness).hold_next(provider)
    with anyio.fail_after(PATIENCE_S + SOON_S):
        async with anyio.create_task_group() as group:
            group.start_soon(work)
            await begun(harness, provider, asked)
            await provider.aclose()
        await slow(harness).wait_gone(provider)
    assert raised == ["maybe"]


@requirement(
    "PROVIDER-74",
    "MUST",
    reason="A process that opens and closes providers for months must not run out of sockets, threads or files.",
    advice="Join what was started and close what was opened before aclose returns.",
)
def test_nothing_is_left_after_the_end(harness: Harness, anyio_backend: str) -> None:
    """Leaves no task, thread, open file, socket or child process behind."""

    async def use(subject: object) -> None:
        provider = cast("Provider", subject)
        for _ in range(3):
            await call_some(provider)
        with anyio.move_on_after(0.01):
            await call_some(provider)
        await provider.aclose()

    assert find_leaks(harness, use, anyio_backend) == []
