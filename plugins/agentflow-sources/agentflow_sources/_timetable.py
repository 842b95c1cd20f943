"""A timetable: the moments that a cron expression means in a time zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim

from agentflow_kernel.errors import InputInvalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_FIRST_LOOK_S = 3_600


class Timetable:
    """Moments in UTC, in whole seconds since 1970, in order. Blocks when it is made: time zones are files.

    Rules of daylight saving time are those of Debian's cron: what stands at a fixed hour runs once a day, at the end
    of the gap where its hour does not exist, at the first of two equal hours; what has `*` for minute or hour runs by
    the time that passes. An expression of six fields always runs by its fields.
    """

    def __init__(self, expression: str, timezone: str, source: str) -> None:
        self._expression = expression
        try:
            zone = ZoneInfo(timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            problem = f"there is no time zone {timezone!r} on this machine. Correct it, or pip install tzdata."
            raise InputInvalid(f"Source {source!r}", problem) from error
        self._zone = UTC if timezone == "UTC" else zone

    def after(self, moment: int) -> Iterator[int]:
        """All moments later than this one."""
        last = moment
        for found in CronSim(self._expression, datetime.fromtimestamp(moment, self._zone)):
            at = int(found.timestamp())
            if at > last:  # a fixed hour that comes twice is given for its first time, which may be over
                last = at
                yield at

    def next(self, moment: int) -> int | None:
        """The first moment later than this one; `None` when there is none in 50 years."""
        return next(self.after(moment), None)

    def latest(self, since: int, until: int, limit: int) -> list[int]:
        """The moments later than `since` and not later than `until`, in order; of many, the last `limit` ones.

        Looks back from the end, so that a long absence costs no more than what is given.
        """
        look_s = _FIRST_LOOK_S
        while True:
            begin = max(since, until - look_s)
            found = []
            for moment in self.after(begin):
                if moment > until:
                    break
                found.append(moment)
            if begin == since or len(found) >= limit:
                return found[-limit:]
            look_s *= 2

    def local(self, moment: int) -> str:
        """A moment as people of the zone write it, with its offset from UTC."""
        return datetime.fromtimestamp(moment, self._zone).isoformat()


def utc(moment: float) -> str:
    """A moment in UTC, RFC 3339."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=moment)).isoformat().replace("+00:00", "Z")
