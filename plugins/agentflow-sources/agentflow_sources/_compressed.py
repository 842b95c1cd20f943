"""A compressed rotation: whether it holds what was read of a log and nothing more."""

from __future__ import annotations

import os

from agentflow_sources._position import PRINT_BYTES, Fingerprint
from agentflow_sources._siblings import files_beside

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO

_PIECE_BYTES = 1 << 20


def holds_no_more(log: str, print_: Fingerprint) -> bool:
    """Whether a compressed file beside the log ends where the fingerprint does: then nothing of it was missed.

    Reads gzip, bzip2 and xz, of each file at most what was read of the log. Where nothing was read none can be told.
    """
    if not print_.offset:
        return False
    return any(_ends_with(path, print_) for path, _ in files_beside(log, os.path.basename(log)))


def _ends_with(path: str, print_: Fingerprint) -> bool:
    opener = _opener(path)
    if opener is None:
        return False
    try:
        with opener(path, "rb") as stream:
            head = stream.read(print_.head_bytes)
            if Fingerprint.of(0, head, b"")[1:3] != print_[1:3]:
                return False
            read, tail = len(head), head
            while read <= print_.offset and (piece := stream.read(min(_PIECE_BYTES, print_.offset + 1 - read))):
                read += len(piece)
                tail = (tail + piece)[-PRINT_BYTES:]
    except (OSError, EOFError, ValueError):  # no such file any more, still being written, or not what its name says
        return False
    except Exception as error:
        if type(error).__name__ not in {"LZMAError", "error"}:
            raise
        return False
    return read == print_.offset and Fingerprint.of(read, head, tail[-print_.tail_bytes :]) == print_


def _opener(path: str) -> Callable[[str, str], IO[bytes]] | None:
    """What reads a file of this name; imported only where there is one."""
    if path.endswith(".gz"):
        import gzip  # lazy: 5 ms, only where a log was compressed

        return gzip.open  # type: ignore[return-value]  # one that reads bytes
    if path.endswith(".bz2"):
        import bz2  # lazy: as above

        return bz2.open  # type: ignore[return-value]  # as above
    if path.endswith(".xz"):
        import lzma  # lazy: as above

        return lzma.open  # type: ignore[return-value]  # as above
    return None
