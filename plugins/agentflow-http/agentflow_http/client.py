"""A client: one pool of HTTP connections for each event loop, and what its failures mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio.lowlevel
import anyio.to_thread
import httpx2

from agentflow_kernel.errors import Elapsed, Overloaded, PeerUnavailable, ProtocolViolation, UsageError

if TYPE_CHECKING:
    import ssl

    from agentflow_http.peer import Peer
    from agentflow_http.settings import HttpSettings
    from agentflow_kernel.errors import AgentFlowError

_KEPT_ALIVE = 20
"""Idle connections kept for the next call."""
_KEPT_FOR_S = 60.0
"""How long; services close idle connections after a minute or more."""


class Clients:
    """Makes one :class:`httpx2.AsyncClient` for each event loop, at its first call."""

    __slots__ = ("_settings", "_clients", "_tls")

    def __init__(self, settings: HttpSettings) -> None:
        self._settings = settings
        self._clients: dict[object, httpx2.AsyncClient] = {}
        self._tls: ssl.SSLContext | None = None

    async def get(self) -> httpx2.AsyncClient:
        """The client of the running event loop. The certificates are read in a thread, once."""
        token = anyio.lowlevel.current_token()
        found = self._clients.get(token)
        if found is not None:
            return found
        if self._tls is None:
            self._tls = await anyio.to_thread.run_sync(httpx2.create_ssl_context)
            if token in self._clients:
                return self._clients[token]
        client = self._clients[token] = httpx2.AsyncClient(
            verify=self._tls,
            follow_redirects=False,
            limits=httpx2.Limits(
                max_connections=None, max_keepalive_connections=_KEPT_ALIVE, keepalive_expiry=_KEPT_FOR_S
            ),
            timeout=httpx2.Timeout(
                connect=self._settings.connect_timeout_s,
                read=self._settings.read_timeout_s,
                write=self._settings.read_timeout_s,
                pool=self._settings.connect_timeout_s,
            ),
        )
        return client

    async def aclose(self) -> None:
        """Close the connections of this event loop; those of another can only be closed on it."""
        mine = self._clients.pop(anyio.lowlevel.current_token(), None)
        if mine is not None:
            await mine.aclose()


def explain(fault: Exception, peer: Peer, settings: HttpSettings) -> AgentFlowError:
    """The kernel's error for an exception of httpx2; nothing of its text that could hold a secret is kept."""
    said = f"{type(fault).__name__}: {peer.scrub(str(fault))}"
    match fault:
        case httpx2.ConnectTimeout():
            elapsed = Elapsed(f"Connecting to {peer.name}", settings.connect_timeout_s)
            elapsed.executed = "no"
            return elapsed
        case httpx2.PoolTimeout():
            return Overloaded(f"No free connection to {peer.name} within {settings.connect_timeout_s:g} s.")
        case httpx2.TimeoutException():
            return Elapsed(peer.name, settings.read_timeout_s)
        case httpx2.ConnectError() | httpx2.ProxyError():
            return PeerUnavailable(f"{peer.name} cannot be reached: {said}", executed="no")
        case httpx2.LocalProtocolError() | httpx2.UnsupportedProtocol() | httpx2.InvalidURL():
            return UsageError(f"The request to {peer.name} cannot be sent: {said}")
        case httpx2.DecodingError() | httpx2.TooManyRedirects():
            return ProtocolViolation(f"{peer.name} broke its protocol: {said}")
        case _:
            return PeerUnavailable(f"The connection to {peer.name} broke: {said}", executed="maybe")


def disarm(fault: BaseException, peer: Peer) -> BaseException:
    """The exception, safe to be chained: it and its causes hold requests, frames and texts that may show the key."""
    seen: set[int] = set()
    link: BaseException | None = fault
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        link.__traceback__ = None
        link.args = tuple(peer.scrub(part) if isinstance(part, str) else None for part in link.args)
        for name, value in vars(link).items():
            if name != "__notes__":
                setattr(link, name, peer.scrub(value) if isinstance(value, str) else None)
        link = link.__cause__ or link.__context__
    return fault
