"""A group: the suspects and the bursts of errors in a log, one suspect for each address that failed to log in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypedDict

SAMPLES: Final = 5
"""Line numbers kept as evidence, and templates of a burst that are told."""

NO_YEAR: Final = 1904
"""The year into which ``parsing.py`` puts a time that names none."""

MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Logins(TypedDict):
    """Accepted passwords: how many, and the first few users and line numbers."""

    count: int
    users: list[str]
    lines: list[int]


class Suspect(TypedDict):
    """One attacking address in the whole log; ``logins`` are those after its first failure."""

    address: str
    failed_passwords: int
    users: list[str]
    first: str
    last: str
    lines: list[int]
    logins: Logins


class Template(TypedDict):
    """Messages that are the same but for what was masked, and how many there are."""

    template: str
    count: int


class Burst(TypedDict):
    """Error lines in close succession, from ``first`` to ``last``; ``lines`` are numbers of a few of them."""

    first: str
    last: str
    count: int
    templates: list[Template]
    lines: list[int]


class Group(TypedDict):
    """The log: what was read, the suspects, those with the most failed passwords first, and the bursts in time."""

    lines: int
    sshd_lines: int
    long_lines: int
    levelled_lines: int
    error_lines: int
    failed_passwords: int
    suspects: list[Suspect]
    bursts: list[Burst]
    older_bursts: int
    burst_lines: int
    late_lines: int


def group(tally: dict[str, Any]) -> Group:
    """The suspects and bursts of the log, given its tallies as one."""
    errors = tally["errors"]
    suspects = [suspect(seen) for seen in tally["addresses"] if seen["failed_passwords"]]
    suspects.sort(key=lambda suspect: (-suspect["failed_passwords"], suspect["address"]))
    bursts = [burst(each, zoned=errors["zoned"]) for each in errors.get("bursts", ())]
    return {
        "lines": tally["lines"],
        "sshd_lines": tally["sshd_lines"],
        "long_lines": tally["long_lines"],
        "levelled_lines": tally["levelled_lines"],
        "error_lines": tally["error_lines"],
        "failed_passwords": sum(suspect["failed_passwords"] for suspect in suspects),
        "suspects": suspects,
        "bursts": bursts,
        "older_bursts": errors.get("older_bursts", 0),
        "burst_lines": sum(burst["count"] for burst in bursts) + errors.get("older_lines", 0),
        "late_lines": errors.get("late", 0),
    }


def suspect(seen: dict[str, Any]) -> Suspect:
    """An address that failed; logins before its first failure do not count."""
    return {
        "address": seen["address"],
        "failed_passwords": seen["failed_passwords"],
        "users": seen["users"],
        "first": seen["first"],
        "last": seen["last"],
        "lines": seen["lines"],
        "logins": seen["late"],
    }


def burst(found: dict[str, Any], *, zoned: bool) -> Burst:
    """A burst for people: its times in words, its most frequent templates."""
    points = [each.partition(":") for each in (*found["head"].split(), *found["tail"].split())]
    return {
        "first": shown(int(points[0][0]), zoned=zoned),
        "last": shown(int(points[-1][0]), zoned=zoned),
        "count": found["lines"],
        "templates": [{"template": text, "count": count} for text, count in found["templates"][:SAMPLES]],
        "lines": [*dict.fromkeys(int(line) for _, _, line in (*points[: SAMPLES - 1], points[-1]))],
    }


def shown(moment: int, *, zoned: bool) -> str:
    """Microseconds since 1970 as date and time, as exact as they are, with ``Z`` where the zone is known."""
    time = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=moment)
    micros = time.microsecond
    fraction = f".{micros:06d}" if micros % 1_000 else f".{micros // 1_000:03d}" if micros else ""
    if time.year == NO_YEAR:
        return f"{MONTHS[time.month - 1]} {time.day:2} {time:%H:%M:%S}{fraction}"
    return f"{time:%Y-%m-%d %H:%M:%S}{fraction}{'Z' if zoned else ''}"
