"""A fake clock: time that moves only when the test moves it, and wakes sleepers in the order of their deadlines."""

from __future__ import annotations

import heapq

import anyio
import anyio.lowlevel

from agentflow_kernel.testing.settling import settle

START = 1_700_000_000.0
"""Wall time of a new clock, in seconds since 1970: 2023-11-14T22:13:20Z."""


class FakeClock:
    """Wall and monotonic time in seconds; both move together unless :meth:`jump` moves the wall clock alone.

    With ``auto=True`` a sleep moves the time itself and returns at once: no test has to wait.
    """

    def __init__(self, start: float = START, *, auto: bool = False) -> None:
        self._wall = start
        self._elapsed = 0.0
        self._auto = auto
        self._sleepers: list[tuple[float, int, anyio.Event]] = []
        self._counter = 0
        self.slept: list[float] = []
        """Every sleep asked for, in seconds, in order."""

    def now(self) -> float:
        """Wall time."""
        return self._wall

    def monotonic(self) -> float:
        """Seconds since the clock was made."""
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        """Wait until the test has moved the time so far, or move it."""
        self.slept.append(seconds)
        if self._auto or seconds <= 0:
            self._move(max(seconds, 0))
            await anyio.lowlevel.checkpoint()
            return
        event = anyio.Event()
        self._counter += 1
        heapq.heappush(self._sleepers, (self._elapsed + seconds, self._counter, event))
        await event.wait()

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward or back, as an administrator would; sleepers do not notice."""
        self._wall += seconds

    async def advance(self, seconds: float) -> None:
        """Move the time forward, waking sleepers one by one at their deadlines, and let them run."""
        target = self._elapsed + seconds
        while self._sleepers and self._sleepers[0][0] <= target:
            deadline, _, event = heapq.heappop(self._sleepers)
            self._move(deadline - self._elapsed)
            event.set()
            await settle()
        self._move(target - self._elapsed)
        await settle()

    def _move(self, seconds: float) -> None:
        self._wall += seconds
        self._elapsed += seconds
