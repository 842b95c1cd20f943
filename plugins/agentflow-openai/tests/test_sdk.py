"""The SDK as transport: the same requests, replies and errors as over the raw wire."""

from __future__ import annotations

import random
import sys

import anyio
import pytest
from openai_faults import CASES

from agentflow_http.testing import Answer, ScriptedServer
from agentflow_kernel.contracts.clock import SystemClock
from agentflow_kernel.contracts.plugin import PluginContext
from agentflow_kernel.contracts.provider import Message, ModelRequest, ToolInfo
from agentflow_kernel.errors import UsageError
from agentflow_openai.provider import OpenAIProvider
from agentflow_openai.settings import OpenAISettings
from agentflow_openai.testing import USAGE, calls, says, streamed

pytestmark = pytest.mark.anyio

KEY = "sk-test-0123456789abcdef"
HI = ModelRequest(
    [Message("user", "Hi")],
    tools=[ToolInfo("files.read", "Reads a file", {"type": "object", "properties": {"path": {"type": "string"}}})],
    max_tokens=5,
    temperature=0.5,
    key="run-1-ask",
)
_NOT_COMPARED = {"accept", "accept-encoding", "host", "user-agent", "content-length"}


@pytest.fixture(autouse=True, scope="module")
def _warm() -> None:
    """What the SDK works out at its first call takes longer than some of the calls here may."""

    async def call() -> None:
        async with ScriptedServer([streamed(*says("Hi"))]) as server:
            settings = OpenAISettings(base_url=f"{server.url}/v1", api_key=KEY, model="terra", transport="sdk")
            provider = OpenAIProvider(settings, PluginContext("x", clock=SystemClock(), random=random.Random(0)))
            await provider.complete(HI)
            await provider.aclose()

    anyio.run(call)


@pytest.fixture
def make_pair(make_provider):
    """A provider for each transport, with the same settings."""
    return lambda url, **settings: [make_provider(url, transport=name, **settings) for name in ("wire", "sdk")]


async def test_both_transports_send_the_same_request(make_pair, monkeypatch) -> None:
    """Whatever else the environment tells the SDK."""
    for name in ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_BASE_URL"):
        monkeypatch.setenv(name, "stray")
    async with ScriptedServer([streamed(*says("Hi")) for _ in range(2)]) as server:
        for provider in make_pair(server.url, extra_headers={"x-title": "Test"}):
            await provider.complete(HI)
    raw, sdk = server.requests
    assert (sdk.method, sdk.path, sdk.json()) == (raw.method, raw.path, raw.json())
    theirs = {name: value for name, value in sdk.headers.items() if not name.startswith("x-stainless")}
    assert {name: theirs.get(name) for name in raw.headers.keys() - _NOT_COMPARED} == {
        name: value for name, value in raw.headers.items() if name not in _NOT_COMPARED
    }
    assert theirs.keys() - raw.headers.keys() <= _NOT_COMPARED


async def test_both_transports_send_no_key_where_none_is_wanted(make_pair) -> None:
    async with ScriptedServer([streamed(*says("Hi")) for _ in range(2)]) as server:
        for provider in make_pair(server.url, api_key_env=""):
            await provider.complete(HI)
    assert all("authorization" not in received.headers for received in server.requests)


@pytest.mark.parametrize(
    "answer",
    [
        streamed(*says("Hel", "lo")),
        Answer.stream(*says("Hello")),
        streamed(*calls(("call_a", "files__read", '{"path": "a"}'), ("call_b", "files__read", "{"))),
        Answer(200, {"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}], "usage": USAGE}),
    ],
    ids=["text", "no done", "calls", "whole"],
)
async def test_both_transports_give_the_same_reply(make_pair, answer) -> None:
    async with ScriptedServer([answer, answer]) as server:
        raw, sdk = [await provider.complete(HI) for provider in make_pair(server.url)]
    assert raw == sdk


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
async def test_both_transports_give_the_same_error(make_pair, case) -> None:
    """And ask once: the SDK's own retries are off."""
    async with ScriptedServer([case.answer, case.answer]) as server:
        errors = []
        for provider in make_pair(server.url, **case.settings):
            with pytest.raises(case.error) as caught:
                await provider.complete(HI)
            errors.append(caught.value)
        assert len(server.requests) == 2
    raw, sdk = errors
    assert (type(sdk), sdk.executed, sdk.retry_after_s) == (type(raw), raw.executed, raw.retry_after_s)
    assert KEY not in f"{sdk!r} {sdk.__cause__!r}"


async def test_a_missing_sdk_names_the_line_that_installs_it(make_provider, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    async with ScriptedServer() as server:
        with pytest.raises(UsageError, match=r"pip install 'agentflow-openai\[sdk\]'"):
            await make_provider(server.url, transport="sdk").complete(HI)


async def test_the_sdk_is_imported_at_the_first_call_only(make_provider, monkeypatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "openai"]:
        monkeypatch.delitem(sys.modules, name)
    make_provider("http://127.0.0.1:1", transport="sdk")
    assert "openai" not in sys.modules
