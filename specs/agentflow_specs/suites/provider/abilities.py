"""An ability: what the suite needs of a harness or a provider, or the error that says it is not there."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Final, cast

import anyio

from agentflow_kernel.contracts.provider import Message, ModelReply, ModelRequest, ToolInfo
from agentflow_specs.members import with_members

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from agentflow_kernel.contracts.provider import Provider, StreamsTokens
    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.testing import (
        FailingProviderHarness,
        Harness,
        ScriptedProviderHarness,
        SecretProviderHarness,
        SlowProviderHarness,
    )

ABILITIES: Final = {
    "scripted": "the harness says what the far side answers next",
    "stream": "the provider has `stream`",
    "tools": "the model calls tools; without it a request with tools is refused",
    "structured": "the model answers in JSON of a schema; without it a request with a schema is refused",
    "service": "the far side is a service: it limits rates, breaks off, is silent, and says what is no answer",
    "credentials": "the far side wants a key, which the harness names",
    "models": "the far side knows models by name, each with a context window",
    "refuses": "the far side has a policy that forbids requests",
    "slow": "the harness holds an answer back and sees when its caller goes",
}
"""What a harness of this kind declares."""

PATIENCE_S: Final = 30.0
"""How long one call of the suite may take."""

SOON_S: Final = 20.0
"""How long it may take to go away."""

TOOLS: Final = (
    ToolInfo("files.read", "Reads a file.", {"type": "object", "properties": {"path": {"type": "string"}}}),
    ToolInfo("now", "Tells the time.", {"type": "object"}),
)
"""Tools that the suite offers to the model: one of a set, one without a dot."""

SCHEMA: Final[Mapping[str, JSON]] = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
"""The schema of a structured answer."""


def ask(text: str = "Hello", **options: object) -> ModelRequest:
    """A request that the far side answers with this text."""
    return ModelRequest([Message("user", text)], **options)  # type: ignore[arg-type]  # the fields of a request


def scripted(harness: Harness) -> ScriptedProviderHarness:
    """The harness as one that says what is answered next."""
    return cast("ScriptedProviderHarness", with_members(harness, "answer_next"))


def failing(harness: Harness) -> FailingProviderHarness:
    """The harness as one whose far side fails when it is told to."""
    return cast("FailingProviderHarness", with_members(harness, "fail_next", "count_requests"))


def secret_of(harness: Harness) -> str:
    """The key that the provider shows."""
    return cast("SecretProviderHarness", with_members(harness, "secret")).secret


def slow(harness: Harness) -> SlowProviderHarness:
    """The harness as one that holds an answer back."""
    return cast("SlowProviderHarness", with_members(harness, "hold_next", "wait_gone"))


async def begun(harness: Harness, provider: Provider, before: int) -> None:
    """Return once a held answer has begun: where the far side counts, it has had more requests than ``before``."""
    counts = harness.declared["service"]
    with anyio.fail_after(PATIENCE_S):
        while counts and requests_of(harness, provider) <= before:  # noqa: ASYNC110 -- it tells nobody
            await anyio.sleep(0.01)
    await anyio.sleep(0.5)


def requests_of(harness: Harness, provider: Provider) -> int:
    """How many requests the far side has had; 0 where it does not count."""
    return failing(harness).count_requests(provider) if harness.declared["service"] else 0


def pieces_of(provider: Provider, request: ModelRequest) -> AsyncGenerator[str | ModelReply, None]:
    """A stream of the answer, which its reader closes."""
    streams = cast("StreamsTokens", with_members(provider, "stream"))
    return cast("AsyncGenerator[str | ModelReply, None]", streams.stream(request))


async def read(provider: Provider, request: ModelRequest) -> list[str | ModelReply]:
    """A whole stream."""
    async with aclosing(pieces_of(provider, request)) as pieces:
        return [piece async for piece in pieces]
