"""The shared provider, over real sockets."""

from __future__ import annotations

from contextlib import aclosing

import anyio
import pytest
from pydantic import ValidationError

from agentflow_http.settings import HttpSettings
from agentflow_http.testing import Answer, Cut, Delay, Reset, ScriptedServer, Wait
from agentflow_kernel.contracts.provider import Message, ModelReply, ModelRequest
from agentflow_kernel.errors import CredentialRefused, Elapsed, PeerUnavailable, ProtocolViolation, UsageError

pytestmark = pytest.mark.anyio

HELLO = (b'event: say\ndata: "hel"\n\n', b'event: say\ndata: "lo"\n\nevent: end\ndata: 1\n\n')


async def test_stream_gives_pieces_then_one_reply(make_provider, ask) -> None:
    async with ScriptedServer([Answer.stream(*HELLO)]) as server:
        provider = make_provider(server.url)
        pieces = [piece async for piece in provider.stream(ask)]
        await provider.aclose()
    assert pieces[:-1] == ["hel", "lo"]
    assert isinstance(pieces[-1], ModelReply)
    assert pieces[-1].message.text == "hello"


async def test_complete_asks_with_key_idempotency_key_and_the_vendors_name_of_the_model(make_provider, ask) -> None:
    async with ScriptedServer([Answer.stream(*HELLO)]) as server:
        provider = make_provider(server.url, extra_headers={"x-gateway": "gate"})
        reply = await provider.complete(ask)
        await provider.aclose()
    (request,) = server.requests
    assert (request.method, request.path) == ("POST", "/ask")
    assert request.headers["x-key"] == "sk-test-0123456789abcdef"
    assert request.headers["idempotency-key"] == "k-1"
    assert request.headers["x-gateway"] == "gate"
    assert request.json() == {"model": "toy-1", "turns": [["user", "hello"]]}
    assert reply.usage.cost_usd == pytest.approx((10 * 1 + 2 * 5) / 1e6)


async def test_one_connection_serves_calls_one_after_the_other(make_provider, ask) -> None:
    async with ScriptedServer([Answer.stream(*HELLO)] * 3) as server:
        provider = make_provider(server.url)
        for _ in range(3):
            await provider.complete(ask)
        await provider.aclose()
    assert (len(server.requests), server.connections) == (3, 1)


async def test_an_answer_that_was_not_streamed_is_read_whole(make_provider, ask) -> None:
    async with ScriptedServer([Answer(200, {"text": "plain"})]) as server:
        provider = make_provider(server.url)
        pieces = [piece async for piece in provider.stream(ask)]
        await provider.aclose()
    assert pieces[0] == "plain"
    assert pieces[1].message.text == "plain"


async def test_closing_a_stream_closes_the_connection(make_provider, ask) -> None:
    """The server sees it while it still has something to say."""
    async with ScriptedServer([Answer.stream(HELLO[0], Wait(anyio.Event()), HELLO[1])]) as server:
        provider = make_provider(server.url)
        async with aclosing(provider.stream(ask)) as pieces:
            assert await anext(pieces) == "hel"
        with anyio.fail_after(30):
            await server.gone.wait()
        await provider.aclose()


@pytest.mark.parametrize("steps", [(), HELLO[:1]], ids=["before the answer", "within the answer"])
async def test_cancelling_closes_the_connection(make_provider, ask, steps) -> None:
    held = Answer.stream(*steps, Wait(anyio.Event()))
    silent = Answer(0, steps=[Wait(anyio.Event())])
    async with ScriptedServer([held if steps else silent]) as server:
        provider = make_provider(server.url)
        async with anyio.create_task_group() as group:
            group.start_soon(provider.complete, ask)
            await server.began.wait()
            group.cancel_scope.cancel()
        with anyio.fail_after(30):
            await server.gone.wait()
        await provider.aclose()


@pytest.mark.parametrize("steps", [(), HELLO[:1]], ids=["before the answer", "within the answer"])
async def test_closing_the_provider_ends_calls_under_way(make_provider, ask, steps) -> None:
    """They end with an error that says why; closing again does nothing, calling again is refused."""
    held = Answer.stream(*steps, Wait(anyio.Event()))
    silent = Answer(0, steps=[Wait(anyio.Event())])
    errors = []

    async def call(provider) -> None:
        try:
            await provider.complete(ask)
        except PeerUnavailable as error:
            errors.append(error)

    async with ScriptedServer([held if steps else silent]) as server:
        provider = make_provider(server.url)
        with anyio.fail_after(30):
            async with anyio.create_task_group() as group:
                group.start_soon(call, provider)
                await server.began.wait()
                await anyio.wait_all_tasks_blocked()
                await provider.aclose()
            await server.gone.wait()
        await provider.aclose()
        await call(provider)
    assert [error.executed for error in errors] == ["maybe", "no"]
    assert all("'desk' was closed" in str(error) for error in errors)


async def test_silence_ends_with_elapsed(make_provider, ask) -> None:
    async with ScriptedServer([Answer.stream(HELLO[0], Wait(anyio.Event()))]) as server:
        provider = make_provider(server.url, read_timeout_s=0.1)
        with pytest.raises(Elapsed, match=r"within 0\.1 s") as caught:
            await provider.complete(ask)
        await provider.aclose()
    assert caught.value.executed == "maybe"


@pytest.mark.parametrize("read_timeout_s", [0.7, 5])
async def test_a_slow_drip_ends_with_the_time_of_the_call(make_provider, ask, read_timeout_s) -> None:
    """Each byte comes in time, the whole does not."""
    drip = [step for _ in range(2000) for step in (HELLO[0], Delay(0.02))]
    async with ScriptedServer([Answer.stream(*drip)]) as server:
        provider = make_provider(server.url, call_timeout_s=0.8, read_timeout_s=read_timeout_s)
        with anyio.fail_after(30), pytest.raises(Elapsed, match=r"within 0\.8 s"):
            await provider.complete(ask)
        await provider.aclose()


async def test_silence_before_the_answer_ends_with_the_time_of_the_call(make_provider, ask) -> None:
    async with ScriptedServer([Answer(0, steps=[Wait(anyio.Event())])]) as server:
        provider = make_provider(server.url, call_timeout_s=0.8, read_timeout_s=5)
        with anyio.fail_after(30), pytest.raises(Elapsed, match=r"within 0\.8 s") as caught:
            await provider.complete(ask)
        with anyio.fail_after(30):
            await server.gone.wait()
        await provider.aclose()
    assert caught.value.executed == "maybe"


async def test_nobody_listening_is_certainly_not_executed(make_provider, ask) -> None:
    async with ScriptedServer() as server:
        url = server.url
    provider = make_provider(url)
    with pytest.raises(PeerUnavailable, match="cannot be reached") as caught:
        await provider.complete(ask)
    await provider.aclose()
    assert caught.value.executed == "no"


@pytest.mark.parametrize("steps", [(Reset(),), (HELLO[0], Reset()), (HELLO[0], Cut()), (HELLO[0],)], ids=str)
async def test_an_answer_that_breaks_off_may_have_been_executed(make_provider, ask, steps) -> None:
    async with ScriptedServer([Answer.stream(*steps)]) as server:
        provider = make_provider(server.url)
        with pytest.raises(PeerUnavailable) as caught:
            await provider.complete(ask)
        await provider.aclose()
    assert caught.value.executed == "maybe"


async def test_a_redirect_is_not_followed(make_provider, ask) -> None:
    async with ScriptedServer([Answer(302, headers={"location": "http://127.0.0.1/elsewhere"})]) as server:
        provider = make_provider(server.url)
        with pytest.raises(UsageError, match=r"redirects to http://127\.0\.0\.1/elsewhere"):
            await provider.complete(ask)
        await provider.aclose()


async def test_a_page_in_place_of_an_answer_is_named(make_provider, ask) -> None:
    page = Answer(200, b"<html>welcome</html>", headers={"content-type": "text/html"})
    async with ScriptedServer([page]) as server:
        provider = make_provider(server.url)
        with pytest.raises(ProtocolViolation, match=r"found text/html: <html>welcome"):
            await provider.complete(ask)
        await provider.aclose()


async def test_an_event_without_end_is_refused(make_provider, ask) -> None:
    """At the limit, not when memory is full."""
    flood = [b"data: ", *[b"x" * 1_000_000] * 18]
    async with ScriptedServer([Answer.stream(*flood)]) as server:
        provider = make_provider(server.url)
        with pytest.raises(ProtocolViolation, match="more than 16777216 bytes"):
            await provider.complete(ask)
        await provider.aclose()


async def test_a_missing_key_names_the_variable_and_the_resource(make_provider, ask, monkeypatch) -> None:
    monkeypatch.delenv("TOY_KEY")
    async with ScriptedServer() as server:
        provider = make_provider(server.url)
        with pytest.raises(CredentialRefused, match=r"\$TOY_KEY of provider 'desk'.*export TOY_KEY="):
            await provider.complete(ask)
        await provider.aclose()
    assert not server.requests


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://example.com", "without TLS"),
        ("https://user:word@example.com", "user or password"),
        ("ftp://example.com", "Expected 'https://host'"),
        ("example.com", "Expected 'https://host'"),
        ("https://host:port", "Expected 'https://host'"),
        ("https://ho st", "Expected 'https://host'"),
        ("http://localhost\\@example.com", "Expected 'https://host'"),
        ("http://localhost@example.com", "user or password"),
        ("http://localhost#@example.com", "fragment"),
        ("http://127.0.0.1.example.com", "without TLS"),
        ("https://example.com/?a=b", "query"),
    ],
)
def test_an_address_that_would_show_the_key_is_refused(url, problem) -> None:
    """When the settings are read, so that `validate` tells it, at its place and without the password."""
    with pytest.raises(ValidationError, match=problem) as caught:
        HttpSettings(base_url=url, api_key_env="", model="")
    assert [error["loc"] for error in caught.value.errors()] == [("base_url",)]
    assert "word" not in str(caught.value).replace("password", "")


def test_plain_http_goes_where_that_is_allowed() -> None:
    """To this machine, and on a network that somebody trusts; a slash at the end makes no difference."""
    assert HttpSettings(base_url="http://localhost:1/", api_key_env="", model="").base_url == "http://localhost:1"
    allowed = HttpSettings(base_url="http://example.com", api_key_env="", model="", allow_http=True)
    assert allowed.base_url == "http://example.com"


async def test_one_provider_serves_event_loops_one_after_the_other(make_provider, ask, anyio_backend_name) -> None:
    """In a thread of its own, because this test has a loop already."""
    async with ScriptedServer([Answer.stream(*HELLO)] * 2) as server:
        provider = make_provider(server.url)

        async def call() -> str:
            reply = await provider.complete(ask)
            return str(reply.message.text)

        def elsewhere() -> str:
            async def run() -> str:
                text = await call()
                await provider._wire._clients.aclose()
                return text

            return anyio.run(run, backend=anyio_backend_name)

        assert await call() == "hello"
        assert await anyio.to_thread.run_sync(elsewhere) == "hello"
        await provider.aclose()


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        (ModelRequest([Message("user", "\ud800")]), "utf-8: surrogates not allowed"),
        (ModelRequest([Message("user", "hello")], key="ключ"), "ascii: ordinal not in range"),
        (ModelRequest([Message("user", "hello")], temperature=float("nan")), "must be a number, not nan"),
    ],
    ids=["half a pair", "a key beyond ASCII", "no temperature"],
)
async def test_a_request_that_cannot_be_sent_is_a_usage_error(make_provider, request_, problem) -> None:
    """It says what is wrong and carries none of the text along, not in a cause either."""
    async with ScriptedServer() as server:
        provider = make_provider(server.url)
        with pytest.raises(UsageError, match=problem) as refused:
            await provider.complete(request_)
        await provider.aclose()
    assert server.requests == []
    assert refused.value.__cause__ is None
    assert refused.value.__context__ is None
