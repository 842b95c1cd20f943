"""An event feed: what runs have emitted, and each record of their journal, as events in order."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Any

from agentflow_cli.look import ALL, pick
from agentflow_cli.run_list import utc
from agentflow_cli.timeline import compact, note_of, short
from agentflow_kernel.contracts.journal import TERMINAL
from agentflow_kernel.errors import UnknownName, UsageError
from agentflow_kernel.event import Event
from agentflow_kernel.inprocess.bus import matches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentflow_kernel import Kernel
    from agentflow_kernel.contracts.journal import Record, RunInfo

PREFIX = "dev.agentflow."
"""Stands before the type of a record, so that it is not taken for an event of a flow."""

_SPAN = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|d)")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class Entry:
    """One record as an event. ``order`` sorts entries of several runs by time, and those of one run as on record."""

    __slots__ = ("name", "order", "record", "type")

    def __init__(self, record: Record, name: str, ts: float) -> None:
        self.record = record
        self.name = name
        self.order = (ts, record.run_id, record.seq)
        payload = record.payload if isinstance(record.payload, dict) else {}
        emitted = record.type == "event.emitted"
        self.type = str(payload.get("type", "")) if emitted else PREFIX + record.type

    def as_event(self) -> Event:
        """The event in its envelope; an emitted one is that which went over the bus, with its id and source."""
        record = self.record
        data: Any = record.payload
        if record.type == "event.emitted" and isinstance(data, dict):
            data = data.get("data")
        return Event(
            self.type,
            data,
            source=f"agentflow/{self.name}",
            id=f"{record.run_id}/{record.seq}",
            subject=record.path or None,
            time=utc(record.ts),
            extensions={"runid": record.run_id, "seq": record.seq},
        )

    def cells(self) -> tuple[str, ...]:
        """Time, run, type, path and a few words."""
        record = self.record
        payload = record.payload if isinstance(record.payload, dict) else {}
        emitted = record.type == "event.emitted"
        note = short(compact(payload.get("data"))) if emitted else note_of(record.type, payload)
        at = dt.datetime.fromtimestamp(record.ts).astimezone().strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
        return (at, record.run_id, self.type, record.path, note)


class Feed:
    """Reads a journal from a point on; each call of :meth:`take` gives what has come since the last.

    ``start`` is the number of a record in the run ``run``, or the id ``RUN_ID/SEQ`` of an event from which on all
    runs are told.
    """

    def __init__(self, *, types: Sequence[str], run: str | None, since: float | None, start: str | None) -> None:
        self._types = types
        self.run = run
        self._since = since
        self._start = start
        self._first = 0
        """The first record of the one run that is told."""
        self._from: tuple[float, str, int] | None = None
        self._seen: dict[str, tuple[int, float]] = {}
        """By run, the number of the record that comes next and the time of the one before it."""
        self.ended = False
        """Whether the one run that is told has ended."""

    async def take(self, kernel: Kernel) -> list[Entry]:
        """The new entries, in order."""
        infos = await kernel.runs(limit=ALL)
        if self._start is not None:
            await self._find_start(kernel, infos)
        if self.run is not None:
            infos = [pick(infos, self.run)]
            self.ended = infos[0].status in TERMINAL
        found: list[Entry] = []
        for info in infos:
            seen = self._seen.get(info.run_id, (self._first, 0.0))[0]
            if info.next_seq > seen and (self._since is None or info.updated_at >= self._since):
                found += await self._of_run(kernel, info)
        return sorted(filter(self._wanted, found), key=lambda entry: entry.order)

    async def _of_run(self, kernel: Kernel, info: RunInfo) -> list[Entry]:
        seq, ts = self._seen.get(info.run_id, (self._first, 0.0))
        entries = []
        for record in await kernel.history(info.run_id, from_seq=seq, whole=True):
            ts = max(ts, record.ts)  # the clock of a machine may be put back
            entries.append(Entry(record, info.name, ts))
            self._seen[info.run_id] = (record.seq + 1, ts)
        return entries

    def _wanted(self, entry: Entry) -> bool:
        return (
            (self._since is None or entry.order[0] >= self._since)
            and (self._from is None or entry.order >= self._from)
            and (not self._types or any(matches(pattern, entry.type) for pattern in self._types))
        )

    async def _find_start(self, kernel: Kernel, infos: Sequence[RunInfo]) -> None:
        """Turn the start into a place in the order."""
        run_id, stroke, number = (self._start or "").rpartition("/")
        if not number.isdecimal() or (not stroke and self.run is None):
            raise UsageError("--from needs the id of an event, RUN_ID/SEQ, or with --run the number of a record.")
        self._start = None
        if not stroke:
            self._first = int(number)
            return
        info = pick(infos, run_id)
        records = await kernel.history(info.run_id)
        if all(record.seq != int(number) for record in records):
            raise UnknownName(f"event of run {info.run_id}", number, [str(records[-1].seq)])
        ts = max(record.ts for record in records if record.seq <= int(number))
        self._from = (ts, info.run_id, int(number))


def moment(text: str, now: float, option: str = "--since") -> float:
    """The wall time that `10m`, `2h` or an ISO 8601 time means; without a zone that is local time.

    Raises :class:`UsageError` for any other text.
    """
    span = _SPAN.fullmatch(text)
    if span:
        return now - float(span[1]) * _SECONDS[span[2]]
    try:
        return dt.datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError) as error:
        raise UsageError(f"{option} expects a span (30s, 10m, 2h, 1d) or an ISO 8601 time, found {text!r}.") from error
