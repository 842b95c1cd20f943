"""A tally: what one batch of a log says about each address that logs in over SSH, and which of its lines are errors."""

from __future__ import annotations

import json
import re
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple, TypedDict

from agentflow_kernel.errors import StorageUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LINE_BYTES: Final = 1 << 16
"""Longer lines are counted and left out: no log has such on purpose, and none may fill the memory."""

SAMPLES: Final = 5
"""Line numbers kept for each address as evidence, and users of logins."""

LINE: Final = re.compile(
    r"(?:<\d{1,3}>)?"
    r"(?P<time>[A-Z][a-z]{2} +\d{1,2} (?:\d{4} )?\d\d:\d\d:\d\d(?:\.\d+)?|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[^ ]*)"
    r" +[^ ]+ sshd(?:-session)?(?:\[\d+\])?: "
    r"(?:message repeated (?P<times>\d{1,9}) times: \[ (?P<repeated>.*)\]|(?P<message>.*))",
    re.DOTALL,
)
# The user's name comes from the other side and may hold " from " itself: the greedy match leaves the address, which
# sshd wrote last, to the right end.
FROM: Final = r"(?P<user>.*) from (?P<address>[0-9A-Za-z_.:%-]{1,255}) port \d{1,5}(?: ssh\d?)?\s*"
FAILED: Final = re.compile(rf"Failed password for (?:invalid user )?{FROM}", re.DOTALL)
ACCEPTED: Final = re.compile(rf"Accepted (?:password|keyboard-interactive/pam) for {FROM}", re.DOTALL)

ERRORS: Final = frozenset(
    ("error", "err", "fatal", "crit", "critical", "alert", "emerg", "emergency", "severe", "panic")
)
"""The levels of errors. A warning is none."""

SEVERITIES: Final = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
"""The severities of syslog by number; a priority is eight times the facility, plus the severity."""

NO_YEAR: Final = 1904
"""The year of a time that names none; a leap year, so that each day is in it."""

HEAD_CHARS: Final = 160
"""How far behind the time a level is looked for: what stands further back is the message."""

PAIRS_CHARS: Final = 4_096
"""How far the pairs of logfmt are looked for."""

TEMPLATE_CHARS: Final = 160

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_WORDS: Final = (
    "emergency|emerg|panic|alert|critical|crit|fatal|severe|error|err|warning|warn|notice|information|info|config"
    "|debug|verbose|trace|finest|finer|fine"
)
_UPPER: Final = _WORDS.upper()
_MONTH: Final = "(?P<{}>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_CLOCK: Final = r"(?P<clock>\d\d:\d\d:\d\d)(?:[.,](?P<fraction>\d{1,9}))?"
_ISO: Final = rf"(?P<date>\d{{4}}[-/.]\d\d[-/.]\d\d|\d\d/\d\d/\d\d)[T ]{_CLOCK} ?(?P<zone>Z\b|[+-]\d\d:?\d\d\b)?"
TIME: Final = re.compile(
    r"(?:<(?P<priority>\d{1,3})>(?:1 )?)?"
    rf"(?:[\[(]?(?P<before>(?i:{_WORDS}))\b[\])]?[ :|,-]*)?"
    r"[\[(]?(?:"
    rf"{_ISO}"
    rf"|(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) {_MONTH.format('month')} +(?P<day>\d{{1,2}}) "
    r"(?P<daytime>\d\d:\d\d:\d\d(?:\.\d{1,9})?) (?P<year>\d{4})"
    rf"|{_MONTH.format('syslog')} +(?P<date_day>\d{{1,2}}) (?:(?P<date_year>\d{{4}}) )?"
    r"(?P<syslog_time>\d\d:\d\d:\d\d(?:\.\d{1,9})?)"
    r"|(?P<digits>\d{6} \d{6})(?= )"
    r")\]?"
)
"""A time at the beginning of a line, maybe with a level before it: ISO 8601 and its likes, Apache, syslog."""

LEVEL: Final = re.compile(
    rf"(?:(?<![A-Za-z0-9_])(?P<upper>{_UPPER})(?![A-Za-z0-9_])"
    rf"|[\[<(](?:[\w.-]+:)?(?P<marked>(?i:{_WORDS}))[\])>]"
    rf"|[-|:] (?P<between>(?i:{_WORDS}))(?: [-|] |:)"
    rf"|\A[\s,:|-]*(?P<first>(?i:{_WORDS}))\b)[\])>]*[\s:,|-]*"
)
"""A level behind the time: in capitals, in brackets, between separators, or right at the beginning."""

TAG: Final = re.compile(r" +[^ ]+ +(?:[a-z0-9]+\.(?P<severity>[a-z]+) +)?[^ :\[]+(?:\[[^\]]*\])?: ?")
"""What stands behind the time in syslog: the host, and the program with its process."""

SAID: Final = re.compile(
    rf"(?:\[[^\]]{{0,40}}\] *)*?[\[<(]?(?:(?P<upper>{_UPPER})\b|(?P<word>(?i:{_WORDS}))(?=[\])>:]))[\])>]*[\s:,|-]*"
)
"""A level at the beginning of a message of syslog."""

PAIR: Final = re.compile(r"""(?:^|[\s,])([@\w.]+)=("(?:[^"\\]|\\.)*"|[^\s,]*)""")
"""A pair of logfmt."""

TIMES: Final = ("time", "ts", "timestamp", "@timestamp", "t", "datetime", "date", "asctime", "at")
LEVELS: Final = ("level", "lvl", "severity", "levelname", "log.level", "log_level", "loglevel")
MESSAGES: Final = ("msg", "message", "event", "error", "err")
"""Names under which JSON lines and logfmt have the time, the level and the message."""

MASK: Final = re.compile(
    r"(?P<id>\b[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}\b)"
    r"|(?P<ip>/?\b\d{1,3}(?:\.\d{1,3}){3}\b(?::\d+)?|(?<![\w:])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){3,8}(?![\w:]))"
    r"|(?P<path>\b[A-Za-z][\w+.-]*://[^\s'\",)]+|(?<![\w/<])(?:[A-Za-z]:)?(?:[/\\][\w.@%+~=:$-]*[\w@%+~=$-])+[/\\]?)"
    r"|(?P<hex>\b0[xX][0-9A-Fa-f]+\b|\b(?=[A-Fa-f]*\d)(?=\d*[A-Fa-f])[0-9A-Fa-f]{8,}\b)"
    r"|(?P<n>(?<![A-Za-z\d])[-+]?\d+(?:[.,]\d+)*|\d{3,})"
)
"""What differs from one message to the next of the same kind."""


class Batch(TypedDict):
    """Where a batch stands in the file, as ``cutting.py`` found it."""

    offset: int
    length: int
    first_line: int
    lines: int
    crc32: int


class Order(TypedDict):
    """What ``parse`` is asked: one batch of the log at ``path``."""

    path: str
    batch: Batch


class Logins(TypedDict):
    """Accepted passwords: how many, and the first few users and line numbers."""

    count: int
    users: list[str]
    lines: list[int]


class Seen(TypedDict):
    """One address in one batch.

    ``users`` are the names tried, in order of appearance; ``lines`` the first few lines with a failure.
    ``early`` logins came before the first failure of the batch, ``late`` ones after it.
    """

    address: str
    failed_passwords: int
    users: list[str]
    first: str
    last: str
    lines: list[int]
    early: Logins
    late: Logins


class Errors(TypedDict):
    """The error lines of one batch, in the order of their times.

    ``points`` has ``<microseconds>:<line>:<template>`` for each, divided by blanks: lists of numbers would take six
    times the memory. ``zoned`` says that times were given with their zone; they are then in UTC.
    """

    templates: list[str]
    points: str
    zoned: bool


class Tally(TypedDict):
    """One batch: its lines by kind, the addresses in order, and the errors.

    ``levelled_lines`` have a time and a level, ``error_lines`` are those of them whose level is that of an error.
    """

    lines: int
    sshd_lines: int
    long_lines: int
    levelled_lines: int
    error_lines: int
    addresses: list[Seen]
    errors: Errors


class Said(NamedTuple):
    """The level of a line, where its time stands, and where its message begins; ``time`` may be a number of JSON."""

    level: str
    time: Any
    message: str


def parse(order: Order) -> Tally:
    """The tally of one batch. Raises :class:`StorageUnavailable` when the file no longer holds what was cut."""
    path = order["path"]
    try:
        with Path(path).open("rb") as file:
            reader = Reader(file, order["batch"])
            found = tally(reader)
    except OSError as exc:
        raise unreadable(path, f"it cannot be read: {exc.strerror}. Put the log back, then resume the run.") from exc
    if not reader.is_unchanged:
        raise unreadable(
            path, "it has changed since the run was started: lines differ. Put it back and resume, or start a new run."
        )
    return found


def unreadable(path: str, problem: str) -> StorageUnavailable:
    """The error for a log that is not there as it was; the run is suspended and can be resumed."""
    return StorageUnavailable(f"The log {path!r}: {problem}", executed="no")


class Reader:
    """The numbered lines of one batch, ``None`` for one that is too long; holds one line at a time."""

    def __init__(self, file: BinaryIO, batch: Batch) -> None:
        self._file = file
        self._batch = batch
        self._left = batch["length"]
        self._crc32 = 0

    @property
    def is_unchanged(self) -> bool:
        """Whether all that was read is what was cut; asked after the last line."""
        return not self._left and self._crc32 == self._batch["crc32"]

    def __iter__(self) -> Iterator[tuple[int, bytes | None]]:
        self._file.seek(self._batch["offset"])
        number = self._batch["first_line"]
        while line := self._piece():
            last, is_long = line, False
            while len(last) == LINE_BYTES and not last.endswith(b"\n") and (last := self._piece()):
                is_long = True
            yield number, None if is_long else line
            number += 1

    def _piece(self) -> bytes:
        """Up to the next newline, the longest line, or the end of the batch."""
        piece = self._file.readline(min(LINE_BYTES, self._left))
        self._left -= len(piece)
        self._crc32 = zlib.crc32(piece, self._crc32)
        return piece


def tally(lines: Iterable[tuple[int, bytes | None]]) -> Tally:
    """What numbered lines say; bytes that are no UTF-8 are kept as escapes."""
    count = sshd_lines = long_lines = levelled_lines = 0
    by_address: dict[str, Seen] = {}
    errors = Collector()
    for number, line in lines:
        count += 1
        if line is None:
            long_lines += 1
            continue
        text = text_of(line)
        if b" sshd" in line and (match := LINE.fullmatch(text)):
            sshd_lines += 1
            message = match["message"]
            if message is None:
                note(by_address, number, match["time"], match["repeated"], int(match["times"]))
            else:
                note(by_address, number, match["time"], message, 1)
            # strangers choose the names in what sshd writes: its word for the severity is at the beginning or nowhere
            said = said_by(text) if SAID.match(message or "") or text.startswith("<") else None
        else:
            said = said_by(text)
        if said is not None:
            levelled_lines += 1
            if said.level in ERRORS and not errors.add(number, said):
                levelled_lines -= 1
    return {
        "lines": count,
        "sshd_lines": sshd_lines,
        "long_lines": long_lines,
        "levelled_lines": levelled_lines,
        "error_lines": len(errors.points),
        "addresses": list(by_address.values()),
        "errors": errors.result(),
    }


class Collector:
    """The error lines of a batch as they come."""

    def __init__(self) -> None:
        self.points: list[tuple[int, int, int]] = []
        self._templates: dict[str, int] = {}
        self._zoned = False

    def add(self, number: int, said: Said) -> bool:
        """Add one line, unless its time is none; whether it was."""
        moment = moment_of(said.time)
        if moment is None:
            return False
        template = template_of(said.level, said.message)
        self._zoned = self._zoned or moment[1]
        self.points.append((moment[0], number, self._templates.setdefault(template, len(self._templates))))
        return True

    def result(self) -> Errors:
        """All that were added."""
        self.points.sort()
        points = " ".join(f"{moment}:{number}:{template}" for moment, number, template in self.points)
        return {"templates": list(self._templates), "points": points, "zoned": self._zoned}


def said_by(text: str) -> Said | None:
    """What a line says with its level and time, or ``None`` for one that lacks either."""
    if text.startswith("{"):
        return said_in_json(text)
    if PAIR.match(text):
        return said_in_logfmt(text)
    match = TIME.match(text)
    if match is None:
        return None
    end = match.end()
    if match["priority"] is not None:
        tag = TAG.match(text, end)
        return Said(SEVERITIES[int(match["priority"]) % 8], match, text[tag.end() if tag else end :])
    if match["before"] is not None:
        return Said(match["before"].lower(), match, text[end:].lstrip(" :|,-]"))
    if match["syslog"] is not None or match["zone"] is not None:
        tag = TAG.match(text, end)
        if tag is not None:
            found = SAID.match(text, tag.end())
            if tag["severity"] in SEVERITIES:
                return Said(tag["severity"], match, text[tag.end() :])
            if found is not None:
                return Said((found["upper"] or found["word"]).lower(), match, text[found.end() :])
            message = text[tag.end() :]
            return said_in_json(message, match) if message.startswith("{") else said_in_logfmt(message, match)
    found = LEVEL.search(text[end : end + HEAD_CHARS])
    if found is None:
        return said_in_logfmt(text[end:], match)
    level = found["upper"] or found["marked"] or found["between"] or found["first"]
    return Said(level.lower(), match, text[end + found.end() :])


def said_in_json(text: str, match: re.Match[str] | None = None) -> Said | None:
    """What a line of JSON says; the time may stand before it."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return said_in_pairs(value, match) if isinstance(value, dict) else None


def said_in_logfmt(text: str, match: re.Match[str] | None = None) -> Said | None:
    """What pairs of logfmt say; the time may stand before them."""
    if "l=" not in text and "severity=" not in text:
        return None
    return said_in_pairs({name: value.strip('"') for name, value in PAIR.findall(text[:PAIRS_CHARS])}, match)


def said_in_pairs(pairs: dict[str, Any], match: re.Match[str] | None) -> Said | None:
    """What names and values say, those of JSON or of logfmt; numbers of levels are those of bunyan and pino."""
    level: Any = next((pairs[name] for name in LEVELS if name in pairs), None)
    if level is None and isinstance(pairs.get("log"), dict):
        level = pairs["log"].get("level")
    if isinstance(level, int) and not isinstance(level, bool):
        level = "fatal" if level >= 60 else "error" if level >= 50 else "info"
    time: Any = next((pairs[name] for name in TIMES if name in pairs), match)
    if not isinstance(level, str) or not level or time is None or isinstance(time, bool):
        return None
    message = next((pairs[name] for name in MESSAGES if isinstance(pairs.get(name), str)), "")
    return Said(level.lower(), time, message)


def moment_of(time: Any) -> tuple[int, bool] | None:
    """Microseconds since 1970 and whether the zone was known, or ``None`` for what is no time.

    A time without a zone is taken as it stands, one without a year is put into ``NO_YEAR``. Numbers are seconds since
    1970, or milli-, micro- or nanoseconds where they would be later than the year 5000.
    """
    if isinstance(time, str):
        match = TIME.match(time)
        if match is None:
            try:
                time = float(time)
            except ValueError:
                return None
        else:
            time = match
    try:
        if isinstance(time, int | float):
            if not 0 <= time < 1e20:  # what is no number is left out, too
                return None
            while time > 1e11:
                time /= 1_000
            return round(time * 1_000_000), True
        return moment_in(time) if isinstance(time, re.Match) else None
    except (ValueError, OverflowError):
        return None


def moment_in(match: re.Match[str]) -> tuple[int, bool]:
    """The moment that a match of ``TIME`` tells."""
    zone = None
    if match["date"] is not None:
        first, second, third = re.split("[-/.]", match["date"])
        year, month, day = int(first) + (2_000 if len(first) == 2 else 0), int(second), int(third)
        clock, zone = f"{match['clock']}.{match['fraction'] or 0}", match["zone"]
    elif match["month"] is not None:
        year, month, day = int(match["year"]), 1 + _MONTHS.index(match["month"]), int(match["day"])
        clock = match["daytime"]
    elif match["digits"] is not None:
        two = [match["digits"].replace(" ", "")[start : start + 2] for start in range(0, 12, 2)]
        year, month, day, clock = 2_000 + int(two[0]), int(two[1]), int(two[2]), ":".join(two[3:])
    else:
        year, month = int(match["date_year"] or NO_YEAR), 1 + _MONTHS.index(match["syslog"])
        day, clock = int(match["date_day"]), match["syslog_time"]
    if not 1900 <= year <= 9998:
        raise ValueError(year)
    seconds, _, fraction = clock.partition(".")
    hour, minute, second_ = map(int, seconds.split(":"))
    leap_s = 1 if second_ == 60 else 0
    moment = datetime(year, month, day, hour, minute, second_ - leap_s, tzinfo=UTC) - _EPOCH
    if zone and zone != "Z":
        sign = -1 if zone[0] == "-" else 1
        moment -= sign * timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
    return (moment.days * 86_400 + moment.seconds + leap_s) * 1_000_000 + int(f"{fraction[:6]:0<6}"), zone is not None


def template_of(level: str, message: str) -> str:
    """The message with everything masked that differs from one to the next, behind its level."""
    masked = MASK.sub(lambda match: f"<{match.lastgroup}>", message[: 4 * TEMPLATE_CHARS])
    return f"{level}: {' '.join(masked.split())}"[:TEMPLATE_CHARS].rstrip()


def text_of(line: bytes) -> str:
    """A line without its end, be it LF or CR LF."""
    return line.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8", "backslashreplace")


def note(by_address: dict[str, Seen], number: int, time: str, message: str, times: int) -> None:
    """Add one message to the address it speaks of, if it is a failed or accepted password."""
    failed = FAILED.fullmatch(message) if message.startswith("Failed") else None
    match = failed or (ACCEPTED.fullmatch(message) if message.startswith("Accepted") else None)
    if match is None or not times:
        return
    seen = by_address.get(match["address"])
    if seen is None:
        seen = by_address[match["address"]] = unseen(match["address"])
    if failed is None:
        logins = seen["late"] if seen["failed_passwords"] else seen["early"]
        logins["count"] += times
        names, numbers = logins["users"], logins["lines"]
    else:
        seen["failed_passwords"] += times
        seen["first"] = seen["first"] or time
        seen["last"] = time
        names, numbers = seen["users"], seen["lines"]
    if match["user"] not in names and (failed or len(names) < SAMPLES):
        names.append(match["user"])
    if len(numbers) < SAMPLES:
        numbers.append(number)


def unseen(address: str) -> Seen:
    """An address of which nothing is known."""
    return {
        "address": address,
        "failed_passwords": 0,
        "users": [],
        "first": "",
        "last": "",
        "lines": [],
        "early": {"count": 0, "users": [], "lines": []},
        "late": {"count": 0, "users": [], "lines": []},
    }
