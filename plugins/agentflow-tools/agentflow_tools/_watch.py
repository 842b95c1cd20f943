"""A watch: ends work in a worker thread when its call is cancelled or its time is over."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from agentflow_kernel.contracts.clock import Clock


class TimeOver(Exception):
    """The time of one call is over; caught by the work that looked at its watch."""


class Abandoned(Exception):
    """The call that waited for this work is gone."""


class Watch:
    """The time and the life of one call, looked at by the thread that works for it.

    ``check_cancelled`` raises the event loop's own cancellation in the thread when the call is cancelled.
    """

    __slots__ = ("_check_cancelled", "_clock", "_deadline", "_stopped")

    def __init__(self, clock: Clock, timeout_s: float, check_cancelled: Callable[[], object]) -> None:
        self._clock = clock
        self._deadline = clock.monotonic() + timeout_s
        self._check_cancelled = check_cancelled
        self._stopped = False

    def stop(self) -> None:
        """Let the work end at its next look. Never blocks; may be called from another thread."""
        self._stopped = True

    def look(self) -> None:
        """Go on, or raise: :class:`TimeOver`, :class:`Abandoned`, or the event loop's cancellation."""
        if self._stopped:
            raise Abandoned
        self._check_cancelled()
        if self._clock.monotonic() >= self._deadline:
            raise TimeOver
