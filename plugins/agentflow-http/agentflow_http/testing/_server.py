"""A scripted server: answers each request with the next line of its script, and remembers what it was sent."""

from __future__ import annotations

import json
import socket
import struct
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Self

import anyio
import anyio.abc
from anyio.streams.buffered import BufferedByteReceiveStream

from agentflow_kernel.contracts.values import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType
    from typing import TypeAlias

    from agentflow_kernel.contracts.values import JSON

    Step: TypeAlias = "bytes | Wait | Delay | Cut | Reset"

_LONGEST_HEAD = 65_536


class Wait(Value):
    """Go on when the event is set, or the client has gone away."""

    __slots__ = ("event",)

    def __init__(self, event: anyio.Event) -> None:
        self.event = event


class Delay(Value):
    """Say nothing for so many seconds of real time: what a client's time-outs are measured in."""

    __slots__ = ("seconds",)

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds


class Cut(Value):
    """Close the connection here, without the end of the body."""

    __slots__ = ()


class Reset(Value):
    """Break the connection here: the client's next read fails with a reset."""

    __slots__ = ()


class Answer(Value):
    """One line of the script.

    ``body`` is sent whole with its length; ``steps`` are sent chunk by chunk, each at once. A mapping as ``body`` is
    sent as JSON. With ``steps`` alone given as ``(Cut(),)`` and ``status=0`` nothing is answered at all.
    """

    __slots__ = ("status", "headers", "body", "steps")

    def __init__(
        self,
        status: int = 200,
        body: bytes | Mapping[str, JSON] = b"",
        *,
        headers: Mapping[str, str] | None = None,
        steps: Iterable[Step] | None = None,
    ) -> None:
        self.status = status
        self.headers = dict(headers or {})
        if isinstance(body, bytes):
            self.body = body
        else:
            self.body = json.dumps(body).encode()
            self.headers.setdefault("content-type", "application/json")
        self.steps = None if steps is None else tuple(steps)

    @classmethod
    def stream(cls, *steps: Step, headers: Mapping[str, str] | None = None) -> Answer:
        """An event stream with status 200."""
        return cls(200, headers={"content-type": "text/event-stream", **(headers or {})}, steps=steps)


class Received(Value):
    """A request as the server got it; names of headers are in lower case."""

    __slots__ = ("method", "path", "headers", "body")

    def __init__(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> None:
        self.method = method
        self.path = path
        self.headers = headers
        self.body = body

    def json(self) -> dict[str, JSON]:
        """The body as a JSON object."""
        document: dict[str, JSON] = json.loads(self.body)
        return document


class ScriptedServer:
    """Use as an async context manager; ``url`` is its address on this machine.

    Requests take answers in the order in which they arrive; one beyond the script is answered with 599. A function in
    the place of the script makes each answer from its request.
    """

    def __init__(self, script: Iterable[Answer] | Callable[[Received], Answer] = ()) -> None:
        self._respond = script if callable(script) else None
        self.script: list[Answer] = [] if callable(script) else list(script)
        self.requests: list[Received] = []
        """Every request so far, in order of arrival."""
        self.connections = 0
        """Connections accepted so far."""
        self.url = ""
        self.began: anyio.Event
        """Set when the first request has arrived."""
        self.gone: anyio.Event
        """Set when a client has closed its connection while an answer was being written or held back."""
        self._stack: AsyncExitStack

    async def __aenter__(self) -> Self:
        self.began = anyio.Event()
        self.gone = anyio.Event()
        async with AsyncExitStack() as stack:
            listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
            await stack.enter_async_context(listener)
            port = listener.extra_attributes[anyio.abc.SocketAttribute.local_port]()
            self.url = f"http://127.0.0.1:{port}"
            group = await stack.enter_async_context(anyio.create_task_group())
            stack.callback(group.cancel_scope.cancel)
            group.start_soon(listener.serve, self._serve)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(None, None, None)

    async def _serve(self, stream: anyio.abc.SocketStream) -> None:
        """One connection, one request after the other."""
        self.connections += 1
        reader = BufferedByteReceiveStream(stream)
        async with stream:
            try:
                while (received := await _receive(reader)) is not None:
                    number = len(self.requests)
                    self.requests.append(received)
                    self.began.set()
                    if self._respond is not None:
                        answer = self._respond(received)
                    else:
                        answer = self.script[number] if number < len(self.script) else Answer(599)
                    if not await self._answer(stream, reader, answer):
                        return
            except (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.IncompleteRead):
                self.gone.set()

    async def _answer(self, stream: anyio.abc.SocketStream, reader: BufferedByteReceiveStream, answer: Answer) -> bool:
        """Write one answer, watching whether the client goes away; whether the connection stays open."""
        kept = False

        async def watch() -> None:
            try:
                reader.feed_data(await stream.receive())
            except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
                self.gone.set()
                group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            group.start_soon(watch)
            try:
                kept = await _write(stream, answer)
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):  # caught here: a group would wrap it
                self.gone.set()
            group.cancel_scope.cancel()
        return kept


async def _receive(reader: BufferedByteReceiveStream) -> Received | None:
    """The next request; ``None`` when the client has closed the connection in between."""
    try:
        head = await reader.receive_until(b"\r\n\r\n", _LONGEST_HEAD)
    except (anyio.EndOfStream, anyio.IncompleteRead):
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.receive_exactly(int(headers.get("content-length", "0")))
    return Received(method, path, headers, body)


async def _write(stream: anyio.abc.SocketStream, answer: Answer) -> bool:
    """Write one answer; false when it ended with the connection."""
    headers = dict(answer.headers)
    if answer.steps is None:
        headers["content-length"] = str(len(answer.body))
        await stream.send(_head(answer.status, headers) + answer.body)
        return True
    if answer.status:
        await stream.send(_head(answer.status, {**headers, "transfer-encoding": "chunked"}))
    for step in answer.steps:
        if isinstance(step, bytes):
            await stream.send(b"%x\r\n%b\r\n" % (len(step), step))
        elif isinstance(step, Wait):
            await step.event.wait()
        elif isinstance(step, Delay):
            await anyio.sleep(step.seconds)
        else:
            if isinstance(step, Reset):
                raw = stream.extra_attributes[anyio.abc.SocketAttribute.raw_socket]()
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            await stream.aclose()
            return False
    await stream.send(b"0\r\n\r\n")
    return True


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} Scripted", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
