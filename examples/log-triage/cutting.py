"""A cut: the log divided into batches of whole lines, by offsets alone, so that no step holds more than a block."""

from __future__ import annotations

import hashlib
import os
import stat
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, NotRequired, TypedDict, cast

from agentflow_kernel.errors import InputInvalid, StorageUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BLOCK_BYTES: Final = 1 << 18
HERE: Final = Path(__file__).parent
"""The manifest's folder, from which relative paths count."""

STDIN: Final = "-"
"""The name of standard input as a log."""


class Source(TypedDict):
    """The log as the event describes it. Without ``size_bytes`` all that is there now is read.

    With ``log`` it is a chunk of a log that is followed: ``path`` has just these lines, ``log`` names where they were
    written (``-`` is standard input), ``first_line`` counts from 1 and ``offset`` in bytes, both in the log;
    ``generation`` tells apart the files that follow one another under that name, ``ends`` the last chunk of all.
    """

    path: str
    size_bytes: NotRequired[int]
    lines: NotRequired[int]
    sha256: NotRequired[str]
    log: NotRequired[str]
    first_line: NotRequired[int]
    offset: NotRequired[int]
    generation: NotRequired[int | str]
    ends: NotRequired[bool]


class Order(TypedDict):
    """What ``split`` is asked: the log, lines in a batch, and how many batches there may be at most."""

    log: Source
    batch_lines: int
    max_batches: int


class Batch(TypedDict):
    """Where a batch stands in the file; ``first_line`` counts from 1; ``crc32`` shows whether it is still the same."""

    offset: int
    length: int
    first_line: int
    lines: int
    crc32: int


class Chunk(TypedDict):
    """Which piece of a followed log this is.

    ``state`` is the same for all chunks of one file; ``start`` and ``end`` are its place, in bytes.
    """

    state: str
    start: int
    end: int
    first_line: int
    ends: bool


class Cut(TypedDict):
    """The log and its batches.

    ``path`` is where to open it, ``log`` its path below the folder the agent looks into, or ``None`` where its lines
    can not be found there under their numbers. ``last_line`` is the last one of it; ``chunk`` is ``None`` for a whole
    log.
    """

    path: str
    log: str | None
    name: str
    size_bytes: int
    lines: int
    last_line: int
    sha256: str
    batches: list[Batch]
    chunk: Chunk | None


def split(order: Order) -> Cut:
    """The log, or the chunk of it, cut into batches.

    Batches have ``batch_lines`` lines; a log too long for ``max_batches`` of them gets larger ones.
    Raises :class:`StorageUnavailable` when the log is not the one the event tells of, :class:`InputInvalid` when it
    lies outside the agent's folder.
    """
    source = source_of(order["log"])
    path = HERE.joinpath(source["path"]).resolve()
    root = HERE.joinpath(os.environ.get("TRIAGE_LOG_ROOT") or ".").resolve()
    with opened(path) as file:
        log, name = seen_by_agent(source, root, path)
        found = os.fstat(file.fileno()).st_size
        size = source.get("size_bytes", found)
        if found < size:
            raise changed(path, f"it was {size:,} bytes long and now has {found:,}")
        count = source.get("lines")
        if count is None:
            count = sum(block.count(b"\n") for block in blocks(file, size))
            file.seek(0)
        digest = hashlib.sha256()
        batch_lines = max(order["batch_lines"], -(-count // order["max_batches"]))
        first_line = source.get("first_line", 1)
        batches = list(cut(hashed(blocks(file, size), digest), batch_lines, first_line))
    if digest.hexdigest() != source.get("sha256", digest.hexdigest()):
        raise changed(path, "its content is another")
    return {
        "path": str(path),
        "log": log,
        "name": name,
        "size_bytes": size,
        "lines": (lines := sum(batch["lines"] for batch in batches)),
        "last_line": first_line + lines - 1,
        "sha256": digest.hexdigest(),
        "batches": batches,
        "chunk": chunk_of(source, lines),
    }


def seen_by_agent(source: Source, root: Path, path: Path) -> tuple[str | None, str]:
    """The log's path for the agent, and its name for people.

    A chunk lies wherever it was put; the agent looks into the log itself. It can not do so for standard input, nor for
    a log that has been rotated since it was first followed: line numbers may be others there.
    """
    if "log" not in source:
        return below(root, path), path.name
    if source["log"] == STDIN:
        return None, "standard input"
    log = HERE.joinpath(source["log"]).resolve()
    place = below(root, log)
    return (None if source.get("generation", 0) else place), log.name


def chunk_of(source: Source, lines: int) -> Chunk | None:
    """The chunk's place in the log, or ``None`` for a whole log.

    Lines are counted on through rotations, so that the files which follow one another under a name are one log.
    """
    if "log" not in source:
        return None
    first_line = source.get("first_line", 1)
    return {
        "state": hashlib.sha256(source["log"].encode("utf-8", "surrogatepass")).hexdigest()[:24],
        "start": first_line - 1,
        "end": first_line - 1 + lines,
        "first_line": first_line,
        "ends": bool(source.get("ends")),
    }


def source_of(value: object) -> Source:
    """The run's input as a description of the log; a run that is started by hand may give no more than its path."""
    if not isinstance(value, dict) or not isinstance(value.get("path"), str):
        raise InputInvalid("The run's input", "expected an object with the log's 'path', as the trigger gives it")
    return cast("Source", value)


def cut(parts: Iterable[bytes], batch_lines: int, first_line: int = 1) -> Iterator[Batch]:
    """Batches of ``batch_lines`` lines over the concatenated parts; the last line may lack its newline."""
    batch: Batch = {"offset": 0, "length": 0, "first_line": first_line, "lines": 0, "crc32": 0}
    open_line = False
    for part in parts:
        start = 0
        while start < len(part):
            end, lines = advance(part, start, batch_lines - batch["lines"])
            piece = part[start:end]
            batch["length"] += len(piece)
            batch["lines"] += lines
            batch["crc32"] = zlib.crc32(piece, batch["crc32"])
            open_line = not piece.endswith(b"\n")
            start = end
            if batch["lines"] == batch_lines:
                yield batch
                batch = {
                    "offset": batch["offset"] + batch["length"],
                    "length": 0,
                    "first_line": batch["first_line"] + batch_lines,
                    "lines": 0,
                    "crc32": 0,
                }
    if batch["length"]:
        batch["lines"] += open_line
        yield batch


def advance(part: bytes, start: int, wanted: int) -> tuple[int, int]:
    """Where to stop so that at most ``wanted`` newlines are passed, and how many were."""
    lines = part.count(b"\n", start)
    if lines < wanted:
        return len(part), lines
    end = start
    for _ in range(wanted):
        end = part.index(b"\n", end) + 1
    return end, wanted


def blocks(file: BinaryIO, size: int) -> Iterator[bytes]:
    """The first ``size`` bytes of the file, from where it stands, in blocks."""
    while size > 0 and (block := file.read(min(BLOCK_BYTES, size))):
        size -= len(block)
        yield block


def hashed(parts: Iterable[bytes], digest: hashlib._Hash) -> Iterator[bytes]:
    """The same parts, each added to the digest on its way."""
    for part in parts:
        digest.update(part)
        yield part


def below(root: Path, path: Path) -> str:
    """``path`` relative to ``root``, both without symbolic links; raises :class:`InputInvalid` if it is outside."""
    if path != root and path.is_relative_to(root):
        return path.relative_to(root).as_posix()
    raise InputInvalid(
        f"The log {str(path)!r}",
        f"it does not lie below {str(root)!r}, the folder that the agent may look into. "
        f"Name the log's folder as well: TRIAGE_LOG_ROOT={path.parent}",
    )


def opened(path: Path) -> BinaryIO:
    """The log, open for reading; raises :class:`StorageUnavailable` for anything but a regular file."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise unreadable(path, "it is not a regular file. Put the log back, then resume the run.")
        return path.open("rb")
    except OSError as exc:
        raise unreadable(path, f"it cannot be read: {exc.strerror}. Put the log back, then resume the run.") from exc


def changed(path: Path, how: str) -> StorageUnavailable:
    """The error for a log that is no longer the one this run was started for."""
    return unreadable(
        path, f"it has changed since the run was started: {how}. Put it back and resume, or start a new run."
    )


def unreadable(path: Path, problem: str) -> StorageUnavailable:
    """The error for a log that is not there as it was; the run is suspended and can be resumed."""
    return StorageUnavailable(f"The log {str(path)!r}: {problem}", executed="no")
