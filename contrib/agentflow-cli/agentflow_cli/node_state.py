"""The state of a running node: how much it has done, how fast, and how long it still needs."""

from __future__ import annotations

from collections import deque
from typing import Final

WINDOW_S: Final = 30.0
"""The rate is that of the last half minute: a resumed batch recalls its first items in no time."""
SAMPLE_EVERY_S: Final = 0.5


class NodeState:
    """One running node. ``total`` is ``None`` where it is not known; times are monotonic seconds."""

    __slots__ = ("_samples", "done", "label", "models", "since", "spoke", "tools", "total", "unit")

    def __init__(self, label: str, total: int | None, now: float) -> None:
        self.label = label
        self.total = total
        self.unit = ""
        self.done = 0
        self.models = 0
        self.tools = 0
        self.since = now
        self.spoke = now
        """When a view last said something of this node."""
        self._samples = deque([(now, 0)])

    def count(self, done: int, total: int | None, unit: str, now: float) -> None:
        """Take a new count."""
        if now - self._samples[-1][0] >= SAMPLE_EVERY_S:
            self._samples.append((now, done))
            while self._samples[1][0] < now - WINDOW_S:
                self._samples.popleft()
        self.done, self.unit = done, unit
        if total is not None:
            self.total = total

    def rate(self, now: float) -> float | None:
        """Items a second, ``None`` while there is nothing to tell it from."""
        since, done = self._samples[0]
        return None if now <= since or self.done <= done else (self.done - done) / (now - since)

    def left_s(self, now: float) -> float | None:
        """The remaining seconds at this rate."""
        rate = self.rate(now)
        return None if rate is None or self.total is None else max(self.total - self.done, 0) / rate

    def amount(self) -> str:
        """How much is done, as text; empty where nothing is counted."""
        parts = []
        if self.done or self.total is not None:
            total = "" if self.total is None else f"/{self.total:,}"
            parts.append(f"{self.done:,}{total}{' ' + self.unit if self.unit else ''}")
        counted = ((self.models, "model answer"), (self.tools, "tool result"))
        parts += [f"{count:,} {what}{'s' if count > 1 else ''}" for count, what in counted if count]
        return ", ".join(parts)

    def speed(self, now: float) -> str:
        """Rate and remaining time as text, as far as they are known."""
        rate, left = self.rate(now), self.left_s(now)
        parts = [] if rate is None else [f"{rate:,.1f}/s"]
        return ", ".join(parts if left is None else [*parts, f"{span(left)} left"])


def span(seconds: float) -> str:
    """A span of time for people: ``4.2 ms``, ``0.42 s``, ``12 s``, ``3:05 min``, ``2:03:05 h``."""
    if seconds < 0.1:
        return f"{seconds * 1000:.1f} ms"
    if seconds < 10:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    if minutes < 60:
        return f"{minutes}:{rest:02} min"
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02} h"
