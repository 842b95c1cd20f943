"""A recollection: which suspects earlier runs have met and judged, from memories whose entries expire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypedDict, cast

if TYPE_CHECKING:
    from agentflow_kernel import Context
    from agentflow_kernel.contracts.memory import Entry
    from agentflow_kernel.contracts.values import JSON

BRIEF_USERS: Final = 10
"""How many of the names tried an agent is told; the report has them all."""

ALL: Final = 1_000_000
"""A limit for a list of everything."""


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
    """What ``seen`` is asked: the suspects, and how many of them an agent may be asked about.

    ``chunk`` is the piece of a followed log that the run is about, or ``None``, ``touched`` the addresses in it.
    """

    suspects: list[Suspect]
    assess_at_most: int
    chunk: dict[str, Any] | None
    touched: list[str]


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
    """``briefs`` are in the order of the suspects, at most ``assess_at_most``; ``seen_before`` has all of them.

    ``verdicts`` has, for each suspect, what the agent said of just the same brief in an earlier run about the same
    log, or ``None``; such a brief is not among the ``briefs``.
    """

    briefs: list[Brief]
    seen_before: list[Sighting | None]
    verdicts: list[dict[str, Any] | None]


async def seen(order: Order, ctx: Context) -> Recollection:
    """What earlier runs knew of each suspect; this run's findings are remembered for the next.

    A step that is executed again after a crash meets what it wrote itself: ``put`` then changes nothing and returns
    what was there before the step, so that no address reads as seen before because of the crash. All runs about one
    followed log are one in this: what they found themselves was not seen before.
    """
    chunk = order["chunk"]
    if chunk is None:
        before = [await met(suspect, ctx) for suspect in order["suspects"]]
    else:
        before = await met_following(order["suspects"], {*order["touched"]}, chunk["state"], ctx)
    verdicts: list[dict[str, Any] | None] = [None] * len(before)
    told = [brief(suspect, known) for suspect, known in zip(order["suspects"], before, strict=True)]
    told = told[: order["assess_at_most"]]
    if chunk is not None and not chunk["ends"]:
        verdicts[: len(told)] = await judged(told, chunk["state"], ctx)
    briefs = [each for each, verdict in zip(told, verdicts, strict=False) if verdict is None]
    return {"briefs": briefs, "seen_before": before, "verdicts": verdicts}


async def met(suspect: Suspect, ctx: Context) -> Sighting | None:
    """What earlier runs knew of a suspect."""
    memory = ctx.memory("seen")
    known = sighting(await memory.get(suspect["address"]))
    return sighting(await memory.put(suspect["address"], cast("JSON", now(suspect, known))))


def now(suspect: Suspect, known: Sighting | None) -> Sighting:
    """What is to be remembered of a suspect of which something was known, or nothing."""
    return {
        "runs": (known["runs"] if known else 0) + 1,
        "failed_passwords": suspect["failed_passwords"],
        "last": suspect["last"],
    }


async def met_following(suspects: list[Suspect], touched: set[str], state: str, ctx: Context) -> list[Sighting | None]:
    """What was known of each suspect before its log was followed.

    The first run that meets an address keeps what it then reads, before it writes down its own finding under the
    log's mark: a run at the same time either reads the same, or sees by the mark that it has been kept.
    """
    seen_, followed = ctx.memory("seen"), ctx.memory("followed")
    prefix = f"{state}/met/"
    kept = {entry.key: entry.value for entry in await followed.list(prefix, limit=ALL)}
    found: list[Sighting | None] = []
    for suspect in suspects:
        address, key = suspect["address"], prefix + suspect["address"]
        if key not in kept:
            entry = await seen_.get(address)
            if entry is not None and cast("Any", entry.value).get("log") == state:
                entry = await followed.get(key)
                kept[key] = None if entry is None else entry.value
            else:
                kept[key] = cast("JSON", sighting(entry))
                await followed.put(key, kept[key])
        known = cast("Sighting | None", kept[key])
        found.append(known)
        if address in touched:
            await seen_.put(address, cast("JSON", {**now(suspect, known), "log": state}))
    return found


async def judged(briefs: list[Brief], state: str, ctx: Context) -> list[dict[str, Any] | None]:
    """The verdicts of earlier runs on just these briefs; ``judging.py`` keeps them."""
    prefix = f"{state}/verdict/"
    entries = await ctx.memory("followed").list(prefix, limit=ALL)
    kept = {entry.key: cast("dict[str, Any]", entry.value) for entry in entries}
    found = [kept.get(prefix + each["address"]) for each in briefs]
    return [
        verdict["verdict"] if verdict and verdict["brief"] == each else None
        for each, verdict in zip(briefs, found, strict=True)
    ]


def sighting(entry: Entry | None) -> Sighting | None:
    """The content of a memory's entry; the log in which it was made is of no interest."""
    if entry is None:
        return None
    value = cast("dict[str, Any]", entry.value)
    return {"runs": value["runs"], "failed_passwords": value["failed_passwords"], "last": value["last"]}


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
