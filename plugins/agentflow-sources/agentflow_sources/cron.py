"""The source `cron`: tells of the time."""

from __future__ import annotations

from collections.abc import Mapping
from math import floor
from urllib.parse import quote

import anyio.to_thread

from agentflow_kernel.contracts.source import SourceItem
from agentflow_kernel.errors import InputInvalid
from agentflow_kernel.event import Event
from agentflow_sources._life import Life
from agentflow_sources._timetable import Timetable, utc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from agentflow_kernel.contracts.plugin import PluginContext
    from agentflow_kernel.contracts.values import JSON
    from agentflow_sources.settings import CronSettings

EVENT_TYPE = "dev.agentflow.time.reached"

_LONGEST_WAIT_S = 30.0
"""The wall clock is looked at so often: it may be set, and a machine may sleep."""


class CronSource:
    """One event for each moment of a timetable, by the wall clock; endless.

    A moment is told of once, also when the clock is set back. The first firing begins with the next moment; later ones
    with the last cursor.
    """

    continues = True
    """A new firing goes on after the last cursor."""

    def __init__(self, settings: CronSettings, context: PluginContext) -> None:
        self._settings = settings
        self._context = context
        self._life = Life(context.name, context.clock)

    async def events(self, cursor: JSON = None) -> AsyncIterator[SourceItem]:
        """Moments after `cursor`; what was missed since then is told of as the settings say.

        Raises :class:`InputInvalid` for an unknown time zone or a foreign cursor, :class:`UsageError` after
        :meth:`aclose`.
        """
        name, settings, clock = self._context.name, self._settings, self._context.clock
        self._life.check()
        last = _read_cursor(cursor, name)
        timetable = await anyio.to_thread.run_sync(Timetable, settings.expression, settings.timezone, name)
        if last is None:
            last = floor(clock.now())
        missed = 0
        while self._life.goes_on():
            following = await anyio.to_thread.run_sync(timetable.next, last)
            if following is None:
                return
            while (wait_s := following - clock.now()) > 0 and self._life.goes_on():
                await self._life.pause(min(wait_s, _LONGEST_WAIT_S))
            if not self._life.goes_on():
                return
            now = clock.now()
            due = await anyio.to_thread.run_sync(timetable.latest, last, floor(now), settings.max_missed)
            told = self._choose(due, now)
            for moment in due:
                if moment in told:
                    yield self._item(timetable, moment, missed)
                    missed = 0
                else:
                    missed = min(missed + 1, settings.max_missed)
                last = moment

    async def aclose(self) -> None:
        """End the iterator, at once if it waits; may be called twice."""
        self._life.end()

    def _choose(self, due: list[int], now: float) -> set[int]:
        """The moments that get an event of their own."""
        if self._settings.missed == "all":
            return set(due)
        if self._settings.missed == "once":
            return {due[-1]}
        return {moment for moment in due[-1:] if now - moment <= self._settings.late_s}

    def _item(self, timetable: Timetable, moment: int, missed: int) -> SourceItem:
        settings, fired = self._settings, self._context.clock.now()
        scheduled = utc(moment)
        event = Event(
            EVENT_TYPE,
            {
                "scheduled": timetable.local(moment),
                "fired": utc(fired),
                "expression": settings.expression,
                "timezone": settings.timezone,
                "missed": missed,
            },
            id=scheduled,
            source=f"urn:agentflow:cron:{quote(self._context.name, safe='')}",
            subject=self._context.name,
            time=utc(fired),
        )
        return SourceItem(event, {"scheduled": moment})


def _read_cursor(document: JSON, source: str) -> int | None:
    """The moment in a cursor; `None` is the beginning."""
    if document is None:
        return None
    moment = document.get("scheduled") if isinstance(document, Mapping) else None
    if not isinstance(moment, int) or isinstance(moment, bool) or moment < 0:
        problem = f"{document!r} is no cursor of this source. Take one that it gave, or none to begin anew."
        raise InputInvalid(f"Cursor of source {source!r}", problem)
    return moment
