"""The faults that the scripted server plays, and what each becomes; run as a script it prints the table."""

from __future__ import annotations

import os
import random
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio

from agentflow_anthropic.provider import create_provider
from agentflow_anthropic.settings import AnthropicSettings
from agentflow_anthropic.testing import event, events, failure
from agentflow_http.testing import Answer, Cut, Delay, Reset, ScriptedServer, Wait
from agentflow_kernel import errors
from agentflow_kernel.contracts.plugin import PluginContext
from agentflow_kernel.contracts.provider import Message, ModelRequest
from agentflow_kernel.testing.clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentflow_kernel.contracts.provider import ModelReply

WHOLE = events([{"type": "text", "text": "Rayleigh scattering."}])
HALF = WHOLE[:4]
UMLAUT = event("content_block_delta", index=0, delta={"type": "text_delta", "text": "blå"})
IN_A_CHARACTER = UMLAUT[: UMLAUT.index(b"\xa5")]
PAGE = Answer(502, b"<html>Bad gateway</html>", headers={"content-type": "text/html"})
MAYBE, NO = "maybe", "no"


@dataclass
class Case:
    """One fault. ``play`` makes the answer; without ``error`` the call succeeds all the same."""

    name: str
    play: Callable[[], Answer]
    error: type[errors.AgentFlowError] | None
    executed: str = ""
    retry_after_s: float | None = None
    settings: dict[str, Any] = field(default_factory=dict)


def _stream(*steps: Any) -> Callable[[], Answer]:
    return lambda: Answer.stream(*steps)


def _fail(status: int, type: str, message: str = "said so", **headers: str) -> Callable[[], Answer]:
    return lambda: failure(status, type, message, **headers)


def _error_event(type: str) -> bytes:
    return event("error", error={"type": type, "message": "said so"})


DATE = "Tue, 14 Nov 2023 22:13:50 GMT"
"""Thirty seconds after the start of a new fake clock."""

CASES = [
    Case("400", _fail(400, "invalid_request_error"), errors.UsageError, NO),
    Case("400, prompt too long", _fail(400, "invalid_request_error", "prompt is too long: 9 tokens > 8 maximum"),
         errors.PromptTooLong, NO),
    Case("400, no credit", _fail(400, "invalid_request_error", "Your credit balance is too low"),
         errors.CredentialRefused, NO),
    Case("401", _fail(401, "authentication_error"), errors.CredentialRefused, NO),
    Case("403", _fail(403, "permission_error"), errors.CredentialRefused, NO),
    Case("404, a model", _fail(404, "not_found_error", "model: claude-sonnet-5-5"), errors.UnknownModel, NO),
    Case("404, an address", _fail(404, "not_found_error", "Not found"), errors.UsageError, NO),
    Case("413", _fail(413, "request_too_large"), errors.PromptTooLong, NO),
    Case("429, Retry-After 7", _fail(429, "rate_limit_error", retry_after="7"), errors.RateLimited, NO, 7.0),
    Case("429, Retry-After a date", _fail(429, "rate_limit_error", retry_after=DATE), errors.RateLimited, NO, 30.0),
    Case("429", _fail(429, "rate_limit_error"), errors.RateLimited, NO),
    Case("429, spend limit", _fail(429, "rate_limit_error", "You have reached your spend limit."),
         errors.CredentialRefused, NO),
    Case("500", _fail(500, "api_error"), errors.PeerUnavailable, MAYBE),
    Case("502, a page", lambda: PAGE, errors.PeerUnavailable, MAYBE),
    Case("503, Retry-After 2", _fail(503, "api_error", retry_after="2"), errors.PeerUnavailable, MAYBE, 2.0),
    Case("529", _fail(529, "overloaded_error"), errors.PeerUnavailable, NO),
    Case("302", lambda: Answer(302, headers={"location": "/login"}), errors.UsageError, NO),
    Case("error event, overloaded", _stream(*HALF, _error_event("overloaded_error")), errors.PeerUnavailable, MAYBE),
    Case("error event, rate limit", _stream(*HALF, _error_event("rate_limit_error")), errors.RateLimited, MAYBE),
    Case("half a stream, then its end", _stream(*HALF), errors.PeerUnavailable, MAYBE),
    Case("half a stream, then a cut", _stream(*HALF, Cut()), errors.PeerUnavailable, MAYBE),
    Case("half a stream, then a reset", _stream(*HALF, Reset()), errors.PeerUnavailable, MAYBE),
    Case("a cut inside a character", _stream(*HALF, IN_A_CHARACTER, Cut()), errors.PeerUnavailable, MAYBE),
    Case("no answer, a reset", lambda: Answer(0, steps=[Reset()]), errors.PeerUnavailable, MAYBE),
    Case("silence", lambda: Answer.stream(*HALF, Wait(anyio.Event())), errors.Elapsed, MAYBE,
         settings={"read_timeout_s": 0.1}),
    Case("a slow drip", _stream(*WHOLE[:1], *[step for _ in range(100) for step in (WHOLE[1], Delay(0.02))]),
         errors.Elapsed, MAYBE, settings={"call_timeout_s": 1.0}),
    Case("malformed JSON", _stream(*HALF, b'event: content_block_delta\ndata: {"index": \n\n'),
         errors.ProtocolViolation, MAYBE),
    Case("bytes that are no UTF-8", _stream(*HALF, UMLAUT.replace(b"\xa5", b"")), errors.ProtocolViolation, MAYBE),
    Case("content of no block", _stream(WHOLE[0], *WHOLE[3:]), errors.ProtocolViolation, MAYBE),
    Case("a page with status 200", lambda: Answer(200, b"<html>hi</html>", headers={"content-type": "text/html"}),
         errors.ProtocolViolation, MAYBE),
    Case("unknown events", _stream(WHOLE[0], event("weather_report", rain=True), *WHOLE[1:]), None),
    Case("a character in two chunks", _stream(*HALF, IN_A_CHARACTER, UMLAUT[len(IN_A_CHARACTER):], *HALF[4:],
         *WHOLE[4:]), None),
]  # fmt: skip


@dataclass
class Outcome:
    """How a call ended and how often the server was asked."""

    reply: ModelReply | None
    error: BaseException | None
    attempts: int


async def play(case: Case, transport: str, *, attempts: int = 1) -> Outcome:
    """Call once, with the fault at each attempt; with more attempts a retry policy stands round the call."""
    clock = FakeClock(auto=True)
    async with ScriptedServer([case.play() for _ in range(attempts)]) as server:
        context = PluginContext("claude", clock=_Ticking() if case.name == "a slow drip" else clock, random=_RANDOM)
        settings = AnthropicSettings(base_url=server.url, transport=transport, **case.settings)
        provider = create_provider(settings, context)
        asked = ModelRequest([Message("user", "Why?")])
        reply, error = None, None
        try:
            if attempts == 1:
                reply = await provider.complete(asked)
            else:
                reply = await _with_retries(provider, asked, attempts, clock)
        except errors.AgentFlowError as caught:
            error = caught
        await provider.aclose()
        return Outcome(reply, error, len(server.requests))


_RANDOM = random.Random(0)


class _Ticking(FakeClock):
    """Real monotonic time, for the one fault that is a matter of it."""

    def monotonic(self) -> float:
        return anyio.current_time()


async def _with_retries(provider: Any, asked: ModelRequest, attempts: int, clock: FakeClock) -> ModelReply:
    from agentflow_kernel.contracts.policy import Request
    from agentflow_resilience.retry import Retry, RetrySettings

    async def call(request: Request) -> object:
        return await provider.complete(request.payload)

    context = PluginContext("patient", clock=clock, random=_RANDOM)
    wrapped = Retry(RetrySettings(attempts=attempts), context).wrap(call)
    reply: Any = await wrapped(Request("model", "claude", asked))
    return reply


async def main() -> None:
    """Print what each fault becomes, and how often a retry policy of three attempts asks."""
    print("| fault | error | `executed` | `retry_after_s` | attempts of 3 |\n|---|---|---|---|---|")
    for case in CASES:
        rows = set()
        for transport in ("wire", "sdk"):
            error = (await play(case, transport)).error
            attempts = (await play(case, transport, attempts=3)).attempts
            name = "none: the answer is read" if error is None else f"`{type(error).__name__}`"
            executed, after = getattr(error, "executed", ""), getattr(error, "retry_after_s", None)
            rows.add(f"| {case.name} | {name} | {executed} | {'' if after is None else f'{after:g}'} | {attempts} |")
        print(*rows, sep="\n")


if __name__ == "__main__":
    os.environ["ANTHROPIC_API_KEY"] = "sk-ant-api03-table"
    sys.exit(anyio.run(main))
