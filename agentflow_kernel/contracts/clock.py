"""A clock: the only way the kernel and its plugins learn the time or wait, so that tests can move it."""

from __future__ import annotations

import time

from agentflow_kernel.contracts.values import Protocol


class Clock(Protocol):
    """Wall time, monotonic time and sleeping. ``sleep`` is cancellable and returns at or after the deadline."""

    def now(self) -> float:
        """Wall-clock time in seconds since 1970-01-01 UTC; may jump."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back."""

    async def sleep(self, seconds: float) -> None:
        """Wait; zero or less only lets other tasks run."""


class SystemClock:
    """The machine's clock."""

    __slots__ = ()

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)

    async def sleep(self, seconds: float) -> None:
        """Wait on the event loop's own clock."""
        import anyio  # lazy: 25 ms, only who waits pays

        await anyio.sleep(max(seconds, 0))
