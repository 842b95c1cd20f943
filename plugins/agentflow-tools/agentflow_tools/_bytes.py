"""The bytes of an open file, a piece at a time, as far as they went when it was opened."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentflow_tools._root import Opened
    from agentflow_tools._watch import Watch

PIECE_BYTES = 262_144
"""Read at once: large enough that the cost of a call does not count, small enough to look at the watch often."""

HEAD_BYTES = 8_192
"""How far a file is looked into to see whether it is text."""


def pieces(opened: Opened, watch: Watch, offset: int = 0) -> Iterator[bytes]:
    """Consecutive pieces from `offset` to the size at opening; what is appended meanwhile is not part of it.

    Ends early where the file has been shortened. Raises :class:`OSError`, and what :meth:`Watch.look` raises.
    """
    while offset < opened.status.st_size:
        watch.look()
        piece = os.pread(opened.fd, min(PIECE_BYTES, opened.status.st_size - offset), offset)
        if not piece:
            return
        yield piece
        offset += len(piece)


def is_binary(opened: Opened) -> bool:
    """Whether a NUL byte stands near the beginning, which text does not have."""
    return b"\0" in os.pread(opened.fd, HEAD_BYTES, 0)
