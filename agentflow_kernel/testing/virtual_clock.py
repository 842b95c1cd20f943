"""A virtual clock: the time of a simulation, which lasts over the ends of its processes and may jump."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from agentflow_kernel.testing.clock import START

if TYPE_CHECKING:
    from agentflow_kernel.testing.virtual_loop import VirtualLoop


class VirtualClock:
    """Monotonic time is that of the loop at work; wall time runs with it, except for jumps."""

    def __init__(self, start: float = START) -> None:
        self._start = start
        self._passed = 0.0
        self.loop: VirtualLoop | None = None

    def now(self) -> float:
        """Wall time in seconds since 1970."""
        return self._start + self.monotonic()

    def monotonic(self) -> float:
        """Virtual seconds since the simulation began."""
        return self._passed if self.loop is None else self.loop.time()

    async def sleep(self, seconds: float) -> None:
        """Wait in virtual time."""
        await anyio.sleep(max(seconds, 0.0))

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward or back; sleepers do not notice."""
        self._start += seconds

    def attach(self, loop: VirtualLoop) -> None:
        """A process begins."""
        self.loop = loop

    def detach(self, downtime_s: float) -> None:
        """A process has ended, and nothing works for so long."""
        self._passed = self.monotonic() + downtime_s
        self.loop = None
