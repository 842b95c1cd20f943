"""A thread of one's own: does one thing after another for the tasks of one event loop, and wakes each when it is done.

A thread from a pool makes a durable step about 50 µs longer: a limiter, a condition and two hand-overs more.
"""

from __future__ import annotations

import weakref
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING

import anyio
from anyio.lowlevel import current_token
from anyio.to_thread import run_sync

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Order = tuple[Callable[[], None], Callable[[BaseException | None], None]]
    """What to do, and what to call with its error afterwards."""
    Soon = Callable[[Callable[[], object]], object]
    """Has something called by an event loop soon."""


class OwnThread:
    """Starts with the first order; ends with :meth:`aclose`, or when nothing refers to it any more."""

    def __init__(self) -> None:
        self._orders: SimpleQueue[Order | None] = SimpleQueue()
        self._thread: Thread | None = None

    def order(self, function: Callable[[], None], tell: Callable[[BaseException | None], None]) -> None:
        """Have ``function`` called in the thread, and ``tell`` there afterwards, with the error if there was one."""
        if self._thread is None:
            self._start()
        self._orders.put((function, tell))

    async def run(self, function: Callable[[], None]) -> None:
        """Call ``function`` in the thread; returns when it has returned, raises what it raises.

        Cancellation waits for it. Only ``Task.cancel`` of asyncio, which pierces every shield, comes through at once.
        """
        done = anyio.Event()
        errors: list[BaseException] = []
        _, soon = find_soon()

        def tell(error: BaseException | None) -> None:
            if error is not None:
                errors.append(error)
            with suppress(RuntimeError):  # the event loop is closed: nobody waits any more
                soon(done.set)

        self.order(function, tell)
        with anyio.CancelScope(shield=True):
            await done.wait()
        if errors:
            raise errors[0]

    async def aclose(self) -> None:
        """End the thread once its orders are done; a later order would start another."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._orders.put(None)
            with anyio.CancelScope(shield=True):
                await run_sync(thread.join)

    def _start(self) -> None:
        thread = Thread(target=_work, args=(self._orders,), name="agentflow-commit", daemon=True)
        thread.start()
        self._thread = thread
        weakref.finalize(self, self._orders.put, None)


def find_soon() -> tuple[Soon, Soon]:
    """What has something called soon by the event loop of this task: from within it, and from any thread."""
    native: Any = current_token().native_token
    if hasattr(native, "call_soon"):  # asyncio's
        return native.call_soon, native.call_soon_threadsafe
    return native.run_sync_soon, native.run_sync_soon


def _work(orders: SimpleQueue[Order | None]) -> None:
    """Carry out orders until there is none to come."""
    while (order := orders.get()) is not None:
        function, tell = order
        error = None
        try:
            function()
        except BaseException as raised:  # noqa: BLE001 -- raised again where the order came from
            error = raised
        tell(error)
        del order, function, tell, error  # a thread that waits must not keep anything alive
