"""A tally: what one batch of an sshd log says about each address, however many lines it took to say it."""

from __future__ import annotations

import re
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, TypedDict

from agentflow_kernel.errors import StorageUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LINE_BYTES: Final = 1 << 16
"""Longer lines are counted and left out: sshd writes none, and none may fill the memory."""

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


class Tally(TypedDict):
    """One batch: its lines, those written by sshd, those too long to be read, and the addresses in order."""

    lines: int
    sshd_lines: int
    long_lines: int
    addresses: list[Seen]


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
    result: Tally = {"lines": 0, "sshd_lines": 0, "long_lines": 0, "addresses": []}
    by_address: dict[str, Seen] = {}
    for number, line in lines:
        result["lines"] += 1
        if line is None:
            result["long_lines"] += 1
        elif b" sshd" in line and (match := LINE.fullmatch(text_of(line))):
            result["sshd_lines"] += 1
            message = match["message"]
            if message is None:
                note(by_address, number, match["time"], match["repeated"], int(match["times"]))
            else:
                note(by_address, number, match["time"], message, 1)
    result["addresses"] = list(by_address.values())
    return result


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
