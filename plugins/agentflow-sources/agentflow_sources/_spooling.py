"""A spooling: a stream read and cut into chunks, each on disk with the position after it before anyone hears of it."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import quote

from agentflow_kernel.event import Event
from agentflow_sources._cutter import Cutter
from agentflow_sources._moment import rfc3339
from agentflow_sources._position import PRINT_BYTES, Position
from agentflow_sources._stream import Sign
from agentflow_sources._tally import Tally

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentflow_sources._spool import Chunk, Spool
    from agentflow_sources._stream import Stream
    from agentflow_sources.settings import LineSettings

EVENT_TYPE = "dev.agentflow.lines.read"

PIECE_BYTES = 65_536
_READS = 64
"""How often a stream is read before whoever waits is asked whether to go on."""


class Moment(NamedTuple):
    """Now, by both clocks, in seconds."""

    monotonic: float
    wall: float


class Spooling:
    """Reads without waiting and holds at most one chunk, one piece and one line that is not complete."""

    def __init__(self, stream: Stream, spool: Spool, settings: LineSettings) -> None:
        self._stream = stream
        self._spool = spool
        self._settings = settings
        self._cutter = Cutter(settings.lines, settings.chunk_bytes)
        self._since: float | None = None
        """When the first whole line that waits was read."""
        self._sign: Sign | None = None
        """The end that the stream has come to."""
        self._ended = False
        self._has_begun = False
        """Whether a position is on disk from which a new start goes on."""
        self._chunk = -1
        self._line = 0
        self._tail = b""
        """The last bytes that were cut of this generation."""

    def start(self, position: Position | None) -> None:
        """Go on after the last position known, or where the reading began when nothing was cut yet."""
        if position is None and (origin := self._spool.origin()) is not None:
            position = Position.from_json(origin, self._stream.log)
        self._has_begun = position is not None
        counts_on = self._stream.start(position)
        if position is not None:
            self._chunk = position.chunk
            self._line = position.line if counts_on else 0

    def advance(self, now: Moment) -> Chunk | Sign | None:
        """The next chunk; or that there is nothing now, or no more at all; `None` asks to be called again."""
        for _ in range(_READS):
            if self._is_due(now.monotonic):
                return self._cut(now)
            if self._sign is not None:
                if self._sign is Sign.END and self._ended:
                    return Sign.END
                if self._sign is Sign.END or not self._cutter.holds_nothing:
                    return self._cut_all(now)
                self._stream.turn()
                self._sign, self._tail = None, b""
            found = self._stream.read(PIECE_BYTES, now.monotonic)
            if not self._has_begun and self._stream.is_open:
                self._spool.begin(self._stream.position(0, b"").to_json())
                self._has_begun = True
            if found is Sign.IDLE:
                return Sign.IDLE
            if isinstance(found, Sign):
                self._sign = found
            else:
                self._take(found, now.monotonic)
        return None

    def flush(self, now: Moment) -> None:
        """Put on disk what was read and could not be read again; it is told of at the next start."""
        while self._stream.volatile and not self._cutter.holds_nothing:
            self._cut_all(now)

    def _is_due(self, now: float) -> bool:
        cutter = self._cutter
        if cutter.full and (cutter.open_bytes or not self._stream.finite):
            return True  # else more bytes tell whether this is the last chunk
        return self._sign is None and self._since is not None and now - self._since >= self._settings.every_s

    def _take(self, piece: bytes, now: float) -> None:
        cutter = self._cutter
        cutter.add(piece)
        if self._since is None and cutter.lines:
            self._since = now
        if not cutter.full and cutter.open_bytes > self._settings.max_line_bytes:
            self._tally(b"", self._line + cutter.lines + 1).refuse_long(cutter.open_bytes)

    def _cut(self, now: Moment) -> Chunk:
        return self._keep(*self._cutter.cut(), now)

    def _cut_all(self, now: Moment) -> Chunk:
        return self._keep(*self._cutter.cut_all(), now)

    def _keep(self, piece: bytes, lines: int, now: Moment) -> Chunk:
        """Spool the next chunk with its event."""
        stream, number = self._stream, self._chunk + 1
        offset = stream.offset - self._cutter.held_bytes
        self._tail = (self._tail + piece[-PRINT_BYTES:])[-PRINT_BYTES:]
        position = stream.position(offset, self._tail)._replace(chunk=number, line=self._line + lines)
        tally = self._tally(piece, self._line + 1)
        self._ended = self._sign is Sign.END and self._cutter.holds_nothing
        event = Event(
            EVENT_TYPE,
            {
                "path": self._spool.path_of(number),
                "log": stream.log,
                "first_line": self._line + 1,
                "lines": lines,
                "size_bytes": len(piece),
                "sha256": tally.sha256,
                "encoding": self._settings.encoding,
                "first_undecodable_line": tally.first_undecodable_line,
                "generation": stream.generation,
                "offset": offset - len(piece),
                **({"ends": True} if self._ended else {}),
            },
            id=f"{self._spool.identity}-{number}",
            source="urn:agentflow:stdin" if stream.log == "-" else f"file://{quote(stream.log)}",
            subject=stream.log,
            time=rfc3339(int(now.wall * 1_000_000) * 1_000),
        )
        chunk = self._spool.add(number, piece, event, position.to_json(), now.wall)
        self._chunk, self._line = number, position.line
        self._since = now.monotonic if self._cutter.lines else None
        return chunk

    def _tally(self, piece: bytes, first_line: int) -> Tally:
        """What is known of a chunk. Raises :class:`InputInvalid` for a line that is too long."""
        settings = self._settings
        tally = Tally(
            self._stream.log, settings.encoding, settings.max_line_bytes, first_line=first_line, refuses_binary=False
        )
        step = min(1_048_576, settings.max_line_bytes)
        for start in range(0, len(piece), step):
            tally.add(piece[start : start + step])
        tally.end()
        return tally
