"""The key is in the request and nowhere else: not in errors and their chains, logs, events, readable forms."""

from __future__ import annotations

import json
import logging
import random
import traceback

import pytest
from pydantic import ValidationError

from agentflow_anthropic.provider import create_provider
from agentflow_anthropic.settings import AnthropicSettings
from agentflow_anthropic.testing import answer, event, events, failure
from agentflow_http.testing import Answer, Reset, ScriptedServer
from agentflow_kernel.contracts.clock import SystemClock
from agentflow_kernel.contracts.plugin import PluginContext
from agentflow_kernel.errors import AgentFlowError, CredentialRefused

pytestmark = pytest.mark.anyio

SECRET = "sk-ant-api03-very-secret-0123456789"
GATEWAY = "gateway-pass-phrase"
ECHO = f"x-api-key: {SECRET} and {GATEWAY} are wrong"


def tell(error: BaseException) -> str:
    """All that any tool could show of an error: its text, its fields, its chain, and the variables of its frames."""
    shown = []
    link: BaseException | None = error
    while link is not None:
        shown += [str(link), repr(link), repr(vars(link)), repr(link.args)]
        shown += traceback.TracebackException.from_exception(link, capture_locals=True, compact=False).format()
        link = link.__cause__ or link.__context__
    return "\n".join(shown)


async def provoke(provider, ask) -> str:
    try:
        await provider.complete(ask)
    except AgentFlowError as error:
        return tell(error)
    return "no error"


ECHOES = {
    "400": lambda: failure(400, "invalid_request_error", ECHO),
    "401": lambda: failure(401, "authentication_error", ECHO),
    "404": lambda: failure(404, "not_found_error", f"model: {ECHO}"),
    "413": lambda: failure(413, "request_too_large", ECHO),
    "429": lambda: failure(429, "rate_limit_error", ECHO),
    "500": lambda: failure(500, "api_error", ECHO),
    "type": lambda: failure(500, SECRET, "no"),
    "page": lambda: Answer(503, f"<p>{ECHO}</p>".encode(), headers={"content-type": "text/html"}),
    "page with 200": lambda: Answer(200, f"<p>{ECHO}</p>".encode(), headers={"content-type": "text/html"}),
    "redirect": lambda: Answer(302, headers={"location": f"https://example.com/?key={SECRET}"}),
    "error event": lambda: Answer.stream(
        *events([{"type": "text", "text": "hi"}])[:3], event("error", error={"type": "api_error", "message": ECHO})
    ),
    "malformed": lambda: Answer.stream(b"event: message_start\ndata: {" + SECRET.encode() + b"\n\n"),
    "reset": lambda: Answer(0, steps=[Reset()]),
}


@pytest.mark.parametrize("name", ECHOES)
async def test_an_error_shows_no_secret(name, ask, transport, monkeypatch, caplog) -> None:
    """Also when the service repeats it."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("ANTHROPIC_API_KEY", SECRET)
    told: list[object] = []
    context = PluginContext(
        "claude", clock=SystemClock(), random=random.Random(0), emit=lambda *event: told.append(event)
    )
    async with ScriptedServer([ECHOES[name]()]) as server:
        settings = AnthropicSettings(base_url=server.url, transport=transport, extra_headers={"x-gate": GATEWAY})
        provider = create_provider(settings, context)
        shown = await provoke(provider, ask)
        await provider.aclose()
    assert server.requests[0].headers["x-gate"] == GATEWAY
    assert server.requests[0].headers["x-api-key"] == SECRET
    assert shown != "no error"
    for secret in (SECRET, GATEWAY):
        assert secret not in shown
        assert secret not in caplog.text or name == "redirect"  # httpcore2 logs the headers of answers
        assert secret not in str(told)
        assert secret not in repr(settings) + str(settings) + repr(vars(provider))


async def test_a_reply_and_the_logs_of_a_good_call_show_no_secret(ask, transport, monkeypatch, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("ANTHROPIC_API_KEY", SECRET)
    async with ScriptedServer([answer("fine")]) as server:
        settings = AnthropicSettings(base_url=server.url, transport=transport)
        context = PluginContext("claude", clock=SystemClock(), random=random.Random(0))
        provider = create_provider(settings, context)
        reply = await provider.complete(ask)
        await provider.aclose()
    assert SECRET not in json.dumps(reply.to_json()) + caplog.text


@pytest.mark.parametrize("key", ["sk-ant\nx: y", "sk-ant-secrét", "two words", " \n "])
async def test_a_key_that_no_header_may_hold_is_refused_unseen(key, ask, transport, make_provider) -> None:
    async with ScriptedServer() as server:
        provider = make_provider(server.url, transport=transport, api_key=key)
        with pytest.raises(CredentialRefused, match="setting 'api_key' of provider 'claude'") as caught:
            await provider.complete(ask)
        await provider.aclose()
    assert not server.requests
    assert key not in str(caught.value)


async def test_the_setting_goes_before_the_variable(ask, make_provider) -> None:
    async with ScriptedServer([answer("fine")]) as server:
        provider = make_provider(server.url, api_key=SECRET + "\n")
        await provider.complete(ask)
        await provider.aclose()
    assert server.requests[0].headers["x-api-key"] == SECRET


def test_a_wrong_setting_beside_the_key_does_not_show_it() -> None:
    with pytest.raises(ValidationError) as caught:
        AnthropicSettings(api_key=[SECRET], modell=SECRET)
    assert SECRET not in str(caught.value)
