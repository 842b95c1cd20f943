"""A clock of processes that may die: time goes on only when nothing else does, so that no timer outruns a disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio.lowlevel

from agentflow_kernel.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable

QUIET_TURNS = 20
"""Turns of the event loop without any work of the store after which nothing is expected to happen by itself."""


class IdleClock(FakeClock):
    """Moves to the next deadline once ``progress`` has been the same for some turns.

    ``progress`` counts what the store begins and ends; it is ``None`` while the store is at work, be it in a thread.
    """

    def __init__(self, progress: Callable[[], int | None]) -> None:
        super().__init__()
        self._progress = progress
        self._due: list[float] = []

    async def sleep(self, seconds: float) -> None:
        """Wait until this is the next deadline of all and nothing else goes on."""
        self.slept.append(seconds)
        due = self.monotonic() + max(seconds, 0.0)
        self._due.append(due)
        try:
            await anyio.lowlevel.checkpoint()
            quiet, before = 0, self._progress()
            while self.monotonic() < due:
                await anyio.lowlevel.checkpoint()
                now = self._progress()
                quiet, before = (quiet + 1 if now is not None and now == before else 0), now
                if quiet >= QUIET_TURNS and due == min(self._due):
                    self._move(due - self.monotonic())
        finally:
            self._due.remove(due)
