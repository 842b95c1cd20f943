"""An exchange: one call on its way, held to its time, and stopped when its provider is closed."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Generic, Self, TypeVar

import anyio

from agentflow_kernel.errors import Elapsed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agentflow_http.peer import Peer
    from agentflow_http.settings import HttpSettings
    from agentflow_kernel.contracts.clock import Clock

Item = TypeVar("Item")
_CLOSE_S = 2.0
"""Longest time for closing a connection properly."""


class Exchange:
    """First the opening of a call, which a scope can stop; then its answer, which closing it stops."""

    __slots__ = ("deadline", "stopped", "clock", "settings", "_scope", "_close", "_following", "_peer")

    def __init__(self, peer: Peer, settings: HttpSettings, clock: Clock) -> None:
        self.deadline = clock.monotonic() + settings.call_timeout_s
        self.stopped = False
        """Whether the provider was closed meanwhile; any failure is then that."""
        self._scope: anyio.CancelScope | None = None
        self._close: Callable[[], Awaitable[object]] | None = None
        self._following: Callable[[], Awaitable[object]] | None = None
        self._peer = peer
        self.settings = settings
        self.clock = clock

    async def open(self, opening: Callable[[], Awaitable[Item]]) -> Item:
        """What ``opening`` gives; :class:`Elapsed` when the call's time is up, cancellation passes."""
        opened: list[Item] = []
        with anyio.move_on_after(self.settings.call_timeout_s) as self._scope:
            opened.append(await opening())
        self._scope = None
        if opened:
            return opened[0]
        raise self._peer.closed("maybe") if self.stopped else self._elapsed()

    def close_with(self, close: Callable[[], Awaitable[object]]) -> None:
        """How the answer is closed, from within or from outside; must bear a second call."""
        self._close = close

    def paced(self, following: Callable[[], Awaitable[Item]]) -> Paced[Item]:
        """The items of the answer as they come, until the call's time is up: :class:`Elapsed`."""
        self._following = following
        return Paced(self, following)

    async def hurry(self, following: Callable[[], Awaitable[Item]], left_s: float) -> Item:
        """The next item within the rest of the call's time."""
        with anyio.move_on_after(max(left_s, 0)):
            return await following()
        raise self._elapsed()

    async def stop(self) -> None:
        """End it from outside: whoever reads it meets a closed connection."""
        self.stopped = True
        if self._scope is not None:
            self._scope.cancel()
        await self.aclose()

    async def aclose(self) -> None:
        """Close the answer, also while being cancelled."""
        if self._close is not None:
            with anyio.move_on_after(_CLOSE_S, shield=True):
                await self._close()

    async def let_go(self) -> None:
        """Run what is left of the answer's iterator into the closed connection.

        Generators of httpx2 and of SDKs do not close those that they read from; one that is dropped in the middle
        would be left to the garbage collector, which trio warns of.
        """
        if self._following is not None:
            with anyio.move_on_after(_CLOSE_S, shield=True), suppress(Exception):  # whatever it says now is old
                while True:
                    await self._following()

    def _elapsed(self) -> Elapsed:
        return Elapsed(self._peer.name, self.settings.call_timeout_s)


class Paced(Generic[Item]):
    """An iterator that keeps to an exchange's time.

    A scope costs 5 µs, so there is none while the time-out between bytes ends a silence before the call's time does.
    It is no generator, so that there is nothing to close.
    """

    __slots__ = ("_exchange", "_following", "_monotonic", "_deadline", "_last_start")

    def __init__(self, exchange: Exchange, following: Callable[[], Awaitable[Item]]) -> None:
        self._exchange = exchange
        self._following = following
        self._monotonic = exchange.clock.monotonic
        self._deadline = exchange.deadline
        self._last_start = exchange.deadline - exchange.settings.read_timeout_s

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item:
        now = self._monotonic()
        if now < self._last_start:
            return await self._following()
        return await self._exchange.hurry(self._following, self._deadline - now)


class Exchanges:
    """The exchanges of one wire that are under way."""

    __slots__ = ("_peer", "_settings", "_clock", "_under_way", "_closed")

    def __init__(self, peer: Peer, settings: HttpSettings, clock: Clock) -> None:
        self._peer = peer
        self._settings = settings
        self._clock = clock
        self._under_way: set[Exchange] = set()
        self._closed = False

    def begin(self) -> Exchange:
        """A new exchange; :class:`PeerUnavailable` once closed."""
        if self._closed:
            raise self._peer.closed("no")
        exchange = Exchange(self._peer, self._settings, self._clock)
        self._under_way.add(exchange)
        return exchange

    async def end(self, exchange: Exchange) -> None:
        """The exchange is over, however it went."""
        self._under_way.discard(exchange)
        await exchange.aclose()
        await exchange.let_go()

    async def stop_all(self) -> None:
        """Stop those under way, begin no more."""
        self._closed = True
        for exchange in list(self._under_way):
            await exchange.stop()
