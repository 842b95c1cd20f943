"""A sample: an sshd log made up from a seed, with attackers among ordinary logins, as long as you like."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LINES: Final = 600
SEED: Final = 7
HOST: Final = "gateway"
MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
DAYS: Final = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
DAY_S: Final = 86_400
STAFF: Final = ("backup", "build", "deploy", "monitor", "operator", "reports")
OFFICE: Final = ("192.0.2.20", "192.0.2.21", "192.0.2.22", "2001:db8:0:1::20")
"""Where ordinary logins come from; ``192.0.2.22`` mistypes a password now and then."""


class Attacker(NamedTuple):
    """An address, the accounts it tries, how eager it is, and how it goes about it."""

    address: str
    users: tuple[str, ...]
    weight: int
    manner: str


ATTACKERS: Final = (
    Attacker("203.0.113.7", ("root",), 24, "repeats"),
    Attacker("198.51.100.23", ("admin", "oracle", "test", "guest", "ubuntu", "git", "postgres"), 20, "unknown users"),
    Attacker("2001:db8:bad::5", ("root", "pi", "user"), 10, "unknown users"),
    Attacker("198.51.100.77", ("operator",), 8, "gets in"),
    Attacker("203.0.113.99", (" 0000", "", "user from 192.0.2.20 port 22 ssh2"), 9, "odd names"),
    Attacker("dial-7.example.net", ("root", "admin"), 4, "no reverse"),
    *(Attacker(f"203.0.113.{last}", ("root",), 1, "plain") for last in range(130, 146)),
)


class Line(NamedTuple):
    """One line, and what it adds to the count: so many failed passwords of a user from an address."""

    text: str
    failures: int = 0
    user: str = ""
    address: str = ""


class Writer:
    """Lines with a running clock; sessions have process numbers of their own."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311 -- a made-up log, no cryptography
        self._second = 61 * DAY_S + 6 * 3_600
        self._pid = 20_000
        self._successes = 0

    def sessions(self) -> Iterator[Line]:
        """Lines without end, session after session."""
        while True:
            self._second += 1 + self._below(40)
            self._pid += 1 + self._below(3)
            if self._below(3) == 0:
                yield from self._login()
            else:
                yield from self._attack(self._weighted(ATTACKERS))

    def _below(self, limit: int) -> int:
        """A number below the limit; of the generator only ``random()`` is promised to stay the same in all versions."""
        return int(self._random.random() * limit)

    def _weighted(self, attackers: Sequence[Attacker]) -> Attacker:
        drawn = self._below(sum(attacker.weight for attacker in attackers))
        for attacker in attackers:
            drawn -= attacker.weight
            if drawn < 0:
                return attacker
        raise AssertionError("the weights sum up to more than was drawn")

    def _stamp(self) -> str:
        day, second = divmod(self._second, DAY_S)
        day, month = day % sum(DAYS), 0
        while day >= DAYS[month]:
            day -= DAYS[month]
            month += 1
        return f"{MONTHS[month]} {day + 1:2} {second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"

    def _says(self, message: str, failures: int = 0, user: str = "", address: str = "") -> Line:
        return Line(f"{self._stamp()} {HOST} sshd[{self._pid}]: {message}", failures, user, address)

    def _login(self) -> Iterator[Line]:
        user, address = STAFF[self._below(len(STAFF))], OFFICE[self._below(len(OFFICE))]
        port = 40_000 + self._below(20_000)
        if address == "192.0.2.22" and self._below(4) == 0:
            yield self._says(f"Failed password for {user} from {address} port {port} ssh2", 1, user, address)
            self._second += 4
        yield self._says(f"Accepted password for {user} from {address} port {port} ssh2")
        yield self._says(f"pam_unix(sshd:session): session opened for user {user} by (uid=0)")
        self._second += 1 + self._below(20)
        yield self._says(f"Received disconnect from {address}: 11: disconnected by user")
        yield self._says(f"pam_unix(sshd:session): session closed for user {user}")

    def _attack(self, attacker: Attacker) -> Iterator[Line]:
        address, manner = attacker.address, attacker.manner
        user = attacker.users[self._below(len(attacker.users))]
        port = 30_000 + self._below(30_000)
        unknown = "" if user in {"root", *STAFF} else "invalid user "
        if manner == "no reverse":
            name = f"{address} [203.0.113.250]"
            yield self._says(f"reverse mapping checking getaddrinfo for {name} failed - POSSIBLE BREAK-IN ATTEMPT!")
        if unknown:
            yield self._says(f"Invalid user {user} from {address}")
            yield self._says(f"input_userauth_request: invalid user {user} [preauth]")
        if manner == "odd names" and self._below(2):
            yield self._says(f"Failed none for invalid user {user} from {address} port {port} ssh2")
        self._second += 2
        failed = f"Failed password for {unknown}{user} from {address} port {port} ssh2"
        yield self._says(failed, 1, user, address)
        if manner == "repeats":
            times = 2 + self._below(4)
            self._second += 2 * times
            yield self._says(f"message repeated {times} times: [ {failed}]", times, user, address)
            yield self._says("Disconnecting: Too many authentication failures for root [preauth]")
        if manner == "gets in":
            self._successes += 1
            if self._successes == 6:
                yield self._says(f"Accepted password for {user} from {address} port {port} ssh2")
                yield self._says(f"pam_unix(sshd:session): session opened for user {user} by (uid=0)")
                return
        yield self._says(f"Received disconnect from {address}: 11: Bye Bye [preauth]")


def sample(lines: int, seed: int = SEED) -> Iterator[Line]:
    """So many lines; the same number and seed give the same lines on every machine and version."""
    for _, line in zip(range(lines), Writer(seed).sessions(), strict=False):
        yield line


def main() -> None:
    """Write a sample to a file, or to the output."""
    parser = argparse.ArgumentParser(description="Write a made-up sshd log.")
    parser.add_argument("--lines", type=int, default=LINES, help="how many lines (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=SEED, help="another seed, another log (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="the file to write (default: the standard output)")
    options = parser.parse_args()
    texts = (f"{line.text}\n" for line in sample(options.lines, options.seed))
    if options.out is None:
        sys.stdout.writelines(texts)
        return
    with options.out.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(texts)


if __name__ == "__main__":
    main()
