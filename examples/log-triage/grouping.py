"""A group: the tallies of all batches put together, one suspect for each address that failed to log in."""

from __future__ import annotations

from typing import Final, TypedDict

SAMPLES: Final = 5
"""Line numbers and users kept as evidence."""


class Logins(TypedDict):
    """Accepted passwords: how many, and the first few users and line numbers."""

    count: int
    users: list[str]
    lines: list[int]


class Seen(TypedDict):
    """One address in one batch, as ``parsing.py`` tells it."""

    address: str
    failed_passwords: int
    users: list[str]
    first: str
    last: str
    lines: list[int]
    early: Logins
    late: Logins


class Tally(TypedDict):
    """One batch, as ``parsing.py`` tells it."""

    lines: int
    sshd_lines: int
    long_lines: int
    addresses: list[Seen]


class Suspect(TypedDict):
    """One attacking address in the whole log; ``logins`` are those after its first failure."""

    address: str
    failed_passwords: int
    users: list[str]
    first: str
    last: str
    lines: list[int]
    logins: Logins


class Group(TypedDict):
    """The whole log: what was read, and the suspects, those with the most failed passwords first."""

    lines: int
    sshd_lines: int
    long_lines: int
    failed_passwords: int
    suspects: list[Suspect]


def group(tallies: list[Tally]) -> Group:
    """The suspects of all batches, which come in the order of the log; the result does not depend on how it was cut."""
    by_address: dict[str, Suspect] = {}
    names: dict[str, dict[str, None]] = {}
    for tally in tallies:
        for seen in tally["addresses"]:
            address = seen["address"]
            if address not in by_address:
                by_address[address] = unsuspected(address)
                names[address] = {}
            merge(by_address[address], seen)
            names[address].update(dict.fromkeys(seen["users"]))
    for address, suspect in by_address.items():
        suspect["users"] = list(names[address])
    suspects = [suspect for suspect in by_address.values() if suspect["failed_passwords"]]
    suspects.sort(key=lambda suspect: (-suspect["failed_passwords"], suspect["address"]))
    return {
        "lines": sum(tally["lines"] for tally in tallies),
        "sshd_lines": sum(tally["sshd_lines"] for tally in tallies),
        "long_lines": sum(tally["long_lines"] for tally in tallies),
        "failed_passwords": sum(suspect["failed_passwords"] for suspect in suspects),
        "suspects": suspects,
    }


def merge(suspect: Suspect, seen: Seen) -> None:
    """Add what a later batch says of the address; a login counts from the first failure on, in whichever batch."""
    if suspect["failed_passwords"]:
        admit(suspect["logins"], seen["early"])
    admit(suspect["logins"], seen["late"])
    suspect["failed_passwords"] += seen["failed_passwords"]
    suspect["first"] = suspect["first"] or seen["first"]
    suspect["last"] = seen["last"] or suspect["last"]
    suspect["lines"] = [*suspect["lines"], *seen["lines"]][:SAMPLES]


def admit(logins: Logins, more: Logins) -> None:
    """Add later logins to earlier ones."""
    logins["count"] += more["count"]
    logins["users"] = list(dict.fromkeys([*logins["users"], *more["users"]]))[:SAMPLES]
    logins["lines"] = [*logins["lines"], *more["lines"]][:SAMPLES]


def unsuspected(address: str) -> Suspect:
    """An address before anything was added."""
    return {
        "address": address,
        "failed_passwords": 0,
        "users": [],
        "first": "",
        "last": "",
        "lines": [],
        "logins": {"count": 0, "users": [], "lines": []},
    }
