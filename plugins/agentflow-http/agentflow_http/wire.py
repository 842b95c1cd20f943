"""A wire: carries one request to a service and its answer back, as batches of events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import anyio
import httpx2
import msgspec

from agentflow_http.client import Clients, disarm, explain
from agentflow_http.exchange import Exchanges
from agentflow_http.sse import MAX_EVENT_BYTES, EventSplitter
from agentflow_kernel.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence

    from agentflow_http.peer import Peer
    from agentflow_http.settings import HttpSettings
    from agentflow_http.sse import Event
    from agentflow_kernel.contracts.clock import Clock
    from agentflow_kernel.contracts.values import JSON
    from agentflow_kernel.errors import AgentFlowError

WHOLE = b"\x00whole"
"""Name of the one event that stands for an answer that was not streamed; its data is the body."""

_MOST_OF_AN_ERROR = 64 * 1024
_DRAIN_S = 0.1
"""How long to wait for the end of a body whose answer is whole, so that its connection can be used again."""


class WireCall:
    """One request on its way. Holds the key among its headers, so it has no readable form."""

    __slots__ = ("path", "headers", "body", "model", "answered")

    def __init__(self, path: str, headers: Mapping[str, str], body: Mapping[str, JSON], model: str) -> None:
        self.path = path
        self.headers = headers
        self.body = body
        self.model = model
        self.answered = False
        """Set by the reader when the answer is whole: what follows is only waited for briefly."""


class Wire(Protocol):
    """The way to the service; :class:`HttpWire`, or :class:`~agentflow_http.sdk.SdkWire`."""

    def exchange(self, call: WireCall) -> AsyncGenerator[Sequence[Event]]:
        """Send the request and yield the events of its answer in batches that are never empty.

        Closing the generator, and cancelling, closes the connection. Raises the kernel's errors, without secrets.
        """
        ...

    async def aclose(self) -> None:
        """Give back connections; exchanges under way end with :class:`PeerUnavailable`; may be called twice."""
        ...


class HttpWire:
    """The raw wire over httpx2: HTTP/1.1, no redirects, no retries."""

    __slots__ = ("_settings", "_peer", "_base", "_clients", "_exchanges")

    def __init__(self, settings: HttpSettings, peer: Peer, clock: Clock) -> None:
        self._settings = settings
        self._peer = peer
        self._base = settings.base_url
        self._clients = Clients(settings)
        self._exchanges = Exchanges(peer, settings, clock)

    async def exchange(self, call: WireCall) -> AsyncGenerator[Sequence[Event]]:
        """Send the request, read its answer."""
        exchange = self._exchanges.begin()
        try:
            response = await exchange.open(lambda: self._open(call))
            exchange.close_with(response.aclose)
            encoded = response.headers.get("content-encoding", "identity") != "identity"
            body = response.aiter_bytes() if encoded else response.aiter_raw()
            chunks = exchange.paced(body.__anext__)
            if not response.is_success:
                raise await self._refuse(response, chunks, call.model)
            content_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            if content_type != "text/event-stream":
                yield (await self._read_whole(content_type, chunks),)
                return
            feed = EventSplitter().feed
            async for chunk in chunks:
                if events := feed(chunk):
                    yield events
                    if call.answered:
                        with anyio.move_on_after(_DRAIN_S):
                            await _read(chunks, _MOST_OF_AN_ERROR)
                        return
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as fault:
            if exchange.stopped:
                raise self._peer.closed("maybe") from None
            raise explain(fault, self._peer, self._settings) from disarm(fault, self._peer)
        finally:
            await self._exchanges.end(exchange)

    async def aclose(self) -> None:
        """Stop the exchanges under way, close the connections."""
        await self._exchanges.stop_all()
        await self._clients.aclose()

    async def send(self, client: httpx2.AsyncClient, base_url: str, call: WireCall) -> httpx2.Response:
        """Send the request through this client; the answer's status and headers, its body not read yet."""
        headers = {
            "accept": "text/event-stream",
            "accept-encoding": "identity",
            "content-type": "application/json",
            **call.headers,
        }
        content = msgspec.json.encode(call.body)
        request = client.build_request("POST", base_url + call.path, content=content, headers=headers)
        return await client.send(request, stream=True)

    async def _open(self, call: WireCall) -> httpx2.Response:
        try:
            return await self.send(await self._clients.get(), self._base, call)
        except UnicodeEncodeError as fault:
            problem = f"{fault.encoding}: {fault.reason}"
        # raised out here, so that it does not carry the text along
        raise UsageError(f"The request to {self._peer.name} holds a character that cannot be sent ({problem}).")

    async def _refuse(self, response: httpx2.Response, chunks: AsyncIterator[bytes], model: str) -> AgentFlowError:
        """The error of a bad status; made here, so that no frame of it holds what the service said."""
        said = await _read(chunks, _MOST_OF_AN_ERROR)
        return self._peer.refuse_status(response.status_code, response.headers, said, model)

    async def _garbled(self, found: str, chunks: AsyncIterator[bytes]) -> AgentFlowError:
        """The error of an unexpected kind of answer; made here as above."""
        said = await _read(chunks, _MOST_OF_AN_ERROR)
        return self._peer.garbled(f"expected an event stream, found {found}: {said.decode('utf-8', 'replace')}")

    async def _read_whole(self, content_type: str, chunks: AsyncIterator[bytes]) -> Event:
        """An answer that was not streamed."""
        if content_type != "application/json":
            raise await self._garbled(content_type or "no content type", chunks)
        body = await _read(chunks, MAX_EVENT_BYTES + 1)
        if len(body) > MAX_EVENT_BYTES:
            raise self._peer.garbled(f"its answer is longer than {MAX_EVENT_BYTES} bytes")
        return WHOLE, body


async def _read(chunks: AsyncIterator[bytes], limit: int) -> bytes:
    """The rest of a body, cut at a limit."""
    parts, size = [], 0
    async for chunk in chunks:
        parts.append(chunk)
        size += len(chunk)
        if size >= limit:
            break
    return b"".join(parts)[:limit]
