"""A recollection: which suspects earlier runs have met, from a memory whose entries expire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypedDict, cast

if TYPE_CHECKING:
    from agentflow_kernel import Context
    from agentflow_kernel.contracts.memory import Entry
    from agentflow_kernel.contracts.values import JSON

BRIEF_USERS: Final = 10
"""How many of the names tried an agent is told; the report has them all."""


class Logins(TypedDict):
    """Accepted passwords after the first failure."""

    count: int
    users: list[str]
    lines: list[int]


class Suspect(TypedDict):
    """One attacking address, as ``grouping.py`` found it."""

    address: str
    failed_passwords: int
    users: list[str]
    first: str
    last: str
    lines: list[int]
    logins: Logins


class Order(TypedDict):
    """What ``seen`` is asked: the suspects, and how many of them an agent may be asked about."""

    suspects: list[Suspect]
    assess_at_most: int


class Sighting(TypedDict):
    """What is remembered of an address: in how many runs it was met, and what the last of them found."""

    runs: int
    failed_passwords: int
    last: str


class Brief(TypedDict):
    """What an agent is told about a suspect; ``seen_before`` is what earlier runs left."""

    address: str
    failed_passwords: int
    users: list[str]
    user_count: int
    first: str
    last: str
    lines: list[int]
    logins: Logins
    seen_before: Sighting | None


class Recollection(TypedDict):
    """``briefs`` are in the order of the suspects, at most ``assess_at_most``; ``seen_before`` has all of them."""

    briefs: list[Brief]
    seen_before: list[Sighting | None]


async def seen(order: Order, ctx: Context) -> Recollection:
    """What earlier runs knew of each suspect; this run's findings are remembered for the next.

    A step that is executed again after a crash meets what it wrote itself: ``put`` then changes nothing and returns
    what was there before the step, so that no address reads as seen before because of the crash.
    """
    memory = ctx.memory("seen")
    before: list[Sighting | None] = []
    for suspect in order["suspects"]:
        known = sighting(await memory.get(suspect["address"]))
        now: Sighting = {
            "runs": (known["runs"] if known else 0) + 1,
            "failed_passwords": suspect["failed_passwords"],
            "last": suspect["last"],
        }
        before.append(sighting(await memory.put(suspect["address"], cast("JSON", now))))
    told = list(zip(order["suspects"], before, strict=True))[: order["assess_at_most"]]
    return {"briefs": [brief(suspect, known) for suspect, known in told], "seen_before": before}


def sighting(entry: Entry | None) -> Sighting | None:
    """The content of a memory's entry."""
    return None if entry is None else cast("Sighting", entry.value)


def brief(suspect: Suspect, known: Sighting | None) -> Brief:
    """What an agent needs to know of a suspect, bounded however many names were tried."""
    return {
        "address": suspect["address"],
        "failed_passwords": suspect["failed_passwords"],
        "users": suspect["users"][:BRIEF_USERS],
        "user_count": len(suspect["users"]),
        "first": suspect["first"],
        "last": suspect["last"],
        "lines": suspect["lines"],
        "logins": suspect["logins"],
        "seen_before": known,
    }
