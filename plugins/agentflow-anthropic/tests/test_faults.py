"""What goes wrong between a provider and the service, over real sockets and both ways to it."""

from __future__ import annotations

import random

import anthropic
import anyio
import pytest
from anthropic_fault_table import CASES, play

from agentflow_anthropic.provider import create_provider
from agentflow_anthropic.settings import AnthropicSettings
from agentflow_anthropic.testing import answer
from agentflow_http.testing import ScriptedServer
from agentflow_kernel.contracts.clock import SystemClock
from agentflow_kernel.contracts.plugin import PluginContext
from agentflow_kernel.contracts.provider import Message, ModelRequest

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True, scope="module")
def _warm() -> None:
    """What the SDK works out at its first call takes longer than some of the calls here may."""

    async def call() -> None:
        async with ScriptedServer([answer("Hi")]) as server:
            settings = AnthropicSettings(base_url=server.url, api_key="k-0123456789", transport="sdk")
            provider = create_provider(settings, PluginContext("x", clock=SystemClock(), random=random.Random(0)))
            await provider.complete(ModelRequest([Message("user", "Hi")]))
            await provider.aclose()

    anyio.run(call)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_each_fault_becomes_its_error_after_one_attempt(case, transport, key) -> None:
    outcome = await play(case, transport)
    if case.error is None:
        assert outcome.error is None
        assert outcome.reply.message.text.endswith("scattering.")
    else:
        assert type(outcome.error) is case.error
        assert outcome.error.executed == case.executed
        assert outcome.error.retry_after_s == case.retry_after_s
    assert outcome.attempts == 1


async def test_messages_name_the_service_the_resource_and_the_vendors_words(transport, key) -> None:
    (case,) = [case for case in CASES if case.name == "401"]
    error = (await play(case, transport)).error
    assert "Anthropic (provider 'claude') answered 401: authentication_error: said so" in str(error)
    assert "$ANTHROPIC_API_KEY of provider 'claude'" in str(error)


async def test_who_is_asked_to_wait_is_told_how_long(transport, key) -> None:
    (case,) = [case for case in CASES if case.name == "429, Retry-After 7"]
    error = (await play(case, transport)).error
    assert "answered 429 and asks to wait 7 s: rate_limit_error" in str(error)


async def test_an_unknown_model_lists_those_that_there_are(transport, key) -> None:
    (case,) = [case for case in CASES if case.name == "404, a model"]
    error = (await play(case, transport)).error
    assert {"sonnet", "opus", "haiku", "claude-sonnet-5-5"} <= set(error.known)


def test_every_family_of_the_sdks_errors_is_known() -> None:
    """What is no answer with a status and no broken connection is a broken protocol; a new family must be looked at."""
    families = {error.__name__ for error in anthropic.APIError.__subclasses__()}
    assert families == {
        "APIConnectionError",
        "APIResponseValidationError",
        "APIStatusError",
        "APIWebhookValidationError",
    }
