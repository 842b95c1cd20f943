"""A life: from the making of a source to its closing, and the waits that the closing ends."""

from __future__ import annotations

import anyio

from agentflow_kernel.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentflow_kernel.contracts.clock import Clock


class Life:
    """Whether a source may go on, and how it waits."""

    def __init__(self, source: str, clock: Clock) -> None:
        self._source = source
        self._clock = clock
        self._closed = False
        self._pauses: set[anyio.CancelScope] = set()

    def goes_on(self) -> bool:
        """Whether nobody has closed the source."""
        return not self._closed

    def check(self) -> None:
        """Raise :class:`UsageError` once the source is closed."""
        if self._closed:
            raise UsageError(f"Source {self._source!r} has been closed. Make a new one.")

    def end(self) -> None:
        """Close, and end every wait; may be called twice."""
        self._closed = True
        for scope in self._pauses:
            scope.cancel()

    async def pause(self, seconds: float) -> None:
        """Wait by the injected clock, at most until the end."""
        if self._closed:
            return
        with anyio.CancelScope() as scope:
            self._pauses.add(scope)
            try:
                await self._clock.sleep(seconds)
            finally:
                self._pauses.discard(scope)
