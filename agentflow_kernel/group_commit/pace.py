"""A pace: whether the next transaction is likely to be so short that an event loop may make it itself.

To hand a transaction to a thread and be woken afterwards takes about 0.1 ms, as long as a fast disk needs to sync a
page. So a task that is alone with a fast disk commits where it stands. A disk that is slow, or was slow lately, is left
to the thread: what holds up an event loop must be as short as the Python code around it. All disks stall now and then;
how much of its time an event loop may lose by that is bounded: after a stall it rests for twenty times its length.
"""

from __future__ import annotations

import time

FAST_S = 0.0005
"""A transaction below this holds up nobody."""
STALL_S = 0.005
"""One above this must not happen again soon."""
TRUSTED, DISTRUSTED = 20, -100
"""The most and the least trust there is: each fast transaction adds one, and all is well above zero."""
SLOW_COSTS = 10
REST = 20
"""How many times the length of a stall an event loop makes no transaction: it loses a twentieth of its time at most."""
TURNS = 100
"""Transactions made without the thread until one goes there and copies the write-ahead log into the file."""
SMALL_BYTES = 16 * 1024
"""What a transaction may write at most for that; so many turns stay below the size at which SQLite checkpoints."""


class Pace:
    """How the last transactions of one file went. ``last_s``: how long the last one took, in seconds.

    ``turns``: how many an event loop has made since the last checkpoint. ``in_loop``: whether it may make any.
    """

    __slots__ = ("in_loop", "last_s", "turns", "_trust", "_rests_until")

    def __init__(self) -> None:
        self.in_loop = True
        self.last_s = 0.0
        self.turns = 0
        self._trust = 0
        self._rests_until = 0.0

    def note(self, start: float, end: float) -> None:
        """Take up from when to when a transaction took, in seconds of ``time.perf_counter``."""
        took_s = self.last_s = end - start
        if took_s < FAST_S:
            self._trust = min(self._trust + 1, TRUSTED)
            return
        self._trust = max(self._trust - SLOW_COSTS, DISTRUSTED)
        if took_s > STALL_S:
            self._rests_until = max(self._rests_until, end + REST * took_s)

    def allows_loop(self) -> bool:
        """Whether the next one may be made by the event loop; false until some have been fast."""
        if not self.in_loop or self._trust <= 0 or self.turns >= TURNS:
            return False
        if self._rests_until:
            if time.perf_counter() < self._rests_until:
                return False
            self._rests_until = 0.0
        return True
