"""The faults of a server of the protocol, each as a line of its script with what must come of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from agentflow_http.testing import Answer, Cut, Delay, Reset
from agentflow_kernel import errors
from agentflow_openai.testing import chunk, event, refusal, says, streamed

if TYPE_CHECKING:
    from agentflow_kernel.errors import AgentFlowError, Executed


class FaultCase(NamedTuple):
    """A fault and the kernel's error for it; ``sdk`` says whether the SDK's way shows it too."""

    name: str
    answer: Answer
    error: type[AgentFlowError]
    executed: Executed
    retry_after_s: float | None = None
    settings: dict[str, float] = {}  # noqa: RUF012 -- never written to
    sdk: bool = True


_HI = event(chunk({"content": "Hi"}))
_RATE = ("Rate limit reached", "rate_limit_exceeded")
_ERROR = {"error": {"message": "The server had an error", "type": "server_error", "code": None, "param": None}}
_RESETS = {
    "x-ratelimit-remaining-requests": "0",
    "x-ratelimit-reset-requests": "8.64s",
    "x-ratelimit-remaining-tokens": "149984",
    "x-ratelimit-reset-tokens": "6ms",
}

CASES = (
    FaultCase("400", refusal(400, "Invalid value for 'n'", "invalid_value"), errors.UsageError, "no"),
    FaultCase(
        "400 context_length_exceeded", refusal(400, "Long", "context_length_exceeded"), errors.PromptTooLong, "no"
    ),
    FaultCase("400 content_filter", refusal(400, "Filtered", "content_filter"), errors.Refused, "no"),
    FaultCase("401", refusal(401, "Wrong key", "invalid_api_key"), errors.CredentialRefused, "no"),
    FaultCase("402", refusal(402, "Insufficient Balance", "insufficient_balance"), errors.Refused, "no"),
    FaultCase("403", refusal(403, "You may not", type="permission_error"), errors.CredentialRefused, "no"),
    FaultCase("404 model_not_found", refusal(404, "No such model", "model_not_found"), errors.UnknownModel, "no"),
    FaultCase("404 wrong path", Answer(404, {"detail": "Not Found"}), errors.UsageError, "no"),
    FaultCase("408", Answer(408), errors.PeerUnavailable, "no"),
    FaultCase("413", Answer(413, b"<html>Too large</html>"), errors.PromptTooLong, "no"),
    FaultCase("429 Retry-After", refusal(429, *_RATE, headers={"retry-after": "20"}), errors.RateLimited, "no", 20.0),
    FaultCase(
        "429 retry-after-ms", refusal(429, *_RATE, headers={"retry-after-ms": "250"}), errors.RateLimited, "no", 0.25
    ),
    FaultCase("429 x-ratelimit-reset", refusal(429, *_RATE, headers=_RESETS), errors.RateLimited, "no", 8.64),
    FaultCase("429 without a time", refusal(429, *_RATE), errors.RateLimited, "no"),
    FaultCase("429 insufficient_quota", refusal(429, "Pay", "insufficient_quota"), errors.Refused, "no"),
    FaultCase("500", Answer(500, _ERROR), errors.PeerUnavailable, "maybe"),
    FaultCase("502 page of a proxy", Answer(502, b"<html>Bad gateway</html>"), errors.PeerUnavailable, "maybe"),
    FaultCase(
        "503 Retry-After", Answer(503, _ERROR, headers={"retry-after": "3"}), errors.PeerUnavailable, "maybe", 3.0
    ),
    FaultCase("503 slow_down", refusal(503, "Slow down", "slow_down"), errors.PeerUnavailable, "no"),
    FaultCase(
        "error first in the stream",
        streamed(event({"error": {"message": "Full", "code": "server_is_overloaded"}})),
        errors.PeerUnavailable,
        "no",
    ),
    FaultCase("error in the middle", streamed(_HI, event(_ERROR)), errors.PeerUnavailable, "maybe"),
    FaultCase(
        "rate limit in the middle",
        streamed(_HI, event({"error": {"message": "Slow", "code": "rate_limit_exceeded"}})),
        errors.RateLimited,
        "maybe",
    ),
    FaultCase("finish_reason error", streamed(_HI, event(chunk({}, "error"))), errors.PeerUnavailable, "maybe"),
    FaultCase("stream ends without finish_reason", Answer.stream(_HI), errors.PeerUnavailable, "maybe"),
    FaultCase("[DONE] without finish_reason", streamed(_HI), errors.ProtocolViolation, "maybe", sdk=False),
    FaultCase("half a stream", Answer.stream(_HI, _HI[:30], Cut()), errors.PeerUnavailable, "maybe"),
    FaultCase(
        "cut inside a character",
        Answer.stream(_HI, says("ä")[1].partition(b"\xc3")[0] + b"\xc3", Cut()),
        errors.PeerUnavailable,
        "maybe",
    ),
    FaultCase("reset in the stream", Answer.stream(_HI, Reset()), errors.PeerUnavailable, "maybe"),
    FaultCase("connection closed without an answer", Answer(0, steps=(Cut(),)), errors.PeerUnavailable, "maybe"),
    FaultCase("malformed JSON", streamed(_HI, b'data: {"choices": [\n\n'), errors.ProtocolViolation, "maybe"),
    FaultCase("no UTF-8", streamed(_HI, b'data: {"choices": "\xff"}\n\n'), errors.ProtocolViolation, "maybe"),
    FaultCase("no chunk", streamed(_HI, b'data: ["text"]\n\n'), errors.ProtocolViolation, "maybe", sdk=False),
    FaultCase(
        "a page in place of a stream",
        Answer(200, b"<html></html>", headers={"content-type": "text/html"}),
        errors.ProtocolViolation,
        "maybe",
        sdk=False,
    ),
    FaultCase("silence", Answer.stream(_HI, Delay(5)), errors.Elapsed, "maybe", settings={"read_timeout_s": 0.1}),
    FaultCase(
        "silence before the answer", Answer.stream(Delay(5)), errors.Elapsed, "maybe", settings={"read_timeout_s": 0.1}
    ),
    FaultCase(
        "slow drip", Answer.stream(*[_HI, Delay(0.05)] * 40), errors.Elapsed, "maybe", settings={"call_timeout_s": 1.0}
    ),
    FaultCase("redirect", Answer(307, headers={"location": "https://example.org/"}), errors.UsageError, "no"),
    FaultCase(
        "error with status 200",
        Answer(200, {"error": {"message": "Slow", "code": "rate_limit_exceeded"}}),
        errors.RateLimited,
        "no",
        sdk=False,
    ),
)
"""Faults of the server, from the first byte of its answer to the last."""
