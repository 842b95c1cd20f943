"""A stream: bytes in order, read as they come, and the signs it gives where there are none."""

from __future__ import annotations

import enum
from typing import Protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentflow_sources._position import Position


class Sign(enum.Enum):
    """Why there are no bytes."""

    IDLE = "idle"
    """Nothing is there now; more may come."""
    TURN = "turn"
    """This generation has ended; the next one begins with :meth:`Stream.turn`."""
    END = "end"
    """Nothing will come any more."""


class Stream(Protocol):
    """Bytes in order, read without waiting. All methods may block for a disk, and run in a worker thread."""

    log: str
    """Path of the log, `-` for standard input."""
    finite: bool
    """Whether :attr:`Sign.END` may come."""
    volatile: bool
    """Whether what was read cannot be read again."""
    generation: int
    """Which file of the log is read, from 0."""
    offset: int
    """How far it was read, in bytes."""
    notices: list[tuple[str, dict[str, object]]]
    """What people should hear of, for the caller to pass on and clear."""

    def start(self, position: Position | None) -> bool:
        """Go on after a position, or begin. Called once, before all others; returns whether its lines count on."""

    @property
    def is_open(self) -> bool:
        """Whether there is something to read from, of which the position is worth keeping."""

    def read(self, limit: int, now: float) -> bytes | Sign:
        """The next bytes, at most `limit`, or why there are none. `now` is monotonic time in seconds."""

    def turn(self) -> None:
        """Go on to the next generation."""

    def position(self, offset: int, tail: bytes) -> Position:
        """A position at an offset of this generation that has been read; `tail` are the bytes before the offset.

        Its chunk and line are those of whoever cuts.
        """

    def close(self) -> None:
        """Give back what was opened; may be called twice."""
