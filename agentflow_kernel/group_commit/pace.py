"""A pace: whether the next transaction is likely to be so short that an event loop may make it itself.

To hand a transaction to a thread and be woken afterwards takes about 0.1 ms, as long as a fast disk needs to sync a
page. So a task that is alone with a fast disk commits where it stands. A disk that is slow, or was slow lately, is left
to the thread: what holds up an event loop must be as short as the Python code around it.
"""

from __future__ import annotations

FAST_S = 0.0005
"""A transaction below this holds up nobody."""
STALL_S = 0.005
"""One above this must not happen again soon."""
TRUSTED = 20
SLOW_COSTS = 10
STALL_COSTS = 1000
TURNS = 100
"""Transactions made without the thread until one goes there and copies the write-ahead log into the file."""
SMALL_BYTES = 16 * 1024
"""What a transaction may write at most for that; so many turns stay below the size at which SQLite checkpoints."""


class Pace:
    """How the last transactions of one file went. ``last_s``: how long the last one took, in seconds.

    ``turns``: how many an event loop has made since the last checkpoint. ``in_loop``: whether it may make any.
    """

    __slots__ = ("in_loop", "last_s", "turns", "_trust")

    def __init__(self) -> None:
        self.in_loop = True
        self.last_s = 0.0
        self.turns = 0
        self._trust = 0

    def note(self, took_s: float) -> None:
        """Take up how long a transaction took."""
        self.last_s = took_s
        if took_s < FAST_S:
            self._trust = min(self._trust + 1, TRUSTED)
        else:
            self._trust = -STALL_COSTS if took_s > STALL_S else self._trust - SLOW_COSTS

    def allows_loop(self) -> bool:
        """Whether the next one may be made by the event loop; false until some have been fast."""
        return self.in_loop and self._trust > 0 and self.turns < TURNS
