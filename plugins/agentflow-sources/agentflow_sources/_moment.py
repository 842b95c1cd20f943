"""A moment: a time as events carry it."""

from __future__ import annotations

import time


def rfc3339(nanoseconds: int) -> str | None:
    """A moment in UTC to the microsecond; `None` for one outside of the years 1 to 9999, as a file system may hold."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    if not -62_135_596_800 <= seconds < 253_402_300_800:
        return None
    moment = time.gmtime(seconds)
    return f"{moment.tm_year:04}{time.strftime('-%m-%dT%H:%M:%S', moment)}.{rest // 1_000:06}Z"
