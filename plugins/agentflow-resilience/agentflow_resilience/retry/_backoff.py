"""A backoff: how long to wait before the next attempt."""

from __future__ import annotations

import math

TYPE_CHECKING = False
if TYPE_CHECKING:
    from random import Random

    from agentflow_resilience.retry.settings import RetrySettings


class Backoff:
    """Exponential backoff with full jitter: an even draw between nothing and a bound that grows with the attempts.

    Source: Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, March 2015.
    """

    __slots__ = ("_random", "_settings")

    def __init__(self, settings: RetrySettings, random: Random) -> None:
        self._settings = settings
        self._random = random

    def wait_s(self, attempt: int, retry_after_s: float | None) -> float:
        """Seconds to wait after attempt number `attempt` (from 1) has failed; infinite if the peer says never.

        So late that nobody should wait for it here counts as never.

        What the peer asks for is waited in full, and the draw on top of it: those who were turned away together do
        not come back together.
        """
        settings = self._settings
        bound_s = min(settings.max_s, settings.base_s * settings.factor ** (attempt - 1))
        wait_s = self._random.uniform(0, bound_s)
        if retry_after_s is None or math.isnan(retry_after_s) or retry_after_s <= 0:
            return wait_s
        return math.inf if retry_after_s > settings.max_retry_after_s else retry_after_s + wait_s
