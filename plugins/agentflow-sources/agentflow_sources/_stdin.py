"""Standard input as a stream of lines."""

from __future__ import annotations

import os
import select

from agentflow_kernel.errors import StorageUnavailable
from agentflow_sources._position import Position
from agentflow_sources._stream import Sign

LOG = "-"


class StdinStream:
    """Reads what is there, without waiting for more. Each start is a stream of its own, with lines counted from 1."""

    def __init__(self, fd: int, source: str) -> None:
        self.log = LOG
        self.finite = True
        self.volatile = True
        self.generation = 0
        self.offset = 0
        self.notices: list[tuple[str, dict[str, object]]] = []
        self._fd = fd
        self._source = source
        self._poll = select.poll()

    def start(self, position: Position | None) -> bool:
        """Begin; on a terminal say so."""
        if position is not None:
            self.generation = position.generation + 1
        self._poll.register(self._fd, select.POLLIN | select.POLLHUP)
        if os.isatty(self._fd):
            hint = "Type lines; Ctrl-D at the beginning of a line ends them."
            self.notices.append(("source.reads_terminal", {"hint": hint}))
        return False

    @property
    def is_open(self) -> bool:
        """Nothing can be read again: no position is of use."""
        return False

    def read(self, limit: int, now: float) -> bytes | Sign:
        """What is there. A descriptor that is not open has come to its end."""
        try:
            if not self._poll.poll(0):
                return Sign.IDLE
            piece = os.read(self._fd, limit)
        except BlockingIOError:
            return Sign.IDLE
        except OSError as error:
            reason = error.strerror or str(error)
            text = f"Source {self._source!r} could not read standard input: {reason}. See what it is connected to."
            raise StorageUnavailable(text, executed="no") from error
        self.offset += len(piece)
        return piece or Sign.END

    def turn(self) -> None:
        """There is no next generation."""

    def position(self, offset: int, tail: bytes) -> Position:
        """How much was read; nothing can be read again."""
        return Position(LOG, -1, 0, self.generation)

    def close(self) -> None:
        """Standard input stays open: it is the process's."""
