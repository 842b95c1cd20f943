"""The scripted server, asked over a plain socket."""

from __future__ import annotations

import anyio
import pytest

from agentflow_http.testing import Answer, Cut, ScriptedServer, Wait

pytestmark = pytest.mark.anyio

ASK = b"POST /a HTTP/1.1\r\nX-Name: Value\r\nContent-Length: 7\r\n\r\n" + b'{"a":1}'


async def connect(server: ScriptedServer) -> anyio.abc.SocketStream:
    return await anyio.connect_tcp("127.0.0.1", int(server.url.rpartition(":")[2]))


async def everything(stream: anyio.abc.SocketStream) -> bytes:
    return b"".join([chunk async for chunk in stream])


async def test_requests_are_remembered_and_answered_in_order() -> None:
    script = [Answer(201, b"one"), Answer(200, {"two": 2})]
    async with ScriptedServer(script) as server, await connect(server) as stream:
        await stream.send(ASK + ASK)
        await stream.send_eof()
        said = await everything(stream)
    assert [(received.method, received.path, received.json()) for received in server.requests] == [
        ("POST", "/a", {"a": 1})
    ] * 2
    assert server.requests[0].headers["x-name"] == "Value"
    assert said.startswith(b"HTTP/1.1 201 Scripted\r\ncontent-length: 3\r\n\r\none")
    assert said.endswith(b'{"two": 2}')


async def test_a_request_beyond_the_script_is_answered_with_599() -> None:
    async with ScriptedServer() as server, await connect(server) as stream:
        await stream.send(ASK)
        assert (await stream.receive()).startswith(b"HTTP/1.1 599")


async def test_a_cut_ends_the_body_without_its_end() -> None:
    async with ScriptedServer([Answer.stream(b"one", Cut())]) as server, await connect(server) as stream:
        await stream.send(ASK)
        assert (await everything(stream)).endswith(b"3\r\none\r\n")


@pytest.mark.parametrize("steps", [[Wait(None)], [b"x" * 65_536] * 400], ids=["held back", "in full flow"])
async def test_a_client_that_goes_away_is_noticed(steps) -> None:
    """Whether the server waits or writes, and the next client is served."""
    steps = [Wait(anyio.Event()) if isinstance(step, Wait) else step for step in steps]
    async with ScriptedServer([Answer.stream(*steps), Answer(200, b"next")]) as server:
        async with await connect(server) as stream:
            await stream.send(ASK)
            await stream.receive(1)
        with anyio.fail_after(30):
            await server.gone.wait()
        async with await connect(server) as stream:
            await stream.send(ASK)
            assert (await stream.receive()).endswith(b"next")
