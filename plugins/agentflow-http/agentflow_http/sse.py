"""An event stream: bytes in any split become server-sent events, as the WHATWG specification reads them.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html, sections 9.2.5 and 9.2.6.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentflow_kernel.errors import ProtocolViolation

if TYPE_CHECKING:
    from typing import TypeAlias

    Event: TypeAlias = tuple[bytes, bytes]
    """The name of an event (empty where the stream gives none) and its data, both as bytes of UTF-8."""

MAX_EVENT_BYTES = 16 * 1024 * 1024
"""Longest line, and most data of one event, in bytes."""

_BOM = b"\xef\xbb\xbf"


class EventSplitter:
    """Takes the bytes of one stream as they come; what is left when the stream ends is no event and is dropped.

    Data stays bytes until an event is whole, so that a character split between two chunks is never torn. ``id`` and
    ``retry`` are read past: nobody reconnects in the middle of an answer.
    """

    __slots__ = ("_limit", "_pending", "_pending_bytes", "_begun", "_after_cr", "_name", "_data", "_data_bytes")

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._limit = max_event_bytes
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._begun = False
        self._after_cr = False
        self._name = b""
        self._data: list[bytes] = []
        self._data_bytes = 0

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that are whole with this chunk; :class:`ProtocolViolation` beyond the limit of size."""
        if self._after_cr and chunk:
            self._after_cr = False
            if chunk[0] == 0x0A:
                chunk = chunk[1:]
        if b"\r" in chunk:
            self._after_cr = chunk[-1] == 0x0D
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if b"\n" not in chunk:
            self._keep(chunk)
            return []
        if self._pending:
            self._pending.append(chunk)
            chunk = b"".join(self._pending)
            self._pending.clear()
            self._pending_bytes = 0
        if not self._begun:
            self._begun = True
            chunk = chunk.removeprefix(_BOM)
        lines = chunk.split(b"\n")
        rest = lines.pop()
        if len(chunk) > self._limit:
            self._check(max(map(len, lines)))
        events = self._read(lines)
        if rest:
            self._keep(rest)
        return events

    def _keep(self, part: bytes) -> None:
        """Put the beginning of a line aside; joined once, when its end has come."""
        if part:
            self._pending.append(part)
            self._pending_bytes += len(part)
            self._check(self._pending_bytes)

    def _read(self, lines: list[bytes]) -> list[Event]:
        events: list[Event] = []
        data = self._data
        for line in lines:
            if line[:6] == b"data: ":  # the usual spelling of each field first: this loop is most of the cost
                value = line[6:]
            elif not line:
                if data:
                    events.append((self._name, data[0] if len(data) == 1 else b"\n".join(data)))
                    self._data = data = []
                    self._data_bytes = 0
                self._name = b""
                continue
            elif line[:7] == b"event: ":
                self._name = line[7:]
                continue
            else:
                field, _, value = line.partition(b":")
                value = value.removeprefix(b" ")
                if field == b"event":
                    self._name = value
                if field != b"data":
                    continue
            data.append(value)
            self._data_bytes += len(value)
            if self._data_bytes > self._limit:
                self._check(self._data_bytes)
        return events

    def _check(self, size: int) -> None:
        if size > self._limit:
            raise ProtocolViolation(f"The event stream holds an event of more than {self._limit} bytes.")
